"""`manage.py maintenance_mode`"""

from __future__ import annotations

import shlex
from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from maint import Conflict, MaintError
from maint._maint import known_language
from maint.django import core
from maint.django.conf import Configuration, configuration

ON = ("on", "yes", "true", "1")
OFF = ("off", "no", "false", "0")


class Command(BaseCommand):
    """Opens and closes the window `default`, as `maint on` and `maint off` do."""

    help = "Take the site down, bring it back, or show how it is, as `maint on|off|status` do."

    #: Whether `on` replaces the settings of an open window without `--yes`.
    replaces = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("state", help="on, off or status")
        parser.add_argument("--start", help="with on: since when, in ISO 8601")
        parser.add_argument("--end", help="with on: until when, in ISO 8601")
        parser.add_argument(
            "--estimate", help="with on: when it is expected to be over; it opens nothing"
        )
        parser.add_argument(
            "-m",
            "--message",
            action="append",
            metavar="[TAG=]TEXT",
            help="with on: the reason, for visitors; repeat it for a language: -m de='Bis gleich'",
        )
        parser.add_argument(
            "--yes", action="store_true", help="with on: replace all settings of an open window"
        )
        parser.add_argument(
            "--interactive", action="store_true", help="ask before changing anything"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        state = options["state"].lower()
        try:
            if state in ON:
                self.turn(True, options)
            elif state in OFF:
                self.turn(False, options)
            elif state == "status":
                self.show(configuration())
            else:
                raise CommandError(
                    f"`{options['state']}` is unknown; write `on`, `off` or `status`"
                )
        except (ImproperlyConfigured, MaintError, TypeError, ValueError) as error:
            raise CommandError(str(error)) from error

    def turn(self, value: bool, options: dict[str, Any]) -> None:
        """Opens or closes the window, and prints what that did."""
        word = "on" if value else "off"
        names = ("start", "end", "estimate", "message", "yes")
        given = {name: options[name] for name in names if options.get(name)}
        if given and not value:
            shown = ", ".join(f"--{name}" for name in given)
            raise CommandError(f"{shown}: only `on` takes this")
        if options["interactive"] and not self.is_confirmed(f"maintenance mode {word}? (y/N) "):
            self.say(options, "nothing was changed")
            return
        is_meant = bool(given.pop("yes", False))
        # Code that calls the command may give one as such.
        messages = given.pop("message", [])
        messages = [messages] if isinstance(messages, str) else messages
        line = ["manage.py", "maintenance_mode", word]
        line += [part for name, text in given.items() for part in (f"--{name}", str(text))]
        line += [part for text in messages for part in ("--message", text)]
        line += ["--yes"] if is_meant else []
        reason, reasons = _by_language(messages)
        try:
            change = core.change(
                value,
                **given,
                reason=reason,
                reasons=reasons,
                replace=is_meant or self.replaces,
                command=shlex.join(line),
            )
        except Conflict as error:
            if error.losses is None:
                raise
            hint = "`maint set` changes only what is given; `--yes` replaces all settings"
            raise CommandError(f"{error}; {hint}") from error
        if change.made:
            self.say(options, f"made the site {change.made}")
        for warning in change.warnings:
            self.stderr.write(self.style.WARNING(f"warning: {warning}"))
        self.say(options, self.done(change, value))
        others = [name for name in change.open if name != core.DEFAULT]
        if others and not value:
            self.say(options, f"the site is still down, held by {_names(others)}")

    def done(self, change: Any, value: bool) -> str:
        """What a change did."""
        return _done(change, value)

    def is_confirmed(self, question: str) -> bool:
        """Asks on the terminal; without an answer it is no."""
        try:
            return input(question).lower().startswith("y")
        except EOFError:
            return False

    def say(self, options: dict[str, Any], text: str) -> None:
        """Prints a line, unless `--verbosity 0` asks for silence."""
        if options["verbosity"] > 0:
            self.stdout.write(text)

    def show(self, current: Configuration) -> None:
        """Prints how it is, like `maint status`."""
        state = current.site.state()
        windows = state.get("windows", {})
        is_open = current.site.open_windows()
        self.stdout.write(self.headline(current, is_open))
        for name, window in windows.items():
            reason = window.get("reason")
            self.stdout.write(f"  {name}" + (f"  “{_printable(reason)}”" if reason else ""))
            for language, text in window.get("reasons", {}).items():
                self.stdout.write(f"    {language}: “{_printable(text)}”")
            self.stdout.write(f"    {_times(name in is_open, window)}")
        site = current.site.current()
        if site.is_awaited:
            self.stdout.write(f"no site yet; `maint on` makes {site.directory}")
        else:
            self.stdout.write(f"{site.state_file} (revision {state['revision']})")

    def headline(self, current: Configuration, is_open: list[str]) -> str:
        """Whether the site is down, and what decides that."""
        is_down = current.gate.is_down()
        word = self.style.ERROR("● down") if is_down else self.style.SUCCESS("● up")
        if current.mode is not None:
            return f"{word} MAINTENANCE_MODE is {current.mode} in the settings"
        if not is_open:
            return f"{word} no window is open"
        if len(is_open) == 1:
            return f"{word} window `{is_open[0]}` is open"
        return f"{word} {len(is_open)} windows are open"


def _done(change: Any, value: bool) -> str:
    if not value:
        is_closed = "is closed" if change.is_written else "was closed already"
        return f"window `{core.DEFAULT}` {is_closed}"
    window = change.after
    if core.DEFAULT not in change.open:
        return (
            f"window `{core.DEFAULT}` is scheduled from {_shown(window['start'])}, {_end(window)}"
        )
    is_open = "is open" if change.is_written else "was open already"
    return f"window `{core.DEFAULT}` {is_open} {_end(window)}"


def _by_language(messages: list[str]) -> tuple[str | None, dict[str, str]]:
    """The message for everybody, and those in a language: `de=Bis gleich`."""
    found: dict[str | None, str] = {}
    for message in messages:
        tag, is_tagged, text = message.partition("=")
        language = known_language(tag) if is_tagged else None
        if language in found:
            where = f"in `{language}`" if language else "without a language"
            raise CommandError(
                f"there are two messages {where}; "
                "give one for everybody, and one for each language: `-m de=TEXT`"
            )
        found[language] = message if language is None else text
    return found.pop(None, None), {tag: text for tag, text in found.items() if tag}


def _times(is_open: bool, window: dict[str, Any]) -> str:
    start = _shown(window.get("start") or window["opened_at"])
    if not is_open and window.get("end") and _parsed(window["end"]) <= timezone.now():
        return f"ended {_shown(window['end'])}"
    return f"{'since' if is_open else 'from'} {start} by {_person(window)}, {_end(window)}"


def _person(window: dict[str, Any]) -> str:
    actor = window.get("opened_by", {})
    return _printable(f"{actor.get('sudo_user') or actor.get('user')}@{actor.get('host')}")


def _end(window: dict[str, Any]) -> str:
    end = f"until {_shown(window['end'])}" if window.get("end") else "until somebody closes it"
    if not window.get("estimate"):
        return end
    word = "was expected" if _parsed(window["estimate"]) <= timezone.now() else "expected"
    return f"{end}, {word} to be over at {_shown(window['estimate'])}"


def _parsed(text: str) -> datetime:
    # The state has them in UTC, ending in `Z`.
    parsed: datetime = parse_datetime(text)
    return parsed


def _shown(text: str) -> str:
    local: datetime = timezone.localtime(_parsed(text))
    return local.strftime("%Y-%m-%d %H:%M:%S %Z")


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _printable(text: str) -> str:
    """Replaces characters that could control the terminal."""
    return "".join(char if char.isprintable() else " " for char in text)
