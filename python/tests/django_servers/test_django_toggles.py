"""The switch under load: real servers, the real command, constant requests."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from servers import Server
from sizes import amount
from visitors import Shop

TOGGLES = amount(40, 120)

#: How long everything may take. It is a bound, not a measure.
PATIENCE = 240.0


@dataclass
class Seen:
    """What one client saw: start, end, status and worker."""

    answers: list[tuple[float, float, int, str | None]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


class Client(threading.Thread):
    """Keeps asking, a few times over each connection, to meet every worker."""

    def __init__(self, server: Server, method: str, path: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.seen = Seen()
        self._server, self._method, self._path, self._stop_now = server, method, path, stop

    def run(self) -> None:
        connection = http.client.HTTPConnection(self._server.host, self._server.port, timeout=30)
        with contextlib.closing(connection):
            while not self._stop_now.is_set():
                self._ask(connection)
                if len(self.seen.answers) % 5 == 0:
                    connection.close()

    def _ask(self, connection: http.client.HTTPConnection) -> None:
        body = b"x" * 5000 if self._method == "POST" else None
        start = time.monotonic()
        try:
            connection.request(self._method, self._path, body)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.seen.broken.append(repr(error))
            connection.close()
            return
        worker = response.headers.get("X-Worker")
        self.seen.answers.append((start, time.monotonic(), response.status, worker))
        is_whole = self._method == "HEAD" or len(text) == int(response.headers["Content-Length"])
        if not is_whole or response.status not in (200, 503):
            self.seen.broken.append(f"{response.status}: {len(text)} bytes of {response.headers}")


@dataclass
class Outcome:
    """The outcome of many toggles."""

    #: Requests that failed, or were answered with anything but 200 and 503.
    broken: list[str]
    #: Wrong answers: when, the right status, and the one that came.
    wrong: list[tuple[float, int, int]]
    #: How many answers had to be 200 and 503, and were checked.
    counted: dict[int, int]
    #: The workers that have answered.
    workers: set[str]


def toggle(shop: Shop, kind: str, toggles: int, **settings: object) -> Outcome:
    """Switches the shop off and on with the command while clients ask without pause."""
    requests = [("GET", "/"), ("HEAD", "/"), ("POST", "/order/"), ("GET", "/coroutine/")]
    if kind == "gunicorn":
        # These are enough for a worker that keeps no connection alive and serves one at a
        # time.
        requests = requests[:3]
    last = time.monotonic() + PATIENCE
    stop = threading.Event()
    #: Start, end, and the status required of every request that starts in between.
    held: list[tuple[float, float, int]] = []
    with shop.serve(kind, **settings) as server:
        clients = [Client(server, *request, stop) for request in requests]
        for client in clients:
            client.start()
        try:
            for number in range(toggles):
                verb, status = (("on", 503), ("off", 200))[number % 2]
                shop.maint(verb)
                since = time.monotonic()
                counts = [len(client.seen.answers) for client in clients]
                # One that was on its way, and one more from each client.
                while any(
                    len(client.seen.answers) < count + 2
                    for client, count in zip(clients, counts, strict=True)
                ):
                    assert time.monotonic() < last, f"{number} toggles within {PATIENCE} s"
                    assert all(client.is_alive() for client in clients)
                    time.sleep(0.001)
                held.append((since, time.monotonic(), status))
        finally:
            stop.set()
            for client in clients:
                client.join(30)
    outcome = Outcome([], [], {200: 0, 503: 0}, set())
    for client in clients:
        outcome.broken += client.seen.broken
        for start, end, status, worker in client.seen.answers:
            if worker:
                outcome.workers.add(worker)
            expected = next((s for since, until, s in held if since <= start and end <= until), 0)
            if expected:
                outcome.counted[expected] += 1
                if status != expected:
                    outcome.wrong.append((start, status, expected))
    assert min(outcome.counted.values()) >= toggles // 2 * len(clients), outcome.counted
    return outcome


def test_requirement_20_no_worker_answers_200_after_on_has_returned_nor_503_after_off(
    shop: Shop, kind: str, figure: Callable[[str], None]
) -> None:
    outcome = toggle(shop, kind, TOGGLES)
    assert not outcome.broken, (len(outcome.broken), outcome.broken[:5])
    assert not outcome.wrong, (len(outcome.wrong), outcome.wrong[:5])
    assert len(outcome.workers) >= 2, f"one worker alone has answered: {outcome.workers}"
    total = sum(outcome.counted.values())
    figure(
        f"{TOGGLES} toggles, {len(outcome.workers)} workers, {total} answers while no command ran: "
        "0 stale, 0 broken"
    )


def test_requirement_57_workers_that_look_a_little_later_are_noticed(shop: Shop, kind: str) -> None:
    """The planted fault that the test above must catch."""
    late = ["django.middleware.common.CommonMiddleware", "shop.late.LateMiddleware"]
    assert toggle(shop, kind, 10, MIDDLEWARE=late).wrong


def test_requirement_55_what_has_begun_goes_on(shop: Shop, kind: str, tmp_path: Path) -> None:
    answers: list[bytes] = []
    with shop.serve(kind) as server:

        def ask() -> None:
            connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
            with contextlib.closing(connection):
                connection.request("GET", f"/slow/?desk={tmp_path}")
                answers.append(connection.getresponse().read())

        thread = threading.Thread(target=ask)
        thread.start()
        last = time.monotonic() + PATIENCE
        while not (tmp_path / "begun").exists():
            assert time.monotonic() < last, "the answer never began"
            time.sleep(0.01)
        shop.maint("on")
        assert answers == []
        (tmp_path / "released").touch()
        thread.join(PATIENCE)
    assert answers == [b"done"]


@pytest.mark.parametrize("size", [0, 100, 2_000_000])
def test_a_blocked_post_leaves_the_connection_in_order(shop: Shop, kind: str, size: int) -> None:
    """The unread part of a body must not be taken for the next request."""
    shop.maint("on")
    body = b"GET /health/ HTTP/1.1\r\nHost: localhost\r\n\r\n" * (size // 42 + 1)
    body = body[:size]
    head = f"POST /order/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"
    with (
        shop.serve(kind) as server,
        socket.create_connection((server.host, server.port), 30) as connection,
    ):
        sender = threading.Thread(target=_send, args=(connection, head.encode() + body))
        sender.start()
        assert _status(connection) == 503
        sender.join(30)
        # The same connection again, unless the server has closed it.
        with contextlib.suppress(OSError):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert _status(connection) in (503, None)


def _send(connection: socket.socket, data: bytes) -> None:
    # A server that closes the connection will not read the rest.
    with contextlib.suppress(OSError):
        connection.sendall(data)


def _status(connection: socket.socket) -> int | None:
    """Reads the next answer to its end and returns its status; `None` if there is none."""
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
    except (ConnectionError, http.client.HTTPException):
        return None
    response.read()
    return response.status
