"""Functions of the app that are away or slow: the gate asks them once in 10 s (requirement 71)."""

import asyncio
import os
import threading
import time

import pytest

from maint import Gate, Pass, User, _asking
from maint._asking import Asking, attempt, is_unreachable
from maint.asgi import MaintenanceMiddleware as Asgi
from maint.wsgi import MaintenanceMiddleware as Wsgi


class OperationalError(Exception):
    """What the drivers of databases raise, each its own (PEP 249)."""


ENVIRON = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_NAME": "x", "SERVER_PORT": "80"}
SCOPE = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}


def failing(error, calls):
    def function(request):
        calls.append(request)
        raise error

    return function


@pytest.mark.parametrize(
    ("option", "kind", "value"),
    [("user", "user", "staff"), ("client", "ip", "192.0.2.1"), ("format", None, None)],
)
@pytest.mark.parametrize(
    ("error", "times"), [(OperationalError(), 1), (TimeoutError(), 1), (LookupError(), 5)]
)
def test_requirement_71_a_function_that_reaches_nothing_is_asked_once(
    site, option, kind, value, error, times
):
    calls = []
    gate = Gate(site, **{option: failing(error, calls)})
    site.on()
    if kind:
        site.add_rule(kind, value)
    for _ in range(5):
        assert gate.answer_environ(dict(ENVIRON)).status == 503
    assert len(calls) == times


def test_an_error_counts_that_a_library_wraps():
    try:
        try:
            raise OperationalError
        except OperationalError as error:
            raise RuntimeError("the session cannot be read") from error
    except RuntimeError as error:
        assert is_unreachable(error)
    assert not is_unreachable(LookupError())
    assert not is_unreachable(None)


def test_requirement_71_a_slow_function_of_wsgi_is_asked_once(site, monkeypatch):
    monkeypatch.setattr(_asking, "SLOW", 0.01)
    calls = []

    def user(environ):
        calls.append(environ)
        time.sleep(0.02)
        return User(is_authenticated=True, is_staff=True)

    app = Wsgi(lambda environ, start: [b"the shop"], site, user=user)
    site.on()
    site.add_rule("user", "staff")
    answers = [app(dict(ENVIRON), lambda *arguments: None) for _ in range(3)]
    # What it said of the first one counts.
    assert answers[0] == [b"the shop"]
    assert b"the shop" not in answers[1:]
    assert len(calls) == 1


def test_requirement_71_an_asynchronous_function_is_asked_by_one_at_a_time(site, monkeypatch):
    monkeypatch.setattr(_asking, "SLOW", 0.1)
    calls = []

    async def visit(app):
        statuses = []

        async def send(message):
            statuses.extend([message["status"]] if "status" in message else [])

        await app(dict(SCOPE), None, send)
        return statuses[0]

    async def shop(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def run():
        is_locked = asyncio.Event()

        async def user(scope):
            calls.append(scope)
            await is_locked.wait()
            return User(is_authenticated=True, is_staff=True)

        app = Asgi(shop, site, user=user)
        first = asyncio.create_task(visit(app))
        others = await asyncio.gather(*(visit(app) for _ in range(5)))
        assert not first.done()
        is_locked.set()
        return await first, others, await visit(app)

    site.on()
    site.add_rule("user", "staff")
    assert asyncio.run(run()) == (200, [503] * 5, 503)
    assert len(calls) == 1


def test_nobody_is_turned_away_while_all_is_well(site):
    """They ask one after the other, and each is asked for."""
    gate = Gate(
        site, user=lambda environ: time.sleep(0.001) or User(is_authenticated=True, is_staff=True)
    )
    site.on()
    site.add_rule("user", "staff")
    passed = []

    def visit():
        passed.extend(isinstance(gate.answer_environ(dict(ENVIRON)), Pass) for _ in range(20))

    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert passed == [True] * 160


def test_a_child_of_fork_asks_whatever_its_parent_was_doing():
    asking = Asking("a test")
    with asking._changed:
        assert asking._decide(0.0, 1.0)
        child = os.fork()
        if child == 0:
            os._exit(0 if attempt(asking, lambda: "asked") == "asked" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
