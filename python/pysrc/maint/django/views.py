"""Taking the site down and up in a browser, for superusers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import get_token
from django.template import Context, Engine
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from maint import MaintError
from maint.django import conf, core
from maint.django.decorators import force_maintenance_mode_off
from maint.django.settings.mistake import Mistake
from maint.django.way_back import login_that_stays_up

logger = logging.getLogger("maint.django")

# An engine of its own works whatever TEMPLATES says.
_engine = Engine(dirs=[str(Path(__file__).parent / "templates")])


#: A page of another site must not show the button in a frame, under something harmless.
_HEADERS = {
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
}


def _guarded(view: Callable[..., Any]) -> Callable[..., Any]:
    """Protects a view, and keeps it reachable while the site is down."""
    guarded: Callable[..., Any] = never_cache(csrf_protect(view))
    guarded = require_http_methods(["GET", "HEAD", "POST"])(guarded)
    return force_maintenance_mode_off(guarded)


@_guarded
def maintenance_mode_on(request: HttpRequest) -> HttpResponse:
    """Asks superusers to confirm, and opens the window `default`."""
    return _view(request, True)


#: The mark of the view that closes the window, by which the check W010 knows it.
BRINGS_BACK = "_maint_brings_back"


@_guarded
def maintenance_mode_off(request: HttpRequest) -> HttpResponse:
    """Asks superusers to confirm, and closes the window `default`."""
    return _view(request, False)


maintenance_mode_off.__dict__[BRINGS_BACK] = True


def _view(request: HttpRequest, value: bool) -> HttpResponse:
    user: Any = getattr(request, "user", None)
    if not (getattr(user, "is_active", False) and getattr(user, "is_superuser", False)):
        raise PermissionDenied("only superusers may take the site down or up")
    if request.method != "POST":
        return _form(request, value)
    word = "on" if value else "off"
    try:
        change = core.change(
            value,
            replace=False,
            by=user.get_username(),
            command=f"view maintenance_mode_{word}",
        )
    except (ImproperlyConfigured, MaintError) as error:
        logger.warning("maintenance_mode_%s: %s", word, error)
        return _form(request, value, str(error), status=409)
    if change.open and not value:
        names = ", ".join(change.open)
        return _form(request, value, f"Still down, held by {names}.")
    return HttpResponseRedirect(_next(request))


def _form(
    request: HttpRequest, value: bool, message: str | None = None, status: int = 200
) -> HttpResponse:
    context: dict[str, Any] = {
        "value": value,
        "is_down": core.get_maintenance_mode(),
        "windows": _open_windows(),
        "message": message,
        "csrf_token": get_token(request),
        "next": _next(request),
        "way_back": _way_back(),
    }
    page = _engine.get_template("maint/confirm.html").render(Context(context))
    return HttpResponse(page, status=status, headers=_HEADERS)


def _way_back() -> str | None:
    """The path of a login that stays up; `None` if there is none."""
    values, mistakes = conf.read_anywhere()
    try:
        return None if mistakes else login_that_stays_up(conf.configuration().site, values)
    except (MaintError, Mistake):
        return None


def _open_windows() -> list[str]:
    try:
        return conf.configuration().site.open_windows()
    except MaintError:
        # The last good state is in force, and the form shows what is wrong once it is sent.
        return []


def _next(request: HttpRequest) -> str:
    """Where to go afterwards: a place on this host."""
    url = request.GET.get("redirect", "")
    is_safe = url_has_allowed_host_and_scheme(
        url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return str(url) if is_safe else "/"
