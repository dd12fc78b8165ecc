"""Clients that ask without pause, and record the answers and their times."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from servers import Server

#: How long a client waits for an answer, in seconds.
PATIENCE = 120

#: After this many requests a client opens a new connection, which another worker may
#: accept.
KEPT_FOR = 5


@dataclass(frozen=True)
class Exchange:
    """One request, and its answer."""

    started: float
    ended: float
    status: int
    worker: str
    #: What is wrong with the answer, whatever the state of the site.
    fault: str | None


@dataclass
class Traffic:
    """What all clients saw."""

    exchanges: list[list[Exchange]] = field(default_factory=list)

    def wait_for_answers(self, each: int, since: float) -> None:
        """Waits until every client has had this many answers to requests begun since then."""
        last = time.monotonic() + PATIENCE
        for exchanges in self.exchanges:
            while sum(1 for seen in exchanges[-each:] if seen.started >= since) < each:
                assert time.monotonic() < last, "a client got no answer"
                time.sleep(0.001)

    def all(self) -> list[Exchange]:
        return [exchange for exchanges in self.exchanges for exchange in exchanges]


@contextmanager
def flowing(server: Server, clients: int) -> Iterator[Traffic]:
    """Runs clients against a server, each keeping its connection if it may."""
    traffic = Traffic([[] for _ in range(clients)])
    is_over = threading.Event()
    threads = [
        threading.Thread(target=_ask, args=(server, exchanges, is_over), daemon=True)
        for exchanges in traffic.exchanges
    ]
    for thread in threads:
        thread.start()
    try:
        yield traffic
    finally:
        is_over.set()
        for thread in threads:
            thread.join(PATIENCE)


def _ask(server: Server, exchanges: list[Exchange], is_over: threading.Event) -> None:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    while not is_over.is_set():
        started = time.monotonic()
        status, worker, fault = 0, "", None
        try:
            connection.request("GET", "/")
            response = connection.getresponse()
            body = response.read()
            status, worker = response.status, response.headers.get("X-From", "")
            fault = _fault(response, body)
        except (OSError, http.client.HTTPException) as error:
            fault = f"broken: {error!r}"
            connection.close()
        if len(exchanges) % KEPT_FOR == 0:
            connection.close()
        exchanges.append(Exchange(started, time.monotonic(), status, worker, fault))
    connection.close()


def _fault(response: http.client.HTTPResponse, body: bytes) -> str | None:
    match response.status:
        case 200 if body == b"the shop":
            return None
        case 503 if response.headers.get("Maint-Decision") == "block" and b"</html>" in body:
            return None
        case status:
            return f"{status}: {body[:80]!r}"
