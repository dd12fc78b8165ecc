"""The package, installed from the repository and from the sdist."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2]

#: A release build takes minutes, and packs the same files.
ENVIRONMENT = {**os.environ, "MAINT_BUILD_PROFILE": "dev"}

PROGRAM = """
import pathlib, tempfile, maint
assert pathlib.Path(maint.__file__).is_relative_to({prefix!r}), maint.__file__
site = maint.Site.create(tempfile.mkdtemp() + "/.maint")
site.on(reason="from Python")
assert isinstance(maint.Gate(site).answer(maint.Request("GET", "/")), maint.Reply)
print(site.directory)
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=1_500,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sdist")
    run(Path(sys.executable).with_name("maturin"), "sdist", "-o", directory, cwd=PACKAGE)
    [file] = directory.glob("*.tar.gz")
    return file


@pytest.mark.parametrize("source", ["the repository", "the sdist"])
def test_an_empty_environment_gets_the_module_and_the_command(
    source: str, sdist: Path, tmp_path: Path
) -> None:
    prefix = tmp_path / "venv"
    run(sys.executable, "-m", "venv", prefix, cwd=tmp_path)
    what = PACKAGE if source == "the repository" else sdist
    run(prefix / "bin" / "pip", "install", "-q", "--no-deps", what, cwd=tmp_path)
    program = PROGRAM.format(prefix=str(prefix))
    directory = run(prefix / "bin" / "python", "-c", program, cwd=tmp_path).strip()
    command = prefix / "bin" / "maint"
    assert "from Python" in run(command, "--site", directory, "status", cwd=tmp_path)
    assert run(command, "--version", cwd=tmp_path).startswith("maint ")
    [told] = prefix.glob("lib/*/site-packages/maint-*.dist-info")
    assert "maint=maint.testing.pytest_plugin" in (told / "entry_points.txt").read_text()
    assert "pip install maint" in (told / "METADATA").read_text(), "the README for PyPI"
    [confirm] = prefix.glob("lib/*/site-packages/maint/django/**/*.html")
    assert confirm.is_file()


def test_the_sdist_has_all_that_a_build_needs_and_nothing_private(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    for name in [
        "pyproject.toml",
        "python/Cargo.lock",
        "Cargo.lock",
        "src/lib.rs",
        "src/bin/maint/main.rs",
        "pysrc/maint/_maint.pyi",
        "pysrc/maint/py.typed",
        "build_backend/backend.py",
        "LICENSE-MIT",
        "LICENSE-APACHE",
    ]:
        assert name in names, name
    assert not [name for name in names if name.endswith((".so", ".pyc")) or "target/" in name]
