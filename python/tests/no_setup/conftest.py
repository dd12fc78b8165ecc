"""A clone, and another user."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from clones import NOBODY, Clone


@pytest.fixture
def clone(tmp_path: Path, maint_binary: str) -> Clone:
    """An empty directory with a home of its own beside it."""
    for name in ("shop", "home"):
        (tmp_path / name).mkdir()
    kept = {key: text for key, text in os.environ.items() if not key.startswith("MAINT_")}
    kept |= {"HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    kept.pop("XDG_STATE_HOME", None)
    return Clone(tmp_path / "shop", maint_binary, kept)


@pytest.fixture
def as_nobody(clone: Clone) -> int:
    """Another user, who can reach the project and the packages under test."""
    if os.geteuid() != 0:
        pytest.skip("SKIPPED: only root can start programs of other users")
    for above in clone.root.parents:
        if above.stat().st_uid == 0 and str(above).startswith("/tmp/"):
            above.chmod(0o755)
    reached = clone.run(sys.executable, "-c", "import django, maint", user=NOBODY)
    if reached.returncode:
        pytest.skip(f"SKIPPED: another user cannot run this Python: {reached.stderr[-200:]}")
    return NOBODY
