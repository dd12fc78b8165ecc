"""What the middleware costs a Django request, beside none and beside the usual package.

    python benches/middleware.py [--rounds N] [--requests N]

Each variant is a process with a Django of its own. They take turns within one run, a batch
of requests each, and count the processor time of the batch, so a busy machine slows all of
them. A figure is the median over the rounds of the ratio within a round, with the smallest and
largest in brackets. The view returns a short text and there is no other middleware: with a real
app in front and behind, ratios are nearer to 1.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Beyond this many the peer, which compiles and tries each pattern for each request, takes
#: minutes.
ENTRIES = [0, 1_000, 10_000]


@dataclass(frozen=True)
class Variant:
    """One row: which middleware, whether the site is down, how many ignore entries."""

    package: str
    is_down: bool
    entries: int = 0
    has_template: bool = False

    @property
    def name(self) -> str:
        state = "down" if self.is_down else "up"
        page = ", 503.html" if self.has_template else ""
        return f"{self.package}, {state}, {self.entries} entries{page}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--requests", type=int, default=1_000)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(Variant(**json.loads(arguments.worker)))
        return
    import django

    print(
        f"Python {platform.python_version()}, Django {django.get_version()}; "
        f"{arguments.rounds} rounds of {arguments.requests} requests"
    )
    for is_down in (False, True):
        pages = [False, True] if is_down else [False]
        for page in pages:
            for entries in ENTRIES:
                compare(arguments, is_down, entries, page)


def compare(arguments: argparse.Namespace, is_down: bool, entries: int, page: bool) -> None:
    """Prints how the packages compare in one situation."""
    variants = [
        Variant("none", False, entries),
        Variant("maint", is_down, entries, page),
        # The peer has no page of its own.
        Variant("django-maintenance-mode", is_down, entries, is_down),
    ]
    with tempfile.TemporaryDirectory(prefix="maint-bench-") as temp:
        workers = [Worker(variant, Path(temp) / str(n)) for n, variant in enumerate(variants)]
        rounds: list[list[float]] = []
        for number in range(arguments.rounds + 1):
            times = [
                worker.run(
                    arguments.requests
                    if worker.variant.entries < 5_000
                    or worker.variant.package != "django-maintenance-mode"
                    else 50
                )
                for worker in workers
            ]
            if number > 0:
                rounds.append(times)
        for worker in workers:
            worker.stop()
    none, ours, peer = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratios = [times[1] / times[0] for times in rounds]
    added, peer_added = ours - none, peer - none
    # Where nothing is added there is no telling how many times more that is.
    times = f"{peer_added / added:.0f} times as much" if added > 0.5 else "and maint nothing"
    state = f"{'down' if is_down else 'up'}{', 503.html' if page else ''}"
    print(
        f"{state:16} {entries:6} entries: none {none:6.1f} us, maint {ours:6.1f}, "
        f"peer {peer:8.1f}; maint / none {statistics.median(ratios):.3f} "
        f"({min(ratios):.3f}-{max(ratios):.3f}), added {added:5.1f} us, "
        f"peer adds {peer_added:7.1f}, {times}"
    )


class Worker:
    """A process that answers requests when it is told to."""

    def __init__(self, variant: Variant, directory: Path) -> None:
        self.variant = variant
        directory.mkdir()
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", json.dumps(vars(variant))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=directory,
            text=True,
            env={**os.environ, "BENCH_DIR": str(directory)},
        )
        self.run(100)

    def run(self, requests: int) -> float:
        """Answers so many requests; returns microseconds of processor time for each."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{requests}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.communicate(timeout=60)


def work(variant: Variant) -> None:
    """What a worker does: one line with a number in, one line with a time out."""
    import time

    handler = application(variant)
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/shop/",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "203.0.113.7",
        "HTTP_HOST": "localhost",
        "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "HTTP_ACCEPT_LANGUAGE": "en-GB,en;q=0.5",
        "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    expected = "503" if variant.is_down else "200"

    def start_response(status: str, headers: list[Any], exc_info: Any = None) -> None:
        assert status.startswith(expected), status

    for line in sys.stdin:
        requests = int(line)
        begun = time.process_time_ns()
        for _ in range(requests):
            response = handler({**environ}, start_response)
            b"".join(response)
            response.close()
        print((time.process_time_ns() - begun) / requests / 1_000, flush=True)


def application(variant: Variant) -> Any:
    """A Django with the middleware of the variant."""
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    import django

    directory = Path(os.environ["BENCH_DIR"])
    (directory / "templates").mkdir(exist_ok=True)
    if variant.has_template:
        (directory / "templates" / "503.html").write_text(
            "<!doctype html><title>Sorry</title><h1>Down for maintenance</h1>"
            "<p>{{ reason }} We will be back soon. <a href='mailto:a@example.com'>Contact</a></p>\n"
        )
    addresses = [f"10.{n // 65536}.{n // 256 % 256}.{n % 256}" for n in range(variant.entries // 2)]
    paths = [f"/rule/{n}/" for n in range(variant.entries // 2)]
    options: dict[str, Any] = {
        "MAINTENANCE_MODE_IGNORE_IP_ADDRESSES": addresses,
        "MAINTENANCE_MODE_IGNORE_URLS": paths,
    }
    middleware, apps = [], []
    if variant.package == "maint":
        import maint

        site = maint.Site.create(directory / ".maint")
        if variant.is_down:
            site.on()
        options["MAINT_SITE"] = site.directory
        middleware, apps = ["maint.django.middleware.MaintenanceModeMiddleware"], ["maint.django"]
    elif variant.package == "django-maintenance-mode":
        state = directory / "state.txt"
        state.write_text("1" if variant.is_down else "0")
        options["MAINTENANCE_MODE_STATE_FILE_PATH"] = str(state)
        middleware = ["maintenance_mode.middleware.MaintenanceModeMiddleware"]
        apps = ["maintenance_mode"]
    os.environ["DJANGO_SETTINGS_MODULE"] = __name__
    view = path("shop/", lambda request: HttpResponse("ok"))
    urls = type("urls", (), {"urlpatterns": [view]})
    settings.configure(
        DEBUG=False,
        SECRET_KEY="bench",
        ALLOWED_HOSTS=["*"],
        BASE_DIR=directory,
        ROOT_URLCONF=urls,
        INSTALLED_APPS=apps,
        MIDDLEWARE=middleware,
        LOGGING_CONFIG=None,
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [directory / "templates"],
                "OPTIONS": {
                    "context_processors": ["django.template.context_processors.request"],
                },
            }
        ],
        **options,
    )
    django.setup()
    import logging

    # A worker prints figures. The peer has each answer logged as an error.
    logging.getLogger("django.request").addHandler(logging.NullHandler())
    logging.getLogger("django.request").propagate = False
    return get_wsgi_application()


if __name__ == "__main__":
    main()
