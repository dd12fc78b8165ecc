"""Apps of WSGI and ASGI without a site: up, and they follow the command typed beside them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

import servers
from clones import Clone, status
from servers import Server

FLASK = """
import flask, maint.wsgi

app = flask.Flask(__name__)
app.wsgi_app = maint.wsgi.MaintenanceMiddleware(app.wsgi_app)

@app.get("/")
def index():
    return "shop"
"""

FASTAPI = """
import fastapi, maint, maint.asgi

app = fastapi.FastAPI()
app.add_middleware(maint.asgi.MaintenanceMiddleware, gate=maint.Gate())

@app.get("/")
def index():
    return "shop"
"""


@contextlib.contextmanager
def served(clone: Clone, kind: str) -> Iterator[Server]:
    env = {"HOME": clone.env["HOME"]}
    clone.write("app.py", FLASK if kind == "flask" else FASTAPI)
    if kind == "flask":
        run = servers.gunicorn("app:app", "--workers", "2", directory=clone.root, env=env)
    else:
        run = servers.uvicorn("app:app", "--workers", "2", directory=clone.root, env=env)
    with run as server:
        yield server


def several(server: Server) -> set[int]:
    return {status(server) for _ in range(12)}


@pytest.fixture(params=["flask", "fastapi"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_project_s_site_is_made_by_the_first_on_and_obeyed(clone: Clone, kind: str) -> None:
    clone.write("requirements.txt", kind)
    (clone.root / "below").mkdir()
    with served(clone, kind) as server:
        assert several(server) == {200}
        assert f"made the site {clone.site}" in clone.maint("on", at="below")
        assert several(server) == {503}
        clone.maint("off")
        assert several(server) == {200}


def test_without_a_mark_of_a_project_command_and_app_mean_the_user_s_own(
    clone: Clone, kind: str
) -> None:
    with served(clone, kind) as server:
        assert several(server) == {200}
        said = clone.maint("on")
        assert "neither a site nor a project here or above" in said
        assert several(server) == {503}


def test_a_site_that_is_named_must_be_there(clone: Clone, kind: str) -> None:
    clone.env["MAINT_SITE"] = str(clone.root / "typo")
    with pytest.raises(servers.ServerEnded, match="typo"):
        clone.write("app.py", FLASK if kind == "flask" else FASTAPI)
        start = servers.gunicorn if kind == "flask" else servers.uvicorn
        with start("app:app", directory=clone.root, env={"MAINT_SITE": clone.env["MAINT_SITE"]}):
            pytest.fail("it starts")
