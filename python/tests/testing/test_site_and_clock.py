"""The temporary site and the clock, used as in a user's own suite."""

from __future__ import annotations

import inspect
import os
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from maint import Gate, MaintError, Pass, Reply, Request, Site, UsageError
from maint.testing import Clock, MaintMixin, TemporarySite, WindowSettings

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)


def is_blocked(gate: Gate, path: str = "/") -> bool:
    return isinstance(gate.answer(Request("GET", path)), Reply)


def test_the_site_is_the_one_that_an_app_finds() -> None:
    with TemporarySite() as site:
        gate = Gate()
        assert gate.site.directory == str(site.directory) == os.environ["MAINT_SITE"]
        assert gate.site.found == "environment"
        assert not is_blocked(gate)
        site.on(reason="tests")
        assert site.is_down and is_blocked(gate)
        site.off()
        assert not site.is_down and not is_blocked(gate)


@pytest.mark.parametrize("before", [None, "/srv/shop/.maint"])
def test_everything_is_put_back(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if before is None:
        monkeypatch.delenv("MAINT_SITE", raising=False)
    else:
        monkeypatch.setenv("MAINT_SITE", before)
    with pytest.raises(KeyError), TemporarySite() as site:
        site.on()
        raise KeyError
    assert os.environ.get("MAINT_SITE") == before
    assert not site.directory.exists()


def test_two_sites_know_nothing_of_each_other() -> None:
    with TemporarySite() as outer:
        outer.on()
        with TemporarySite() as inner:
            assert os.environ["MAINT_SITE"] == str(inner.directory)
            assert not inner.is_down
        assert os.environ["MAINT_SITE"] == str(outer.directory)
        assert outer.is_down


def test_windows_rules_and_templates_are_those_of_the_site() -> None:
    with TemporarySite() as site:
        site.add_template("sorry", "<h1>Sorry: {{ reason }}</h1>")
        site.on("shop", paths=["/shop/**"], reason="<new shelves>", template="sorry", status=500)
        site.ignore("path", "/shop/health")
        gate = Gate()
        assert isinstance(gate.answer(Request("GET", "/")), Pass)
        assert isinstance(gate.answer(Request("GET", "/shop/health")), Pass)
        reply = gate.answer(Request("GET", "/shop/7"))
        assert isinstance(reply, Reply)
        assert (reply.window, reply.status, reply.template) == ("shop", 500, "sorry")
        assert b"Sorry: &lt;new shelves&gt;" in reply.body


def test_a_template_is_of_any_format_and_named_without_its_extension() -> None:
    with TemporarySite() as site:
        site.add_template("sorry", "<h1>Sorry</h1>")
        site.add_template("sorry", '{"error": {{ reason }}}', format="json")
        site.add_template("sorry", "Sorry: {{ reason }}", format="txt")
        site.on(reason="new shelves", template="sorry")
        gate = Gate()
        for accept, media_type, body in [
            ("text/html", "text/html; charset=utf-8", b"<h1>Sorry</h1>"),
            ("application/json", "application/json", b'{"error": "new shelves"}'),
            ("text/plain", "text/plain; charset=utf-8", b"Sorry: new shelves"),
        ]:
            reply = gate.answer(Request("GET", "/", headers=[("Accept", accept)]))
            assert isinstance(reply, Reply)
            assert dict(reply.headers)["content-type"] == media_type
            assert reply.body == body
        # A reader sees the one that replaces it.
        site.add_template("sorry", "Away", format="txt")
        reply = gate.answer(Request("GET", "/", headers=[("Accept", "text/plain")]))
        assert isinstance(reply, Reply) and reply.body == b"Away"
        for name, text, format, why in [
            ("sorry.html", "<h1>Sorry</h1>", "html", "without the extension"),
            ("sorry", "<h1>Sorry</h1>", "xml", "html, json or txt"),
            ("broken", "{{ reason", "html", "line 1"),
        ]:
            with pytest.raises(UsageError, match=why):
                site.add_template(name, text, format=format)
        assert sorted(path.name for path in (site.directory / "templates").iterdir()) == [
            "sorry.html",
            "sorry.json",
            "sorry.txt",
        ]


def test_a_site_that_is_reset_is_as_in_the_beginning() -> None:
    with TemporarySite() as site:
        gate = Gate()
        for _ in range(20):
            site.add_template("sorry", "<h1>Sorry</h1>")
            site.ignore("path", "/health")
            site.on(template="sorry")
            assert is_blocked(gate) and not is_blocked(gate, "/health")
            site.reset()
            assert not site.is_down and not is_blocked(gate)
            assert list(site.directory.iterdir()) == []
            site.on()
            assert is_blocked(gate, "/health")
            site.reset()


def test_a_mistake_is_an_error_of_the_command() -> None:
    with TemporarySite() as site:
        with pytest.raises((MaintError, ValueError), match=r"10\.0\.0\.300"):
            site.ignore("ip", "10.0.0.300")
        assert not site.is_down


def test_the_clock_stands_still_until_it_is_moved_on() -> None:
    with TemporarySite() as site, Clock() as clock:
        gate = Gate()
        clock.freeze(NOON)
        site.on(start=NOON + timedelta(minutes=10), end=NOON + timedelta(minutes=20))
        assert not is_blocked(gate)
        clock.advance(timedelta(minutes=10))
        assert clock.now == NOON + timedelta(minutes=10)
        assert is_blocked(gate) and site.is_down
        reply = gate.answer(Request("GET", "/"))
        assert isinstance(reply, Reply)
        assert dict(reply.headers)["retry-after"] == "600"
        clock.advance(timedelta(minutes=9, seconds=59))
        assert is_blocked(gate)
        clock.advance(timedelta(seconds=1))
        assert not is_blocked(gate) and not site.is_down


def test_the_clock_runs_again_afterwards() -> None:
    with TemporarySite() as site:
        with pytest.raises(KeyError), Clock() as clock:
            clock.freeze("2001-01-01T00:00:00Z")
            raise KeyError
        site.on(start="2026-01-01T00:00:00Z", end="2999-01-01T00:00:00Z")
        assert is_blocked(Gate())


def test_the_clock_stops_where_it_is_unless_it_is_told_a_moment() -> None:
    with Clock() as clock:
        before = datetime.now(timezone.utc)
        clock.freeze()
        assert before <= clock.now <= datetime.now(timezone.utc)
        assert clock.now == clock.now
        clock.run()
        clock.advance(timedelta(days=1))
        assert clock.now > before + timedelta(days=1)


@pytest.mark.parametrize("at", [datetime(2026, 11, 22), "2026-11-22T12:00:00", "noon"])
def test_a_moment_that_is_none_stops_nothing(at: Any) -> None:
    with Clock() as clock:
        with pytest.raises(ValueError):
            clock.freeze(at)
        assert clock.now - datetime.now(timezone.utc) < timedelta(minutes=1)


def test_a_moment_may_be_text_with_any_offset() -> None:
    with Clock() as clock:
        for text in ("2026-11-22T12:00:00Z", "2026-11-22T14:00:00+02:00"):
            clock.freeze(text)
            assert clock.now == NOON


class MixinTests(MaintMixin, unittest.TestCase):
    """Runs under pytest and under unittest."""

    gate: Gate

    def setUp(self) -> None:
        super().setUp()
        self.gate = Gate()

    def test_the_site_is_new_for_each_test(self) -> None:
        self.assertFalse(is_blocked(self.gate))
        self.maint_site.on()
        self.assertTrue(is_blocked(self.gate))

    def test_the_site_is_new_for_each_other_test(self) -> None:
        self.test_the_site_is_new_for_each_test()

    def test_the_clock_is_there(self) -> None:
        self.maint_clock.freeze(NOON)
        self.maint_site.on(end=NOON + timedelta(minutes=1))
        self.assertTrue(is_blocked(self.gate))
        self.maint_clock.advance(timedelta(minutes=1))
        self.assertFalse(is_blocked(self.gate))


def test_the_mixin_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINT_SITE", "/srv/shop/.maint")
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(MixinTests)
    result = unittest.TestResult()
    suite.run(result)
    assert result.wasSuccessful() and result.testsRun == 3
    assert os.environ["MAINT_SITE"] == "/srv/shop/.maint"


def test_a_site_that_was_there_is_left_alone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINT_SITE", site.directory)
    before = Path(site.state_file).read_bytes()
    with TemporarySite() as temporary:
        temporary.on()
    assert Path(site.state_file).read_bytes() == before
    assert site.open_windows() == []


def test_a_window_of_the_tests_has_all_settings_that_one_of_a_site_has() -> None:
    of_a_site = set(inspect.signature(Site.on).parameters)
    rest = {"self", "name", "replace", "by", "command"}
    assert set(WindowSettings.__annotations__) == of_a_site - rest
    changed = set(inspect.signature(Site.set).parameters)
    assert changed == of_a_site - {"replace"}
