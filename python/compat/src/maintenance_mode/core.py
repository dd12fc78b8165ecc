"""Whether the site is down, and taking it down or up in code."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from maint.django import conf
from maint.django import core as maint_core
from maintenance_mode import bridge
from maintenance_mode.errors import as_os_errors
from maintenance_mode.holds import get_maintenance_mode_backend
from maintenance_mode.settings import have_changed

__all__ = [
    "get_maintenance_mode",
    "get_maintenance_mode_backend",
    "maintenance_mode_off",
    "maintenance_mode_on",
    "override_maintenance_mode",
    "refresh",
    "set_maintenance_mode",
    "settings",
]

bridge.join()


def refresh() -> None:
    """Drops what was made of the settings if one of them is not as it was."""
    if have_changed():
        conf.configuration.cache_clear()


def get_maintenance_mode() -> bool:
    """Whether the site is down: what `MAINTENANCE_MODE` says, else whether a window is open or
    the back end says so."""
    refresh()
    return maint_core.get_maintenance_mode()


def set_maintenance_mode(
    value: bool,
    start: datetime | str | None = None,
    end: datetime | str | None = None,
) -> None:
    """Takes the site down or up: the window `default`, or what the back end of the settings keeps.

    Raises `ImproperlyConfigured` if the settings have a `MAINTENANCE_MODE`, `TypeError` and
    `ValueError` for values that cannot be, and `OSError` if the state cannot be written.
    """
    refresh()
    with as_os_errors():
        maint_core.set_maintenance_mode(value, start, end)


class override_maintenance_mode(maint_core.override_maintenance_mode):
    """Takes the site down, or up, for a block of code or a call of a function."""

    def __enter__(self) -> None:
        refresh()
        with as_os_errors():
            super().__enter__()

    def __exit__(self, *exc_info: object) -> None:
        with as_os_errors():
            super().__exit__(*exc_info)

    def _recreate_cm(self) -> override_maintenance_mode:
        return override_maintenance_mode(self.value)


class maintenance_mode_on(override_maintenance_mode, maint_core.maintenance_mode_on):
    """Takes the site down for a block, or as a decorator, with or without `()`."""


class maintenance_mode_off(override_maintenance_mode, maint_core.maintenance_mode_off):
    """Takes the site up for a block, or as a decorator, with or without `()`."""
