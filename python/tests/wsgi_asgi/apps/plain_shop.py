"""A shop of plain ASGI, whose middleware is made on import."""

import os

from maint.asgi import MaintenanceMiddleware


async def shop(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"the shop"})


#: An invalid rule, if the test wants one.
rules = [("the office", "ip", "10.0.0.300")] if "WRONG_OPTION" in os.environ else []
app = MaintenanceMiddleware(shop, ignore=rules)
