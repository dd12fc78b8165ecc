"""The app's configuration."""

from django.apps import AppConfig
from django.core import checks


class MaintConfig(AppConfig):
    """Adds the command `maintenance_mode` and the system checks."""

    name = "maint.django"
    label = "maint"
    verbose_name = "Maintenance mode"

    def ready(self) -> None:
        from maint.django.checks import check_deployment, check_maintenance

        checks.register(check_maintenance, "maint")
        checks.register(check_deployment, "maint", deploy=True)
