"""What the middleware asks: whether a request is blocked, and with what."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from maint.django import http as maint_http
from maintenance_mode.core import get_maintenance_mode, refresh
from maintenance_mode.utils import import_function

__all__ = [
    "get_maintenance_mode",
    "get_maintenance_response",
    "get_maintenance_response_context",
    "need_maintenance_response",
]


def need_maintenance_response(request: HttpRequest) -> bool:
    """Whether the middleware would answer this request itself."""
    refresh()
    return maint_http.need_maintenance_response(request)


def get_maintenance_response(request: HttpRequest) -> HttpResponse:
    """The maintenance response for this request, whether or not the site is down."""
    refresh()
    return maint_http.get_maintenance_response(request)


def get_maintenance_response_context(request: HttpRequest) -> dict[str, Any]:
    """What the function of `MAINTENANCE_MODE_GET_CONTEXT` returns; empty if there is none."""
    function = settings.MAINTENANCE_MODE_GET_CONTEXT
    if not function:
        return {}
    if isinstance(function, str):
        function = import_function(function, "MAINTENANCE_MODE_GET_CONTEXT")
    return dict(function(request=request) or {})


def __getattr__(name: str) -> Any:
    message = f"module {__name__!r} has no {name!r}"
    if name.startswith("_need_maintenance_"):
        # An AttributeError would become "cannot import name", without a word of what to do.
        raise ImportError(
            f"{message}, which was private; `need_maintenance_response(request)` asks all of them"
        )
    raise AttributeError(message)
