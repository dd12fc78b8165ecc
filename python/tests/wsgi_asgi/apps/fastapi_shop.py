"""A shop in FastAPI."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import release
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.websockets import WebSocketDisconnect

from maint import Gate, User
from maint.asgi import MaintenanceMiddleware


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    note("started")
    yield
    note("stopped")


def note(event: str) -> None:
    if path := os.environ.get("EVENTS_FILE"):
        with Path(path).open("a") as events:
            events.write(f"{event}\n")


def who(scope: dict[str, object]) -> User:
    headers = dict(scope["headers"])
    name = headers.get(b"x-login", b"").decode()
    return User(is_authenticated=bool(name), is_staff=name == "ann")


#: An invalid rule, if the test wants one.
rules = [("the office", "ip", "10.0.0.300")] if "WRONG_OPTION" in os.environ else []
app = FastAPI(lifespan=lifespan)
app.add_middleware(MaintenanceMiddleware, gate=Gate(user=who, ignore=rules))


@app.get("/")
async def shop() -> PlainTextResponse:
    return PlainTextResponse("the shop", headers={"X-Worker": str(os.getpid())})


@app.get("/cached")
def cached() -> PlainTextResponse:
    fields = {"Cache-Control": "public, max-age=600", "CDN-Cache-Control": "max-age=600"}
    return PlainTextResponse(
        "for everybody", headers={**fields, "Surrogate-Control": "max-age=600"}
    )


@app.post("/orders")
async def order(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{len(await request.body())} bytes")


@app.get("/download")
async def download() -> StreamingResponse:
    async def parts() -> AsyncIterator[str]:
        yield "first,"
        for _ in range(2000):
            if release.is_released():
                break
            await asyncio.sleep(0.01)
        yield "last"

    return StreamingResponse(parts(), media_type="text/plain")


@app.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass


async def marked(scope, receive, send):
    """The same, where every answer names its worker, those of `maint` too."""

    async def send_marked(message):
        if message["type"] == "http.response.start":
            field = (b"x-from", str(os.getpid()).encode())
            message = {**message, "headers": [*message.get("headers", ()), field]}
        await send(message)

    await app(scope, receive, send_marked)


async def plain_sockets(scope, receive, send):
    """The same, behind a server that can only accept or close a WebSocket."""
    await app({**scope, "extensions": {}}, receive, send)
