"""Variables for templates."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from maint.django import conf
from maint.django.context_processors import Maintenance
from maintenance_mode.core import refresh


def maintenance_mode(request: Any) -> dict[str, Any]:
    """Adds `maintenance_mode`: whether the site is down; and `maintenance`, for an announcement,
    see `maint.django.context_processors`."""
    refresh()
    return {"maintenance_mode": _is_down(request), "maintenance": _Maintenance(request)}


class _Maintenance(Maintenance):
    """The same, with a back end that is one more hold."""

    @cached_property
    def is_on(self) -> bool:
        """The same as `maintenance_mode`."""
        return _is_down(self._request)


def _is_down(request: Any) -> bool:
    current = conf.configuration()
    # The middleware may have asked the back end for this request.
    return (current.hold is not None and current.hold(request)) or current.gate.is_down()
