"""Sites and their changes, made by Python and seen by the command."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import maint


def test_what_python_does_the_command_shows(site: maint.Site, run: Any) -> None:
    change = site.on("deploy", reason="Bigger disks", by="ann", command="view maintenance_mode_on")
    assert (change.open, change.is_written, change.before) == (["deploy"], True, None)
    assert change.after is not None and change.after["reason"] == "Bigger disks"
    status = json.loads(run("--json", "status").stdout)
    assert status["state"] == "on" and status["revision"] == change.revision
    log = run("log").stdout
    assert "  python: view maintenance_mode_on\n" in log and "ann" in log


def test_what_the_command_does_python_sees(site: maint.Site, run: Any) -> None:
    run("on", "nightly", "-m", "Backup")
    assert site.open_windows() == ["nightly"]
    assert site.state()["windows"]["nightly"]["reason"] == "Backup"
    change = site.off("nightly")
    assert change.open == [] and change.after is None
    run("status", "--expect", "off")


def test_off_of_nothing_is_no_change(site: maint.Site) -> None:
    assert not site.off().is_written


def test_the_same_again_is_no_change(site: maint.Site) -> None:
    site.on(reason="x")
    assert not site.on(reason="x").is_written


def test_a_window_has_all_that_the_command_can_say(site: maint.Site) -> None:
    start = datetime(2126, 11, 24, 12, tzinfo=timezone.utc)
    change = site.on(
        "shop",
        start=start,
        end=start + timedelta(hours=1),
        paths=["/shop/**"],
        methods=["post"],
        hosts=["Example.COM"],
        status=500,
        retry_after=60,
        redirect="https://status.example.com/",
    )
    assert change.open == [], "it is scheduled"
    window = site.state()["windows"]["shop"]
    assert window["start"] == "2126-11-24T12:00:00Z" and window["end"] == "2126-11-24T13:00:00Z"
    assert window["scope"] == {
        "paths": ["/shop/**"],
        "methods": ["POST"],
        "hosts": ["example.com"],
    }
    assert window["page"] == {
        "status": 500,
        "retry_after": 60,
        "redirect": "https://status.example.com/",
    }


def test_set_changes_what_is_given_and_none_takes_it_away(site: maint.Site, run: Any) -> None:
    run("on", "shop", "-m", "one", "--for", "1h", "--path", "/shop/**", "--status", "500")
    before = site.state()["windows"]["shop"]
    change = site.set(
        "shop", reason="two", estimate=datetime(2126, 1, 1, tzinfo=timezone.utc), end=None
    )
    assert change.before == before
    expected = {**before, "reason": "two", "estimate": "2126-01-01T00:00:00Z"}
    del expected["end"]
    assert site.state()["windows"]["shop"] == expected
    site.set("shop", paths=None, methods=["post"], status=None, reason=None, estimate=None)
    window = site.state()["windows"]["shop"]
    assert window["scope"] == {"methods": ["POST"]}
    assert not {"reason", "estimate", "page"} & set(window)
    assert not site.set("shop").is_written, "nothing is given"
    with pytest.raises(maint.UsageError):
        site.set("nobody", reason="x")
    with pytest.raises(maint.Conflict):
        site.set("shop", start="2126-11-24T12:00:00Z")
    with pytest.raises(TypeError, match="paths: `'/shop'` is not a list of texts"):
        site.set("shop", paths="/shop")
    with pytest.raises(TypeError, match="status: `'503'` is not a whole number"):
        site.set("shop", status="503")  # type: ignore[arg-type]


PAGE: dict[str, Any] = {
    "format": "json",
    "title": "The shop is moving",
    "contact": "help@example.com",
    "status_url": "https://status.example.com/",
    "language": "de",
}


def test_on_and_set_know_the_messages_and_all_that_a_page_says(site: maint.Site) -> None:
    site.on(reason="Back", reasons={"de": "Gleich", "pt_BR": "Já", "fr": " "}, **PAGE)
    window = site.state()["windows"]["default"]
    assert window["reasons"] == {"de": "Gleich", "pt-br": "Já"}
    assert window["page"] == PAGE
    site.set(reasons={"fr": "Bientôt"}, title=None, language="pt_BR", format="txt")
    window = site.state()["windows"]["default"]
    assert (window["reason"], window["reasons"]) == ("Back", {"fr": "Bientôt"})
    rest = {name: PAGE[name] for name in ("contact", "status_url")}
    assert window["page"] == {**rest, "language": "pt-br", "format": "txt"}
    site.set(reasons=None, format=None, contact=None, status_url=None, language=None)
    assert not {"reasons", "page"} & set(site.state()["windows"]["default"])


@pytest.mark.parametrize(
    "settings",
    [
        {"title": " "},
        {"contact": "somebody"},
        {"status_url": "/status"},
        {"language": "d"},
        {"reasons": {"d": "x"}},
    ],
)
def test_what_no_page_can_say_changes_nothing(site: maint.Site, settings: dict[str, Any]) -> None:
    site.on()
    before = Path(site.state_file).read_bytes()
    with pytest.raises(maint.UsageError):
        site.on(**settings)
    with pytest.raises(maint.UsageError):
        site.set(**settings)
    if "reasons" not in settings:
        with pytest.raises(maint.UsageError):
            site.set_page(**settings)
    for change in (site.on, site.set):
        with pytest.raises(ValueError, match=r"^format: `xml` is unknown; write `html`"):
            change(format="xml")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"^reasons: `'x'` is not a dict of texts"):
            change(reasons="x")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"^title: `5` is not text"):
            change(title=5)  # type: ignore[arg-type]
    assert Path(site.state_file).read_bytes() == before


def test_the_page_of_the_site_is_set_as_the_command_sets_it(site: maint.Site, run: Any) -> None:
    site.set_page(title="Moving", contact="help@example.com", language="de")
    shown = json.loads(run("page", "show", "--json").stdout)["page"]
    assert shown == {"title": "Moving", "contact": "help@example.com", "language": "de"}
    site.set_page(title=None, status_url="https://status.example.com/")
    site.on(title="Of the window")
    reply = maint.Gate(site).answer(maint.Request("GET", "/"))
    assert isinstance(reply, maint.Reply) and reply.context
    assert (reply.context["title"], reply.context["language"]) == ("Of the window", "de")
    assert reply.context["contact_url"] == "mailto:help@example.com"
    assert reply.context["status_url"] == "https://status.example.com/"
    with pytest.raises(maint.UsageError):
        site.set_page(title="two\nlines")


def test_without_replace_an_open_window_loses_nothing(site: maint.Site) -> None:
    site.on(reason="x" * 80, reasons={"de": "Gleich"}, paths=["/shop/**"], language="en")
    before = Path(site.state_file).read_bytes()
    with pytest.raises(maint.Conflict) as caught:
        site.on(replace=False)
    assert str(caught.value) == (
        "window `default` is open, and this would lose its "
        f"scope (paths /shop/**, and then every request); its message “{'x' * 60}…”; "
        "its message in de “Gleich”; its language en"
    )
    assert caught.value.losses
    assert caught.value.losses[1] == {"setting": "message", "before": "x" * 80, "after": None}
    assert Path(site.state_file).read_bytes() == before
    kept = {"reasons": {"de": "Bis gleich"}, "paths": ["/shop/**"], "language": "de"}
    site.on(reason="Back at noon", replace=False, **kept)
    site.on("other", replace=False)
    site.on()
    assert "reason" not in site.state()["windows"]["default"]
    # Of other failures nothing is lost.
    with pytest.raises(maint.Conflict) as caught:
        site.replace_window("default", None, expected=None)
    assert caught.value.losses is None


def test_extend_moves_the_end_and_the_estimate(site: maint.Site) -> None:
    end = datetime(2126, 11, 24, 12, tzinfo=timezone.utc)
    site.on(end=end, estimate=end - timedelta(hours=1))
    site.extend(longer=timedelta(minutes=30))
    window = site.state()["windows"]["default"]
    assert window["end"] == "2126-11-24T12:30:00Z"
    assert window["estimate"] == "2126-11-24T11:30:00Z"
    site.extend(until="2126-11-24T14:00:00Z")
    assert site.state()["windows"]["default"]["end"] == "2126-11-24T14:00:00Z"
    before = site.state()
    with pytest.raises(maint.UsageError, match="is not after the end"):
        site.extend(until=end)
    for longer in [timedelta(0), timedelta(minutes=-5)]:
        with pytest.raises((ValueError, TypeError)):
            site.extend(longer=longer)
    with pytest.raises(TypeError, match="either"):
        site.extend()
    site.on("endless")
    with pytest.raises(maint.Conflict):
        site.extend("endless", longer=timedelta(minutes=30))
    site.off("endless")
    assert site.state()["windows"] == before["windows"]


def test_an_estimate_is_in_the_answer_and_in_what_is_announced(site: maint.Site) -> None:
    gate = maint.Gate(site)
    site.on(
        start="2126-11-24T12:00:00Z", estimate="2126-11-24T12:30:00Z", end="2126-11-24T13:00:00Z"
    )
    request = maint.Request("GET", "/")
    passed = gate.answer(request)
    assert isinstance(passed, maint.Pass) and passed.next is not None
    assert passed.next.estimate == datetime(2126, 11, 24, 12, 30, tzinfo=timezone.utc)
    for minute, seconds in [(0, "1800"), (29, "60"), (30, "1800"), (59, "60")]:
        reply = gate.answer(request, at=f"2126-11-24T12:{minute:02}:00Z")
        assert isinstance(reply, maint.Reply)
        assert dict(reply.headers)["retry-after"] == seconds


@pytest.mark.parametrize(
    "settings",
    [
        {"paths": ["shop"]},
        {"end": "2020-01-01T00:00:00Z"},
        {"status": 302},
        {"retry_after": 0},
        {"redirect": "//evil"},
        {"template": "missing"},
        {"name": "a b"},
        {"methods": ["GET"], "read_only": True},
    ],
)
def test_a_mistake_changes_nothing(site: maint.Site, settings: dict[str, Any]) -> None:
    before = Path(site.state_file).read_bytes()
    with pytest.raises(maint.UsageError) as caught:
        site.on(**settings)
    assert caught.value.code == "usage"
    assert Path(site.state_file).read_bytes() == before


@pytest.mark.parametrize("settings", [{"status": 70_000}, {"start": "2126-11-24T12:00:00"}])
def test_what_is_no_number_or_time_at_all_is_a_value_error(
    site: maint.Site, settings: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"out of range|offset"):
        site.on(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"paths": "/shop"}, "paths: `'/shop'` is not a list of texts"),
        ({"methods": "POST"}, "methods: `'POST'` is not a list of texts"),
        ({"hosts": 5}, "hosts: `5` is not a list of texts"),
        ({"status": "503"}, "status: `'503'` is not a whole number"),
        ({"retry_after": 1.5}, "retry_after: `1.5` is not a whole number of seconds"),
    ],
)
def test_a_setting_of_another_type_is_named(
    site: maint.Site, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(TypeError, match=r"^" + re.escape(words)):
        site.on(**settings)
    assert site.open_windows() == []


def test_a_window_is_put_back_as_it_was(site: maint.Site) -> None:
    site.on(reason="Bigger disks", by="ann")
    closed = site.off()
    assert site.open_windows() == []
    back = site.replace_window("default", closed.before, expected=None)
    assert back.after == closed.before and back.open == ["default"]
    assert site.replace_window("default", None, expected=back.after).open == []


def test_a_window_that_somebody_else_changed_is_left_alone(site: maint.Site, run: Any) -> None:
    mine = site.on(reason="mine")
    run("on", "-m", "theirs")
    with pytest.raises(maint.Conflict) as caught:
        site.replace_window("default", None, expected=mine.after)
    assert caught.value.code == "conflict"
    assert site.state()["windows"]["default"]["reason"] == "theirs"


def test_a_rule_is_added_and_removed(site: maint.Site, run: Any) -> None:
    rule = site.add_rule("path", "/health", note="probe")
    assert rule in run("ignore", "list").stdout
    site.remove_rule(rule)
    with pytest.raises(maint.MaintError, match="no ignore rule"):
        site.remove_rule(rule)
    with pytest.raises(maint.MaintError, match="everyone"):
        site.add_rule("path", "/**")


def test_rules_are_read_as_the_command_reads_them() -> None:
    assert maint.parse_rule("ip", "10.0.0.0/8") == "10.0.0.0/8"
    assert maint.parse_rule("method", "purge") == "PURGE"
    for kind, value in [("ip", "10."), ("path", "x"), ("path", "re:(?=x)"), ("path", "/**")]:
        with pytest.raises(ValueError):
            maint.parse_rule(kind, value)  # type: ignore[arg-type]


def test_requirement_35_the_site_is_the_one_that_the_command_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAINT_SITE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    project = tmp_path / "project"
    (project / "app").mkdir(parents=True)
    near = maint.Site.create(project / ".maint")
    found = maint.Site.discover(start=project / "app")
    assert (found.directory, found.found) == (near.directory, "nearest")
    named = maint.Site.create(tmp_path / "named" / ".maint")
    monkeypatch.setenv("MAINT_SITE", named.directory)
    assert maint.Site.discover(start=project).found == "environment"
    given = maint.Site.discover(near.directory)
    assert (given.found, given) == ("given", near) or given.directory == near.directory
    monkeypatch.delenv("MAINT_SITE")
    assert maint.Site.discover(start=tmp_path).found == "user"
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    with pytest.raises(maint.MaintError, match="no site found"):
        maint.Site.discover(start=tmp_path)


def test_a_site_that_is_not_there_is_made_by_the_first_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAINT_SITE", raising=False)
    (tmp_path / "manage.py").touch()
    (tmp_path / "shop").mkdir()
    site = maint.Site.discover(start=tmp_path / "shop")
    assert (site.found, site.is_awaited) == ("project", True)
    gate = maint.Gate(site)
    request = maint.Request("GET", "/")
    assert site.state()["revision"] == 0
    assert site.off("deploy").made is None
    assert not (tmp_path / ".maint").exists()
    assert isinstance(gate.answer(request), maint.Pass)
    change = site.on()
    assert change.made == str(tmp_path / ".maint")
    assert isinstance(gate.answer(request), maint.Reply)
    assert site.off().made is None
    assert (site.current().found, site.current().is_awaited) == ("nearest", False)


def test_a_framework_knows_its_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAINT_SITE", raising=False)
    site = maint.Site.discover(start=tmp_path, project=tmp_path)
    assert (site.found, site.directory) == ("framework", str(tmp_path / ".maint"))
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "manage.py").touch()
    site = maint.Site.discover(start=tmp_path, code=tmp_path / "shop", project=tmp_path)
    assert (site.found, site.directory) == ("project", str(tmp_path / "shop" / ".maint"))


def test_two_writers_do_not_lose_a_change(site: maint.Site, run: Any) -> None:
    import threading

    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for count in range(20):
                site.add_rule("path", f"/{number}/{count}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for count in range(10):
        run("ignore", "add", "path", f"/command/{count}")
    for thread in threads:
        thread.join(timeout=120)
    assert failures == []
    assert len(site.state()["ignore"]) == 90
