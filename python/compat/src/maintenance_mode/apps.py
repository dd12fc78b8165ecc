"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class MaintenanceModeConfig(AppConfig):
    """Adds the command `maintenance_mode` and the system checks, and joins maint."""

    name = "maintenance_mode"
    label = "maintenance_mode"
    verbose_name = "Maintenance mode"

    def ready(self) -> None:
        from maint.django.checks import check_maintenance
        from maintenance_mode import bridge, settings
        from maintenance_mode.checks import check_face

        # A settings module may have imported the package before it was read to its end.
        settings.assume()
        bridge.join()
        checks.register(check_maintenance, "maint")
        checks.register(check_face, "maint")
