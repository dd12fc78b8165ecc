"""Builds the package: maturin makes the extension module, cargo the command beside it.

maturin packs either a module or a program. The command is built first and handed to it as
a script, so that `pip install maint` gives both (PEP 517, PEP 660).

`MAINT_BUILD_PROFILE=dev` builds both unoptimised, for tests of the packaging.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import maturin
from maturin import (
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

HERE = Path(__file__).resolve().parent
#: Where maturin looks for scripts, see `tool.maturin.data` in pyproject.toml.
SCRIPTS = HERE / "data" / "scripts"
EXECUTABLE = "maint.exe" if sys.platform == "win32" else "maint"

# maturin requires the folder in every mode.
SCRIPTS.mkdir(parents=True, exist_ok=True)

# In a source distribution the README of the root crate takes the place of the one for PyPI.
if (HERE.parent / "PKG-INFO").is_file():
    shutil.copy2(HERE.parent / "python" / "README.md", HERE.parent / "README.md")


PROFILE = os.environ.get("MAINT_BUILD_PROFILE", "release")


def build_wheel(*arguments: Any, **options: Any) -> str:
    """Builds the command, then the wheel with both."""
    build_command()
    os.environ.setdefault("MATURIN_PEP517_ARGS", f"--profile {PROFILE}")
    return maturin.build_wheel(*arguments, **options)


def build_editable(*arguments: Any, **options: Any) -> str:
    """Builds the command, then the editable wheel with both."""
    build_command()
    return maturin.build_editable(*arguments, **options)


def build_command() -> None:
    """Builds the command and puts it where maturin finds it."""
    manifest = root() / "Cargo.toml"
    target = Path(os.environ.get("CARGO_TARGET_DIR") or manifest.parent / "target")
    cargo = ["cargo", "build", "--profile", PROFILE, "--locked", "--features", "full"]
    subprocess.run(
        [*cargo, "--bin", "maint", "--manifest-path", str(manifest), "--target-dir", str(target)],
        check=True,
        # pip reads the name of the wheel from standard output.
        stdout=sys.stderr,
    )
    built = "debug" if PROFILE == "dev" else PROFILE
    shutil.copy2(target / built / EXECUTABLE, SCRIPTS / EXECUTABLE)


def root() -> Path:
    """The crate with the command, above this folder: in the repository, and where maturin puts it
    in a source distribution."""
    for folder in HERE.parents:
        if (folder / "src" / "bin" / "maint" / "main.rs").is_file():
            return folder
    raise FileNotFoundError(f"no sources of the command above `{HERE}`")
