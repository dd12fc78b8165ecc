"""The fixtures `maint_site` and `maint_clock`, which pytest finds by itself."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from maint.testing import Clock, TemporarySite

_AT_START = "maint_site_at_start"
_directory = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        _AT_START,
        "make the temporary site of maint before anything is imported, for apps that are made "
        "on import",
        type="bool",
        default=False,
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    # Before any conftest.py, since that may import the app.
    if not early_config.getini(_AT_START):
        return
    temporary = tempfile.TemporaryDirectory(prefix="maint-", ignore_cleanup_errors=True)
    directory = Path(temporary.name).resolve() / ".maint"
    directory.mkdir()
    os.environ["MAINT_SITE"] = str(directory)
    early_config.stash[_directory] = directory
    early_config.add_cleanup(temporary.cleanup)


@pytest.fixture
def maint_site(pytestconfig: pytest.Config) -> Iterator[TemporarySite]:
    """A temporary site that is up; `MAINT_SITE` is its directory."""
    directory = pytestconfig.stash.get(_directory, None)
    with TemporarySite() if directory is None else TemporarySite._at(directory) as site:
        yield site


@pytest.fixture
def maint_clock() -> Iterator[Clock]:
    """The clock of all gates and sites, which runs again after the test."""
    with Clock() as clock:
        yield clock
