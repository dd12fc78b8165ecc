"""A temporary site and a clock that stands still, for the tests of apps.

Installing `maint` brings the fixtures `maint_site` and `maint_clock` for pytest. For
unittest there is a mixin:

    class ShopTests(MaintMixin, TestCase):
        def test_the_shop_is_down(self):
            self.maint_site.on(reason="Back at noon")
            ...
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import unittest
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TypedDict

from maint import Change, Site
from maint._maint import freeze

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

__all__ = ["Clock", "MaintMixin", "TemporarySite", "WindowSettings", "freeze"]

_Kind = Literal["path", "ip", "method", "host", "user", "header"]

#: The person and the command in the history.
_BY = "tests"
_COMMAND = "maint.testing"


class WindowSettings(TypedDict, total=False):
    """The settings of a window, see `maint.Site.on`."""

    reason: str | None
    reasons: Mapping[str, str]
    start: datetime | str | None
    end: datetime | str | None
    estimate: datetime | str | None
    paths: Sequence[str]
    methods: Sequence[str]
    hosts: Sequence[str]
    read_only: bool
    status: int | None
    retry_after: int | None
    template: str | None
    redirect: str | None
    format: Literal["html", "json", "txt"] | None
    title: str | None
    contact: str | None
    status_url: str | None
    language: str | None


class TemporarySite:
    """A site of its own that is up, without rules and templates.

    While it is in use, `MAINT_SITE` is its directory: the variable of the environment
    and, if Django is configured, the setting. A gate that was opened before belongs to
    another site. Make the app afterwards, or see docs/flask.md for an app that is made
    on import.
    """

    directory: Path
    """Its directory."""
    site: Site
    """The same as a `Site`, for everything else."""

    def __init__(self) -> None:
        self._given: Path | None = None
        self._undo = contextlib.ExitStack()

    @classmethod
    def _at(cls, directory: Path) -> Self:
        """A site in an existing directory that belongs to the tests."""
        site = cls()
        site._given = directory
        return site

    def start(self) -> Self:
        """Makes the site, and sets `MAINT_SITE` to it."""
        with contextlib.ExitStack() as undo:
            if self._given is None:
                temporary = tempfile.TemporaryDirectory(prefix="maint-", ignore_cleanup_errors=True)
                self.directory = Path(undo.enter_context(temporary)).resolve() / ".maint"
                self.directory.mkdir()
            else:
                self.directory = self._given
                self.reset()
                undo.callback(self.reset)
            self.site = Site(self.directory)
            _set_environment(undo, self.directory)
            _set_django(undo, self.directory)
            self._undo = undo.pop_all()
        return self

    def stop(self) -> None:
        """Removes the site, and restores `MAINT_SITE`."""
        self._undo.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self.stop()

    def reset(self) -> None:
        """Restores the site to its beginning: up, without rules and templates."""
        # Every reader takes a site without a state file for up.
        for entry in self.directory.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def on(self, name: str = "default", **window: Unpack[WindowSettings]) -> Change:
        """Opens a window, as `maint on` does; the app sees it with its next request.

        Raises what `maint.Site.on` raises.
        """
        return self.site.on(name, by=_BY, command=_COMMAND, **window)

    def off(self, name: str = "default") -> Change:
        """Closes a window, as `maint off` does; does not fail if there is none of that name."""
        return self.site.off(name, by=_BY, command=_COMMAND)

    def ignore(self, kind: _Kind, value: str) -> str:
        """Adds an ignore rule and returns its id, as `maint ignore add` does.

        Raises `maint.UsageError` for a rule that cannot be or that lets everyone in.
        """
        return self.site.add_rule(kind, value, by=_BY, command=_COMMAND)

    def add_template(
        self, name: str, text: str, format: Literal["html", "json", "txt"] = "html"
    ) -> None:
        """Adds a template, or replaces it, as `maint template add` does.

        `name` is without the extension, as a window names it. Raises `maint.UsageError` for a
        name or format that cannot be, and for a template with a mistake.
        """
        self.site.add_template(name, text, format=format, replace=True, by=_BY, command=_COMMAND)

    @property
    def is_down(self) -> bool:
        """Whether any window is open now."""
        return bool(self.site.open_windows())


def _set_environment(undo: contextlib.ExitStack, directory: Path) -> None:
    before = os.environ.get("MAINT_SITE")

    def put_back() -> None:
        if before is None:
            os.environ.pop("MAINT_SITE", None)
        else:
            os.environ["MAINT_SITE"] = before

    os.environ["MAINT_SITE"] = str(directory)
    undo.callback(put_back)


def _set_django(undo: contextlib.ExitStack, directory: Path) -> None:
    """Sets the setting of a Django project, which goes before the environment."""
    django = sys.modules.get("django.conf")
    if django is None or not django.settings.configured:
        return
    from django.test.utils import override_settings

    undo.enter_context(override_settings(MAINT_SITE=str(directory)))


class Clock:
    """The clock of every gate and site of this process.

    Tests stop it at a time of their choice; as a context manager it runs again at the
    end. It is independent of other processes and of Python's clock: what stops
    `datetime.now()` does not stop a gate.
    """

    def __init__(self) -> None:
        self._at: datetime | None = None

    @property
    def now(self) -> datetime:
        """The time by this clock, an aware `datetime`."""
        return self._at or datetime.now(timezone.utc)

    def freeze(self, at: datetime | str | None = None) -> None:
        """Stops the clock at a time, an aware `datetime` or text in RFC 3339; `None` is now.

        Raises `ValueError` if the time has no offset from UTC.
        """
        if isinstance(at, str):
            at = datetime.fromisoformat(at[:-1] + "+00:00" if at[-1:] in "Zz" else at)
        at = at or self.now
        if at.utcoffset() is None:
            raise ValueError(
                f"`{at.isoformat()}` has no offset from UTC; add one, as `Z` or `+02:00`"
            )
        freeze(at)
        self._at = at

    def advance(self, by: timedelta) -> None:
        """Moves the clock on, and stops it if it was running."""
        self.freeze(self.now + by)

    def run(self) -> None:
        """Lets the clock run again, with the time of the system."""
        freeze(None)
        self._at = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self.run()


class MaintMixin(unittest.TestCase):
    """Gives each test of a case its own site and clock; name it before `TestCase`."""

    maint_site: TemporarySite
    """The site, which is up at the beginning of each test."""
    maint_clock: Clock
    """The clock, which runs at the beginning of each test."""

    def setUp(self) -> None:
        # Before the other `setUp`s, so that an app made there finds the site.
        self.maint_site = TemporarySite().start()
        self.addCleanup(self.maint_site.stop)
        self.maint_clock = Clock()
        self.addCleanup(self.maint_clock.run)
        super().setUp()
