"""The system checks of this package, beside those of `maint.django`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from maint import MaintError
from maint.django import conf
from maint.django.settings import read
from maint.django.settings.mistake import Mistake
from maintenance_mode import holds
from maintenance_mode.backends import AbstractStateBackend


def check_face(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Lists what keeps this package from working as the one that it stands for."""
    return [*_both_installed(), *_backend()]


def _both_installed() -> Iterator[checks.CheckMessage]:
    try:
        distribution("django-maintenance-mode")
    except PackageNotFoundError:
        return
    yield checks.Error(
        "django-maintenance-mode is installed as well, in the same package `maintenance_mode`, "
        "so whichever was installed last has overwritten files of the other.",
        hint="run `pip uninstall django-maintenance-mode`, then "
        "`pip install --force-reinstall --no-deps maint-maintenance-mode`",
        id="maint.E007",
    )


def _backend() -> Iterator[checks.CheckMessage]:
    try:
        backend = holds.get_maintenance_mode_backend()
    except ImproperlyConfigured as error:
        yield checks.Error(
            f"{error}.", hint="remove the setting for the site of `maint`", id="maint.E005"
        )
        return
    if holds.is_site(backend):
        yield from _old_file()
        return
    yield checks.Warning(
        f"The state back end {settings.MAINTENANCE_MODE_STATE_BACKEND} is one more hold on the "
        "site: `maint off` does not reach it, `manage.py maintenance_mode off` does.",
        hint="`manage.py maintenance_mode status` shows both; without the setting the state is "
        "the site of this host alone",
        id="maint.W012",
    )


def _old_file() -> Iterator[checks.CheckMessage]:
    """Warns of a state that was left in the file of django-maintenance-mode."""
    path = os.path.abspath(settings.MAINTENANCE_MODE_STATE_FILE_PATH)
    try:
        with open(path, encoding="utf-8") as file:
            state = AbstractStateBackend.from_str_to_state_value(file.read(4096))
    except (OSError, ValueError):
        return
    if not state or _is_down():
        return
    says = "that the site is down" if state is True else "when the site is down"
    yield checks.Warning(
        f"{path} still says {says}, and nothing reads it any more.",
        hint="run `maint on` if the site should be down, then delete the file",
        id="maint.W013",
    )


def _is_down() -> bool:
    values, mistakes = read()
    if mistakes:
        return False
    if values["MAINTENANCE_MODE"] is not None:
        return bool(values["MAINTENANCE_MODE"])
    try:
        return bool(conf.find_site(values["MAINT_SITE"]).open_windows())
    except (MaintError, Mistake):
        # Another check reports it.
        return False
