"""Where the state is: the site, which `maint` changes too, or a place that many hosts share."""

from __future__ import annotations

import getpass
import json
import logging
import os
import socket
from datetime import datetime, timezone
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.cache import cache, caches
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from maint import Site
from maint.django import conf
from maint.django.core import DEFAULT
from maintenance_mode.errors import as_os_errors
from maintenance_mode.utils import get_now_datetime, parse_aware_datetime

logger = logging.getLogger("maintenance_mode")

#: `False`, `True`, or a schedule: a dict with `start` and `end`, each text or `None`.
State = Any


class AbstractStateBackend:
    """What a back end of a project extends: `get_value` and `set_value`."""

    @staticmethod
    def from_bool_to_str_value(value: bool) -> str:
        """`"1"` or `"0"`. Raises `ValueError` for a schedule."""
        if isinstance(value, dict):
            raise ValueError(
                "this back end keeps no schedules: `from_state_to_str_value` and "
                "`from_str_to_state_value` know them"
            )
        return "1" if value else "0"

    @staticmethod
    def from_str_to_bool_value(value: str) -> bool:
        """`True` or `False`. Raises `ValueError` for anything but `1` and `0`."""
        text = value.strip()
        if text not in ("0", "1"):
            raise ValueError("state value is not 0|1")
        return text == "1"

    @staticmethod
    def validate_schedule_state_value(value: State) -> dict[str, str | None]:
        """The schedule, if it is one. Raises `ValueError` if not."""
        problem = f"schedule state value is invalid: {value!r}"
        if not isinstance(value, dict) or set(value) != {"start", "end"}:
            raise ValueError(problem)
        try:
            times = [parse_aware_datetime(value[name]) for name in ("start", "end")]
        except (TypeError, ValueError) as error:
            raise ValueError(problem) from error
        start, end = times
        if (start is None and end is None) or (start and end and start >= end):
            raise ValueError(problem)
        return value

    @classmethod
    def from_state_to_str_value(cls, value: State) -> str:
        """The text for a state. Raises `ValueError` for a schedule that is none."""
        if isinstance(value, dict):
            return json.dumps(cls.validate_schedule_state_value(value))
        return cls.from_bool_to_str_value(value)

    @classmethod
    def from_str_to_state_value(cls, value: str) -> State:
        """The state that a text stands for. Raises `ValueError` for other text."""
        text = value.strip()
        if text.startswith("{"):
            try:
                schedule = json.loads(text)
            except ValueError as error:
                raise ValueError("state value is not 0|1") from error
            return cls.validate_schedule_state_value(schedule)
        return cls.from_str_to_bool_value(text)

    def get_value(self) -> State:
        """The state."""
        raise NotImplementedError

    def set_value(self, value: State) -> None:
        """Changes the state."""
        raise NotImplementedError


class LocalFileBackend(AbstractStateBackend):
    """The window `default` of the site, which `maint on` and `maint off` change."""

    def get_value(self) -> State:
        """Whether the window is there, or its schedule."""
        with as_os_errors():
            window = _site().state().get("windows", {}).get(DEFAULT)
        if window is None:
            return False
        start, end = window.get("start"), window.get("end")
        return {"start": start, "end": end} if start or end else True

    def set_value(self, value: State) -> None:
        """Opens or closes the window."""
        command = f"LocalFileBackend.set_value({value!r})"
        site = _site()
        with as_os_errors():
            if not isinstance(value, dict):
                site.on(command=command) if value else site.off(command=command)
                return
            schedule = self.validate_schedule_state_value(value)
            start, end = (parse_aware_datetime(schedule[name]) for name in ("start", "end"))
            if end is None or end > get_now_datetime():
                site.on(start=start, end=end, command=command)
            else:
                _put_back(site, start, end, command)


def _site() -> Site:
    return conf.configuration().site


def _put_back(site: Site, start: datetime | None, end: datetime, command: str) -> None:
    """Writes a schedule that is over, as when a project restores what it has read before."""
    window = {
        "opened_at": _in_utc(start or end),
        "opened_by": {
            "user": getpass.getuser(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
        },
        **({"start": _in_utc(start)} if start else {}),
        "end": _in_utc(end),
    }
    before = site.state().get("windows", {}).get(DEFAULT)
    site.replace_window(DEFAULT, window, expected=before, command=command)


def _in_utc(time: datetime) -> str:
    return time.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


class DefaultStorageBackend(AbstractStateBackend):
    """A file in Django's default storage."""

    def _storage(self) -> Any:
        return default_storage

    def _name(self) -> str:
        return str(settings.MAINTENANCE_MODE_STATE_FILE_NAME)

    def get_value(self) -> State:
        """What the file says; `False` if there is none."""
        storage = self._storage()
        if not storage.exists(self._name()):
            return False
        with storage.open(self._name(), "r") as file:
            text = file.read()
        return self.from_str_to_state_value(text.decode() if isinstance(text, bytes) else text)

    def set_value(self, value: State) -> None:
        """Writes the file."""
        storage, text = self._storage(), self.from_state_to_str_value(value)
        # A storage would choose another name beside a file that is there.
        if storage.exists(self._name()):
            storage.delete(self._name())
        storage.save(self._name(), ContentFile(text.encode()))


class StaticStorageBackend(DefaultStorageBackend):
    """A file in the storage of static files."""

    def _storage(self) -> Any:
        return staticfiles_storage


class CacheBackend(AbstractStateBackend):
    """An entry of a cache that never ends by itself."""

    KEY = "maintenance_mode"

    @staticmethod
    def get_cache() -> Any:
        """The cache: that of the setting, else `maintenance_mode`, else the default one."""
        name = settings.MAINTENANCE_MODE_CACHE_BACKEND
        if name is None and "maintenance_mode" in settings.CACHES:
            name = "maintenance_mode"
        return cache if name is None else caches[name]

    def get_value(self) -> State:
        """What the cache says; the fallback value if it cannot be asked or says nothing."""
        try:
            return self.ask()
        except Exception:
            logger.exception("the cache cannot be asked whether the site is down")
            return settings.MAINTENANCE_MODE_STATE_BACKEND_FALLBACK_VALUE

    def ask(self) -> State:
        """What the cache says. Raises what the cache raises."""
        text = self.get_cache().get(self.KEY)
        if text is None:
            return settings.MAINTENANCE_MODE_STATE_BACKEND_FALLBACK_VALUE
        return self.from_str_to_state_value(text) if isinstance(text, str) else bool(text)

    def set_value(self, value: State) -> None:
        """Writes the entry. Raises what the cache raises: nobody must believe that it is there."""
        self.get_cache().set(self.KEY, self.from_state_to_str_value(value), None)
