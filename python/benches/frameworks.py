"""What the middleware adds to a request of ASGI and of Flask, against none and against the usual
packages.

    python benches/frameworks.py [--rounds N] [--requests N] [--only NAME]

Each variant is a process with its own app. They take turns within one run, a batch of requests
each, and count the processor time of the batch, so a busy machine slows them all. A figure is the
median over the rounds of the ratio within a round to the app without any middleware, with the
smallest and largest in brackets. The apps are called as a server calls them, without a socket;
their view returns two letters, so with a real app around it ratios are nearer to 1.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

NONE, MAINT, RECHECK = "none", "maint", "maint, recheck"
#: The packages of each framework that take an app down, and work with the app.
PEERS = {
    "django": ["django-maintenance-mode"],
    "starlette": ["fastapi-maintenance-mode"],
    "fastapi": ["fastapi-maintenance", "fastapi-maintenance-mode"],
    "flask": ["flask-maintenance"],
}
NAMES = {
    "django": "Django, ASGI",
    "starlette": "Starlette",
    "fastapi": "FastAPI",
    "flask": "Flask",
}
HEADERS = {
    "Host": "localhost",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.5",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101",
}


@dataclass(frozen=True)
class Variant:
    """An app: its framework, the package that takes it down, and whether it does."""

    framework: str
    package: str
    is_down: bool

    @property
    def status(self) -> int:
        """The status that every request gets."""
        return 503 if self.is_down and self.package != NONE else 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--requests", type=int, default=50)
    parser.add_argument("--only", choices=list(PEERS))
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(Variant(**json.loads(arguments.worker)))
        return
    frameworks = [arguments.only] if arguments.only else list(PEERS)
    packages = dict.fromkeys(name for each in frameworks for name in [each, *PEERS[each]])
    known = ", ".join(f"{name} {version(name)}" for name in packages)
    print(
        f"Python {platform.python_version()}; {known}; "
        f"{arguments.rounds} rounds of {arguments.requests} requests"
    )
    for framework in frameworks:
        for is_down in (False, True):
            compare(arguments, framework, is_down)


def compare(arguments: argparse.Namespace, framework: str, is_down: bool) -> None:
    """Prints how the packages compare in one situation."""
    # Django changes threads with each request, which takes milliseconds.
    requests = max(1, arguments.requests // 5) if framework == "django" else arguments.requests
    # What is seldom looked at is as quick as ever while it is down.
    ours = [MAINT] if is_down else [MAINT, RECHECK]
    packages = [NONE, *ours, *PEERS[framework]]
    with tempfile.TemporaryDirectory(prefix="maint-bench-") as temp:
        workers = [
            Worker(Variant(framework, package, is_down), Path(temp) / str(n))
            for n, package in enumerate(packages)
        ]
        rounds = [
            [worker.run(requests) for worker in workers] for _ in range(arguments.rounds + 1)
        ][1:]
        for worker in workers:
            worker.stop()
    none, *others = (statistics.median(column) for column in zip(*rounds, strict=True))
    where = NAMES[framework]
    print(f"\n{where}, {'down' if is_down else 'up'}: without {none:.1f} us")
    for number, took in enumerate(others, 1):
        ratios = [times[number] / times[0] for times in rounds]
        print(
            f"  {packages[number]:24} {statistics.median(ratios):8.3f} times "
            f"({min(ratios):.2f}-{max(ratios):.2f}), {took - none:+9.1f} us"
        )


class Worker:
    """A process that answers requests on demand."""

    def __init__(self, variant: Variant, directory: Path) -> None:
        directory.mkdir()
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", json.dumps(vars(variant))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=directory,
            text=True,
        )
        self.run(100)

    def run(self, number: int) -> float:
        """Answers this many requests; returns microseconds of processor time for each."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.communicate(timeout=60)


def work(variant: Variant) -> None:
    """The loop of a worker: a line with a number in, a line with a time out."""
    answer = wsgi(variant) if variant.framework == "flask" else asgi(variant)
    for line in sys.stdin:
        number = int(line)
        begun = time.process_time_ns()
        answer(number)
        print((time.process_time_ns() - begun) / number / 1_000, flush=True)


def options(variant: Variant) -> dict[str, Any]:
    """Makes the site of a variant, and returns the options of its middleware."""
    import maint

    site = maint.Site.create(Path.cwd() / ".maint")
    if variant.is_down:
        site.on()
    recheck = {"recheck": 0.1} if variant.package == RECHECK else {}
    return {"gate": maint.Gate(site, **recheck)}


# WSGI


def wsgi(variant: Variant) -> Callable[[int], None]:
    """Answers this many requests by Flask."""
    app = flask_app(variant)
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/shop",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "203.0.113.7",
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in HEADERS.items()},
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    expected = str(variant.status)

    def start_response(status: str, headers: list[Any], exc_info: Any = None) -> None:
        assert status.startswith(expected), status

    def answer(number: int) -> None:
        for _ in range(number):
            response = app({**environ}, start_response)
            b"".join(response)
            getattr(response, "close", int)()

    return answer


def flask_app(variant: Variant) -> Any:
    import flask

    app = flask.Flask(__name__, instance_path=str(Path.cwd()))
    app.add_url_rule("/shop", view_func=lambda: "ok", endpoint="shop")
    if variant.package in (MAINT, RECHECK):
        from maint.wsgi import MaintenanceMiddleware

        app.wsgi_app = MaintenanceMiddleware(app.wsgi_app, **options(variant))
    elif variant.package == "flask-maintenance":
        # It asks two names that Flask no longer has whether there is a request. There is.
        there = type("There", (), {"top": True})
        flask._app_ctx_stack = flask._request_ctx_stack = there  # type: ignore[attr-defined]
        from flask_maintenance import Maintenance

        if variant.is_down:
            Path("under_maintenance").touch()
        Maintenance(app)
    return app


# ASGI


def asgi(variant: Variant) -> Callable[[int], None]:
    """Answers this many requests by an app of ASGI."""
    app = {"django": django_app, "starlette": starlette_app, "fastapi": fastapi_app}[
        variant.framework
    ](variant)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": "GET",
        "path": "/shop",
        "raw_path": b"/shop",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()],
        "client": ("203.0.113.7", 50000),
        "server": ("127.0.0.1", 80),
    }
    loop = asyncio.new_event_loop()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == variant.status, message

    async def one() -> None:
        events = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Any:
            if events:
                return events.pop()
            # Django waits for the visitor to go away, and stops once it has answered.
            return await loop.create_future()

        await app({**scope}, receive, send)

    async def many(number: int) -> None:
        for _ in range(number):
            await one()

    return lambda number: loop.run_until_complete(many(number))


def add(app: Any, variant: Variant) -> Any:
    """Adds the middleware of the variant to an app of Starlette or FastAPI."""
    if variant.package in (MAINT, RECHECK):
        from maint.asgi import MaintenanceMiddleware

        app.add_middleware(MaintenanceMiddleware, **options(variant))
    elif variant.package == "fastapi-maintenance":
        from fastapi_maintenance import MaintenanceModeMiddleware
        from fastapi_maintenance.backends import LocalFileBackend

        file = Path.cwd() / "state.txt"
        file.write_text("1" if variant.is_down else "0")
        backend = LocalFileBackend(str(file))
        app.add_middleware(MaintenanceModeMiddleware, backend=backend)
    elif variant.package == "fastapi-maintenance-mode":
        from fastapi_maintenance_mode import MaintenanceModeMiddleware

        app.add_middleware(MaintenanceModeMiddleware, is_maintenance_mode=variant.is_down)
    return app


def starlette_app(variant: Variant) -> Any:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def shop(request: Any) -> Any:
        return PlainTextResponse("ok")

    return add(Starlette(routes=[Route("/shop", shop)]), variant)


def fastapi_app(variant: Variant) -> Any:
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/shop")
    async def shop() -> str:
        return "ok"

    return add(app, variant)


def django_app(variant: Variant) -> Callable[..., Awaitable[None]]:
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.http import HttpResponse
    from django.urls import path

    import django

    async def shop(request: Any) -> Any:
        return HttpResponse("ok")

    more: dict[str, Any] = {"INSTALLED_APPS": [], "MIDDLEWARE": []}
    if variant.package in (MAINT, RECHECK):
        more["MAINT_SITE"] = options(variant)["gate"].site.directory
        if variant.package == RECHECK:
            more["MAINT_RECHECK"] = 0.1
        more["INSTALLED_APPS"] = ["maint.django"]
        more["MIDDLEWARE"] = ["maint.django.middleware.MaintenanceModeMiddleware"]
    elif variant.package == "django-maintenance-mode":
        state = Path.cwd() / "state.txt"
        state.write_text("1" if variant.is_down else "0")
        more["MAINTENANCE_MODE_STATE_FILE_PATH"] = str(state)
        more["INSTALLED_APPS"] = ["maintenance_mode"]
        more["MIDDLEWARE"] = ["maintenance_mode.middleware.MaintenanceModeMiddleware"]
        # It brings no page.
        Path("503.html").write_text("<!doctype html><title>Sorry</title><h1>Down</h1>\n")
    os.environ["DJANGO_SETTINGS_MODULE"] = __name__
    settings.configure(
        DEBUG=False,
        SECRET_KEY="bench",
        ALLOWED_HOSTS=["*"],
        BASE_DIR=Path.cwd(),
        ROOT_URLCONF=type("urls", (), {"urlpatterns": [path("shop", shop)]}),
        LOGGING_CONFIG=None,
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [Path.cwd()],
                "OPTIONS": {
                    "context_processors": ["django.template.context_processors.request"],
                },
            }
        ],
        **more,
    )
    django.setup()
    import logging

    # A worker's output is its figures, and the peer has each answer logged as an error.
    logging.getLogger("django.request").addHandler(logging.NullHandler())
    logging.getLogger("django.request").propagate = False
    return get_asgi_application()


if __name__ == "__main__":
    main()
