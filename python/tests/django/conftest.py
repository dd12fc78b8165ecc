"""A real Django project with a database, sessions and users, and a new site for each test."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# The directory of this file has no `__init__.py`: the package would be named `django`.
sys.path.insert(0, str(Path(__file__).parent))
_files = tempfile.TemporaryDirectory()
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
os.environ["PROJECT_FILE"] = str(Path(_files.name) / "project.db")

import django  # noqa: E402

django.setup()

from asgiref.sync import sync_to_async  # noqa: E402
from django.conf import settings  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.db.backends.utils import CursorWrapper  # noqa: E402
from django.test import AsyncClient, Client, override_settings  # noqa: E402
from django.test.utils import setup_test_environment, teardown_test_environment  # noqa: E402
from django.utils import translation  # noqa: E402

from maint import Site  # noqa: E402

USERS: dict[str, dict[str, bool]] = {
    "ann": {},
    "staff": {"is_staff": True},
    "root": {"is_staff": True, "is_superuser": True},
}


@pytest.fixture(scope="session", autouse=True)
def project() -> Iterator[None]:
    """The project with its database: a user of each class."""
    setup_test_environment()
    call_command("migrate", verbosity=0)
    for name, flags in USERS.items():
        get_user_model().objects.create_user(name, password="secret", **flags)
    yield
    connections.close_all()
    teardown_test_environment()
    _files.cleanup()


@pytest.fixture(autouse=True)
def configured(site: Site) -> Iterator[None]:
    """Each test has a new site, where nothing is down."""
    # LocaleMiddleware leaves a thread in the language of its last visitor.
    with override_settings(MAINT_SITE=site.directory), translation.override("en"):
        yield


#: Sets settings for the rest of the test.
Configure = Callable[..., None]


@pytest.fixture
def configure() -> Iterator[Configure]:
    overrides: list[override_settings] = []

    def configure(**values: Any) -> None:
        overrides.append(override_settings(**values))
        overrides[-1].enable()

    yield configure
    for override in reversed(overrides):
        override.disable()


class _AsyncClient(AsyncClient):
    """A client with an address of choice."""

    ip = ""

    def _base_scope(self, **request: Any) -> Any:
        scope = super()._base_scope(**request)
        return {**scope, "client": [self.ip, 4711]}


class Visitor:
    """A browser that keeps its cookies, by WSGI or by ASGI. Exceptions of the app come through."""

    def __init__(self, kind: str) -> None:
        self.is_async = kind == "async"
        self.cookies: Any = None
        self.session = ""

    def __call__(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        data: Any = None,
        user: str | None = None,
        ip: str = "192.0.2.1",
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> Any:
        arguments: dict[str, Any] = {"headers": {"accept": "text/html", **(headers or {})}}
        if data is not None:
            arguments["data"] = data
        name = method.lower()
        if not self.is_async:
            client = Client(REMOTE_ADDR=ip, **options)
            self._enter(client, user)
            response = getattr(client, name)(path, **arguments)
            self.cookies = client.cookies
            return response

        async def visit() -> Any:
            client = _AsyncClient(**options)
            client.ip = ip
            await sync_to_async(self._enter)(client, user)
            response = await getattr(client, name)(path, **arguments)
            self.cookies = client.cookies
            return response

        return asyncio.run(visit())

    def _enter(self, client: Any, user: str | None) -> None:
        if user is not None:
            client.force_login(get_user_model().objects.get(username=user))
            self.session = client.cookies["sessionid"].value
        elif self.cookies:
            client.cookies = self.cookies


@pytest.fixture(params=["sync", "async"])
def visit(request: pytest.FixtureRequest) -> Visitor:
    return Visitor(request.param)


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries to the database, from any thread."""
    asked: list[str] = []
    execute = CursorWrapper.execute

    def record(self: Any, sql: str, params: Any = None) -> Any:
        asked.append(sql)
        return execute(self, sql, params)

    monkeypatch.setattr(CursorWrapper, "execute", record)
    return asked


def _close_everywhere() -> None:
    connections.close_all()
    asyncio.run(sync_to_async(connections.close_all)())


@pytest.fixture
def broken_database() -> Iterator[None]:
    """The database cannot be reached: there is a directory where its file was."""
    file = Path(settings.DATABASES["default"]["NAME"])
    _close_everywhere()
    away = file.rename(file.with_name("away.db"))
    file.mkdir()
    yield
    _close_everywhere()
    file.rmdir()
    away.rename(file)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog
