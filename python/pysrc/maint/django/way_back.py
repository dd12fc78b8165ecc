"""Whether a superuser who took the site down in a browser and was logged out gets back in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, Resolver404, get_resolver, reverse

from maint import Gate, Pass, Request, Site, User
from maint.django.conf import open_gate
from maint.django.marks import OFF


def logins() -> list[str]:
    """The paths where users may log in: that of the admin site, and `LOGIN_URL`."""
    return list(dict.fromkeys(_logins()))


def _logins() -> Iterator[str]:
    with suppress(NoReverseMatch):
        yield reverse("admin:login")
    try:
        path = str(resolve_url(settings.LOGIN_URL)).partition("?")[0]
        get_resolver().resolve(path)
    except (NoReverseMatch, Resolver404):
        # No view has it: Django's default is often left as it is.
        return
    yield path


def login_that_stays_up(site: Site, values: dict[str, Any]) -> str | None:
    """The first login that strangers reach while all is down.

    `values` are those of the settings. Raises `MaintError` and `Mistake` as `open_gate` does.
    """
    gate = open_gate(site, values, lambda request: User(), down=True)
    return next((path for path in logins() if _stays_up(path, gate, values)), None)


def _stays_up(path: str, gate: Gate, values: dict[str, Any]) -> bool:
    match = get_resolver().resolve(path)
    if getattr(match.func, OFF, False) is True:
        return True
    if values["MAINTENANCE_MODE_IGNORE_ADMIN_SITE"] and "admin" in match.app_names:
        return True
    host = next((host for host in settings.ALLOWED_HOSTS if "*" not in host), "localhost")
    return all(
        isinstance(gate.answer(Request(method, path, host=host.lstrip("."), user=User())), Pass)
        for method in ("GET", "POST")
    )
