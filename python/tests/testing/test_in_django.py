"""The mixin and the fixtures in the suite of a Django project whose settings name a site."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import maint

pytest.importorskip("django")

FILES = {
    "settings.py": """
        from pathlib import Path

        SECRET_KEY = "for tests"
        ALLOWED_HOSTS = ["*"]
        ROOT_URLCONF = "urls"
        USE_TZ = True
        INSTALLED_APPS = ["maint.django"]
        MIDDLEWARE = ["maint.django.middleware.MaintenanceModeMiddleware"]
        # The site of production, which no test may touch.
        MAINT_SITE = Path(__file__).parent / "production"
        """,
    "urls.py": """
        from django.http import HttpResponse
        from django.urls import path

        urlpatterns = [path("", lambda request: HttpResponse("the shop"))]
        """,
    "tests.py": """
        from datetime import timedelta

        from django.test import SimpleTestCase

        from maint.testing import MaintMixin


        class ShopTests(MaintMixin, SimpleTestCase):
            def test_on_and_off(self):
                self.assertEqual(self.client.get("/").status_code, 200)
                self.maint_site.on(reason="Back at noon")
                self.assertContains(self.client.get("/"), "Back at noon", status_code=503)
                self.maint_site.off()
                self.assertEqual(self.client.get("/").status_code, 200)

            def test_the_window_ends(self):
                self.maint_clock.freeze("2026-11-22T12:00:00Z")
                self.maint_site.on(end="2026-11-22T12:30:00Z")
                self.assertEqual(self.client.get("/").status_code, 503)
                self.maint_clock.advance(timedelta(minutes=30))
                self.assertEqual(self.client.get("/").status_code, 200)

            def test_the_site_is_new(self):
                self.assertEqual(self.client.get("/").status_code, 200)

            async def test_the_asynchronous_client(self):
                self.maint_site.on()
                self.assertEqual((await self.async_client.get("/")).status_code, 503)
        """,
    "test_with_pytest.py": """
        import django
        import pytest

        django.setup()

        from django.test import Client


        @pytest.mark.parametrize("again", [1, 2])
        def test_on(maint_site, again):
            client = Client()
            assert client.get("/").status_code == 200
            maint_site.on()
            assert client.get("/").status_code == 503
        """,
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(textwrap.dedent(text))
    maint.Site.create(tmp_path / "production")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "django", "test"],
        ["-m", "pytest", "-p", "maint.testing.pytest_plugin", "-p", "no:cacheprovider"],
    ],
    ids=["manage.py test", "pytest"],
)
def test_a_suite_switches_a_site_of_its_own(project: Path, command: list[str]) -> None:
    production = maint.Site(project / "production")
    before = production.state()
    package = Path(maint.__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, *command],
        cwd=project,
        env={
            **{name: value for name, value in os.environ.items() if name[:6] != "MAINT_"},
            "PYTHONPATH": f"{project}{os.pathsep}{package}",
            "DJANGO_SETTINGS_MODULE": "settings",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Ran 4 tests" in said or "2 passed" in said, said
    assert production.state() == before
