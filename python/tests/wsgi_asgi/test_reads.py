"""Read-only windows before apps of WSGI and ASGI: what passes, and how answers say so."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from maint import Gate, Site, UsageError, User
from maint.asgi import MaintenanceMiddleware as Asgi
from maint.wsgi import MaintenanceMiddleware as Wsgi
from test_plain_asgi import ask as ask_asgi
from test_plain_asgi import fields, scope, status
from test_plain_asgi import shop as shop_asgi
from test_plain_wsgi import PUBLIC
from test_plain_wsgi import ask as ask_wsgi
from test_plain_wsgi import shop as shop_wsgi

#: The body of a POST without one.
EMPTY = {"CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "0"}


def is_login(request: Any) -> bool:
    path = request["PATH_INFO"] if "PATH_INFO" in request else request["path"]
    return bool(path == "/login")


async def is_login_later(scope: Any) -> bool:
    await asyncio.sleep(0)
    return is_login(scope)


class Asking:
    """An app of either kind, and what it answers: the status and the decision."""

    def __init__(self, kind: str, site: Site, **options: Any) -> None:
        self.is_wsgi = kind == "wsgi"
        middleware: Any = Wsgi if self.is_wsgi else Asgi
        self.app = middleware(shop_wsgi if self.is_wsgi else shop_asgi, site, **options)

    def __call__(self, method: str, path: str = "/", **more: Any) -> tuple[int, list[str]]:
        if self.is_wsgi:
            answer = ask_wsgi(self.app, path, method, **EMPTY, **more)
            return int(answer.status.split()[0]), answer.all("maint-decision")
        sent = ask_asgi(self.app, scope(path=path, method=method, **more))
        decision = [value.decode() for value in fields(sent[0], b"maint-decision")]
        return status(sent), decision


PASSES, BLOCKED = (200, ["read-only"]), (503, ["block"])


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_reads_pass_and_answers_say_that_nothing_can_be_changed(site: Site, kind: str) -> None:
    asking = Asking(kind, site)
    assert asking("GET") == asking("POST") == (200, [])
    site.on(read_only=True)
    for method in ("GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT", "SEARCH", "QUERY"):
        assert asking(method) == PASSES, method
    for method in ("POST", "PUT", "PROPPATCH", "LOCK"):
        assert asking(method) == BLOCKED, method
    if kind == "wsgi":
        # What caches obey stays.
        headers = ask_wsgi(asking.app).headers
        assert headers == [*PUBLIC, ("Maint-Decision", "read-only")]
    site.add_rule("path", "/")
    assert asking("GET") == asking("POST") == (200, []), "all may write there"


@pytest.mark.parametrize(
    ("kind", "is_read"),
    [("wsgi", is_login), ("asgi", is_login), ("asgi", is_login_later)],
)
@pytest.mark.parametrize("given", ["to the middleware", "to a gate of one's own"])
def test_what_the_app_calls_a_read_passes(site: Site, kind: str, is_read: Any, given: str) -> None:
    if given == "to the middleware":
        asking = Asking(kind, site, is_read=is_read)
    else:
        asking = Asking(kind, None, gate=Gate(site, is_read=is_read))  # type: ignore[arg-type]
    site.on(read_only=True)
    assert asking("POST", "/login") == PASSES
    assert asking("POST", "/cart") == BLOCKED
    site.on("all")
    assert asking("POST", "/login") == asking("GET") == BLOCKED


@pytest.mark.parametrize("kind", ["wsgi", "asgi", "async"])
def test_the_app_is_asked_last_and_only_if_it_matters(site: Site, kind: str) -> None:
    asked: list[str] = []

    def is_read(request: Any) -> bool:
        asked.append("is_read")
        return True

    async def is_read_later(scope: Any) -> bool:
        return is_read(scope)

    def user(request: Any) -> User:
        asked.append("user")
        return User(is_authenticated=True)

    async def user_later(scope: Any) -> User:
        return user(scope)

    options = {"is_read": is_read, "user": user}
    if kind == "async":
        options = {"is_read": is_read_later, "user": user_later}
    asking = Asking(kind, site, **options)
    asking("POST")
    site.on(read_only=True)
    asking("GET")
    site.add_rule("path", "/health")
    asking("POST", "/health")
    assert asked == []
    assert asking("POST") == PASSES
    assert asked == ["is_read"]
    site.add_rule("user", "staff")
    assert asking("POST") == PASSES
    assert asked == ["is_read", "user", "is_read"]
    site.add_rule("user", "authenticated")
    assert asking("POST") == (200, [])
    assert asked == ["is_read", "user", "is_read", "user"]
    asked.clear()
    site.on("all", paths=["/all"])
    assert asking("POST", "/all") == (200, [])
    assert asked == ["user"]


@pytest.mark.parametrize("kind", ["wsgi", "asgi", "async"])
@pytest.mark.parametrize("wrong", ["raises", "returns nonsense", "knows nothing"])
def test_a_function_that_fails_blocks_and_is_told(
    site: Site, kind: str, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    def is_read(request: Any) -> Any:
        if wrong == "raises":
            raise RuntimeError("the schema is away")
        return None if wrong == "knows nothing" else "yes"

    async def is_read_later(scope: Any) -> Any:
        return is_read(scope)

    asking = Asking(kind, site, is_read=is_read_later if kind == "async" else is_read)
    site.on(read_only=True)
    with caplog.at_level(logging.WARNING, "maint"):
        assert asking("POST") == asking("POST") == BLOCKED
        assert asking("GET") == PASSES
    told = [record for record in caplog.records if "`is_read`" in record.getMessage()]
    assert len(told) == (0 if wrong == "knows nothing" else 1), caplog.text
    assert all("its answer counts as unknown" in record.getMessage() for record in told)


def test_an_asynchronous_function_is_refused_where_nothing_awaits_it(site: Site) -> None:
    with pytest.raises(UsageError, match=r"is_read: the function is asynchronous"):
        Wsgi(shop_wsgi, site, is_read=is_login_later)  # type: ignore[arg-type]
    gate = Gate(site, is_read=is_login_later)
    with pytest.raises(UsageError, match=r"is_read: the function is asynchronous"):
        gate.answer_scope(scope())
    with pytest.raises(TypeError, match=r"`is_read` beside `gate`"):
        Asgi(shop_asgi, gate=gate, is_read=is_login)
