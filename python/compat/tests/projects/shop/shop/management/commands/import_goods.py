from django.core.management import call_command
from django.core.management.base import BaseCommand

from maintenance_mode.core import get_maintenance_mode


class Command(BaseCommand):
    def handle(self, *args, **options):
        call_command("maintenance_mode", "on")
        self.stdout.write(f"importing, down: {get_maintenance_mode()}")
        call_command("maintenance_mode", "off")
