"""Requests that browsers never send, byte for byte, to real servers: no 500, and no way in."""

from __future__ import annotations

import http.client
import socket

import pytest

from servers import Server
from visitors import Shop

#: Targets that seem to be below `/static/`, and that servers could read differently.
AMBIGUOUS = [
    "/static/../who/",
    "/static/..%2fwho/",
    "/static/..%2Fwho/",
    "/static/%2e%2e/who/",
    "/static/.%2e/who/",
    "/static/%2e%2e%2fwho/",
    "/static/%252e%252e/who/",
    "/static/..%5cwho/",
    "/static/..;/who/",
    "/static;/../who/",
    "/static//who/",
    "//static/a.css",
    "/static/./who/",
    "/static/a%00.css",
    "/static/a%0a.css",
    "/static/a%zz",
    "/static/a\\b",
    "/static/..%3bx/who/",
    "/./static/a.css",
    "/who/../static/a.css",
    "/%2e/static/a.css",
]

#: Bytes that are not UTF-8. uvicorn and Django put U+FFFD in their place, so what was meant is
#: lost.
NO_UTF8 = ["/static/%ff", "/static/%c0%ae%c0%ae/who/"]

#: Paths outside `/static/` for every reader.
OUTSIDE = [
    "/",
    "/who/",
    "/staticx/a",
    "/Static/a.css",
    "/who/?next=/static/a.css",
    "/who/#/static/a.css",
    "/who/static/a.css",
    "/who/%2fstatic/a.css",
    "/%20/static/a.css",
    "*",
    "http://localhost/who/",
    "http://localhost/static/../who/",
]

#: Header fields, each line as it is sent.
FIELDS = [
    "Host: ",
    "Host: a b",
    "Host: [::1",
    "Host: localhost:999999",
    "Host: evil.example",
    "Host: localhost, evil.example",
    "Accept: \xff\xfe",
    "Accept: ;;;,,,q=x",
    "Accept: " + "a/b," * 1500,
    "Accept-Language: \xff",
    "Cookie: \xff=\xff; ;;= ; maint_bypass=" + "x" * 2000,
    'Cookie: sessionid="\\377\\"; maint_bypass="',
    "Cookie: __Host-maint_bypass=\xff",
    "X-Forwarded-For: ",
    "X-Forwarded-For: unknown, 203.0.113.7, \xff",
    "X-Forwarded-For: " + "1.1.1.1," * 700,
    "Forwarded: for=203.0.113.7",
    "X-Real-IP: 203.0.113.7",
    "X-Original-URL: /static/a.css",
    "X-Rewrite-URL: /static/a.css",
    "X-Forwarded-Uri: /static/a.css",
    "X-Forwarded-Host: static.example",
    "X-HTTP-Method-Override: OPTIONS",
    "User-Agent: kube-probe/1.30",
    "X-Probe_: blue",
    "X_Probe: blue",
    "Range: bytes=0-10",
    "If-Modified-Since: Tue, 24 Nov 2026 00:00:00 GMT",
    'If-None-Match: "*"',
    "Upgrade: websocket",
    "Expect: 100-continue",
]

METHODS = ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE", "get", "X" * 20]


def ask(server: Server, line: str, *fields: str) -> tuple[int | None, dict[str, str]]:
    """The status of the answer, `None` if the server hangs up, and its header fields."""
    names = {field.partition(":")[0].lower() for field in fields}
    more = [] if "host" in names else ["Host: localhost"]
    text = "\r\n".join([line, *more, *fields, "Connection: close", "", ""])
    with socket.create_connection((server.host, server.port), 30) as connection:
        connection.sendall(text.encode("latin-1"))
        response = http.client.HTTPResponse(connection, method=line.split(" ")[0])
        try:
            response.begin()
            response.read()
        except (ConnectionError, http.client.HTTPException):
            return None, {}
        return response.status, {name.lower(): value for name, value in response.getheaders()}


def is_kept_out(status: int | None, fields: dict[str, str]) -> bool:
    """Whether the request stayed outside the app: our page, or a refusal by the server."""
    return fields.get("maint-decision") == "block" or status in (None, 400, 404, 414, 431, 501)


@pytest.fixture(params=["last", "alone"])
def settings(request: pytest.FixtureRequest) -> dict[str, object]:
    """Our middleware behind Django's, which turn some requests away, and alone."""
    settings: dict[str, object] = {
        "MAINTENANCE_MODE_IGNORE_URLS": ["/static/**"],
        "MAINTENANCE_MODE_IGNORE_IP_ADDRESSES": ["203.0.113.7"],
    }
    if request.param == "alone":
        settings["MIDDLEWARE"] = ["maint.django.middleware.MaintenanceModeMiddleware"]
        settings["SILENCED_SYSTEM_CHECKS"] = ["admin.E408", "admin.E409", "admin.E410"]
    return settings


def test_no_strange_request_gets_through_or_fails(
    shop: Shop, kind: str, settings: dict[str, object]
) -> None:
    shop.maint("on", "-m", "Back at noon")
    shop.maint("ignore", "add", "header", "X-Probe: blue")
    shop.maint("proxy", "add", "192.0.2.0/24")
    with shop.serve(kind, **settings) as server:
        status, fields = ask(server, "GET /static/a.css HTTP/1.1")
        assert status == 404 and "maint-decision" not in fields, "the rule lets its path through"
        failed = {}
        for target in AMBIGUOUS + OUTSIDE:
            status, fields = ask(server, f"GET {target} HTTP/1.1")
            # A path that gets through would be 404 here too.
            if status == 404 or not is_kept_out(status, fields):
                failed[target] = status
        for target in NO_UTF8:
            status, fields = ask(server, f"GET {target} HTTP/1.1")
            if status == 404 or not is_kept_out(status, fields):
                failed[target] = status
        for field in FIELDS:
            status, fields = ask(server, "GET /who/ HTTP/1.1", field)
            if not is_kept_out(status, fields):
                failed[field[:60]] = status
        for method in METHODS:
            status, fields = ask(server, f"{method} /who/ HTTP/1.1", "Content-Length: 0")
            if not is_kept_out(status, fields):
                failed[method] = status
        status, fields = ask(server, "GET /who/ HTTP/1.0")
        if not is_kept_out(status, fields):
            failed["HTTP/1.0"] = status
        assert not failed
        assert "Traceback" not in server.log()


def test_no_strange_request_fails_because_of_us_while_the_shop_is_up(
    shop: Shop, kind: str, settings: dict[str, object]
) -> None:
    shop.maint("on", "nothing", "--path", "/nowhere")
    with shop.serve(kind, **settings) as server:
        failed = {}
        lines = [f"GET {target} HTTP/1.1" for target in AMBIGUOUS + NO_UTF8 + OUTSIDE]
        for line in lines:
            status, fields = ask(server, line)
            if status == 500:
                failed[line] = status
        for field in FIELDS:
            status, fields = ask(server, "GET / HTTP/1.1", field)
            if status == 500 or fields.get("maint-decision"):
                failed[field[:60]] = status
        assert not failed
