"""A shop in Flask."""

import os
from collections.abc import Iterator

import release
from flask import Flask, Response, request, session

from maint import User
from maint.wsgi import MaintenanceMiddleware

app = Flask(__name__)
app.secret_key = "for tests"


@app.get("/")
def shop() -> Response:
    return Response("the shop", headers={"X-Worker": str(os.getpid())})


@app.get("/cached")
def cached() -> Response:
    fields = {"Cache-Control": "public, max-age=600", "CDN-Cache-Control": "max-age=600"}
    return Response("for everybody", headers={**fields, "Surrogate-Control": "max-age=600"})


@app.post("/orders")
def order() -> str:
    return f"{len(request.get_data())} bytes"


@app.post("/login/<name>")
def login(name: str) -> str:
    session["name"] = name
    return f"hello {name}"


@app.get("/download")
def download() -> Response:
    def parts() -> Iterator[str]:
        yield "first,"
        release.wait()
        yield "last"

    return Response(parts(), mimetype="text/plain")


def who(environ: dict[str, object]) -> User:
    with app.request_context(environ):
        return User(is_authenticated="name" in session, is_staff=session.get("name") == "ann")


#: An invalid rule, if the test wants one.
rules = [("the office", "ip", "10.0.0.300")] if "WRONG_OPTION" in os.environ else []
app.wsgi_app = MaintenanceMiddleware(app.wsgi_app, user=who, ignore=rules)


def marked(environ, start_response):
    """The same, where every answer names its worker, those of `maint` too."""

    def start(status, headers, exc_info=None):
        return start_response(status, [*headers, ("X-From", str(os.getpid()))], exc_info)

    return app(environ, start)
