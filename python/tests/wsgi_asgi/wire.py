"""HTTP/1.1 by hand, for what client libraries do not allow."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType

from servers import Server

#: How long an answer may take, in seconds.
PATIENCE = 120


@dataclass(frozen=True)
class Answer:
    """An answer that has been read to its end."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def all(self, name: str) -> list[str]:
        return self.headers.get_all(name) or []


class Wire:
    """One connection to a server."""

    def __init__(self, server: Server, source: str = "127.0.0.1") -> None:
        self.server = server
        self.socket = socket.create_connection(
            (server.host, server.port), PATIENCE, source_address=(source, 0)
        )

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def ask(
        self,
        path: str = "/",
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: Iterable[bytes] = (),
    ) -> Answer:
        """Sends a request, its body in parallel, and reads the answer to the end."""
        fields = {"Host": f"{self.server.host}:{self.server.port}", **(headers or {})}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {fields[name]}" for name in fields)]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        sender = threading.Thread(target=self._send, args=(body,), daemon=True)
        sender.start()
        answer = self.read(method)
        sender.join(PATIENCE)
        assert not sender.is_alive(), "the server does not read the body"
        return answer

    def begin(self, path: str) -> None:
        """Asks, and waits for the first byte of the answer, which stays unread."""
        request = f"GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n"
        self.socket.sendall(request.encode())
        assert self.socket.recv(1, socket.MSG_PEEK)

    def _send(self, body: Iterable[bytes]) -> None:
        try:
            for part in body:
                self.socket.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass  # The server may close a connection once it has answered.

    def read(self, method: str = "GET") -> Answer:
        response = http.client.HTTPResponse(self.socket, method=method)
        response.begin()
        body = response.read()
        return Answer(response.status, response.headers, body)

    def rest(self) -> bytes:
        """The bytes until the server closes the connection cleanly."""
        parts = []
        while part := self.socket.recv(65536):
            parts.append(part)
        return b"".join(parts)


def ask(server: Server, path: str = "/", method: str = "GET", **headers: str) -> Answer:
    """One request on a new connection; `_` in a field's name stands for `-`."""
    return ask_from(server, "127.0.0.1", path, method, **headers)


def ask_from(
    server: Server, source: str, path: str = "/", method: str = "GET", **headers: str
) -> Answer:
    """The same from another loopback address."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    with Wire(server, source) as wire:
        return wire.ask(path, method, {"Connection": "close", **fields})
