"""Taking the site down and up in a browser, for superusers."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from maint.django import views as maint_views
from maint.django.decorators import force_maintenance_mode_off
from maintenance_mode.core import refresh

__all__ = ["maintenance_mode_off", "maintenance_mode_on"]


@force_maintenance_mode_off
def maintenance_mode_on(request: HttpRequest) -> HttpResponse:
    """Asks superusers to confirm, and takes the site down. Others are sent to `/`."""
    return _view(request, maint_views.maintenance_mode_on)


@force_maintenance_mode_off
def maintenance_mode_off(request: HttpRequest) -> HttpResponse:
    """Asks superusers to confirm, and brings the site back. Others are sent to `/`."""
    return _view(request, maint_views.maintenance_mode_off)


maintenance_mode_off.__dict__[maint_views.BRINGS_BACK] = True


def _view(request: HttpRequest, view: Any) -> HttpResponse:
    refresh()
    user: Any = getattr(request, "user", None)
    if not (getattr(user, "is_active", False) and getattr(user, "is_superuser", False)):
        return HttpResponseRedirect("/")
    response: HttpResponse = view(request)
    return response
