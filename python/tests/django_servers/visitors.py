"""A run of the shop, and its visitors."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from servers import Server, gunicorn, uvicorn

HERE = Path(__file__).parent

#: The ways to serve the shop: a server and its options.
KINDS = {
    "gunicorn": ("--workers", "3", "--preload"),
    "gunicorn-gthread": ("--workers", "2", "--worker-class", "gthread", "--threads", "4"),
    "uvicorn": ("--workers", "2"),
    # With several workers, it would restart for ever those that end.
    "uvicorn-alone": (),
}

#: The number of workers.
WORKERS = {"gunicorn": 3, "uvicorn": 2}

PASSWORD = "for these tests"


@dataclass(frozen=True)
class Answer:
    """The answer to a request."""

    status: int
    headers: Mapping[str, str]
    body: str


class Visitor:
    """A visitor with a browser: keeps cookies, follows no redirect."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.cookies: dict[str, str] = {}

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, form: Mapping[str, str]) -> Answer:
        return self.ask("POST", path, urlencode(form))

    def ask(
        self,
        method: str,
        path: str,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = {"Accept": "text/html", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = http.client.HTTPConnection(self._server.host, self._server.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            text = response.read().decode()
            for field in response.headers.get_all("Set-Cookie") or []:
                for name, morsel in SimpleCookie(field).items():
                    self.cookies[name] = morsel.value
                    if not morsel.value:
                        del self.cookies[name]
            return Answer(response.status, response.headers, text)

    def fill_in(self, path: str, form: Mapping[str, str]) -> Answer:
        """Opens a form, and sends it with its token."""
        page = self.get(path)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.body)
        assert token, f"{path} is not a form: {page}"
        return self.post(path, {**form, "csrfmiddlewaretoken": token[1]})

    def log_in(self, name: str) -> Visitor:
        """Logs in at the admin site, like all staff."""
        answer = self.fill_in("/admin/login/?next=/who/", {"username": name, "password": PASSWORD})
        # The admin site lets only staff in, so the others get their session elsewhere.
        assert answer.status == 302, answer
        return self


class Shop:
    """One run of the shop: its directory, its site, its database."""

    def __init__(self, directory: Path, maint_binary: str, database: Database) -> None:
        self.directory = directory
        self.database = directory / "db.sqlite3"
        self._maint_binary = maint_binary
        self._session_of_cid = database.session_of_cid
        (directory / "templates").mkdir()
        shutil.copy(database.file, self.database)
        self.maint("init", str(directory))

    @contextlib.contextmanager
    def serve(self, kind: str, **settings: object) -> Iterator[Server]:
        """Runs the shop with these settings."""
        options = KINDS[kind]
        run = gunicorn if kind.startswith("gunicorn") else uvicorn
        app = "shop.wsgi" if run is gunicorn else "shop.asgi:application"
        env = self.environment(settings)
        with run(app, *options, directory=HERE, env=env, ready="/health/") as server:
            yield server

    def environment(self, settings: Mapping[str, object]) -> dict[str, str]:
        return environment(self.directory, settings)

    def maint(self, *arguments: str) -> str:
        """Runs the command as an operator."""
        site = str(self.directory / ".maint")
        command = [self._maint_binary, *(("--site", site) if arguments[0] != "init" else ())]
        return _run([*command, *arguments], self.directory, dict(os.environ))

    def status(self) -> dict[str, Any]:
        return json.loads(self.maint("status", "--json"))  # type: ignore[no-any-return]

    def manage(self, *arguments: str, **settings: object) -> str:
        """Runs a management command."""
        return manage(self.environment(settings), *arguments)

    def log_in(self, server: Server, name: str) -> Visitor:
        """A visitor with a session in the database; `nobody` has none."""
        visitor = Visitor(server)
        if name == "nobody":
            return visitor
        if name in ("ann", "bob"):
            return visitor.log_in(name)
        visitor.cookies["sessionid"] = self._session_of_cid
        return visitor


#: Three people, and a session for the one whom the admin site does not let in.
_PEOPLE = f"""
from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
make, password = User.objects.create_user, {PASSWORD!r}
make("ann", password=password, is_staff=True, is_superuser=True)
make("bob", password=password, is_staff=True)
cid = make("cid", password=password)
request = HttpRequest()
request.session = SessionStore()
login(request, cid, settings.AUTHENTICATION_BACKENDS[0])
request.session.save()
print(request.session.session_key)
"""


@dataclass(frozen=True)
class Database:
    """A database with ann, a superuser, bob, who is staff, and cid."""

    file: Path
    session_of_cid: str


def make_database(directory: Path) -> Database:
    (directory / ".maint").mkdir()
    manage(environment(directory, {}), "migrate", "--verbosity", "0")
    key = manage(environment(directory, {}), "shell", "-c", _PEOPLE).strip().splitlines()[-1]
    return Database(directory / "db.sqlite3", key)


def environment(directory: Path, settings: Mapping[str, object]) -> dict[str, str]:
    return {
        # Other tests of this run may have set it to another project.
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "SHOP_RUN": str(directory),
        "SHOP_SETTINGS": json.dumps(settings),
        # The place of a user's own site.
        "HOME": str(directory),
        "XDG_STATE_HOME": str(directory / "state"),
    }


def manage(environment: Mapping[str, str], *arguments: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAINT_")}
    paths = [os.path.abspath(path) for path in sys.path if path]
    kept["PYTHONPATH"] = os.pathsep.join(paths)
    return _run(
        [sys.executable, str(HERE / "manage.py"), *arguments], HERE, {**kept, **environment}
    )


def _run(command: list[str], directory: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=60
    )
    if done.returncode != 0:
        pytest.fail(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout
