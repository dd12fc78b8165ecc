"""core.py: taking the site down and up from code, and the history it leaves."""

import asyncio
import json
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.utils import timezone as django_timezone

from maint import Corrupt, Site
from maint.django import core
from maint.django.core import (
    get_maintenance_mode,
    maintenance_mode_off,
    maintenance_mode_on,
    override_maintenance_mode,
    set_maintenance_mode,
)
from maint.testing import freeze


def windows(site):
    return site.state().get("windows", {})


def history(site):
    """The commands of all changes except the first, which made the site."""
    lines = (Path(site.directory) / "history.jsonl").read_text().splitlines()
    return [json.loads(line)["command"] for line in lines[1:]]


def status(path="/"):
    return Client().get(path).status_code


@pytest.fixture
def clock():
    yield freeze
    freeze(None)


# get_maintenance_mode, set_maintenance_mode


def test_on_and_off_are_those_of_the_command(site, run):
    assert get_maintenance_mode() is False
    set_maintenance_mode(True)
    assert get_maintenance_mode() is True
    assert status() == 503
    assert list(windows(site)) == ["default"]
    assert "window `default` is open" in run("status").stdout
    run("off")
    assert get_maintenance_mode() is False
    run("on")
    assert get_maintenance_mode() is True
    set_maintenance_mode(False)
    assert status() == 200
    set_maintenance_mode(False)
    assert windows(site) == {}


def test_it_is_in_the_history(site, run):
    set_maintenance_mode(True, end=datetime(2100, 1, 1, tzinfo=timezone.utc))
    set_maintenance_mode(False)
    on, off = history(site)
    assert on.startswith("python: set_maintenance_mode(True, end=datetime.datetime(2100")
    assert off == "python: set_maintenance_mode(False)"
    assert "set_maintenance_mode(False)" in run("log").stdout


def test_visitors_are_told_why_in_their_language(site):
    set_maintenance_mode(True, reason="Back at noon", reasons={"de": "Bis gleich"})
    window = windows(site)["default"]
    assert (window["reason"], window["reasons"]) == ("Back at noon", {"de": "Bis gleich"})
    [on] = history(site)
    assert on.endswith("(True, reason='Back at noon', reasons={'de': 'Bis gleich'})")


def test_another_window_still_holds_the_site(site):
    site.on("deploy-42")
    set_maintenance_mode(True)
    set_maintenance_mode(False)
    assert get_maintenance_mode() is True
    assert status() == 503


def test_a_window_of_a_part_counts_as_down(site):
    site.on("shop", paths=["/shop/**"])
    assert get_maintenance_mode() is True
    assert status() == 200


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("2100-06-01T03:00:00Z", "2100-06-01T03:00:00Z"),
        ("2100-06-01T03:00:00+02:00", "2100-06-01T01:00:00Z"),
        ("2100-06-01 03:00", "2100-06-01T01:00:00Z"),  # Europe/Berlin in summer
        ("2100-01-01 03:00", "2100-01-01T02:00:00Z"),  # and in winter
        (datetime(2100, 6, 1, 3), "2100-06-01T01:00:00Z"),
        (datetime(2100, 6, 1, 3, tzinfo=timezone.utc), "2100-06-01T03:00:00Z"),
        (datetime(2100, 6, 1, 3, tzinfo=timezone(timedelta(hours=2))), "2100-06-01T01:00:00Z"),
    ],
)
@pytest.mark.parametrize("which", ["start", "end", "estimate"])
def test_times_are_aware_or_in_the_current_zone(site, given, written, which):
    set_maintenance_mode(True, **{which: given})
    assert windows(site)["default"][which] == written


def test_the_current_zone_is_the_one_that_is_active(site):
    with django_timezone.override("America/New_York"):
        set_maintenance_mode(True, end="2100-01-01 03:00")
    assert windows(site)["default"]["end"] == "2100-01-01T08:00:00Z"


def test_without_zones_in_django_it_is_that_of_the_project(site, configure):
    configure(USE_TZ=False)
    set_maintenance_mode(True, end=datetime(2100, 6, 1, 3))
    assert windows(site)["default"]["end"] == "2100-06-01T01:00:00Z"


def test_a_window_opens_and_ends_by_the_clock(site, clock):
    clock("2100-01-01T00:00:00Z")
    set_maintenance_mode(True, start="2100-01-01T01:00:00Z", end="2100-01-01T02:00:00Z")
    seen = {}
    for time in ("00:59:59", "01:00:00", "01:59:59", "02:00:00"):
        clock(f"2100-01-01T{time}Z")
        seen[time] = (get_maintenance_mode(), status())
    assert seen == {
        "00:59:59": (False, 200),
        "01:00:00": (True, 503),
        "01:59:59": (True, 503),
        "02:00:00": (False, 200),
    }


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"value": 1}, TypeError, "must be True or False, not 1"),
        ({"value": "on"}, TypeError, "must be True or False"),
        ({"value": None}, TypeError, "must be True or False"),
        ({"value": False, "start": "2100-01-01"}, ValueError, "only True"),
        ({"value": False, "end": "2100-01-01"}, ValueError, "only True"),
        ({"value": False, "estimate": "2100-01-01"}, ValueError, "only True"),
        ({"value": True, "reasons": {"d": "x"}}, ValueError, "not the tag of a language"),
        ({"value": True, "end": "2020-01-01"}, ValueError, "has passed"),
        ({"value": True, "start": "2101-01-01", "end": "2100-01-01"}, ValueError, "not after"),
        ({"value": True, "start": "2100-01-01", "end": "2100-01-01"}, ValueError, "not after"),
        ({"value": True, "end": "soon"}, ValueError, "not a time"),
        ({"value": True, "end": "2100-02-30"}, ValueError, "not a time"),
        ({"value": True, "end": 7}, TypeError, "must be a datetime or text"),
    ],
)
def test_values_that_cannot_be_change_nothing(site, arguments, error, words):
    with pytest.raises(error, match=words):
        set_maintenance_mode(**arguments)
    assert windows(site) == {}


@pytest.mark.parametrize("value", [True, False])
def test_what_the_settings_say_cannot_be_changed(site, configure, value):
    configure(MAINTENANCE_MODE=value)
    assert get_maintenance_mode() is value
    for change in (
        lambda: set_maintenance_mode(not value),
        lambda: maintenance_mode_on().__enter__(),
        lambda: maintenance_mode_off().__enter__(),
    ):
        with pytest.raises(ImproperlyConfigured, match=f"MAINTENANCE_MODE is {value}"):
            change()
    assert windows(site) == {}


def test_a_state_that_cannot_be_written_is_told(site, monkeypatch):
    get_maintenance_mode()
    Path(site.state_file).write_text("broken")
    with pytest.raises(Corrupt) as raised:
        set_maintenance_mode(True)
    assert raised.value.code == "corrupt"
    assert raised.value.path == site.state_file


# maintenance_mode_on, maintenance_mode_off, override_maintenance_mode


def test_on_opens_a_window_of_its_own(site):
    with maintenance_mode_on():
        (name,) = windows(site)
        assert name.startswith("override-")
        assert (get_maintenance_mode(), status()) == (True, 503)
    assert (windows(site), status()) == ({}, 200)
    assert history(site) == [
        "python: maintenance_mode_on()",
        "python: the end of maintenance_mode_on()",
    ]


@pytest.mark.parametrize("cm", [maintenance_mode_on, lambda: override_maintenance_mode(True)])
def test_it_is_closed_after_an_exception_too(site, cm):
    with pytest.raises(LookupError), cm():
        raise LookupError
    assert windows(site) == {}


def test_those_that_overlap_do_not_end_each_other_s(site):
    first, second = maintenance_mode_on(), maintenance_mode_on()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert get_maintenance_mode() is True
    set_maintenance_mode(True)
    second.__exit__(None, None, None)
    assert list(windows(site)) == ["default"]


def test_the_same_one_may_be_nested(site):
    on = maintenance_mode_on()
    with on:
        with on:
            assert len(windows(site)) == 2
        assert len(windows(site)) == 1
    assert windows(site) == {}


def test_threads_do_not_end_each_other_s(site):
    enough = threading.Barrier(4)

    @maintenance_mode_on
    def work():
        enough.wait(60)
        seen.append(len(windows(site)))
        enough.wait(60)

    seen = []
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [4, 4, 4, 4]
    assert windows(site) == {}


def test_somebody_may_close_it_meanwhile(site):
    with maintenance_mode_on():
        (name,) = windows(site)
        site.off(name)
    assert windows(site) == {}


@pytest.mark.parametrize("cm", [maintenance_mode_off, lambda: override_maintenance_mode(False)])
def test_off_puts_the_window_back_as_it_was(site, cm):
    site.on(reason="Back at noon", end="2100-01-01T00:00:00Z", status=500)
    before = windows(site)
    with pytest.raises(LookupError), cm():
        assert (windows(site), status()) == ({}, 200)
        raise LookupError
    assert windows(site) == before


def test_where_nothing_is_down_off_does_nothing(site):
    with maintenance_mode_off():
        assert status() == 200
    assert windows(site) == {}
    with maintenance_mode_off():
        site.on()
    assert status() == 503


def test_off_leaves_a_window_alone_that_was_opened_meanwhile(site, log):
    site.on(reason="old")
    with maintenance_mode_off():
        site.on(reason="new")
    assert windows(site)["default"]["reason"] == "new"
    assert "was opened again meanwhile" in log.text


def test_off_says_what_still_holds_the_site(site, log):
    site.on()
    site.on("deploy-42")
    with maintenance_mode_off():
        assert status() == 503
    assert "still down, held by `deploy-42`" in log.text
    assert set(windows(site)) == {"default", "deploy-42"}


@pytest.mark.parametrize(
    "decorator",
    [
        maintenance_mode_on,
        maintenance_mode_on(),
        override_maintenance_mode(True),
    ],
)
def test_functions_and_async_functions_are_decorated(site, decorator):
    @decorator
    def plain(value, *, twice=False):
        """Doubles, perhaps."""
        assert get_maintenance_mode() is True
        return value * 2 if twice else value

    @decorator
    async def waiting(value, *, twice=False):
        """Doubles, perhaps."""
        await asyncio.sleep(0)
        assert get_maintenance_mode() is True
        return value * 2 if twice else value

    for _ in range(2):
        assert plain(7, twice=True) == 14
        assert windows(site) == {}
        assert asyncio.run(waiting(7, twice=True)) == 14
        assert windows(site) == {}
    assert plain.__name__ == "plain"
    assert waiting.__doc__ == "Doubles, perhaps."


def test_calls_that_overlap_on_the_event_loop_do_not_end_each_other_s(site):
    @maintenance_mode_on
    async def first():
        await gate.wait()

    @maintenance_mode_off
    async def off():
        return get_maintenance_mode()

    async def main():
        nonlocal gate
        gate = asyncio.Event()
        tasks = [asyncio.create_task(first()) for _ in range(3)]
        while len(await asyncio.to_thread(windows, site)) < 3:
            await asyncio.sleep(0.01)
        assert await off() is True
        gate.set()
        await asyncio.gather(*tasks)

    gate = None
    asyncio.run(main())
    assert windows(site) == {}


def test_it_is_an_async_context_manager_as_well(site):
    async def main():
        async with maintenance_mode_on():
            assert get_maintenance_mode() is True
            async with maintenance_mode_off():
                pass

    asyncio.run(main())
    assert windows(site) == {}


@pytest.mark.parametrize("value", [1, None, "on"])
def test_an_override_is_true_or_false(value):
    with pytest.raises(TypeError, match="must be True or False"):
        override_maintenance_mode(value)


def test_a_host_with_a_strange_name_makes_a_good_window(site, monkeypatch):
    monkeypatch.setattr(core.socket, "gethostname", lambda: "böse/" + "x" * 300)
    with maintenance_mode_on():
        (name,) = windows(site)
    assert len(name) <= 64


def test_every_change_goes_to_the_site_that_django_sees(site, tmp_path, configure):
    other = Site.create(tmp_path / "other" / ".maint")
    configure(MAINT_SITE=other.directory)
    set_maintenance_mode(True)
    assert windows(other)
    assert windows(site) == {}
