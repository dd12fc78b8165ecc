"""The promises of the middleware, for Flask and FastAPI under real servers."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import servers
from servers import Server
from sites import Operator
from wire import Wire, ask

Start = Callable[..., AbstractContextManager[Server]]

CASES: dict[str, tuple[Start, str, tuple[str, ...]]] = {
    "flask, gunicorn, sync": (servers.gunicorn, "flask_shop:app", ("--preload",)),
    "flask, gunicorn, gthread": (
        servers.gunicorn,
        "flask_shop:app",
        ("--worker-class", "gthread", "--threads", "4"),
    ),
    "fastapi, uvicorn": (servers.uvicorn, "fastapi_shop:app", ()),
    "fastapi, gunicorn, asgi": (
        servers.gunicorn,
        "fastapi_shop:app",
        ("--worker-class", "asgi"),
    ),
}

#: Larger than any buffer on the way.
LARGE = 8 * 1024 * 1024


@pytest.fixture(params=CASES.values(), ids=CASES)
def server(
    request: pytest.FixtureRequest, operator: Operator, apps: Path, tmp_path: Path
) -> Iterator[Server]:
    start, app, arguments = request.param
    env = {**operator.env, "RELEASE_FILE": str(tmp_path / "release")}
    with start(app, *arguments, directory=apps, env=env) as server:
        yield server


def test_the_page_arrives_as_it_is(server: Server, operator: Operator) -> None:
    operator.on("-m", "Back at noon", "--retry-after", "90s")
    answer = ask(server, Accept="text/html")
    assert answer.status == 503
    assert b"Back at noon" in answer.body
    assert answer.all("retry-after") == ["90"]
    assert answer.all("cache-control") == ["no-store"]
    assert answer.all("content-length") == [str(len(answer.body))]
    operator.off()
    assert ask(server).body == b"the shop"


def test_head_has_no_body(server: Server, operator: Operator) -> None:
    operator.on()
    page = ask(server)
    with Wire(server) as wire:
        head = wire.ask(method="HEAD", headers={"Connection": "close"})
        assert wire.rest() == b""
    assert head.status == 503
    assert head.all("content-length") == [str(len(page.body))]


def test_the_server_for_development_does_as_well(operator: Operator, apps: Path) -> None:
    command = [sys.executable, "-m", "flask", "--app", "flask_shop", "run", "--port", "0"]
    address = re.compile(r"Running on http://([\d.]+):(\d+)")
    with servers.start_server(command, address, directory=apps, env=operator.env) as server:
        assert ask(server).status == 200
        operator.on("-m", "Back at noon")
        with Wire(server) as wire:
            fields = {"Content-Length": str(LARGE)}
            answer = wire.ask("/orders", "POST", fields, parts())
            assert (answer.status, b"Back at noon" in answer.body) == (503, True)


def parts() -> Iterator[bytes]:
    for _ in range(LARGE // 65536):
        yield b"x" * 65536


def chunks() -> Iterator[bytes]:
    for part in parts():
        yield f"{len(part):x}\r\n".encode() + part + b"\r\n"
    yield b"0\r\n\r\n"


@pytest.mark.parametrize("kind", ["sized", "chunked"])
def test_a_large_form_is_answered_and_the_connection_left_in_order(
    server: Server, operator: Operator, kind: str
) -> None:
    operator.on()
    for _ in range(5):
        with Wire(server) as wire:
            if kind == "sized":
                fields, body = {"Content-Length": str(LARGE)}, parts()
            else:
                fields, body = {"Transfer-Encoding": "chunked"}, chunks()
            answer = wire.ask("/orders", "POST", fields, body)
            assert answer.status == 503
            assert answer.all("content-length") == [str(len(answer.body))]
            if is_open(wire):
                # No part of the body is taken for a request.
                assert wire.ask().status == 503
    operator.off()
    with Wire(server) as wire:
        fields = {"Content-Length": "5", "Connection": "close"}
        assert wire.ask("/orders", "POST", fields, [b"hello"]).body == b"5 bytes"


def is_open(wire: Wire) -> bool:
    """Whether the connection is still open; if not, it ended without another byte."""
    wire.socket.settimeout(0.3)
    try:
        assert wire.rest() == b""
    except TimeoutError:
        return True
    except ConnectionResetError:
        pass  # The answer has already been read.
    finally:
        wire.socket.settimeout(30)
    return False


def test_an_answer_that_has_begun_is_finished(
    server: Server, operator: Operator, tmp_path: Path
) -> None:
    with Wire(server) as wire:
        wire.begin("/download")
        operator.on()
        (tmp_path / "release").touch()
        assert wire.read().body == b"first,last"
    assert ask(server, "/download").status == 503


def test_the_cookie_of_a_link_opens_the_site(server: Server, operator: Operator) -> None:
    operator.on()
    token = operator.token()
    link = ask(server, f"/cached?a=1&maint_bypass={token}&b=2")
    assert link.status == 303
    assert link.all("location") == ["/cached?a=1&b=2"]
    assert link.all("referrer-policy") == ["no-referrer"]
    (cookie,) = link.all("set-cookie")
    # On a loopback host, without encryption.
    assert cookie.startswith(f"maint_bypass={token};")
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    answer = ask(server, urlsplit(link.all("location")[0]).path, Cookie=cookie.split(";")[0])
    assert answer.body == b"for everybody"
    assert_private(answer.headers.items())
    assert ask(server, "/cached", Cookie="maint_bypass=maint_0000").status == 503
    # The token ends with the maintenance.
    operator.off()
    operator.on()
    assert ask(server, "/cached", Cookie=cookie.split(";")[0]).status == 503


def test_requirement_50_who_is_let_through_gets_a_private_answer(
    server: Server, operator: Operator
) -> None:
    operator.run("ignore", "add", "ip", "127.0.0.1")
    public = ask(server, "/cached")
    assert public.all("cache-control") == ["public, max-age=600"]
    assert public.all("cdn-cache-control") == ["max-age=600"]
    operator.on()
    answer = ask(server, "/cached")
    assert answer.body == b"for everybody"
    assert_private(answer.headers.items())
    operator.run("ignore", "add", "path", "/cached")
    assert ask(server, "/cached").all("cache-control") == ["public, max-age=600"]


def assert_private(headers: object) -> None:
    fields = [(name.lower(), value) for name, value in headers]  # type: ignore[attr-defined]
    assert [value for name, value in fields if name == "cache-control"] == ["private, no-store"]
    assert not {"cdn-cache-control", "surrogate-control", "x-accel-expires"} & dict(fields).keys()


def test_staff_are_let_through(server: Server, operator: Operator) -> None:
    logins: dict[str, dict[str, str]] = {}
    for name in ("ann", "bob"):
        login = ask(server, f"/login/{name}", "POST")
        # FastAPI's shop has a header field instead of a session.
        cookies = [cookie.split(";")[0] for cookie in login.all("set-cookie")]
        logins[name] = {"Cookie": cookies[0]} if cookies else {"X_Login": name}
    operator.run("ignore", "add", "user", "staff")
    operator.on()
    assert ask(server, **logins["ann"]).body == b"the shop"
    assert ask(server, **logins["ann"]).all("cache-control") == ["private, no-store"]
    assert ask(server, **logins["bob"]).status == 503
    assert ask(server).status == 503


def test_a_path_rule_lets_its_paths_through_alone(server: Server, operator: Operator) -> None:
    operator.run("ignore", "add", "path", "/static/**")
    operator.on()
    # The app has no such file, so 404 is its answer.
    assert ask(server, "/static/a.css").status == 404
    for path in [
        "/static/../cached",
        "/static/..%2fcached",
        "/static/%2e%2e/cached",
        "/static/%252e%252e/cached",
        "/static//a.css",
        "/static/a;b",
        "/static/%00",
        "/static/%ff",
        "/staticx",
        "/STATIC/a.css",
        "/cached?x=/static/a.css",
    ]:
        assert ask(server, path).status == 503, path


def test_requirement_48_what_a_client_claims_lets_nobody_through(
    server: Server, operator: Operator
) -> None:
    operator.run("ignore", "add", "path", "/static/**")
    operator.run("ignore", "add", "ip", "203.0.113.7")
    operator.on()
    for name, value in {
        "X-Original-URL": "/static/a.css",
        "X-Rewrite-URL": "/static/a.css",
        "X-Forwarded-Uri": "/static/a.css",
        "X-Forwarded-Prefix": "/static",
        "Script-Name": "/static",
        "X-Forwarded-Host": "localhost",
        "X-HTTP-Method-Override": "OPTIONS",
        "X-Real-IP": "203.0.113.7",
        "CF-Connecting-IP": "203.0.113.7",
        "Forwarded": "for=203.0.113.7",
        "User-Agent": "kube-probe/1.31",
    }.items():
        assert ask(server, **{name: value}).status == 503, name
