"""A site for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from sites import Operator


@pytest.fixture
def operator(tmp_path: Path, maint_binary: str) -> Operator:
    site = tmp_path / ".maint"
    site.mkdir()
    return Operator(maint_binary, site)


@pytest.fixture(scope="session")
def apps() -> Path:
    """The directory with the modules of the apps."""
    return Path(__file__).parent / "apps"
