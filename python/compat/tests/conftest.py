"""A project in the words of django-maintenance-mode, and a new site for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.core.cache import cache  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from django.test.utils import setup_test_environment, teardown_test_environment  # noqa: E402

import maint  # noqa: E402

USERS: dict[str, dict[str, bool]] = {
    "ann": {},
    "staff": {"is_staff": True},
    "root": {"is_staff": True, "is_superuser": True},
}


@pytest.fixture(scope="session", autouse=True)
def users() -> Iterator[None]:
    """The project with its database: a user of each class."""
    setup_test_environment()
    call_command("migrate", verbosity=0)
    for name, flags in USERS.items():
        get_user_model().objects.create_user(name, password="secret", **flags)
    yield
    teardown_test_environment()


@pytest.fixture
def site(tmp_path: Path) -> maint.Site:
    """A new site, where nothing is down."""
    return maint.Site.create(tmp_path / ".maint")


@pytest.fixture(autouse=True)
def configured(site: maint.Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test has a new site, and settings as the project wrote them."""
    layer = settings._wrapped
    before = dict(vars(layer))
    cache.clear()
    with override_settings(MAINT_SITE=site.directory):
        yield
    # A test may have assigned settings, as code of projects does.
    vars(layer).clear()
    vars(layer).update(before)
    settings.__dict__.pop("_wrapped", None)
    settings._wrapped = layer


@pytest.fixture
def run(site: maint.Site) -> Callable[..., str]:
    """Runs the command `maint` on the site, and returns what it prints."""
    beside = Path(sys.executable).with_name("maint")
    command = os.environ.get("MAINT_BINARY") or (str(beside) if beside.exists() else None)
    command = command or shutil.which("maint")
    assert command, "no `maint` command: install the package, or set MAINT_BINARY"

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [command, "--site", site.directory, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, (arguments, done)
        return done.stdout

    return run


@pytest.fixture
def configure() -> Iterator[Callable[..., None]]:
    """Overrides settings for the rest of the test."""
    overrides: list[override_settings] = []

    def configure(**values: Any) -> None:
        overrides.append(
            override_settings(
                **{f"MAINTENANCE_MODE{name}": value for name, value in values.items()}
            )
        )
        overrides[-1].enable()

    yield configure
    for override in reversed(overrides):
        override.disable()


@pytest.fixture
def visit() -> Callable[..., Any]:
    """A visit of a page, as who and from where."""

    def visit(
        path: str = "/",
        *,
        user: str | None = None,
        ip: str = "192.0.2.1",
        method: str = "get",
        accept: str | None = "text/html",
        **options: Any,
    ) -> Any:
        client = Client(REMOTE_ADDR=ip)
        if user:
            client.force_login(get_user_model().objects.get(username=user))
        if accept is not None:
            options["HTTP_ACCEPT"] = accept
        return getattr(client, method)(path, **options)

    return visit
