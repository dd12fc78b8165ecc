"""Asking what may be away or slow: the app's functions, its users, its templates.

The database of an app is often what is being repaired. An app that waits for it with each visitor
has soon no worker left for the page.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from inspect import iscoroutinefunction
from threading import Condition
from typing import Any
from weakref import WeakSet

logger = logging.getLogger("maint")

#: Seconds until somebody who could not be asked is asked again.
AGAIN_AFTER = 10.0

#: Seconds after which an answer counts as slow. Nobody waits longer than this for others.
SLOW = 1.0

#: Seconds between two reports of the same trouble.
_REPORT_EVERY = 60.0

#: The names of errors that are about a connection or a database, not about the visitor who asks.
#: Each library has its own; these are the names in Python and in PEP 249.
_UNREACHABLE = frozenset(
    {
        "ConnectionError",
        "TimeoutError",
        "gaierror",
        "InterfaceError",
        "InternalError",
        "OperationalError",
        "ProgrammingError",
    }
)


class Asking:
    """Remembers for a process that something cannot be asked, and lets one ask at a time."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._rests_until = 0.0
        self._is_in_doubt = False
        self._reported_at: float | None = None
        self._start_over()
        _all.add(self)

    def _start_over(self) -> None:
        # A child of fork(2) may inherit the lock from a thread that it does not have.
        self._changed = Condition()
        self._since: float | None = None

    def begin(self) -> bool:
        """Whether to ask now; then `end` has to follow."""
        deadline = time.monotonic() + SLOW
        with self._changed:
            while True:
                now = time.monotonic()
                answer = self._decide(now, deadline)
                if answer is not None:
                    return answer
                self._changed.wait(deadline - now)

    async def abegin(self) -> bool:
        """Does the same as `begin`, without blocking the event loop."""
        deadline = time.monotonic() + SLOW
        pause = 0.001
        while True:
            with self._changed:
                answer = self._decide(time.monotonic(), deadline)
            if answer is not None:
                return answer
            try:
                await asyncio.sleep(pause)
            except RuntimeError:
                # Another kind of event loop, as of Trio, cannot wait like this.
                return True
            pause = min(2 * pause, 0.02)

    def _decide(self, now: float, deadline: float) -> bool | None:
        """`None` is for later. Nobody waits for an answer that is in doubt."""
        if now < self._rests_until:
            return False
        if self._since is None:
            self._since = now
            return True
        if self._is_in_doubt or now >= self._since + SLOW or now >= deadline:
            return False
        return None

    def end(self, error: BaseException | None = None) -> None:
        """Takes note of how it went."""
        now = time.monotonic()
        with self._changed:
            took = 0.0 if self._since is None else now - self._since
            self._since = None
            self._is_in_doubt = took >= SLOW or is_unreachable(error)
            self._rests_until = now + AGAIN_AFTER if self._is_in_doubt else 0.0
            is_due = self._is_in_doubt and (
                self._reported_at is None or now - self._reported_at >= _REPORT_EVERY
            )
            if is_due:
                self._reported_at = now
            self._changed.notify_all()
        if is_due:
            how = f"failed ({type(error).__name__})" if error is not None else "was slow"
            logger.warning(
                "%s %s after %.1f s; until it works again it is asked once in %d s, and counts "
                "as unknown meanwhile",
                self._what,
                how,
                took,
                AGAIN_AFTER,
            )


_all: WeakSet[Asking] = WeakSet()


def _start_over() -> None:
    for asking in list(_all):
        asking._start_over()


os.register_at_fork(after_in_child=_start_over)


def is_unreachable(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, is about a connection or a database."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if any(kind.__name__ in _UNREACHABLE for kind in type(error).__mro__):
            return True
        error = error.__cause__ or error.__context__
    return False


def guarded(name: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function that returns `None`, unknown, while it cannot be asked.

    `name` is that of the option. The gate guards every function of the app.
    """
    if hasattr(function, _GUARDED):
        return function
    asking = Asking(f"the function for `{name}`")

    def ask(request: Any) -> Any:
        return attempt(asking, function, request)

    return ask


def attempt(asking: Asking, function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function if it may be asked now; else returns `None`."""
    if not asking.begin():
        return None
    error: BaseException | None = None
    try:
        return function(*arguments)
    except BaseException as raised:
        error = raised
        raise
    finally:
        asking.end(error)


async def aattempt(asking: Asking, function: Callable[..., Any], *arguments: Any) -> Any:
    """Does the same as `attempt` with an asynchronous function."""
    if not await asking.abegin():
        return None
    error: BaseException | None = None
    try:
        return await function(*arguments)
    except BaseException as raised:
        error = raised
        raise
    finally:
        asking.end(error)


def is_async(function: object) -> bool:
    """Whether a function of the app has to be awaited."""
    while isinstance(function, partial):
        function = function.func
    # An object may have an `async def __call__`.
    return iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__)


#: The key of the scope under which asynchronous functions leave their answers.
QUESTION_KEY = "maint.question"


class Question:
    """What the gate needs to know of asynchronous functions, and what they said."""

    def __init__(self) -> None:
        self._wanted: list[str] = []
        self._answers: dict[str, Any] = {}

    def find(self, name: str) -> Any:
        """What the function for an option said; `None`, unknown, if it has to be asked first."""
        if name not in self._answers:
            self._wanted.append(name)
        return self._answers.get(name)

    def pending(self) -> str | None:
        """The option whose function has to be asked next: the first that the gate wanted."""
        wanted, self._wanted = self._wanted, []
        return wanted[0] if wanted else None

    def answer(self, name: str, value: Any) -> None:
        """Takes note of what a function said."""
        self._answers[name] = value


class Awaited:
    """An asynchronous function of the app."""

    def __init__(self, name: str, function: Callable[[Any], Awaitable[Any]]) -> None:
        self._name = name
        self._function = function
        self._asking = Asking(f"the function for `{name}`")
        self._reported_at: float | None = None

    async def find(self, scope: Any) -> Any:
        """Its answer, or `None`, unknown, if the function fails or cannot be asked now."""
        try:
            return await aattempt(self._asking, self._function, scope)
        except Exception:
            now = time.monotonic()
            if self._reported_at is None or now - self._reported_at >= _REPORT_EVERY:
                self._reported_at = now
                logger.exception(
                    "the function for `%s` failed; its answer counts as unknown", self._name
                )
            return None


_GUARDED = "_maint_is_guarded"


def mark_guarded(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Marks a function that takes care of this by itself."""
    setattr(function, _GUARDED, True)
    return function


def found(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """What the gate calls for an option whose function is asynchronous."""

    def find(scope: Mapping[str, Any]) -> Any:
        question = scope.get(QUESTION_KEY)
        return question.find(name) if isinstance(question, Question) else None

    return mark_guarded(find)
