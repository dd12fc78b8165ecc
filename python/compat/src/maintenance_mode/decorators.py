"""Views that are never down, and views that always are."""

from maint.django.decorators import force_maintenance_mode_off, force_maintenance_mode_on
from maintenance_mode.http import get_maintenance_response

__all__ = [
    "force_maintenance_mode_off",
    "force_maintenance_mode_on",
    "get_maintenance_response",
]
