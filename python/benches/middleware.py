"""What the middleware adds to a Django request, against none and against the usual package.

    python benches/middleware.py [--rounds N] [--requests N] [--only up|down]

Each variant is a process with its own Django. They take turns within one run, a batch
of requests each, and count the processor time of the batch, so a busy machine slows
them all. A figure is the median over the rounds of the ratio within a round, with the smallest and
largest in brackets. The view returns a short text, and except in one row there is no other
middleware: with a real app around it, ratios are nearer to 1.
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

ENTRIES = [0, 1_000, 10_000]

NONE, MAINT, RECHECK, PEER = "none", "maint", "maint, MAINT_RECHECK", "django-maintenance-mode"
#: The package `maintenance_mode` of this repository, over maint.
FACE = "maint[maintenance-mode]"

#: The middleware of `startproject`, without what needs a database.
USUAL = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]


@dataclass(frozen=True)
class Variant:
    """A Django: the package that takes it down, and the situation."""

    package: str
    is_down: bool
    #: How many addresses and paths are still let through.
    entries: int = 0
    #: Whether the team has its own page.
    has_page: bool = False
    #: Whether the middleware comes after those that projects usually have.
    is_usual: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--only", choices=["up", "down"])
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
    if arguments.only != "down":
        for entries in ENTRIES:
            compare(arguments, False, entries)
        compare(arguments, False, is_usual=True)
    if arguments.only != "up":
        for has_page in (False, True):
            for entries in ENTRIES:
                compare(arguments, True, entries, has_page)


def compare(
    arguments: argparse.Namespace,
    is_down: bool,
    entries: int = 0,
    has_page: bool = False,
    is_usual: bool = False,
) -> None:
    """Prints how the packages compare in one situation."""
    situation = (is_down, entries, has_page, is_usual)
    # The peer needs a page of the team.
    peer = Variant(PEER, is_down, entries, is_down, is_usual)
    variants = [Variant(NONE, *situation), Variant(MAINT, *situation), peer]
    if not is_down:
        variants += [Variant(RECHECK, *situation), Variant(FACE, *situation)]
    with tempfile.TemporaryDirectory(prefix="maint-bench-") as temp:
        workers = [Worker(variant, Path(temp) / str(n)) for n, variant in enumerate(variants)]
        rounds = [
            [worker.run(requests(worker.variant, arguments.requests)) for worker in workers]
            for _ in range(arguments.rounds + 1)
        ][1:]
        for worker in workers:
            worker.stop()
    none, *others = (statistics.median(column) for column in zip(*rounds, strict=True))
    words = [
        "down" if is_down else "up",
        *(["503.html"] if has_page else []),
        *(["usual middleware"] if is_usual else []),
        f"{entries} entries",
    ]
    print(f"\n{', '.join(words)}: without {none:.1f} us")
    for number, time in enumerate(others, 1):
        ratios = [times[number] / times[0] for times in rounds]
        print(
            f"  {variants[number].package:24} {statistics.median(ratios):8.3f} times "
            f"({min(ratios):.2f}-{max(ratios):.2f}), {time - none:+9.1f} us"
        )


def requests(variant: Variant, number: int) -> int:
    """How many requests make a batch. The peer tries one pattern after the other."""
    is_slow = variant.package == PEER and variant.is_down and variant.entries > 0
    return 2 if is_slow else number


class Worker:
    """A process that answers requests on demand."""

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
        self.run(requests(variant, 100))

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
    expected = "503" if variant.is_down and variant.package != NONE else "200"

    def start_response(status: str, headers: list[Any], exc_info: Any = None) -> None:
        assert status.startswith(expected), status

    for line in sys.stdin:
        number = int(line)
        begun = time.process_time_ns()
        for _ in range(number):
            response = handler({**environ}, start_response)
            b"".join(response)
            response.close()
        print((time.process_time_ns() - begun) / number / 1_000, flush=True)


def application(variant: Variant) -> Any:
    """A Django with the middleware of the variant."""
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    import django

    directory = Path(os.environ["BENCH_DIR"])
    (directory / "templates").mkdir(exist_ok=True)
    if variant.has_page:
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
    middleware, apps = list(USUAL if variant.is_usual else []), []
    if variant.package in (MAINT, RECHECK):
        import maint

        site = maint.Site.create(directory / ".maint")
        if variant.is_down:
            site.on()
        options["MAINT_SITE"] = site.directory
        if variant.package == RECHECK:
            options["MAINT_RECHECK"] = 0.1
        middleware.append("maint.django.middleware.MaintenanceModeMiddleware")
        apps = ["maint.django"]
    elif variant.package == FACE:
        import maint

        # It has the name of the peer, which is installed here.
        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "compat" / "src"))
        site = maint.Site.create(directory / ".maint")
        if variant.is_down:
            site.on()
        options["MAINT_SITE"] = site.directory
        middleware.append("maintenance_mode.middleware.MaintenanceModeMiddleware")
        apps = ["maintenance_mode"]
    elif variant.package == PEER:
        state = directory / "state.txt"
        state.write_text("1" if variant.is_down else "0")
        options["MAINTENANCE_MODE_STATE_FILE_PATH"] = str(state)
        middleware.append("maintenance_mode.middleware.MaintenanceModeMiddleware")
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

    # A worker's output is its figures, and the peer has each answer logged as an error.
    logging.getLogger("django.request").addHandler(logging.NullHandler())
    logging.getLogger("django.request").propagate = False
    return get_wsgi_application()


if __name__ == "__main__":
    main()
