"""Every block of `docs/python-servers.md`, run as it is against a real server."""

from __future__ import annotations

import contextlib
import http.client
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import maint
import servers
from guide import PORT, free_port, read

GUIDE = Path(__file__).parents[3] / "docs" / "python-servers.md"
BLOCKS = {
    step.what.removeprefix("file "): step.text
    for step in read(GUIDE.read_text())
    if step.language == "python"
}
NEEDS = {f"{name}_shop.py": name for name in ("aiohttp", "tornado", "sanic", "litestar")}

#: Says where the block will listen; some servers do not.
RUN = (
    "import runpy, sys; print('at http://127.0.0.1:' + sys.argv[2], flush=True); "
    "runpy.run_path(sys.argv[1], run_name='__main__')"
)


def test_every_block_is_run() -> None:
    assert set(BLOCKS) == set(NEEDS)


@pytest.fixture(params=list(NEEDS))
def server(
    request: pytest.FixtureRequest, site: maint.Site, tmp_path: Path
) -> Iterator[servers.Server]:
    pytest.importorskip(NEEDS[request.param])
    port = str(free_port())
    (tmp_path / request.param).write_text(BLOCKS[request.param].replace(PORT, port))
    with servers.start_server(
        [sys.executable, "-c", RUN, request.param, port],
        re.compile(r"at http://([\d.]+):(\d+)"),
        directory=tmp_path,
        env={"MAINT_SITE": site.directory},
    ) as server:
        yield server


class Answer:
    def __init__(self, got: http.client.HTTPResponse) -> None:
        self.status = got.status
        self.body = got.read()
        self._headers = got.getheaders()

    def all(self, name: str) -> list[str]:
        return [value for given, value in self._headers if given.lower() == name]


def ask(server: servers.Server, path: str, method: str = "GET", **headers: str) -> Answer:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    with contextlib.closing(connection):
        connection.request(method, path, headers=fields)
        return Answer(connection.getresponse())


def test_a_recipe_does_what_the_middleware_does(
    server: servers.Server, site: maint.Site, run: object
) -> None:
    pages = {"/": b"the shop", "/report": b"the report"}

    # Up: the app answers, and its fields are its own.
    for path, body in pages.items():
        answer = ask(server, path)
        assert (answer.status, answer.body) == (200, body), path
        assert answer.all("cache-control") == ["public"], path
    assert ask(server, "/nowhere").status == 404

    # Down: everything gets the page.
    site.on(reason="Back at noon", retry_after=60)
    for path in (*pages, "/nowhere", "/a%2Fb?c=d"):
        answer = ask(server, path, Accept="application/json")
        assert answer.status == 503, path
        assert b"Back at noon" in answer.body
        assert answer.all("retry-after") == ["60"]
        assert answer.all("cache-control") == ["no-store"]
        assert answer.all("content-type") == ["application/problem+json"]
        assert answer.all("content-length") == [str(len(answer.body))]
    assert ask(server, "/", "POST").status == 503
    page, head = ask(server, "/"), ask(server, "/", "HEAD")
    assert page.all("content-type") == ["text/html; charset=utf-8"]
    assert (head.status, head.body) == (503, b"")
    assert head.all("content-length") == page.all("content-length")

    # Let through: kept out of shared caches, however it is sent.
    site.add_rule("header", "x-probe: blue")
    for path, body in pages.items():
        answer = ask(server, path, X_Probe="blue")
        assert (answer.status, answer.body) == (200, body), path
        assert answer.all("cache-control") == [maint.PRIVATE], path
    answer = ask(server, "/nowhere", X_Probe="blue")
    assert (answer.status, answer.all("cache-control")) == (404, [maint.PRIVATE])
    assert ask(server, "/", X_Probe="red").status == 503

    # By the address of the peer, by the path, by a link.
    rule = site.add_rule("ip", "127.0.0.1")
    assert ask(server, "/").status == 200
    site.remove_rule(rule)
    site.add_rule("path", "/report")
    assert ask(server, "/report?x=1").all("cache-control") == ["public"]
    assert ask(server, "/").status == 503
    token = run("bypass", "new").stdout.split()[0]  # type: ignore[operator]
    link = ask(server, f"/?a=1&maint_bypass={token}")
    assert (link.status, link.all("location")) == (303, ["/?a=1"])
    [cookie] = link.all("set-cookie")
    assert ask(server, "/", Cookie=cookie.split(";")[0]).body == b"the shop"

    # Up again.
    site.off()
    answer = ask(server, "/")
    assert (answer.status, answer.all("cache-control")) == (200, ["public"])


# What these servers, and others, keep header fields in.

PUBLIC = [
    ("Content-Type", "text/plain"),
    ("cache-control", "public"),
    ("CDN-Cache-Control", "max-age=600"),
    ("surrogate-control", "max-age=600"),
    ("Surrogate-Control", "max-age=600"),
]


def starlette() -> Any:
    from starlette.datastructures import MutableHeaders

    return MutableHeaders(
        raw=[(name.lower(), value) for name, value in [(n.encode(), v.encode()) for n, v in PUBLIC]]
    )


def werkzeug() -> Any:
    from werkzeug.datastructures import Headers

    return Headers(PUBLIC)


def multidict() -> Any:
    from multidict import CIMultiDict

    return CIMultiDict(PUBLIC)


def tornado() -> Any:
    from tornado.httputil import HTTPHeaders

    headers = HTTPHeaders()
    for name, value in PUBLIC:
        headers.add(name, value)
    return headers


@pytest.mark.parametrize("make", [starlette, werkzeug, multidict, tornado])
def test_the_mappings_of_servers_are_changed(site: maint.Site, make: Any) -> None:
    try:
        headers = make()
    except ImportError as error:
        pytest.skip(f"SKIPPED: {error}")
    site.add_rule("header", "x-probe: blue")
    site.on()
    asked = maint.Request("GET", "/", headers=[("X-Probe", "blue")])
    decision = maint.Gate(site).answer(asked)
    assert isinstance(decision, maint.Pass)
    assert decision.finish(headers) is headers
    names = list(headers.keys())
    left = {name.lower(): headers[name] for name in names}
    assert left == {"content-type": "text/plain", "cache-control": maint.PRIVATE}
