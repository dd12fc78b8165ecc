"""For `LOGGING` in the settings."""

from __future__ import annotations

import logging

from maint.django.logging import RequireNotMaintenanceMode503 as _RequireNotMaintenanceMode503
from maintenance_mode.core import get_maintenance_mode, refresh

__all__ = ["RequireNotMaintenanceMode503", "get_maintenance_mode"]


class RequireNotMaintenanceMode503(_RequireNotMaintenanceMode503):
    """Drops records of the status 503 while the site is down."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is kept."""
        refresh()
        return super().filter(record)
