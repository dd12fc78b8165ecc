"""Variables for templates."""

from __future__ import annotations

from typing import Any

from maint.django.core import get_maintenance_mode


def maintenance_mode(request: Any) -> dict[str, bool]:
    """Adds `maintenance_mode`: whether the site is down, for a notice to those who get through."""
    return {"maintenance_mode": get_maintenance_mode()}
