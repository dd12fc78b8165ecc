"""The ASGI middleware around plain callables, without a server."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

import pytest

from maint import PRIVATE, Gate, MaintError, Pass, Site, User
from maint.asgi import MaintenanceMiddleware

Message = dict[str, Any]

PUBLIC = [
    (b"Content-Type", b"text/plain"),
    (b"Cache-Control", b"public, max-age=600"),
    (b"cache-control", b"immutable"),
    (b"CDN-Cache-Control", b"max-age=600"),
    (b"Surrogate-Control", b"max-age=600"),
    (b"X-Kept", b"yes"),
]


async def shop(scope: Any, receive: Any, send: Any) -> None:
    """Answers requests, accepts WebSockets, and handles its lifespan."""
    match scope["type"]:
        case "http":
            await send({"type": "http.response.start", "status": 200, "headers": PUBLIC})
            await send({"type": "http.response.body", "body": b"the ", "more_body": True})
            await send({"type": "http.response.body", "body": b"shop"})
        case "websocket":
            assert (await receive())["type"] == "websocket.connect"
            await send({"type": "websocket.accept", "headers": PUBLIC})
        case "lifespan":
            for event in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{event}"
                await send({"type": f"lifespan.{event}.complete"})


def scope(kind: str = "http", path: str = "/", **more: Any) -> Message:
    scheme = {"http": "http", "websocket": "ws"}.get(kind)
    known: Message = {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": scheme,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"example.com")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }
    if kind == "http":
        known["method"] = "GET"
    return {**known, **more}


def ask(app: Any, asked: Message, *events: Message) -> list[Message]:
    """The messages that an app sends on exactly these events."""
    sent: list[Message] = []
    coming = list(events)

    async def receive() -> Message:
        return coming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(asyncio.wait_for(app(asked, receive, send), 30))
    return sent


def status(sent: list[Message]) -> int:
    code: int = sent[0]["status"]
    return code


def fields(message: Message, name: bytes) -> list[bytes]:
    return [value for given, value in message["headers"] if given.lower() == name]


def test_the_app_answers_while_the_site_is_up(site: Site) -> None:
    sent = ask(MaintenanceMiddleware(shop, site), scope())
    assert sent == ask(shop, scope())


def test_the_page_is_whole(site: Site) -> None:
    app = MaintenanceMiddleware(shop, site)
    site.on(reason="Back at noon", retry_after=60)
    start, body = ask(app, scope())
    assert (start["type"], start["status"]) == ("http.response.start", 503)
    assert (body["type"], body.get("more_body", False)) == ("http.response.body", False)
    assert b"Back at noon" in body["body"]
    assert fields(start, b"content-length") == [str(len(body["body"])).encode()]
    assert fields(start, b"retry-after") == [b"60"]
    # ASGI requires lower case.
    assert all(name == name.lower() for name, _ in start["headers"])
    assert all(isinstance(part, bytes) for pair in start["headers"] for part in pair)


def test_the_body_of_a_blocked_request_is_left_to_the_server(site: Site) -> None:
    app = MaintenanceMiddleware(shop, site)
    site.on()
    # `receive` has no events, and is not called.
    assert status(ask(app, scope(method="POST"))) == 503


def test_head_has_no_body(site: Site) -> None:
    app = MaintenanceMiddleware(shop, site)
    site.on()
    (_, page), (start, body) = ask(app, scope()), ask(app, scope(method="HEAD"))
    assert body["body"] == b""
    assert fields(start, b"content-length") == [str(len(page["body"])).encode()]


def test_an_answer_that_only_some_may_see_is_private(site: Site) -> None:
    site.add_rule("ip", "203.0.113.7")
    app = MaintenanceMiddleware(shop, site)
    site.on()
    start, *parts = ask(app, scope(client=("203.0.113.7", 1)))
    assert start["headers"] == [
        (b"Content-Type", b"text/plain"),
        (b"X-Kept", b"yes"),
        (b"cache-control", PRIVATE.encode()),
    ]
    assert b"".join(part["body"] for part in parts) == b"the shop"
    assert status(ask(app, scope(client=None))) == 503


def test_an_answer_that_all_may_see_is_as_the_app_made_it(site: Site) -> None:
    site.add_rule("path", "/health")
    app = MaintenanceMiddleware(shop, site)
    site.on()
    assert ask(app, scope(path="/health"))[0]["headers"] == PUBLIC


def test_the_lifespan_is_the_apps_own_while_the_site_is_down(site: Site) -> None:
    app = MaintenanceMiddleware(shop, site)
    site.on()
    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = ask(app, {"type": "lifespan", "asgi": {"version": "3.0"}}, *events)
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


def test_a_kind_of_event_that_is_not_known_is_the_apps(site: Site) -> None:
    async def new(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "webtransport.accept"})

    site.on()
    sent = ask(MaintenanceMiddleware(new, site), {"type": "webtransport"})
    assert sent == [{"type": "webtransport.accept"}]


def test_a_websocket_is_refused_with_the_page_where_the_server_can(site: Site) -> None:
    app = MaintenanceMiddleware(shop, site)
    site.on(reason="Back at noon")
    # Over HTTP/2 there is no field `Upgrade`.
    asked = scope("websocket", extensions={"websocket.http.response": {}})
    start, body = ask(app, asked, {"type": "websocket.connect"})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 503)
    assert fields(start, b"content-type") == [b"text/plain; charset=utf-8"]
    assert body["type"] == "websocket.http.response.body"
    assert b"Back at noon" in body["body"]


@pytest.mark.parametrize("extensions", [{}, None, {"tls": {}}])
def test_a_websocket_is_closed_before_it_is_accepted_elsewhere(site: Site, extensions: Any) -> None:
    app = MaintenanceMiddleware(shop, site)
    site.on()
    asked = scope("websocket", extensions=extensions)
    sent = ask(app, asked, {"type": "websocket.connect"})
    assert sent == [{"type": "websocket.close", "code": 1013}]


def test_a_websocket_that_is_gone_is_not_answered(site: Site) -> None:
    app = MaintenanceMiddleware(shop, site)
    site.on()
    assert ask(app, scope("websocket"), {"type": "websocket.disconnect", "code": 1006}) == []


def test_a_websocket_of_somebody_who_may_is_opened(site: Site) -> None:
    site.add_rule("ip", "203.0.113.7")
    app = MaintenanceMiddleware(shop, site)
    site.on()
    asked = scope("websocket", client=("203.0.113.7", 1))
    (sent,) = ask(app, asked, {"type": "websocket.connect"})
    assert sent["type"] == "websocket.accept"


async def find(scope: Any) -> User | None:
    await asyncio.sleep(0)
    found: User | None = scope["who"]
    return found


class Finder:
    async def __call__(self, scope: Any) -> User | None:
        return await find(scope)

    async def method(self, scope: Any) -> User | None:
        return await find(scope)


@pytest.mark.parametrize(
    "user",
    [lambda scope: scope["who"], find, Finder(), Finder().method, partial(find), partial(Finder())],
    ids=["plain", "async function", "async object", "async method", "partial", "of an object"],
)
@pytest.mark.parametrize(
    ("who", "passes"),
    [
        (User(is_authenticated=True, is_staff=True), True),
        (User(is_authenticated=True), False),
        (None, False),
    ],
)
@pytest.mark.parametrize("given", ["to the middleware", "to a gate of one's own"])
def test_the_user_is_who_the_app_says(
    site: Site, user: Any, who: Any, passes: bool, given: str
) -> None:
    site.add_rule("user", "staff")
    site.on()
    if given == "to the middleware":
        app = MaintenanceMiddleware(shop, site, user=user)
    else:
        app = MaintenanceMiddleware(shop, gate=Gate(site, user=user))
    sent = ask(app, scope(who=who))
    assert status(sent) == (200 if passes else 503)
    assert not passes or fields(sent[0], b"cache-control") == [PRIVATE.encode()]


@pytest.mark.parametrize("given", ["to the middleware", "to a gate of one's own"])
def test_an_asynchronous_user_is_asked_for_only_if_it_matters(site: Site, given: str) -> None:
    asked: list[str] = []

    async def who(scope: Any) -> User:
        asked.append(scope["path"])
        return User(is_authenticated=True)

    if given == "to the middleware":
        app = MaintenanceMiddleware(shop, site, user=who)
    else:
        app = MaintenanceMiddleware(shop, gate=Gate(site, user=who))
    ask(app, scope(path="/up"))
    site.on()
    ask(app, scope(path="/no-rule"))
    site.add_rule("path", "/health")
    site.add_rule("user", "authenticated")
    ask(app, scope(path="/health"))
    assert asked == []
    assert status(ask(app, scope(path="/page"))) == 200
    assert asked == ["/page"]


def test_an_asynchronous_user_is_asked_for_after_the_other_functions(site: Site) -> None:
    asked: list[str] = []

    async def who(scope: Any) -> User:
        asked.append(scope["path"])
        return User(is_staff=True, is_authenticated=True)

    def address(scope: Any) -> str:
        return "203.0.113.7" if scope["path"] == "/office" else "198.51.100.9"

    app = MaintenanceMiddleware(shop, site, user=who, client=address, format=lambda _: "json")
    site.on()
    site.add_rule("ip", "203.0.113.7")
    start, _ = ask(app, scope(path="/no-rule-for-users"))
    assert fields(start, b"content-type") == [b"application/problem+json"]
    site.add_rule("user", "staff")
    assert status(ask(app, scope(path="/office"))) == 200
    assert asked == []
    assert status(ask(app, scope(path="/page"))) == 200
    assert asked == ["/page"]


@pytest.mark.parametrize("option", ["user", "client", "format", "async user"])
@pytest.mark.parametrize("wrong", ["raises", "returns nonsense"])
def test_a_function_that_fails_blocks_and_is_told(
    site: Site, option: str, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    def function(scope: Any) -> Any:
        if wrong == "raises":
            raise RuntimeError("the database is away")
        return object()

    async def asynchronous(scope: Any) -> Any:
        return function(scope)

    site.add_rule("user", "anonymous")
    site.add_rule("ip", "127.0.0.1")
    site.on()
    options: dict[str, Any] = {"client": lambda _: None}
    options |= {"user": asynchronous} if option == "async user" else {option: function}
    app = MaintenanceMiddleware(shop, site, **options)
    with caplog.at_level(logging.WARNING, logger="maint"):
        assert status(ask(app, scope())) == 503
    assert f"`{option.split()[-1]}`" in caplog.text
    if wrong == "raises":
        assert "the database is away" in caplog.text


def test_an_asynchronous_function_that_fails_is_reported_once_a_minute(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    async def who(scope: Any) -> User:
        raise LookupError("no such account")

    site.add_rule("user", "staff")
    site.on()
    app = MaintenanceMiddleware(shop, gate=Gate(site, user=who))
    with caplog.at_level(logging.WARNING, logger="maint"):
        assert [status(ask(app, scope())) for _ in range(3)] == [503] * 3
    assert caplog.text.count("the function for `user` failed") == 1
    assert "no such account" in caplog.text


def test_the_scope_of_the_app_is_the_servers(site: Site) -> None:
    seen: list[Any] = []

    async def looking(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    site.add_rule("user", "staff")
    site.on()
    asked = scope(who=User(is_authenticated=True, is_staff=True))
    ask(MaintenanceMiddleware(looking, site, user=find), asked)
    assert seen[0] is asked
    assert "maint.user" not in asked
    decision = asked["maint.pass"]
    assert isinstance(decision, Pass) and decision.is_private


def test_a_gate_and_its_options_are_not_given_twice(site: Site) -> None:
    with pytest.raises(TypeError, match=r"`user` and `status` beside `gate`"):
        MaintenanceMiddleware(shop, gate=Gate(site), user=find, status=500)


def test_without_a_site_there_is_no_app(tmp_path: Any) -> None:
    with pytest.raises(MaintError, match=" init`"):
        MaintenanceMiddleware(shop, tmp_path / "nowhere")


@pytest.mark.parametrize("wrong", [{"site": "/nowhere"}, {"status": 7}, {"statos": 500}])
def test_starlette_that_makes_its_middleware_late_still_does_not_start(
    wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:
    applications = pytest.importorskip("starlette.applications")
    monkeypatch.setenv("MAINT_SITE", site.directory)
    app = applications.Starlette()
    app.add_middleware(MaintenanceMiddleware, **wrong)
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises((MaintError, ValueError, TypeError)) as caught:
        asyncio.run(app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send))
    # Servers take the exception alone to mean that an app has no lifespan.
    assert sent == [{"type": "lifespan.startup.failed", "message": str(caught.value)}]
    # Without a lifespan the first request raises, and so does every other.
    for _ in range(2):
        with pytest.raises((MaintError, ValueError, TypeError)):
            ask(app, scope())


def test_a_starlette_without_a_mistake_is_made_late_and_starts(site: Site) -> None:
    applications = pytest.importorskip("starlette.applications")
    app = applications.Starlette()
    app.add_middleware(MaintenanceMiddleware, site=site)
    assert status(ask(app, scope())) == 404
    site.on()
    assert status(ask(app, scope())) == 503
