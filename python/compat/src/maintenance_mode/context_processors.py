"""Variables for templates."""

from __future__ import annotations

from typing import Any

from maint.django import conf
from maintenance_mode.core import refresh


def maintenance_mode(request: Any) -> dict[str, bool]:
    """Adds `maintenance_mode`: whether the site is down."""
    refresh()
    current = conf.configuration()
    # The middleware may have asked the back end for this request.
    is_held = current.hold is not None and current.hold(request)
    return {"maintenance_mode": is_held or current.gate.is_down()}
