"""Middleware for FastAPI, Starlette and every other app of ASGI.

from maint import Gate
from maint.asgi import MaintenanceMiddleware

app.add_middleware(MaintenanceMiddleware, gate=Gate())  # FastAPI, Starlette
app = MaintenanceMiddleware(app)  # any other
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from http.client import responses
from multiprocessing import parent_process
from os import PathLike
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeAlias

from maint import Gate, Pass, Reply, Site, User
from maint._asking import QUESTION_KEY, Question
from maint._middleware import PASS_KEY, GateOptions, choose_gate

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["MaintenanceMiddleware", "answer_scope"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Read: TypeAlias = Callable[[Scope], bool | Awaitable[bool | None] | None]
SyncUser: TypeAlias = Callable[[Scope], User | None]
AsyncUser: TypeAlias = Callable[[Scope], Awaitable[User | None]]

#: Try again later: a close code in IANA's registry for WebSocket (RFC 6455, 11.7).
_TRY_AGAIN_LATER = 1013


class MaintenanceMiddleware:
    """Answers requests and WebSockets that are blocked, and passes the others to the app.

    `site`: a `Site`, or the path of one; `None` for the site that the command would
    choose. `gate`: a gate in place of `site` and options. The options are those of
    `maint.Gate`; `user`, `client`, `format` and `is_read` may be functions of the scope.
    The event loop calls them, so they must not wait; `user` and `is_read` may be
    asynchronous.

    Raises `MaintError` if the site or its state cannot be used, and `ValueError` or
    `TypeError` for an option that cannot be, so that the app does not start.

    The app finds the `Pass` in its scope, as `maint.pass`.

    A WebSocket that is blocked is refused with the status of the page if the server can
    do that (the extension `websocket.http.response`), else closed before it is accepted,
    with 1013 (try again later). An open one stays open. The lifespan of the app is its own.
    """

    def __init__(
        self,
        app: App,
        site: Site | str | PathLike[str] | None = None,
        *,
        gate: Gate | None = None,
        user: SyncUser | AsyncUser | None = None,
        is_read: Read | None = None,
        **options: Unpack[GateOptions],
    ) -> None:
        self.app = app
        self._failure: Exception | None = None
        try:
            self.gate = choose_gate(gate, site, user, is_read, **options)
        except Exception as error:
            if not _is_reported_later():
                raise
            self._failure = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._failure is not None:
            await _fail(self._failure, scope, receive, send)
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        answer = await answer_scope(self.gate, scope)
        if isinstance(answer, Pass):
            scope[PASS_KEY] = answer
            await self.app(scope, receive, _finishing(send, answer))
        elif scope["type"] == "http":
            await _respond("http.response", answer.status, answer, send)
        else:
            await _refuse(answer, scope, receive, send)


async def answer_scope(gate: Gate, scope: Scope) -> Pass | Reply:
    """Does the same as `gate.answer_scope`, and awaits those functions of the gate that are
    asynchronous and could change the answer."""
    if gate._awaited is None:
        return gate.answer_scope(scope)
    answer = gate.answer_scope(scope, ask=False)
    if isinstance(answer, Pass) or not answer.needs_asking:
        return answer
    question = Question()
    asking = {**scope, QUESTION_KEY: question}
    while True:
        answer = gate.answer_scope(asking)
        name = question.pending()
        if isinstance(answer, Pass) or name is None:
            return answer
        question.answer(name, await gate._awaited[name].find(scope))


def _is_reported_later() -> bool:
    """Whether the lifespan has to say that the app cannot start.

    Starlette makes its middleware at the first event that the server sends. Most servers take an
    exception there for an app without lifespan, and would start all the same. A worker of uvicorn
    that an exception ends on import is started again for ever; one that reports a failure is not.
    """
    frame: FrameType | None = sys._getframe()
    while frame := frame and frame.f_back:
        name = frame.f_code.co_name
        if name == "build_middleware_stack":
            return True
        if name == "load" and frame.f_globals.get("__name__") == "uvicorn.config":
            is_off = getattr(frame.f_locals.get("self"), "lifespan", "off") == "off"
            return parent_process() is not None and not is_off
    return False


async def _fail(failure: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    """Reports to the server, as ASGI has it, that the app cannot start."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": str(failure)})
    raise failure


def _finishing(send: Send, decision: Pass) -> Send:
    """Finishes the app's answer, whatever its own header fields say."""
    if not decision.needs_finishing:
        return send

    async def send_finished(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            headers = decision.finish(list(message.get("headers", ())), as_bytes=True)
            message = {**message, "headers": headers}
        await send(message)

    return send_finished


async def _respond(kind: str, status: int, reply: Reply, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": reply.body})


async def _refuse(reply: Reply, scope: Scope, receive: Receive, send: Send) -> None:
    """Ends a WebSocket that is being opened."""
    if (await receive())["type"] != "websocket.connect":
        return
    if "websocket.http.response" in (scope.get("extensions") or {}):
        # uvicorn answers 500 in place of a status without a name, say 599.
        status = reply.status if reply.status in responses else 503
        await _respond("websocket.http.response", status, reply, send)
    else:
        await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})
