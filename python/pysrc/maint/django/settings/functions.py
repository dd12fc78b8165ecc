"""Settings that are functions of the team."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any, NamedTuple
from wsgiref.util import setup_testing_defaults

from django.apps import apps
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.core.handlers.wsgi import WSGIRequest
from django.db import Error as DatabaseError
from django.utils.module_loading import import_string

from maint.django.settings.mistake import Mistake, quoted
from maint.django.settings.rules import ADDRESSES

#: Errors that must not stop a worker's start: a site in maintenance may lack its database.
UNREACHABLE = (DatabaseError, ConnectionError, TimeoutError)


class _Function(NamedTuple):
    """How a function of the team is called, and what it has to return."""

    call: Callable[[Callable[..., Any], Any], Any]
    is_sound: Callable[[Any], bool]
    returns: str


def _by_keyword(function: Callable[..., Any], request: Any) -> Any:
    return function(request=request)


FUNCTIONS = {
    "MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS": _Function(
        lambda function, request: function(request),
        lambda value: value is None or isinstance(value, (str, *ADDRESSES)),
        "an address or None",
    ),
    "MAINTENANCE_MODE_GET_AUTHENTICATED_USER": _Function(
        _by_keyword,
        lambda value: value is None or hasattr(value, "is_authenticated"),
        "a user or None",
    ),
    "MAINTENANCE_MODE_GET_CONTEXT": _Function(
        _by_keyword,
        lambda value: value is None or isinstance(value, Mapping),
        "a dict or None",
    ),
    "MAINTENANCE_MODE_RESPONSE_TYPE": _Function(
        _by_keyword,
        lambda value: value in ("html", "json"),
        '"html" or "json"',
    ),
}


def function(name: str, value: Any) -> Callable[..., Any] | None:
    """A function, or the dotted path of one."""
    if value is None:
        return None
    function = value
    if isinstance(value, str):
        try:
            function = import_string(value)
        except Exception as error:
            raise Mistake(name, f"cannot be imported: {error}", id="maint.E005") from error
    if not callable(function):
        raise Mistake(
            name,
            f"must be a function or the dotted path of one, not {quoted(value)}",
            id="maint.E005",
        )
    if iscoroutinefunction(function):
        raise Mistake(
            name,
            f"must be a plain function, and {quoted(value)} is an async one",
            "it is called in a thread, so it may block",
            id="maint.E005",
        )
    _try_out(name, function)
    return function  # type: ignore[no-any-return]


def _try_out(name: str, function: Callable[..., Any]) -> None:
    """Calls a function once, so that a mistake stops the start of a server."""
    expected = FUNCTIONS[name]
    try:
        result = expected.call(function, _probe())
    except UNREACHABLE:
        return
    except Exception as error:
        raise Mistake(
            name,
            f"raises {type(error).__name__} for a plain GET of `/` by nobody: {error}",
            "it has to work without session data and users",
            id="maint.E005",
        ) from error
    if not expected.is_sound(result):
        raise Mistake(
            name, f"must return {expected.returns}, not {quoted(result)}", id="maint.E005"
        )


def _probe() -> WSGIRequest:
    environ: dict[str, Any] = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": _host()}
    setup_testing_defaults(environ)
    request = WSGIRequest(environ)
    if apps.is_installed("django.contrib.auth"):
        from django.contrib.auth.models import AnonymousUser

        request.user = AnonymousUser()
    request.session = _NoSession()
    return request


class _NoSession(SessionBase):
    """An empty session without storage."""

    def load(self) -> dict[str, Any]:
        return {}

    def exists(self, session_key: str) -> bool:
        return False


def _host() -> str:
    """A host that `ALLOWED_HOSTS` allows."""
    hosts = (host.lstrip(".") for host in settings.ALLOWED_HOSTS)
    return next((host for host in hosts if host and "*" not in host), "localhost")


def response_type(name: str, value: Any) -> Any:
    """The name of a format, or a function that returns one."""
    return value if value in ("html", "json") else function(name, value)
