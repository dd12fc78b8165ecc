"""`manage.py maintenance_mode`"""

from __future__ import annotations

from typing import Any, ClassVar

from maint.django.conf import Configuration
from maint.django.management.commands.maintenance_mode import Command as MaintCommand
from maintenance_mode import bridge, core, holds


class Command(MaintCommand):
    """Takes the site down or up, for scripts of projects: silent unless on a terminal."""

    # Their warnings would be mailed by cron with each switch. What is wrong with a setting is
    # an error of the switch itself.
    requires_system_checks: ClassVar[list[str]] = []
    # As scripts of these projects expect.
    replaces = True

    def get_maintenance_mode(self) -> bool:
        """Whether the site is down."""
        return core.get_maintenance_mode()

    def set_maintenance_mode(self, value: bool, start: Any = None, end: Any = None) -> None:
        """Takes the site down or up."""
        core.set_maintenance_mode(value, start, end)

    def handle(self, *args: Any, **options: Any) -> None:
        core.refresh()
        super().handle(*args, **options)

    def turn(self, value: bool, options: dict[str, Any]) -> None:
        """Takes the site down or up, and prints what that did."""
        was_down = self.get_maintenance_mode()
        super().turn(value, options)
        if options["verbosity"] >= 3 and not options["interactive"]:
            word = "on" if value else "off"
            is_same = was_down is value and not (options["start"] or options["end"])
            self.stdout.write(
                f"maintenance mode is already {word}" if is_same else f"maintenance mode: {word}"
            )

    def say(self, options: dict[str, Any], text: str) -> None:
        """Prints a line on a terminal, or with `--verbosity 2`: cron would mail it."""
        if options["verbosity"] > 1 or (options["verbosity"] == 1 and self.stdout.isatty()):
            self.stdout.write(text)

    def done(self, change: Any, value: bool) -> str:
        """What a change did."""
        if isinstance(change, bridge.Written):
            return f"{_name()} {'holds' if value else 'no longer holds'} the site down"
        if not bridge.is_site_the_backend():
            return f"{_name()} no longer holds the site down; {super().done(change, value)}"
        return super().done(change, value)

    def show(self, current: Configuration) -> None:
        """Prints how it is: the site, and the back end that is one more hold."""
        super().show(current)
        backend = holds.get_maintenance_mode_backend()
        if holds.is_site(backend):
            return
        hold = holds.hold_of(backend)
        word = "holds the site down" if hold.is_down() else "does not hold the site down"
        self.stdout.write(f"{_name()} {word}: {hold.state}")

    def headline(self, current: Configuration, is_open: list[str]) -> str:
        """Whether the site is down, and what decides that."""
        is_held = current.hold is not None and current.hold(None)
        if is_held and not is_open:
            return f"{self.style.ERROR('● down')} held by {_name()}"
        return super().headline(current, is_open)


def _name() -> str:
    return type(holds.get_maintenance_mode_backend()).__name__
