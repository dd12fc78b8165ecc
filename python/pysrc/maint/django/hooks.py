"""Where the package `maintenance_mode` joins in, for unchanged projects of
django-maintenance-mode (`python/compat`). It is no public interface: both have one version.

`Hooks` is how `maint.django` works alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Exempt:
    """A request that a rule lets through which the gate does not know."""

    #: Whether its answer must stay out of shared caches.
    is_private: bool
    #: The rule, as `Pass.by` has it.
    by: str | None = None


class Hooks:
    """What `maint.django` does where `maintenance_mode` does something else."""

    #: Whether the module `maintenance_mode` is ours.
    is_face = False
    #: Whether `exempt` may wait, so that an event loop has to call it in a thread.
    exempt_may_wait = False

    def setting(self, name: str, value: Any) -> Any:
        """What the project said with a setting; `None` if it said nothing. May raise `Mistake`."""
        return value

    def is_assumed(self, name: str) -> bool:
        """Whether the package set this setting, and not the project."""
        return False

    def without_effect(self, known: dict[str, str]) -> dict[str, str]:
        """The settings without effect, and what replaced each."""
        return known

    def prefixes(self, entries: Any) -> Iterable[tuple[str, str, str]]:
        """Entries of `MAINTENANCE_MODE_IGNORE_URLS` that let in more than they show: the entry,
        the rest of the sentence, the hint."""
        return ()

    def exempt(self, request: Any) -> Exempt | None:
        """Whether a request that is blocked gets through all the same."""
        return None

    def hold(self) -> Callable[[Any], bool] | None:
        """Says whether something other than the site holds it down, for a request or `None`."""
        return None

    def write(
        self,
        value: bool,
        start: datetime | None,
        end: datetime | None,
        turn_off: Callable[[], Any],
        is_open: Callable[[], list[str]],
    ) -> Any:
        """Writes to that, and returns what looks like a `Change`; `None` writes to the site."""
        return None

    def override(self, value: bool) -> Callable[[], None] | None:
        """Overrides that, and returns what undoes it; `None` overrides the site."""
        return None

    def finish(self, request: Any, reply: Any, response: Any) -> Any:
        """The response for a reply, as visitors get it."""
        return response


_in_force = Hooks()


def hooks() -> Hooks:
    """The hooks in force."""
    return _in_force


def install(new: Hooks) -> None:
    """Puts hooks into force, for the rest of the process."""
    global _in_force
    _in_force = new
