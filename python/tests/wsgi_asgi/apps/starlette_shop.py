"""A shop in Starlette, whose middleware is made with the first event."""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from maint import User
from maint.asgi import MaintenanceMiddleware


async def shop(_: Request) -> PlainTextResponse:
    return PlainTextResponse("the shop", headers={"X-Worker": str(os.getpid())})


async def who(scope: dict[str, object]) -> User:
    name = dict(scope["headers"]).get(b"x-login", b"").decode()
    return User(is_authenticated=bool(name), is_staff=name == "ann")


#: An invalid rule, if the test wants one.
rules = [("the office", "ip", "10.0.0.300")] if "WRONG_OPTION" in os.environ else []
app = Starlette(
    routes=[Route("/", shop)],
    middleware=[Middleware(MaintenanceMiddleware, user=who, ignore=rules)],
)


async def marked(scope, receive, send):
    """The same, where every answer names its worker, those of `maint` too."""

    async def send_marked(message):
        if message["type"] == "http.response.start":
            field = (b"x-from", str(os.getpid()).encode())
            message = {**message, "headers": [*message.get("headers", ()), field]}
        await send(message)

    await app(scope, receive, send_marked)
