"""The package, installed as a wheel, from the repository, and from the sdist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
import warnings
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


#: `make test` has built a wheel of what is in the repository, and takes that.
SOURCES = (
    ["the wheel"] if os.environ.get("MAINT_PROOF") == "short" else ["the repository", "the sdist"]
)


@pytest.mark.parametrize("source", SOURCES)
def test_an_empty_environment_gets_the_module_and_the_command(
    source: str, sdist: Path, tmp_path: Path
) -> None:
    prefix = tmp_path / "venv"
    run(sys.executable, "-m", "venv", prefix, cwd=tmp_path)
    # The guides begin beside a clone that is called so.
    (tmp_path / "maint").symlink_to(PACKAGE.parent)
    what = {
        "the wheel": list((PACKAGE / "dist").glob("*.whl")),
        "the repository": ["./maint/python"],
        "the sdist": [sdist],
    }[source]
    for guide in ("django.md", "flask.md", "fastapi.md"):
        fence = (PACKAGE.parent / "docs" / guide).read_text().split("<!-- test: install -->\n")[1]
        assert "./maint/python" in fence.splitlines()[1].split(), guide
    run(prefix / "bin" / "pip", "install", "-q", "--no-deps", *what, cwd=tmp_path)
    program = PROGRAM.format(prefix=str(prefix))
    directory = run(prefix / "bin" / "python", "-c", program, cwd=tmp_path).strip()
    command = prefix / "bin" / "maint"
    assert "from Python" in run(command, "--site", directory, "status", cwd=tmp_path)
    assert run(command, "--version", cwd=tmp_path).startswith("maint ")
    [told] = prefix.glob("lib/*/site-packages/maint-*.dist-info")
    assert "maint=maint.testing.pytest_plugin" in (told / "entry_points.txt").read_text()
    assert "pip install ./python" in (told / "METADATA").read_text(), "the README for PyPI"
    [confirm] = prefix.glob("lib/*/site-packages/maint/django/**/*.html")
    assert confirm.is_file()
    see_the_first_minute(prefix / "bin", tmp_path)


def see_the_first_minute(commands: Path, tmp_path: Path) -> None:
    """`maint demo` of the wheel in an empty home, its page, and what it says to type."""
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    environment = {
        "PATH": os.pathsep.join([str(commands), os.environ["PATH"]]),
        "HOME": str(home),
        "TMPDIR": str(temporary),
    }
    demo = subprocess.Popen(
        ["maint", "demo", "--port", "0"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert demo.stdout
        typed: list[str] = []
        url = ""
        while len(typed) < 3:
            line = demo.stdout.readline()
            assert line, f"it ended: {demo.wait(60)}"
            if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
                url = found[0]
            if line.startswith("    "):
                typed.append(line.strip())
        assert all(line.startswith(f"maint --site {temporary}/maint-demo-") for line in typed)
        seen = [look(url, tmp_path)]
        for line in typed:
            subprocess.run(["sh", "-c", line], env=environment, check=True, timeout=60)
            seen.append(look(url, tmp_path))
    finally:
        demo.terminate()
    assert demo.wait(60) == 0
    assert ["This is your app" in page for _, page in seen] == [True, False, False, True]
    assert ["Back at noon" in page.split("<pre")[0] for _, page in seen] == [
        False,
        True,
        True,
        False,
    ]
    assert [status for status, _ in seen] == [200, 503, 503, 200]
    assert not list(temporary.iterdir()) and not list(home.iterdir()), "it leaves something"


def look(url: str, tmp_path: Path) -> tuple[int, str]:
    """The status, and the page as a browser shows it, if there is one."""
    # No proxy for the loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=30) as answer:
            status, page = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            status, page = error.code, error.read().decode()
    names = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        warnings.warn("SKIPPED: the page of the wheel in a browser: no chromium", stacklevel=2)
        return status, page
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", profile, "--dump-dom", url]
    return status, run(*command, cwd=tmp_path)


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
    sources = {str(path.relative_to(PACKAGE.parent)) for path in PACKAGE.parent.glob("src/**/*.rs")}
    of_tests = {name for name in sources - names if re.search(r"_test\.rs$|/tests(\.rs$|/)", name)}
    assert sources - names == of_tests, "what the compiler needs is left out"
    assert not [name for name in names if name.endswith((".so", ".pyc")) or "target/" in name]
