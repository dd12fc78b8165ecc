"""A clone, and another user."""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
from pathlib import Path

import pytest

from clones import NOBODY, Clone


@pytest.fixture
def clone(tmp_path: Path, maint_binary: str) -> Clone:
    """An empty directory with a home of its own beside it."""
    for name in ("shop", "home"):
        (tmp_path / name).mkdir()
    # Other tests of this process may have chosen the settings of their own project.
    ours = ("MAINT_", "DJANGO_")
    kept = {key: text for key, text in os.environ.items() if not key.startswith(ours)}
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
    # The packages under test, which another Python of this version can use as well.
    clone.env["PYTHONPATH"] = sysconfig.get_path("purelib")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        clone.python = python
        with contextlib.suppress(OSError):
            if (
                clone.run(python, "-c", "import django, gunicorn, maint", user=NOBODY).returncode
                == 0
            ):
                return NOBODY
    pytest.skip("SKIPPED: no Python and no packages that another user can run")
