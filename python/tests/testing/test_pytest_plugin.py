"""The fixtures, in suites that a separate pytest runs."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import maint

Suite = Callable[..., str]


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Runs files as a separate suite, and returns the output of pytest."""

    def run(expected: str, ini: str = "", *arguments: str, **files: str) -> str:
        (tmp_path / "pytest.ini").write_text(f"[pytest]\n{ini}\n")
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        env = {name: value for name, value in os.environ.items() if name[:6] != "MAINT_"}
        env |= {
            "PYTHONPATH": str(Path(maint.__file__).resolve().parent.parent),
            # Loaded by name below, whether the package is installed or not.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "HOME": str(tmp_path / "home"),
        }
        command = [sys.executable, "-m", "pytest", "-p", "maint.testing.pytest_plugin"]
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider", *arguments],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        said = done.stdout + done.stderr
        assert expected in said, said
        return said

    return run


APP = """
    from maint.wsgi import MaintenanceMiddleware

    def shop(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"the shop"]

    def make():
        return MaintenanceMiddleware(shop)
"""

ASK = """
    from wsgiref.util import setup_testing_defaults

    def status(app):
        environ, seen = {}, []
        setup_testing_defaults(environ)
        app(environ, lambda status, headers, exc_info=None: seen.append(status))
        return int(seen[0][:3])
"""


def test_each_test_has_a_site_and_a_clock_of_its_own(suite: Suite) -> None:
    suite(
        "4 passed",
        app=APP,
        ask=ASK,
        test_shop="""
        import os
        from datetime import timedelta

        import pytest
        from app import make
        from ask import status

        @pytest.fixture
        def app(maint_site):
            return make()

        @pytest.mark.parametrize("again", [1, 2])
        def test_on_and_off(app, maint_site, again):
            assert status(app) == 200
            maint_site.on()
            assert status(app) == 503

        def test_the_window_ends(app, maint_site, maint_clock):
            maint_clock.freeze("2026-11-22T12:00:00Z")
            maint_site.on(end="2026-11-22T12:30:00Z")
            assert status(app) == 503
            maint_clock.advance(timedelta(minutes=30))
            assert status(app) == 200

        def test_nothing_is_left():
            assert "MAINT_SITE" not in os.environ
        """,
    )


def test_an_app_that_is_made_on_import_finds_the_site_from_the_start(suite: Suite) -> None:
    suite(
        "4 passed",
        "maint_site_at_start = true",
        app=APP + "\n    app = make()\n",
        ask=ASK,
        conftest="from app import app",
        test_shop="""
        import os

        import pytest
        from app import app
        from ask import status

        @pytest.mark.parametrize("again", [1, 2])
        def test_on(maint_site, again):
            assert os.environ["MAINT_SITE"] == str(maint_site.directory)
            assert status(app) == 200
            maint_site.on()
            assert status(app) == 503

        def test_up_again():
            assert status(app) == 200

        def test_rules_go_too(maint_site):
            maint_site.on()
            assert status(app) == 503
        """,
    )


def test_an_app_that_is_made_on_import_needs_no_site(suite: Suite) -> None:
    suite(
        "1 passed",
        app=APP + "\n    app = make()\n",
        ask=ASK,
        test_shop="""
        from app import app
        from ask import status

        def test_up():
            assert status(app) == 200
        """,
    )


def test_without_the_fixtures_nothing_is_changed(suite: Suite) -> None:
    suite(
        "1 passed",
        test_shop="""
        import os

        def test_nothing():
            assert "MAINT_SITE" not in os.environ
        """,
    )


def test_the_temporary_directory_goes_with_the_last_test(suite: Suite, tmp_path: Path) -> None:
    for ini in ("", "maint_site_at_start = true"):
        suite(
            "1 passed",
            ini,
            test_shop=f"""
            from pathlib import Path

            def test_on(maint_site):
                maint_site.on()
                Path({str(tmp_path / "where")!r}).write_text(str(maint_site.directory))
            """,
        )
        assert not Path((tmp_path / "where").read_text()).parent.exists()


def test_the_option_is_in_the_help(suite: Suite) -> None:
    suite("maint_site_at_start", "", "--help")


def test_the_fixtures_are_listed_with_what_they_are(suite: Suite) -> None:
    said = suite("maint_site", "", "--fixtures")
    assert "`MAINT_SITE` is its directory" in said
    assert "The clock of all gates and sites" in said
