"""Whether the site is down, and taking it down or up in code."""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Callable, Mapping
from contextlib import ContextDecorator
from datetime import datetime
from functools import wraps
from itertools import count
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from maint import Conflict, Site, UsageError
from maint.django.conf import configuration
from maint.django.hooks import hooks

logger = logging.getLogger("maint.django")

#: The window of `maint on` and `maint off` without a name.
DEFAULT = "default"

Function = TypeVar("Function", bound=Callable[..., Any])

_numbers = count(1)


def get_maintenance_mode() -> bool:
    """Whether the site is down: what `MAINTENANCE_MODE` says, else whether a window is open now.

    A certain request may still pass, since a window may cover a part of the site, and rules let
    some through; see `http.need_maintenance_response`.
    """
    current = configuration()
    return current.gate.is_down() or (current.hold is not None and current.hold(None))


def set_maintenance_mode(
    value: bool,
    start: datetime | str | None = None,
    end: datetime | str | None = None,
    *,
    estimate: datetime | str | None = None,
    reason: str | None = None,
    reasons: Mapping[str, str] | None = None,
) -> None:
    """Opens or closes the window `default`, as `maint on` and `maint off` do.

    `start`, `end` and `estimate`, when it is expected to be over, are aware `datetime`s, naive
    ones in Django's current time zone, or text in ISO 8601. `reason` is for visitors, and
    `reasons` the same by language: `{"de": "Bis gleich"}`. All settings of a window that is open
    are replaced; `maint.Site.set` changes some. Other windows stay as they are, so the site may
    still be down after `False`.

    Raises `ImproperlyConfigured` if the settings have a `MAINTENANCE_MODE`, `TypeError` and
    `ValueError` for values that cannot be, and `MaintError` if the state cannot be written.
    """
    times = (("start", start), ("end", end), ("estimate", estimate))
    texts = (("reason", reason), ("reasons", reasons))
    shown = "".join(f", {k}={v!r}" for k, v in (*times, *texts) if v is not None)
    change(
        value,
        start,
        end,
        estimate=estimate,
        reason=reason,
        reasons=reasons,
        command=f"set_maintenance_mode({value!r}{shown})",
    )


def change(
    value: bool,
    start: datetime | str | None = None,
    end: datetime | str | None = None,
    *,
    estimate: datetime | str | None = None,
    reason: str | None = None,
    reasons: Mapping[str, str] | None = None,
    replace: bool = True,
    by: str | None = None,
    command: str,
) -> Any:
    """Changes the window `default` and returns the `Change`, see `set_maintenance_mode`.

    `by` and `command` are for the history. Without `replace`, an open window that would lose
    something raises `Conflict`, see `maint.Site.on`.
    """
    site = _site()
    if not isinstance(value, bool):
        raise TypeError(f"the value must be True or False, not {value!r}")

    def turn_off() -> Any:
        return site.off(DEFAULT, by=by, command=command)

    if not value:
        if start is not None or end is not None or estimate is not None:
            raise ValueError("only True goes with a start, an end or an estimate")
        return hooks().write(value, None, None, turn_off, site.open_windows) or turn_off()
    start, end, estimate = _time(start), _time(end), _time(estimate)
    if written := hooks().write(value, start, end, turn_off, site.open_windows):
        return written
    try:
        return site.on(
            DEFAULT,
            reason=reason,
            reasons=reasons,
            start=start,
            end=end,
            estimate=estimate,
            replace=replace,
            by=by,
            command=command,
        )
    except UsageError as error:
        raise ValueError(str(error)) from error


def _site() -> Site:
    """The site, unless the settings override it."""
    current = configuration()
    if current.mode is not None:
        raise ImproperlyConfigured(
            f"MAINTENANCE_MODE is {current.mode} in the settings, which override the site: "
            "leave the setting out"
        )
    return current.site


def _time(value: datetime | str | None) -> datetime | None:
    if isinstance(value, str):
        text, value = value, parse_datetime(value)
        if value is None:
            raise ValueError(f"{text!r} is not a time in ISO 8601, like 2026-11-22 03:00")
    if value is None or isinstance(value, datetime):
        return (
            timezone.make_aware(value) if value is not None and timezone.is_naive(value) else value
        )
    raise TypeError(f"a time must be a datetime or text, not {value!r}")


class override_maintenance_mode(ContextDecorator):
    """Takes the site down, or up, for a block of code or a call of a function, async too.

    `True` opens a window of its own and closes that one alone, so two blocks may overlap.
    `False` closes the window `default` and restores it afterwards, unless somebody has
    changed it meanwhile; other windows stay open, and the log names them.

    A process that is killed meanwhile restores nothing: `maint status` shows the window,
    `maint off NAME` closes it.

    Raises what `set_maintenance_mode` raises.
    """

    def __init__(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise TypeError(f"the value must be True or False, not {value!r}")
        self.value = value
        self._undo: list[Callable[[], None]] = []

    def __enter__(self) -> None:
        _site()  # Nothing can be overridden where the settings fix the mode.
        undo = hooks().override(self.value)
        self._undo.append(undo or (_take_down() if self.value else _take_up()))

    def __exit__(self, *exc_info: object) -> None:
        self._undo.pop()()

    async def __aenter__(self) -> None:
        await sync_to_async(self.__enter__)()

    async def __aexit__(self, *exc_info: object) -> None:
        await sync_to_async(self.__exit__)(*exc_info)

    def __call__(self, func: Function) -> Function:
        if not iscoroutinefunction(func):
            return super().__call__(func)

        @wraps(func)
        async def inner(*args: Any, **kwargs: Any) -> Any:
            async with self._recreate_cm():
                return await func(*args, **kwargs)

        return cast("Function", inner)

    def _recreate_cm(self) -> override_maintenance_mode:
        # Calls may overlap.
        return override_maintenance_mode(self.value)


class maintenance_mode_on(override_maintenance_mode):
    """Takes the site down for a block, or as a decorator, with or without `()`."""

    def __new__(cls, func: Callable[..., Any] | None = None) -> Any:
        return super().__new__(cls) if func is None else cls()(func)

    def __init__(self) -> None:
        super().__init__(True)


class maintenance_mode_off(override_maintenance_mode):
    """Takes the site up for a block, or as a decorator, with or without `()`."""

    def __new__(cls, func: Callable[..., Any] | None = None) -> Any:
        return super().__new__(cls) if func is None else cls()(func)

    def __init__(self) -> None:
        super().__init__(False)


def _take_down() -> Callable[[], None]:
    site = _site()
    host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:32]
    name = f"override-{host}-{os.getpid()}-{next(_numbers)}"
    site.on(name, command="maintenance_mode_on()")

    def undo() -> None:
        site.off(name, command="the end of maintenance_mode_on()")

    return undo


def _take_up() -> Callable[[], None]:
    site = _site()
    command = "maintenance_mode_off()"
    taken = site.off(DEFAULT, command=command)
    if taken.open:
        names = ", ".join(f"`{name}`" for name in taken.open)
        logger.warning("%s: the site is still down, held by %s", command, names)

    def undo() -> None:
        if taken.before is None:
            return
        try:
            site.replace_window(
                DEFAULT, taken.before, expected=None, command=f"the end of {command}"
            )
        except Conflict:
            logger.warning(
                "%s: the window `default` was opened again meanwhile and stays as it is", command
            )

    return undo
