"""For `LOGGING` in the settings."""

from __future__ import annotations

import logging

from django.core.exceptions import ImproperlyConfigured

from maint.django.core import get_maintenance_mode


class RequireNotMaintenanceMode503(logging.Filter):
    """Drops records of the status 503 while the site is down.

    They are about the app's own answers: those of maint are never logged as errors.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is kept."""
        if getattr(record, "status_code", None) != 503:
            return True
        try:
            return not get_maintenance_mode()
        except ImproperlyConfigured:
            # Logging must not fail because of settings.
            return True
