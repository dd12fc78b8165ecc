"""Fixtures for every test: the real command, and a new site."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import maint

#: Runs the command on a site: `run("on", "-m", "why")`.
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Prints each skip: a silent one looks like a pass."""
    if report.skipped and isinstance(report.longrepr, tuple):
        name = report.nodeid.rpartition("::")[2].partition("[")[0]
        reason = report.longrepr[2].removeprefix("Skipped: ").removeprefix("SKIPPED: ")
        os.write(2, f"\nSKIPPED: {name}: {reason}\n".encode())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Names each test of a claim that passed, as pytest names by itself only those that failed."""
    passed = terminalreporter.stats.get("passed", ())
    for name in sorted({report.nodeid.partition("[")[0] for report in passed}):
        if "::test_requirement_" in name:
            terminalreporter.write_line(f"PASSED {name}")


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Reports a number that was seen, past the capture: `tests/proof/report/` reads it."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def figure(text: str) -> None:
        case = getattr(request.node, "callspec", None)
        about = f"{case.id}: {text}" if case else text
        # On a line of its own, since pytest may be in the middle of its dots.
        line = f"\nfigure: {request.node.originalname}: {about}\n"
        with capture.global_and_fixture_disabled():
            os.write(2, line.encode())

    return figure


@pytest.fixture(scope="session")
def maint_binary() -> str:
    """The real command: the one beside this Python, or the one that `MAINT_BINARY` names."""
    beside = Path(sys.executable).with_name("maint")
    found = os.environ.get("MAINT_BINARY") or (str(beside) if beside.exists() else None)
    found = found or shutil.which("maint")
    if found is None:
        pytest.fail("no `maint` command: install the package, or set MAINT_BINARY")
    return found


@pytest.fixture
def site(tmp_path: Path) -> maint.Site:
    """A new site, where nothing is down."""
    return maint.Site.create(tmp_path / ".maint")


@pytest.fixture
def run(maint_binary: str, site: maint.Site) -> Run:
    """Runs the command on the site, and fails the test if the command fails."""

    def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [maint_binary, "--site", site.directory, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert not check or done.returncode == 0, (arguments, done)
        return done

    return run
