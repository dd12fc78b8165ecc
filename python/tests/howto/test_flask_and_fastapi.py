"""`docs/flask.md` and `docs/fastapi.md`, followed from top to bottom, and each of their apps."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import maint
import servers
from browser import find_browser, seen_in
from guide import Reader, Step, missing_tools, read
from maint.testing import TemporarySite

DOCS = Path(__file__).parents[3] / "docs"

Load = Callable[[str], ModuleType]


@pytest.mark.parametrize("guide", ["flask.md", "fastapi.md"])
def test_the_guide_is_followed_from_top_to_bottom_as_written(
    guide: str, tmp_path: Path, maint_binary: str
) -> None:
    if missing := missing_tools():
        pytest.skip(f"SKIPPED: docs/{guide}: no {', '.join(missing)}")
    steps = read((DOCS / guide).read_text())
    with contextlib.closing(Reader(tmp_path, maint_binary, ".")) as reader:
        for step in steps:
            try:
                reader.follow(step)
            except Exception as error:
                pytest.fail(f"docs/{guide}:{step.line}: {error}", pytrace=False)
        # The tests that the guide shows, run where it was followed.
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "maint.testing.pytest_plugin"],
            cwd=reader.project,
            env={
                **{name: value for name, value in os.environ.items() if name[:6] != "MAINT_"},
                "PYTHONPATH": f"{reader.project}{os.pathsep}{_package()}",
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
    said = done.stdout + done.stderr
    expected = {"flask.md": "3 passed", "fastapi.md": "2 passed"}[guide]
    assert done.returncode == 0 and expected in said, said


@pytest.mark.parametrize("guide", ["flask.md", "fastapi.md"])
def test_every_fence_of_python_is_a_file_that_a_test_asks(guide: str) -> None:
    steps = [step for step in read((DOCS / guide).read_text()) if step.language == "python"]
    assert all(step.what.startswith("file ") for step in steps)
    this = Path(__file__).read_text()
    modules = {Path(step.what.removeprefix("file ")).stem for step in steps}
    stem = guide.removesuffix(".md")
    asked = set(re.findall(rf'{stem}\("(\w+)"\)', this)) | {"test_shop", "test_with_unittest"}
    assert modules <= asked, modules - asked


@pytest.mark.parametrize("guide", ["flask.md", "fastapi.md"])
def test_every_link_leads_somewhere(guide: str) -> None:
    text = (DOCS / guide).read_text()
    links = re.findall(r"\]\((?!https?:)([\w./-]*)(?:#([\w-]+))?\)", text)
    assert len(links) > 20
    for file, anchor in links:
        target = DOCS / (file or guide)
        assert target.is_file(), file
        headings = re.findall(r"^#+ (.+)$", target.read_text(), re.M)
        anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings}
        assert not anchor or anchor in anchors, f"{file}#{anchor}"


@pytest.mark.parametrize("guide", ["flask.md", "fastapi.md"])
def test_every_option_of_the_gate_is_in_the_table(guide: str) -> None:
    text = (DOCS / guide).read_text().split("\n## What the middleware can be told\n")[1]
    cells = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text.split("\n## ")[0], re.M)
    told = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    from maint._middleware import GateOptions

    known = set(GateOptions.__annotations__) | {"user", "is_read"}
    assert told - {"gate"} == known
    signature = str(maint.Gate.__text_signature__)
    assert known == set(re.findall(r"(\w+)=", signature)) - {"site"}


def test_the_banner_is_in_the_visitor_s_own_zone(
    request: pytest.FixtureRequest, maint_site: TemporarySite, tmp_path: Path
) -> None:
    """The HTML of both guides in a real browser, by its script."""
    browser = find_browser()
    if browser is None:
        pytest.skip("SKIPPED: no chromium")
    flask = request.getfixturevalue("flask")
    page = flask("banner").app.test_client()
    assert "maintenance" not in page.get("/").text
    start = datetime(2099, 1, 4, 3, tzinfo=timezone.utc)
    hour = timedelta(hours=1)
    maint_site.on("move-4711", start=start, end=start + hour, reason="Bigger <disks>")
    html = page.get("/").text
    other = client(request.getfixturevalue("fastapi")("banner").app).get("/").text
    assert other.split("<aside")[1].split("</script>")[0] in html, "both say the same"
    for zone, said in {
        "America/New_York": ("Saturday, January 3", "10:00"),
        "Asia/Tokyo": ("Sunday, January 4", "12:00"),
    }.items():
        seen = seen_in(browser, zone, html, tmp_path)
        assert all(part in seen for part in said), seen
        assert "Bigger &lt;disks&gt;" in seen and "The shop is closed" in seen
        assert "UTC" not in seen.split("<script")[0] and "4711" not in seen


def test_flask_reads(flask: Load, maint_site: TemporarySite) -> None:
    visitor = flask("reads").app.test_client()
    maint_site.on(read_only=True)
    assert visitor.post("/login").text == "welcome\n"
    answer = visitor.post("/graphql", json={"query": "{ cart { items } }"})
    assert (answer.json, answer.headers["Maint-Decision"]) == ({"data": {}}, "read-only")
    for query in ("mutation { buy }", "query A { a } mutation B { b }", 7):
        answer = visitor.post("/graphql", json={"query": query})
        assert (answer.status_code, answer.headers["Maint-Decision"]) == (503, "block"), query
    assert visitor.post("/graphql", data="no JSON").status_code == 503
    assert visitor.post("/graphql", data=" " * 100_001).status_code == 503
    assert visitor.post("/other").status_code == 503
    maint_site.on("all")
    assert visitor.post("/login").status_code == 503


def test_fastapi_reads(fastapi: Load, maint_site: TemporarySite) -> None:
    visitor = client(fastapi("reads").app)
    maint_site.on(read_only=True)
    assert visitor.post("/login").json() == "welcome"
    answer = visitor.post("/graphql", json={"query": "{ cart { items } }"})
    assert (answer.json(), answer.headers["Maint-Decision"]) == ({"data": {}}, "read-only")
    answer = visitor.post("/graphql", json={"query": "mutation { buy }"})
    assert (answer.status_code, answer.headers["Maint-Decision"]) == (503, "read-only")
    assert visitor.post("/other").headers["Maint-Decision"] == "block"
    maint_site.off()
    assert visitor.post("/graphql", json={"query": "mutation { buy }"}).status_code == 200


def test_fastapi_banner(fastapi: Load, maint_site: TemporarySite) -> None:
    visitor = client(fastapi("banner").app)
    assert "maintenance" not in visitor.get("/").text
    maint_site.on(start="2099-01-04T03:00:00Z", read_only=True)
    page = visitor.get("/").text
    assert "You can look around, but not order" in page
    assert '<time datetime="2099-01-04T03:00:00+00:00">2099-01-04 03:00 UTC</time>.' in page


@pytest.mark.parametrize("framework", ["flask", "fastapi"])
def test_the_banner_is_in_the_visitor_s_language(
    request: pytest.FixtureRequest, framework: str, maint_site: TemporarySite
) -> None:
    app = request.getfixturevalue(framework)("banner").app
    visitor = app.test_client() if framework == "flask" else client(app)
    start = "2099-01-04T03:00:00Z"
    maint_site.on(start=start, reason="Bigger disks", reasons={"de": "Größere Platten"})
    for languages, said in {"de-AT": "Größere Platten", "en, de;q=0.9": "Bigger disks"}.items():
        assert f"{said}</p>" in visitor.get("/", headers={"Accept-Language": languages}).text


def _package() -> Path:
    return Path(maint.__file__).resolve().parent.parent


@pytest.fixture
def maint_site() -> Iterator[TemporarySite]:
    with TemporarySite() as site:
        yield site


def _loader(guide: str, directory: Path) -> Load:
    files = {
        step.what.removeprefix("file "): step
        for step in read((DOCS / guide).read_text())
        if step.what.startswith("file ")
    }

    def load(name: str) -> ModuleType:
        return _module(files[f"{name}.py"], directory / f"{name}.py")

    return load


def _module(step: Step, path: Path) -> ModuleType:
    path.write_text(step.text)
    spec = importlib.util.spec_from_file_location(f"guide_{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def flask(tmp_path: Path, maint_site: TemporarySite) -> Load:
    pytest.importorskip("flask")
    return _loader("flask.md", tmp_path)


@pytest.fixture
def fastapi(tmp_path: Path, maint_site: TemporarySite) -> Load:
    pytest.importorskip("fastapi")
    return _loader("fastapi.md", tmp_path)


def client(app: Any) -> Any:
    from starlette.testclient import TestClient

    return TestClient(app, base_url="http://shop.example")


# Flask


def test_flask_shop(flask: Load, maint_site: TemporarySite) -> None:
    app = flask("shop").app
    assert app.test_client().get("/").text == "the shop\n"
    maint_site.on()
    assert app.test_client().get("/").status_code == 503


def test_flask_named(flask: Load, maint_site: TemporarySite, tmp_path: Path) -> None:
    beside = maint.Site.create(tmp_path / ".maint")
    app = flask("named").app
    maint_site.on()
    assert app.test_client().get("/").status_code == 404
    beside.on()
    assert app.test_client().get("/").status_code == 503


def test_flask_rules(flask: Load, maint_site: TemporarySite) -> None:
    app = flask("rules").app
    maint_site.on()
    visitor = app.test_client()
    assert visitor.get("/health").text == "fine\n"
    assert visitor.get("/static/none.css").status_code == 404
    assert visitor.get("/").status_code == 503


def test_flask_users(flask: Load, maint_site: TemporarySite) -> None:
    app = flask("users").app
    ann, bob, nobody = (app.test_client() for _ in range(3))
    maint_site.on()
    maint_site.ignore("user", "staff")
    maint_site.ignore("path", "/login/**")
    assert ann.post("/login/ann").text == "welcome\n"
    assert bob.post("/login/bob").text == "welcome\n"
    answer = ann.get("/")
    assert answer.text == "the shop\n"
    assert answer.headers.getlist("Cache-Control") == ["private, no-store"]
    assert bob.get("/").status_code == nobody.get("/").status_code == 503
    maint_site.ignore("user", "authenticated")
    assert bob.get("/").status_code == 200
    assert nobody.get("/").status_code == 503


def test_flask_fixed(flask: Load, maint_site: TemporarySite) -> None:
    _is_read_from_the_right(flask("fixed").app.test_client(), maint_site)


def test_flask_unix(flask: Load, maint_site: TemporarySite) -> None:
    visitor = flask("unix").app.test_client()
    _is_read_from_the_right(visitor, maint_site)
    at_a_socket = {"REMOTE_ADDR": ""}
    assert visitor.get("/", environ_base=at_a_socket).status_code == 503
    passes = visitor.get("/", environ_base=at_a_socket, headers={"X-Forwarded-For": "203.0.113.7"})
    assert passes.status_code == 404


def _is_read_from_the_right(visitor: Any, site: TemporarySite) -> None:
    site.ignore("ip", "203.0.113.7")
    site.on()
    for claim, status in {
        "203.0.113.7": 404,
        "6.6.6.6, 203.0.113.7": 404,
        "203.0.113.7, 6.6.6.6": 503,
        "": 503,
    }.items():
        answer = visitor.get("/none", headers={"X-Forwarded-For": claim})
        assert answer.status_code == status, claim


def test_flask_unix_socket(flask: Load, maint_site: TemporarySite, tmp_path: Path) -> None:
    flask("unix")
    _is_believed_at_a_socket(maint_site, tmp_path)


def _is_believed_at_a_socket(site: TemporarySite, directory: Path, *arguments: str) -> None:
    """Asks the guide's `unix.py`, served at a socket that only a proxy could open."""
    site.ignore("ip", "203.0.113.7")
    site.on()
    env = {"MAINT_SITE": str(site.directory)}
    # A short path: a socket's may have at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="maint-") as short:
        at = f"{short}/app.sock"
        bind = ("--bind", f"unix:{at}", *arguments)
        with servers.gunicorn("unix:app", *bind, directory=directory, env=env):
            assert _status_at(at, "203.0.113.7") == 404
            assert _status_at(at, "6.6.6.6, 203.0.113.7") == 404
            assert _status_at(at, "203.0.113.7, 6.6.6.6") == 503
            assert _status_at(at, "unknown") == 503
            assert _status_at(at, None) == 503


def _status_at(path: str, claim: str | None) -> int:
    connection = http.client.HTTPConnection("shop.example", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(30)
    with contextlib.closing(connection):
        connection.sock.connect(path)
        connection.request("GET", "/none", headers={"X-Forwarded-For": claim} if claim else {})
        return connection.getresponse().status


def test_flask_told(flask: Load, maint_site: TemporarySite) -> None:
    app = flask("told").app
    maint_site.ignore("path", "/metrics")
    visitor = app.test_client()
    assert visitor.get("/metrics").text.startswith("maint_down 0\n")
    change = maint_site.on()
    assert visitor.get("/metrics").text == f"maint_down 1\nmaint_revision {change.revision}\n"


def test_flask_seen(flask: Load, maint_site: TemporarySite) -> None:
    visitor = flask("seen").app.test_client()
    assert visitor.get("/").text == "the shop\n"
    rule = maint_site.ignore("header", "x-probe: blue")
    maint_site.on()
    assert visitor.get("/").status_code == 503
    answer = visitor.get("/", headers={"X-Probe": "blue"})
    assert answer.text == f"the shop, which only you see: {rule}\n"


def test_flask_plain(flask: Load, maint_site: TemporarySite) -> None:
    from werkzeug.test import Client

    visitor = Client(flask("plain").app)
    assert visitor.get("/").text == "the shop\n"
    maint_site.on()
    assert visitor.get("/").status_code == 503


# FastAPI


def test_fastapi_shop(fastapi: Load, maint_site: TemporarySite) -> None:
    with client(fastapi("shop").app) as visitor:
        assert visitor.get("/").json() == "the shop"
        maint_site.on(reason="Back at noon")
        answer = visitor.get("/", headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json()["detail"]) == (503, "Back at noon")


def test_fastapi_named(fastapi: Load, maint_site: TemporarySite, tmp_path: Path) -> None:
    beside = maint.Site.create(tmp_path / ".maint")
    visitor = client(fastapi("named").app)
    maint_site.on()
    assert visitor.get("/").status_code == 404
    beside.on()
    assert visitor.get("/").status_code == 503


def test_fastapi_rules(fastapi: Load, maint_site: TemporarySite) -> None:
    visitor = client(fastapi("rules").app)
    maint_site.on()
    assert visitor.get("/health").json() == "fine"
    assert visitor.get("/openapi.json").status_code == 200
    assert visitor.get("/docs").status_code == 503


def test_fastapi_users(fastapi: Load, maint_site: TemporarySite) -> None:
    app = fastapi("users").app
    ann, bob, nobody = (client(app) for _ in range(3))
    maint_site.on()
    maint_site.ignore("user", "staff")
    maint_site.ignore("path", "/login/**")
    assert ann.post("/login/ann").json() == "welcome"
    assert bob.post("/login/bob").json() == "welcome"
    answer = ann.get("/")
    assert answer.json() == "the shop"
    assert answer.headers.get_list("Cache-Control") == ["private, no-store"]
    assert bob.get("/").status_code == nobody.get("/").status_code == 503


def test_fastapi_asynchronous(fastapi: Load, maint_site: TemporarySite) -> None:
    visitor = client(fastapi("asynchronous").app)
    maint_site.on()
    maint_site.ignore("user", "staff")
    staff = visitor.get("/none", headers={"Authorization": "Bearer 7f3a"})
    assert staff.status_code == 404
    for other in ({}, {"Authorization": "Bearer 0000"}):
        assert visitor.get("/none", headers=other).status_code == 503


def test_fastapi_unix(fastapi: Load, maint_site: TemporarySite) -> None:
    visitor = client(fastapi("unix").app)
    _is_read_from_the_right(visitor, maint_site)
    lines = [("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-For", "6.6.6.6")]
    assert visitor.get("/none", headers=lines).status_code == 503
    assert visitor.get("/none", headers=lines[::-1]).status_code == 404


def test_fastapi_unix_socket(fastapi: Load, maint_site: TemporarySite, tmp_path: Path) -> None:
    fastapi("unix")
    _is_believed_at_a_socket(maint_site, tmp_path, "--worker-class", "asgi")


def test_fastapi_cors(fastapi: Load, maint_site: TemporarySite) -> None:
    visitor = client(fastapi("cors").app)
    maint_site.on()
    origin = {"Origin": "https://shop.example"}
    answer = visitor.get("/", headers=origin)
    assert answer.status_code == 503
    assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    # A layer outside compresses the page.
    assert answer.headers["Content-Encoding"] == "gzip"
    assert b"</html>" in answer.content
    preflight = visitor.options("/", headers={**origin, "Access-Control-Request-Method": "GET"})
    assert preflight.status_code == 200


def test_fastapi_seen(fastapi: Load, maint_site: TemporarySite) -> None:
    visitor = client(fastapi("seen").app)
    assert visitor.get("/").json() == {"shop": "open", "only for you": False, "by": None}
    rule = maint_site.ignore("header", "x-probe: blue")
    maint_site.on()
    assert visitor.get("/").status_code == 503
    answer = visitor.get("/", headers={"X-Probe": "blue"})
    assert answer.json() == {"shop": "open", "only for you": True, "by": rule}


def test_fastapi_plain(fastapi: Load, maint_site: TemporarySite) -> None:
    visitor = client(fastapi("plain").app)
    assert visitor.get("/").text == "the shop\n"
    maint_site.on()
    assert visitor.get("/").status_code == 503
