"""The state: functions, contexts, the command, and `maint` itself, which all mean one site."""

import io
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.utils import timezone

from maint import MaintError
from maintenance_mode.core import (
    get_maintenance_mode,
    get_maintenance_mode_backend,
    maintenance_mode_off,
    maintenance_mode_on,
    override_maintenance_mode,
    set_maintenance_mode,
)


def test_set_takes_the_site_of_the_command_down_and_up(run, visit):
    set_maintenance_mode(True)
    assert "down" in run("status")
    assert visit().status_code == 503
    run("off")
    assert get_maintenance_mode() is False
    assert visit().content == b"the shop"


def test_the_command_maint_is_heeded_with_the_next_request(run, visit):
    for _ in range(3):
        run("on")
        assert (visit().status_code, get_maintenance_mode()) == (503, True)
        run("off")
        assert (visit().status_code, get_maintenance_mode()) == (200, False)


def test_a_schedule_is_kept_in_the_site():
    soon = timezone.now() + timedelta(hours=1)
    set_maintenance_mode(True, start=soon, end="2099-07-14 03:00")
    assert get_maintenance_mode() is False
    value = get_maintenance_mode_backend().get_value()
    assert value["end"] == "2099-07-14T01:00:00Z", "03:00 in Berlin"
    set_maintenance_mode(True, end="2099-07-14 03:00")
    assert get_maintenance_mode() is True


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("on",), TypeError),
        ((1,), TypeError),
        ((False, "2099-01-01"), ValueError),
        ((True, "2099-01-02", "2099-01-01"), ValueError),
        ((True, None, "2001-01-01"), ValueError),
        ((True, "soon"), ValueError),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(arguments, error):
    with pytest.raises(error):
        set_maintenance_mode(*arguments)
    assert get_maintenance_mode_backend().get_value() is False


def test_a_fixed_mode_goes_before_and_cannot_be_changed(run, configure):
    configure(**{"": True})
    assert get_maintenance_mode() is True
    for change in (
        set_maintenance_mode,
        lambda value: override_maintenance_mode(value).__enter__(),
    ):
        with pytest.raises(ImproperlyConfigured):
            change(False)


def test_contexts_and_decorators_override_and_restore():
    with maintenance_mode_on():
        assert get_maintenance_mode()
        with maintenance_mode_off():
            pass
    assert not get_maintenance_mode()

    @maintenance_mode_on()
    def inside():
        return get_maintenance_mode()

    assert (inside(), get_maintenance_mode()) == (True, False)
    set_maintenance_mode(True)
    with maintenance_mode_off():
        assert not get_maintenance_mode()
    assert get_maintenance_mode()


def test_a_failure_is_an_oserror_as_projects_catch_it(site, tmp_path):
    state = tmp_path / ".maint" / "state.json"
    set_maintenance_mode(True)
    state.write_text("{broken")
    with pytest.raises(OSError) as raised:
        set_maintenance_mode(False)
    assert isinstance(raised.value, MaintError)
    assert (raised.value.code, str(state) in str(raised.value)) == ("corrupt", True)


def command(*arguments, **options):
    out = io.StringIO()
    call_command("maintenance_mode", *arguments, stdout=out, **options)
    return out.getvalue()


def test_the_command_is_silent_for_cron_and_speaks_at_2():
    assert command("on") == ""
    assert get_maintenance_mode()
    assert command("off", verbosity=0) == ""
    assert "window `default` is open" in command("on", verbosity=2)
    assert "maintenance mode is already on" in command("on", verbosity=3)
    assert command("off", verbosity=3).splitlines()[-1] == "maintenance mode: off"


def test_the_command_speaks_on_a_terminal():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    call_command("maintenance_mode", "on", stdout=out)
    assert out.getvalue() == "window `default` is open until somebody closes it\n"


def test_the_command_takes_a_schedule_and_refuses_what_it_does_not_know():
    command("on", "--start", "2099-07-14 01:00", "--end", "2099-07-14 03:00")
    assert get_maintenance_mode_backend().get_value()["start"] == "2099-07-13T23:00:00Z"
    for wrong in (["perhaps"], ["off", "--start", "2099-01-01"]):
        with pytest.raises(CommandError):
            command(*wrong)
    assert "up" in command("status")


def test_settings_that_are_assigned_without_a_signal_are_heeded(visit):
    settings.MAINTENANCE_MODE = True
    assert (visit().status_code, get_maintenance_mode()) == (503, True)
    settings.MAINTENANCE_MODE_IGNORE_URLS = ["^/open"]
    assert visit("/open/").status_code == 200
    settings.MAINTENANCE_MODE_IGNORE_URLS.append("^/shop")
    assert visit("/shop/").status_code == 200, "changed in place"
    settings.MAINTENANCE_MODE = None
    assert (visit().status_code, get_maintenance_mode()) == (200, False)


def test_the_context_processor_says_how_it_is(visit, run, configure):
    assert visit("/state/").content == b"up\n"
    configure(_IGNORE_URLS=["^/state/"])
    run("on")
    assert visit("/state/").content == b"down\n"
    run("off")
    configure(_STATE_BACKEND="maintenance_mode.backends.CacheBackend")
    set_maintenance_mode(True)
    assert visit("/state/").content == b"down\n", "a back end is one more hold"
    set_maintenance_mode(False)


def test_the_context_processor_announces_what_comes(visit, run):
    run("on", "--at", "2100-01-01T03:00:00Z", "-m", "Bigger disks")
    assert visit("/state/").content == b"up\nBigger disks at 2100\n"


def test_the_filter_drops_503_while_the_site_is_down_and_nothing_else():
    import logging

    from maintenance_mode.logging import RequireNotMaintenanceMode503

    def is_kept(status):
        record = logging.makeLogRecord({"status_code": status})
        return RequireNotMaintenanceMode503().filter(record)

    assert is_kept(503)
    with maintenance_mode_on():
        assert (is_kept(503), is_kept(500)) == (False, True)


def test_a_setting_that_cannot_be_is_an_error_of_the_switch(configure):
    configure(_STATUS_CODE="503")
    with pytest.raises(CommandError, match="MAINTENANCE_MODE_STATUS_CODE must be a whole number"):
        command("on")
