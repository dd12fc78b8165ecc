"""The state in the database, which ends by itself."""

from datetime import timedelta

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from maintenance_mode.backends import AbstractStateBackend


class DatabaseBackend(AbstractStateBackend):
    KEY = "_MAINTENANCE_MODE"

    def get_value(self) -> bool:
        from inventory.models import Setting

        found = Setting.objects.filter(key=self.KEY).first()
        if found is None or found.value == "":
            return False
        return parse_datetime(found.value) > timezone.now()

    def set_value(self, value: bool, minutes: int = 5) -> None:
        from inventory.models import Setting

        until = timezone.now() + timedelta(minutes=minutes)
        text = until.isoformat() if value else ""
        Setting.objects.update_or_create(key=self.KEY, defaults={"value": text})
