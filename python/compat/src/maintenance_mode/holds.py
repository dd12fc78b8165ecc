"""Back ends that are not the site: each is one more hold on it."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from maint._asking import Asking, attempt
from maintenance_mode.backends import AbstractStateBackend, CacheBackend, LocalFileBackend, State
from maintenance_mode.utils import get_now_datetime, parse_aware_datetime

logger = logging.getLogger("maintenance_mode")

#: Seconds between two reports that a back end cannot be asked.
_REPORT_EVERY = 60.0


def get_maintenance_mode_backend() -> AbstractStateBackend:
    """The back end that the settings name.

    Raises `ImproperlyConfigured` if there is no such class.
    """
    path = settings.MAINTENANCE_MODE_STATE_BACKEND
    try:
        kind = import_string(path)
    except (ImportError, AttributeError, TypeError) as error:
        raise ImproperlyConfigured(
            f"MAINTENANCE_MODE_STATE_BACKEND names no back end: {error}"
        ) from error
    if not (isinstance(kind, type) and issubclass(kind, AbstractStateBackend)):
        raise ImproperlyConfigured(
            f"MAINTENANCE_MODE_STATE_BACKEND is {path!r}, which does not extend "
            "maintenance_mode.backends.AbstractStateBackend"
        )
    return kind()


def is_site(backend: AbstractStateBackend) -> bool:
    """Whether a back end is the site itself."""
    return type(backend) is LocalFileBackend


def is_open(state: State) -> bool:
    """Whether a state is down now: a schedule is by the clock."""
    if not isinstance(state, dict):
        return bool(state)
    start, end = (parse_aware_datetime(state.get(name)) for name in ("start", "end"))
    now = get_now_datetime()
    return (start is None or start <= now) and (end is None or now < end)


class Hold:
    """Asks a back end, and goes on with what it said last while it cannot be asked."""

    def __init__(self, kind: type[AbstractStateBackend]) -> None:
        self._asking = Asking(f"the state back end {kind.__name__}")
        self._report_after = 0.0
        self._is_known = False
        self._state: State = False

    @property
    def state(self) -> State:
        """What the back end said last."""
        if self._is_known:
            return self._state
        return settings.MAINTENANCE_MODE_STATE_BACKEND_FALLBACK_VALUE

    @state.setter
    def state(self, state: State) -> None:
        self._state, self._is_known = state, True

    def is_down(self, request: Any = None) -> bool:
        """Whether the back end holds the site down. A request asks it once."""
        if request is None:
            return self._ask()
        known: bool | None = getattr(request, "_maint_is_held", None)
        if known is None:
            known = request._maint_is_held = self._ask()
        return known

    def _ask(self) -> bool:
        try:
            answer = attempt(self._asking, lambda: [_ask(get_maintenance_mode_backend())])
            if answer is not None:
                # A schedule that makes no sense must not become the last good state.
                down = is_open(answer[0])
                self.state = answer[0]
                return down
        except ImproperlyConfigured:
            # Who mistyped the name of the back end has to see it.
            raise
        except Exception:
            now = time.monotonic()
            if now >= self._report_after:
                self._report_after = now + _REPORT_EVERY
                logger.exception(
                    "the state back end cannot be asked; the site stays as it said last"
                )
        return is_open(self.state)


def _ask(backend: AbstractStateBackend) -> State:
    # It would swallow the errors of its cache, and say that the site is up while that is away.
    if isinstance(backend, CacheBackend) and type(backend).get_value is CacheBackend.get_value:
        return backend.ask()
    return backend.get_value()


_holds: dict[type[AbstractStateBackend], Hold] = {}


def hold_of(backend: AbstractStateBackend) -> Hold:
    """The hold of a back end, which lives as long as the process."""
    kind = type(backend)
    if kind not in _holds:
        _holds[kind] = Hold(kind)
    return _holds[kind]


def write(backend: AbstractStateBackend, state: State) -> None:
    """Changes the state of a back end. Raises what that raises."""
    backend.set_value(state)
    hold_of(backend).state = state


def schedule(start: datetime | None, end: datetime | None) -> State:
    """The state for a window with these times."""
    if start is None and end is None:
        return True
    times = {"start": start, "end": end}
    return {name: time and time.isoformat() for name, time in times.items()}
