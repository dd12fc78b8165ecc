"""Views that are never down, and views that always are."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction
from django.db import connections, transaction
from django.urls import URLPattern, URLResolver

from maint.django.http import aget_maintenance_response, get_maintenance_response
from maint.django.marks import OFF, ON, mark

#: A view; or what `include()`, `path()` or `i18n_patterns()` returns; or a list of patterns.
Target = TypeVar("Target")


def force_maintenance_mode_off(target: Target) -> Target:
    """Makes a view that is never down.

    Takes a function view, sync or async, `View.as_view()`, or a part of `urlpatterns`:
    `include(...)`, `path(...)`, a list of patterns. The originals stay as they are. Within
    such a list, the decorator of a single view goes before that of the list.

    Raises `TypeError` for anything else.
    """
    forced: Target = _forced(target, _off, {})
    return forced


def force_maintenance_mode_on(target: Target) -> Target:
    """Makes a view that is always down, whatever rules and bypass tokens allow.

    Takes and raises the same as `force_maintenance_mode_off`.
    """
    forced: Target = _forced(target, _on, {})
    return forced


def _off(view: Callable[..., Any]) -> Callable[..., Any]:
    if iscoroutinefunction(view):

        @wraps(view)
        async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
            return await view(request, *args, **kwargs)

    else:

        @wraps(view)
        def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
            return view(request, *args, **kwargs)

    return mark(wrapper, OFF)


def _on(view: Callable[..., Any]) -> Callable[..., Any]:
    if iscoroutinefunction(view):

        @wraps(view)
        async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
            return await aget_maintenance_response(request)

    else:

        @wraps(view)
        def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
            return get_maintenance_response(request)

    # The view only sends the page: without a login, a form, or a transaction in a database that
    # may be down.
    wrapper.__dict__.update(login_required=False, csrf_exempt=True, _non_atomic_requests=set())
    for alias in connections:
        transaction.non_atomic_requests(alias)(wrapper)
    return mark(wrapper, ON)


def _forced(target: Any, force: Callable[..., Any], done: dict[int, Any]) -> Any:
    """Forces a view, or makes new patterns of the same kind whose views are forced.

    `done` has the new list for each old one, since URLs may include themselves.
    """
    if id(target) in done:
        return done[id(target)]
    if isinstance(target, URLPattern):
        view = target.callback
        is_forced = getattr(view, OFF, False) or getattr(view, ON, False)
        view = view if is_forced else force(view)
        return URLPattern(target.pattern, view, target.default_args, target.name)
    if isinstance(target, URLResolver):
        resolver = URLResolver(
            target.pattern, [], target.default_kwargs, target.app_name, target.namespace
        )
        resolver.urlconf_name = _forced(target.url_patterns, force, done)
        return resolver
    if isinstance(target, tuple) and len(target) == 3 and not isinstance(target[1], _PATTERNS):
        # What include() returns.
        urls, app_name, namespace = target
        patterns = getattr(urls, "urlpatterns", urls)
        return _forced(patterns, force, done), app_name, namespace
    if isinstance(target, (list, tuple)):
        forced: list[Any] = []
        done[id(target)] = forced
        forced += [_forced(pattern, force, done) for pattern in target]
        return forced
    if isinstance(target, type) or not callable(target):
        raise TypeError(
            f"`{target!r}` is neither a view nor a part of urlpatterns; "
            "for a class-based view, decorate `as_view()`"
        )
    return force(target)


_PATTERNS = (URLPattern, URLResolver)
