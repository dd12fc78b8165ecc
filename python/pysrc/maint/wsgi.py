"""Middleware for Flask, Pyramid and every other app of WSGI (PEP 3333).

from maint.wsgi import MaintenanceMiddleware

app.wsgi_app = MaintenanceMiddleware(app.wsgi_app)  # Flask
app = MaintenanceMiddleware(app)  # any other
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http.client import responses
from os import PathLike
from typing import TYPE_CHECKING, Any

from maint import Gate, Pass, Site, UsageError, User
from maint._middleware import PASS_KEY, GateOptions, choose_gate

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication
    from typing_extensions import Unpack

__all__ = ["MaintenanceMiddleware"]


class MaintenanceMiddleware:
    """Answers requests that are blocked, and passes the others to the app.

    `site`: a `Site`, or the path of one; `None` for the site that the command would
    choose. `gate`: a gate in place of `site` and options. The options are those of
    `maint.Gate`; `user`, `client`, `format` and `is_read` may be functions of the environ.

    Raises `MaintError` if the site or its state cannot be used, and `ValueError` or
    `TypeError` for an option that cannot be, so that the app does not start.

    The app finds the `Pass` in its environ, as `maint.pass`.

    The body of a blocked request is not read; the server decides what becomes of the
    connection. Requests that have begun go on when the site goes down.
    """

    def __init__(
        self,
        app: WSGIApplication,
        site: Site | str | PathLike[str] | None = None,
        *,
        gate: Gate | None = None,
        user: Callable[[dict[str, Any]], User | None] | None = None,
        is_read: Callable[[dict[str, Any]], bool | None] | None = None,
        **options: Unpack[GateOptions],
    ) -> None:
        self.app = app
        self.gate = choose_gate(gate, site, user, is_read, **options)
        if self.gate._awaited is not None:
            name = next(iter(self.gate._awaited))
            raise UsageError(
                f"{name}: the function is asynchronous, and WSGI cannot await it; write a plain "
                "function, or serve the app by ASGI with `maint.asgi`"
            )

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        answer = self.gate.answer_environ(environ)
        if isinstance(answer, Pass):
            environ[PASS_KEY] = answer
            if answer.needs_finishing:
                start_response = _finishing(start_response, answer)
            return self.app(environ, start_response)
        phrase = responses.get(answer.status, "Maintenance")
        headers = answer.headers
        if not any(name == "content-type" for name, _ in headers):
            # `wsgiref.validate` demands it of redirects too.
            headers.append(("content-type", "text/plain; charset=utf-8"))
        start_response(f"{answer.status} {phrase}", headers)
        return [answer.body]


def _finishing(start_response: StartResponse, decision: Pass) -> StartResponse:
    """Finishes the app's answer, whatever its own header fields say."""

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        return start_response(status, decision.finish(headers), exc_info)

    return start
