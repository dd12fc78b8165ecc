"""`manage.py maintenance_mode`"""

import builtins
import json
import os
import re
import subprocess
import sys
from datetime import datetime, timezone
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from maint.django.core import get_maintenance_mode
from maint.testing import freeze


@pytest.fixture
def manage():
    def manage(*arguments, **options):
        output = StringIO()
        call_command("maintenance_mode", *arguments, stdout=output, **options)
        return output.getvalue()

    return manage


@pytest.mark.parametrize(
    ("on", "off"), [("on", "off"), ("yes", "no"), ("true", "false"), ("1", "0"), ("ON", "Off")]
)
def test_on_and_off_and_what_else_they_are_called(manage, on, off):
    assert manage(on) == "window `default` is open until somebody closes it\n"
    assert get_maintenance_mode() is True
    assert manage(on) == "window `default` was open already until somebody closes it\n"
    assert manage(off) == "window `default` is closed\n"
    assert get_maintenance_mode() is False
    assert manage(off) == "window `default` was closed already\n"


def test_a_message_and_times_are_those_of_the_window(manage, site):
    output = manage("on", "-m", "Back at noon", "--end", "2100-06-01 12:00")
    assert output == "window `default` is open until 2100-06-01 12:00:00 CEST\n"
    window = site.state()["windows"]["default"]
    assert (window["reason"], window["end"]) == ("Back at noon", "2100-06-01T10:00:00Z")
    output = manage("on", "--start", "2100-01-01 03:00", "--yes")
    assert output == (
        "window `default` is scheduled from 2100-01-01 03:00:00 CET, until somebody closes it\n"
    )
    assert get_maintenance_mode() is False
    assert manage("off") == "window `default` is closed\n"


def test_a_message_for_each_language_and_an_estimate(manage, site):
    output = manage(
        "on", "-m", "Back soon", "-m", "de_AT=Bis gleich", "--estimate", "2100-06-01 12:00"
    )
    expected = "expected to be over at 2100-06-01 12:00:00 CEST"
    assert output == f"window `default` is open until somebody closes it, {expected}\n"
    window = site.state()["windows"]["default"]
    assert (window["reason"], window["reasons"]) == ("Back soon", {"de-at": "Bis gleich"})
    assert window["estimate"] == "2100-06-01T10:00:00Z"
    lines = manage("status").splitlines()
    assert lines[1:3] == ["  default  “Back soon”", "    de-at: “Bis gleich”"]
    assert lines[3].endswith(f"until somebody closes it, {expected}")
    assert manage("on", message="Back soon", yes=True).startswith("window `default` is open")
    with pytest.raises(CommandError, match="there are two messages in `de`; give one for"):
        manage("on", "-m", "de=x", "-m", "de=y")
    # What is no language is text.
    manage("on", "-m", "a=b", "--yes")
    window = site.state()["windows"]["default"]
    assert (window["reason"], window.get("reasons")) == ("a=b", None)


def test_an_open_window_loses_nothing_unless_that_is_meant(manage, site):
    site.on(reason="Bigger disks", paths=["/shop/**"])
    before = site.state()
    with pytest.raises(CommandError) as caught:
        manage("on", "-m", "Back at noon")
    assert str(caught.value) == (
        "window `default` is open, and this would lose its scope (paths /shop/**, and then every "
        "request); `maint set` changes only what is given; `--yes` replaces all settings"
    )
    assert site.state() == before
    manage("on", "-m", "Back at noon", "--yes")
    assert "scope" not in site.state()["windows"]["default"]


def test_status_says_that_an_estimate_has_passed(manage, site):
    freeze("2026-01-01T02:00:00Z")
    try:
        site.on(estimate="2026-01-01T02:30:00Z")
    finally:
        freeze(None)
    assert "closes it, was expected to be over at 2026-01-01 03:30:00 CET" in manage("status")


def test_code_may_give_times_as_such(manage, site):
    manage("on", end=datetime(2100, 6, 1, 12, tzinfo=timezone.utc))
    assert site.state()["windows"]["default"]["end"] == "2100-06-01T12:00:00Z"


def test_off_says_what_still_holds_the_site(manage, site):
    site.on("deploy-42")
    site.on("deploy-43")
    assert manage("off") == (
        "window `default` was closed already\n"
        "the site is still down, held by `deploy-42`, `deploy-43`\n"
    )


def test_nothing_is_printed_at_verbosity_0(manage, site):
    assert manage("on", verbosity=0) == ""
    assert manage("off", verbosity=0) == ""


@pytest.mark.parametrize(
    ("answer", "is_on"), [("y", True), ("YES", True), ("", False), ("n", False), (None, False)]
)
def test_interactive_asks_before(manage, monkeypatch, answer, is_on):
    asked = []

    def reply(question):
        asked.append(question)
        if answer is None:
            raise EOFError
        return answer

    monkeypatch.setattr(builtins, "input", reply)
    output = manage("on", interactive=True)
    assert asked == ["maintenance mode on? (y/N) "]
    assert get_maintenance_mode() is is_on
    assert ("nothing was changed" in output) is not is_on


def test_status_says_how_it_is_and_changes_nothing(manage, site, run):
    assert manage("status") == (f"● up no window is open\n{site.state_file} (revision 1)\n")
    site.on(reason="Back\tat noon", end="2100-01-01T00:00:00Z")
    site.on("later", start="2100-02-01T00:00:00Z")
    revision = site.state()["revision"]
    lines = manage("status").splitlines()
    assert lines[0] == "● down window `default` is open"
    assert lines[1] == "  default  “Back at noon”"
    assert lines[2].startswith("    since ")
    assert re.search(r" by \S+@\S+, until 2100-01-01 01:00:00 CET$", lines[2])
    assert lines[3] == "  later"
    assert lines[4].startswith("    from 2100-02-01 01:00:00 CET by ")
    assert lines[4].endswith(", until somebody closes it")
    assert lines[5] == f"{site.state_file} (revision {revision})"
    assert len(lines) == 6
    site.on("deploy")
    assert manage("status").startswith("● down 2 windows are open\n")
    assert run("status", check=False).stdout.startswith("● down 2 windows are open\n")


@pytest.mark.parametrize(("value", "word"), [(True, "down"), (False, "up")])
def test_status_says_what_the_settings_say(manage, site, configure, value, word):
    configure(MAINTENANCE_MODE=value)
    site.on()
    output = manage("status")
    assert output.startswith(f"● {word} MAINTENANCE_MODE is {value} in the settings\n  default\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["maybe"], "`maybe` is unknown; write `on`, `off` or `status`"),
        (["off", "--start", "2100-01-01"], "--start: only `on` takes this"),
        (["off", "--end", "2100-01-01", "-m", "x"], "--end, --message: only `on` takes this"),
        (["on", "--end", "soon"], "'soon' is not a time"),
        (["on", "--end", "2020-01-01"], "has passed"),
        (["on", "--start", "2101-01-01", "--end", "2100-01-01"], "not after the start"),
    ],
)
def test_what_cannot_be_is_an_error_and_changes_nothing(manage, site, arguments, words):
    with pytest.raises(CommandError, match=words):
        manage(*arguments)
    assert site.state().get("windows", {}) == {}


@pytest.mark.parametrize("state", ["on", "off"])
def test_what_the_settings_say_cannot_be_changed(manage, configure, state):
    configure(MAINTENANCE_MODE=True)
    with pytest.raises(CommandError, match="MAINTENANCE_MODE is True in the settings"):
        manage(state)


@pytest.mark.parametrize("state", ["on", "off", "status"])
def test_a_broken_state_is_an_error_with_a_hint(manage, site, state):
    Path(site.state_file).write_text("broken")
    with pytest.raises(CommandError, match=r"state\.json"):
        manage(state)


def test_the_history_names_it(manage, site):
    manage("on", "-m", "Back at noon")
    last = (Path(site.directory) / "history.jsonl").read_text().splitlines()[-1]
    command = "python: manage.py maintenance_mode on --message 'Back at noon'"
    assert json.loads(last)["command"] == command


def test_it_is_a_command_of_the_project(site, run):
    environment = {**os.environ, "PROJECT_MAINT_SITE": json.dumps(site.directory)}
    # Without it `manage.py` warns that no login stays up.
    site.add_rule("path", "/login/")

    def manage(*arguments):
        return subprocess.run(
            [sys.executable, Path(settings.BASE_DIR).parent / "manage.py", *arguments],
            env=environment,
            capture_output=True,
            text=True,
        )

    done = manage("maintenance_mode", "on", "-m", "Back at noon")
    assert (done.returncode, done.stderr) == (0, "")
    assert "“Back at noon”" in run("status").stdout
    done = manage("maintenance_mode", "status")
    assert done.returncode == 0
    assert done.stdout.startswith("● down window `default` is open\n")
    done = manage("maintenance_mode", "maybe")
    assert done.returncode == 1
    assert done.stderr == "CommandError: `maybe` is unknown; write `on`, `off` or `status`\n"
