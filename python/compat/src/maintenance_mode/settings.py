"""The settings: their defaults, and whether they changed since somebody looked.

The defaults are put into `django.conf.settings` where the project says nothing, since code and
templates of projects read them there.
"""

from __future__ import annotations

import os
import sys
from operator import attrgetter
from typing import Any

from django.conf import Settings, UserSettingsHolder, settings

LOCAL_FILE_BACKEND = "maintenance_mode.backends.LocalFileBackend"

DEFAULTS: dict[str, Any] = {
    "MAINTENANCE_MODE": None,
    "MAINTENANCE_MODE_CACHE_BACKEND": None,
    "MAINTENANCE_MODE_GET_AUTHENTICATED_USER": None,
    "MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS": None,
    "MAINTENANCE_MODE_GET_CONTEXT": None,
    "MAINTENANCE_MODE_IGNORE_ADMIN_SITE": False,
    "MAINTENANCE_MODE_IGNORE_ANONYMOUS_USER": False,
    "MAINTENANCE_MODE_IGNORE_AUTHENTICATED_USER": False,
    "MAINTENANCE_MODE_IGNORE_IP_ADDRESSES": (),
    "MAINTENANCE_MODE_IGNORE_STAFF": False,
    "MAINTENANCE_MODE_IGNORE_SUPERUSER": False,
    "MAINTENANCE_MODE_IGNORE_TESTS": False,
    "MAINTENANCE_MODE_IGNORE_URLS": (),
    "MAINTENANCE_MODE_LOGOUT_AUTHENTICATED_USER": False,
    "MAINTENANCE_MODE_LOGOUT_STAFF_USER": None,
    "MAINTENANCE_MODE_LOGOUT_SUPERUSER": None,
    "MAINTENANCE_MODE_REDIRECT_URL": None,
    "MAINTENANCE_MODE_RESPONSE_TYPE": "html",
    "MAINTENANCE_MODE_RETRY_AFTER": 3600,
    "MAINTENANCE_MODE_STATE_BACKEND": LOCAL_FILE_BACKEND,
    "MAINTENANCE_MODE_STATE_BACKEND_FALLBACK_VALUE": False,
    "MAINTENANCE_MODE_STATE_FILE_NAME": "maintenance_mode_state.txt",
    "MAINTENANCE_MODE_STATE_FILE_PATH": None,
    "MAINTENANCE_MODE_STATUS_CODE": 503,
    "MAINTENANCE_MODE_TEMPLATE": "503.html",
}

#: What was put into the settings, by name. It outlives a reload of this module.
_assumed: dict[str, Any] = globals().get("_assumed", {})


def assume() -> None:
    """Puts the defaults where the project says nothing.

    Raises `ImproperlyConfigured` where there are no settings.
    """
    said = {name: is_said(name) for name in DEFAULTS}
    for name, default in DEFAULTS.items():
        if not said[name]:
            if name == "MAINTENANCE_MODE_STATE_FILE_PATH":
                file_name = settings.MAINTENANCE_MODE_STATE_FILE_NAME
                default = os.path.join(_directory_of_settings(), str(file_name))
            setattr(_lowest_layer(), name, default)
            # The settings remember what they were asked for.
            vars(settings).pop(name, None)
            _assumed[name] = default


def is_said(name: str) -> bool:
    """Whether the project, or a test, has said something with a setting."""
    if not hasattr(settings, name):
        return False
    if name not in _assumed or getattr(settings, name) != _assumed[name]:
        return True
    # The same value may have been written in a layer above, by a test.
    *above, _ = _layers()
    return any(name in vars(layer) for layer in above)


def _layers() -> list[Any]:
    """The settings of the project, below those that tests have put over them."""
    layers = [settings._wrapped]
    while isinstance(
        below := vars(layers[-1]).get("default_settings"), (Settings, UserSettingsHolder)
    ):
        layers.append(below)
    return layers


def _lowest_layer() -> Any:
    hasattr(settings, "DEBUG")  # Loads them.
    return _layers()[-1]


def _directory_of_settings() -> str:
    # The layers of tests name no module.
    module = sys.modules.get(getattr(_lowest_layer(), "SETTINGS_MODULE", None) or "")
    file = getattr(module, "__file__", None)
    return os.path.dirname(os.path.abspath(file)) if file else os.getcwd()


_NAMES = tuple(DEFAULTS)
_get = attrgetter(*_NAMES)
_last: tuple[Any, ...] | None = None


def have_changed() -> bool:
    """Whether any setting is not as it was in the call before. Code and tests assign settings,
    of which Django sends no signal."""
    global _last
    try:
        now = _get(settings)
    except AttributeError:
        # A test deletes one, which is what nobody has said.
        now = tuple(getattr(settings, name, None) for name in _NAMES)
    if now == _last:
        return False
    _last = tuple(_remembered(value) if isinstance(value, list) else value for value in now)
    return True


#: Longer lists are not compared entry by entry with each request.
_SHORT = 64


class _Long:
    """A long list as it was: the same one, of the same length."""

    def __init__(self, value: list[Any]) -> None:
        self._value = value
        self._length = len(value)

    def __eq__(self, other: object) -> bool:
        return other is self._value and len(self._value) == self._length

    __hash__ = None  # type: ignore[assignment]


def _remembered(value: list[Any]) -> Any:
    # Somebody may change it in place.
    return list(value) if len(value) <= _SHORT else _Long(value)


assume()
