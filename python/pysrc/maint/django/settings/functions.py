"""Settings that are functions of the team."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from typing import Any, NamedTuple
from wsgiref.util import setup_testing_defaults

from django.apps import apps
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.core.handlers.wsgi import WSGIRequest
from django.db import Error as DatabaseError
from django.utils.module_loading import import_string

from maint._asking import is_async
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
    "MAINT_IS_READ": _Function(
        lambda function, request: function(request),
        lambda value: value is None or isinstance(value, bool),
        "True or False",
    ),
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
            if is_unused(name):
                return unknown
            raise Mistake(
                name, f"is not a valid function path: {error}", id="maint.E005"
            ) from error
    if not callable(function):
        raise Mistake(
            name,
            f"must be a function or the dotted path of one, not {quoted(value)}",
            id="maint.E005",
        )
    if is_async(function):
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
    except Exception as error:
        if not _takes_a_request(expected, function):
            raise Mistake(
                name, f"cannot be called with a request: {error}", id="maint.E005"
            ) from error
        # It may need what only a server sets. `doubts` reports it, and so does the gate.
        return
    if not expected.is_sound(result):
        raise Mistake(
            name, f"must return {expected.returns}, not {quoted(result)}", id="maint.E005"
        )


def _takes_a_request(expected: _Function, function: Callable[..., Any]) -> bool:
    try:
        expected.call(signature(function).bind, None)
    except TypeError:
        return False
    except ValueError:
        # Some that are written in C do not say what they take.
        return True
    return True


def unknown(request: Any) -> None:
    """Stands for a function that no rule needs and that cannot be imported."""


def is_unused(name: str) -> bool:
    """Whether no setting needs this function.

    The README of django-maintenance-mode shows one of a package that few install, and only rules
    for addresses ever call it.
    """
    return name == "MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS" and not getattr(
        settings, "MAINTENANCE_MODE_IGNORE_IP_ADDRESSES", None
    )


def doubts(name: str, value: Any, made: Any) -> Iterator[Mistake]:
    """What may be wrong with a function and keeps no server from starting.

    `value` is the setting, `made` what `function` made of it.
    """
    if made is unknown:
        yield Mistake(
            name,
            f"names {quoted(value)}, which cannot be imported; no rule in the settings needs it",
            "remove the setting; until then rules of the site for addresses let nobody through",
            id="maint.W015",
        )
    elif callable(made):
        try:
            FUNCTIONS[name].call(made, _probe())
        except UNREACHABLE:
            return
        except Exception as error:
            yield Mistake(
                name,
                f"raises {type(error).__name__} for a plain GET of `/` by nobody: {error}",
                "where it raises for a visitor, its answer counts as unknown",
                id="maint.W015",
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
