"""The shop as its visitors and its operators see it: real logins, real sessions, over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import time
from pathlib import Path

import pytest

from servers import ServerEnded
from visitors import WORKERS, Shop, Visitor

PEOPLE = ("nobody", "cid", "bob", "ann")

#: The users that each class lets through.
CLASSES = {
    "anonymous": ("nobody",),
    "authenticated": ("cid", "bob", "ann"),
    "staff": ("bob", "ann"),
    "superuser": ("ann",),
}

SETTINGS = {
    "MAINTENANCE_MODE_IGNORE_ANONYMOUS_USER": "anonymous",
    "MAINTENANCE_MODE_IGNORE_AUTHENTICATED_USER": "authenticated",
    "MAINTENANCE_MODE_IGNORE_STAFF": "staff",
    "MAINTENANCE_MODE_IGNORE_SUPERUSER": "superuser",
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_each_setting_for_users_lets_its_class_through(
    shop: Shop, sync_or_async: str, setting: str
) -> None:
    allowed = CLASSES[SETTINGS[setting]]
    with shop.serve(sync_or_async, **{setting: True}) as server:
        people = {name: shop.log_in(server, name) for name in PEOPLE}
        assert {name: v.get("/who/").body for name, v in people.items()} == {n: n for n in PEOPLE}
        shop.maint("on")
        for name, visitor in people.items():
            answer = visitor.get("/who/")
            assert answer.status == (200 if name in allowed else 503), (name, answer)
            if name in allowed:
                assert answer.body == name
                assert answer.headers["Cache-Control"] == "private, no-store"
            else:
                assert "Set-Cookie" not in answer.headers
        shop.maint("off")
        for name, visitor in people.items():
            answer = visitor.get("/who/")
            assert (answer.status, answer.body) == (200, name)
            assert answer.headers.get("Cache-Control") != "private, no-store"


def test_each_rule_of_the_site_lets_its_class_through_without_a_restart(
    shop: Shop, sync_or_async: str
) -> None:
    with shop.serve(sync_or_async) as server:
        people = {name: shop.log_in(server, name) for name in PEOPLE}
        shop.maint("on")
        for user, allowed in CLASSES.items():
            shop.maint("ignore", "add", "user", user)
            for name, visitor in people.items():
                answer = visitor.get("/who/")
                assert answer.status == (200 if name in allowed else 503), (user, name, answer)
            shop.maint("ignore", "clear")


def test_the_admin_site_is_down_with_the_rest(shop: Shop, sync_or_async: str) -> None:
    with shop.serve(sync_or_async) as server:
        ann = shop.log_in(server, "ann")
        assert ann.get("/admin/").status == 200
        shop.maint("on")
        for path in ("/admin/", "/admin/login/", "/admin/auth/user/"):
            assert ann.get(path).status == 503, path


def test_the_admin_site_stays_up_where_a_setting_says_so(shop: Shop, sync_or_async: str) -> None:
    with shop.serve(sync_or_async, MAINTENANCE_MODE_IGNORE_ADMIN_SITE=True) as server:
        shop.maint("on")
        ann = Visitor(server).log_in("ann")
        page = ann.get("/admin/auth/user/")
        assert page.status == 200 and "bob" in page.body
        # The fields depend on the version of Django.
        password = {"password1": "a long one", "password2": "a long one"}
        form = {"username": "dora", "usable_password": "true", **password}
        saved = ann.fill_in("/admin/auth/user/add/", form)
        assert saved.status == 302, saved
        assert ann.get("/who/").status == 503, "the rest is down for her too"
        assert ann.get("/administrator/").status == 503


def test_forced_views_do_as_they_are_told(shop: Shop, kind: str) -> None:
    never_down = {
        "/health/": "well",
        "/contact/": "help@example.com",
        "/hooks/payments/": "0 bytes",
        "/hooks/coroutine/": "the shop",
    }
    with shop.serve(kind, MAINTENANCE_MODE_IGNORE_ANONYMOUS_USER=False) as server:
        visitor = Visitor(server)
        for verb in ("on", "off"):
            shop.maint(verb)
            for path, body in never_down.items():
                answer = visitor.get(path)
                assert (answer.status, answer.body) == (200, body), (verb, path)
            for path in ("/search/", "/orders/"):
                assert visitor.get(path).status == 503, (verb, path)


@pytest.mark.parametrize("value", [True, False])
def test_a_setting_goes_before_the_site(shop: Shop, sync_or_async: str, value: bool) -> None:
    with shop.serve(sync_or_async, MAINTENANCE_MODE=value) as server:
        visitor = Visitor(server)
        for verb in ("on", "off"):
            shop.maint(verb)
            assert visitor.get("/").status == (503 if value else 200), verb
            assert visitor.get("/health/").status == 200
            assert visitor.get("/search/").status == 503


def test_whoever_meets_the_page_is_logged_out_where_a_setting_says_so(
    shop: Shop, sync_or_async: str
) -> None:
    settings = {
        "MAINTENANCE_MODE_LOGOUT_AUTHENTICATED_USER": True,
        "MAINTENANCE_MODE_LOGOUT_STAFF_USER": False,
        "MAINTENANCE_MODE_LOGOUT_SUPERUSER": False,
    }
    with shop.serve(sync_or_async, **settings) as server:
        people = {name: shop.log_in(server, name) for name in PEOPLE}
        keys = {name: dict(visitor.cookies) for name, visitor in people.items()}
        shop.maint("on")
        for name, visitor in people.items():
            assert visitor.get("/").status == 503, name
        shop.maint("off")
        for name, visitor in people.items():
            # Whatever the browser has kept, the session itself must be gone.
            visitor.cookies = keys[name]
            assert visitor.get("/who/").body == ("nobody" if name == "cid" else name)


def test_a_page_of_ours_is_neither_logged_as_an_error_nor_mailed(
    shop: Shop, sync_or_async: str
) -> None:
    mails = shop.directory / "mails"

    def letters() -> int:
        # One file may hold two mails sent within a second.
        files = mails.iterdir() if mails.exists() else ()
        return sum(file.read_text().count("\nSubject: ") for file in files)

    with shop.serve(sync_or_async) as server:
        visitor = Visitor(server)
        shop.maint("on")
        for path in ("/", "/who/", "/search/", "/admin/", "/fails/"):
            assert visitor.get(path).status == 503, path
        assert visitor.post("/order/", {"a": "b"}).status == 503
        assert letters() == 0
        assert "Service Unavailable: /" not in server.log()
        # Mails are sent, and as ever for the shop's own 503.
        assert visitor.get("/unavailable/").status == 503
        assert letters() == 1
        shop.maint("off")
        assert visitor.get("/fails/").status == 500
        assert letters() == 2


def test_what_django_sets_is_what_the_command_tells(shop: Shop, sync_or_async: str) -> None:
    with shop.serve(sync_or_async) as server:
        visitor = Visitor(server)
        shop.manage("maintenance_mode", "on", "--message", "Back at noon")
        assert visitor.get("/").status == 503
        status = shop.status()
        assert status["state"] == "on"
        assert [w["name"] for w in status["windows"]] == ["default"]
        assert status["windows"][0]["reason"] == "Back at noon"
        assert "maintenance_mode on" in shop.maint("log")
        assert "Back at noon" in shop.manage("maintenance_mode", "status")
        shop.manage("maintenance_mode", "off")
        assert visitor.get("/").status == 200
        assert shop.status()["state"] == "off"
        assert "maintenance_mode off" in shop.maint("log")


def test_a_window_of_somebody_else_is_not_ended_by_django(shop: Shop) -> None:
    shop.maint("on", "deploy-42")
    shop.manage("maintenance_mode", "on")
    assert "deploy-42" in shop.manage("maintenance_mode", "off")
    assert [window["name"] for window in shop.status()["windows"]] == ["deploy-42"]


def test_requirement_47_the_views_change_nothing_but_by_a_form_of_a_superuser(
    shop: Shop, sync_or_async: str
) -> None:
    with shop.serve(sync_or_async) as server:
        people = {name: shop.log_in(server, name) for name in PEOPLE}
        before = shop.status()["revision"]
        for name, visitor in people.items():
            for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"):
                visitor.ask(method, "/maintenance/on/")
            answer = visitor.post("/maintenance/on/", {})
            assert answer.status == 403, (name, answer.status)
            assert visitor.get("/maintenance/on/").status == (200 if name == "ann" else 403)
        assert shop.status()["revision"] == before
        ann = people["ann"]
        answer = ann.fill_in("/maintenance/on/?redirect=/who/", {})
        assert (answer.status, answer.headers["Location"]) == (302, "/who/")
        assert Visitor(server).get("/").status == 503
        assert "ann" in shop.maint("log")
        answer = ann.fill_in("/maintenance/off/?redirect=//evil.example/", {})
        assert (answer.status, answer.headers["Location"]) == (302, "/")
        assert Visitor(server).get("/").status == 200


def test_without_its_database_the_shop_starts_and_shows_the_page(
    shop: Shop, sync_or_async: str
) -> None:
    settings = {"MAINTENANCE_MODE_IGNORE_STAFF": True}
    with shop.serve(sync_or_async, **settings) as server:
        bob = shop.log_in(server, "bob")
        shop.maint("on")
        assert bob.get("/who/").status == 200
        cookies = dict(bob.cookies)
    shop.database.write_bytes(b"this is no database")
    with shop.serve(sync_or_async, **settings) as server:
        bob = Visitor(server)
        bob.cookies = cookies
        for visitor in (bob, Visitor(server)):
            answer = visitor.get("/who/")
            assert answer.status == 503, answer
            assert answer.headers["Maint-Decision"] == "block"


def test_a_template_that_needs_the_database_is_replaced_by_the_built_in_page(
    shop: Shop, sync_or_async: str
) -> None:
    page = shop.directory / "templates" / "503.html"
    page.write_text("<h1>ours</h1>{{ user.username }} {{ perms.auth.add_user }}")
    with shop.serve(sync_or_async) as server:
        bob = shop.log_in(server, "bob")
        shop.maint("on")
        answer = bob.get("/")
        assert answer.status == 503
        assert answer.body.startswith("<h1>ours</h1>bob False")
        shop.database.write_bytes(b"this is no database")
        answer = bob.get("/")
        assert answer.status == 503
        assert "<h1>ours" not in answer.body and answer.body.startswith("<!doctype html>")
        assert answer.headers["Maint-Decision"] == "block"
        # This visitor is not logged in, so the database is not asked.
        assert "<h1>ours" in Visitor(server).get("/").body


def test_a_state_that_breaks_later_changes_nothing_and_is_told(
    shop: Shop, sync_or_async: str
) -> None:
    state = shop.directory / ".maint" / "state.json"
    with shop.serve(sync_or_async) as server:
        visitor = Visitor(server)
        shop.maint("on")
        whole = state.read_bytes()
        # A worker that has not looked since would still use what it saw last.
        workers: set[str] = set()
        last = time.monotonic() + 60
        while len(workers) < WORKERS[sync_or_async]:
            assert time.monotonic() < last, workers
            workers.add(visitor.get("/health/").headers["X-Worker"])
        state.write_bytes(whole[: len(whole) // 2])
        assert {visitor.get("/").status for _ in range(40)} == {503}
        assert "state.json" in server.log()
        state.write_bytes(whole)
        shop.maint("off")
        assert {visitor.get("/").status for _ in range(40)} == {200}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"MAINTENANCE_MODE_IGNORE_URLS": "/api/"}, "MAINTENANCE_MODE_IGNORE_URLS"),
        ({"MAINTENANCE_MODE_IGNORE_IP_ADDRESSES": ["10."]}, "MAINTENANCE_MODE_IGNORE_IP_ADDRESSES"),
        ({"MAINTENANCE_MODE_GET_CONTEXT": "shop.nothing"}, "MAINTENANCE_MODE_GET_CONTEXT"),
        ({"MAINTENANCE_MODE_STATUS_CODE": 302}, "MAINTENANCE_MODE_STATUS_CODE"),
        ({"MAINTENANCE_MODE": "on"}, "MAINTENANCE_MODE"),
        ({"MAINT_SITE": "nowhere"}, "MAINT_SITE"),
    ],
)
def test_a_mistake_keeps_the_shop_from_starting(
    shop: Shop, failing: str, settings: dict[str, object], told: str
) -> None:
    with pytest.raises(ServerEnded) as ended, shop.serve(failing, **settings):
        pass
    log = str(ended.value)
    assert "ImproperlyConfigured" in log and told in log, log


def test_a_broken_state_keeps_the_shop_from_starting(shop: Shop, failing: str) -> None:
    (shop.directory / ".maint" / "state.json").write_text("{")
    with pytest.raises(ServerEnded) as ended, shop.serve(failing):
        pass
    log = str(ended.value)
    assert "ImproperlyConfigured" in log and "state.json" in log, log


def test_with_a_site_that_is_not_there_the_shop_does_not_start_and_says_what_to_do(
    shop: Shop, failing: str
) -> None:
    nowhere = str(shop.directory / "nowhere")
    with pytest.raises(ServerEnded) as ended, shop.serve(failing, MAINT_SITE=nowhere):
        pass
    log = str(ended.value)
    assert "ImproperlyConfigured" in log and nowhere in log and "maint init" in log, log


def test_a_visitor_gets_what_they_ask_for(shop: Shop, sync_or_async: str) -> None:
    with shop.serve(sync_or_async) as server:
        visitor = Visitor(server)
        shop.maint("on", "-m", "Back at noon", "--for", "2h")
        page = visitor.get("/")
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "Back at noon" in page.body
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        problem = visitor.ask("GET", "/", headers={"Accept": "application/json"})
        assert problem.headers["Content-Type"] == "application/problem+json"
        assert json.loads(problem.body)["detail"] == "Back at noon"
        head = visitor.ask("HEAD", "/")
        assert head.headers["Content-Length"] == page.headers["Content-Length"]
        assert head.body == ""
        for answer in (page, problem, head):
            assert answer.status == 503
            assert 7000 < int(answer.headers["Retry-After"]) <= 7200
            assert answer.headers["Cache-Control"] == "no-store"


def test_a_link_with_a_token_lets_a_tester_in(shop: Shop, sync_or_async: str) -> None:
    with shop.serve(sync_or_async) as server:
        shop.maint("on")
        token = shop.maint("bypass", "new", "--quiet").strip()
        tester = Visitor(server)
        answer = tester.get(f"/who/?maint_bypass={token}")
        assert (answer.status, answer.headers["Location"]) == (303, "/who/")
        answer = tester.get("/who/")
        assert (answer.status, answer.body) == (200, "nobody")
        assert answer.headers["Cache-Control"] == "private, no-store"
        shop.maint("off")
        shop.maint("on")
        assert tester.get("/who/").status == 503


def test_workers_that_are_started_anew_obey_as_well(shop: Shop) -> None:
    with shop.serve("gunicorn") as server:
        visitor = Visitor(server)
        before = {visitor.get("/").headers["X-Worker"] for _ in range(60)}
        shop.maint("on")
        for worker in before:
            os.kill(int(worker), 9)
        last = time.monotonic() + 120
        answered = 0
        while answered < 40:
            assert time.monotonic() < last
            try:
                answer = visitor.get("/")
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
                continue
            assert answer.status == 503
            answered += 1
        shop.maint("off")
        after = {visitor.get("/").headers["X-Worker"] for _ in range(60)}
        assert not before & after


def test_the_shop_reads_and_never_writes(shop: Shop, sync_or_async: str) -> None:
    site = shop.directory / ".maint"

    def listing() -> list[tuple[str, int]]:
        return sorted((str(p), p.stat().st_mtime_ns) for p in Path(site).rglob("*"))

    shop.maint("on")
    with shop.serve(sync_or_async) as server:
        before = listing()
        visitor = Visitor(server)
        for path in ("/", "/who/", "/health/", "/search/"):
            visitor.get(path)
        assert listing() == before


@pytest.mark.parametrize("status", [503, 200])
def test_djangos_own_cache_keeps_neither_the_page_nor_what_testers_see(
    shop: Shop, sync_or_async: str, status: int
) -> None:
    others = [
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ]
    settings = {
        "MIDDLEWARE": [
            *others,
            "maint.django.middleware.MaintenanceModeMiddleware",
            "django.middleware.cache.FetchFromCacheMiddleware",
        ],
        "CACHES": {
            "default": {
                "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
                "LOCATION": str(shop.directory / "cache"),
            }
        },
        "MAINTENANCE_MODE_IGNORE_IP_ADDRESSES": ["203.0.113.7"],
        "MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS": "shop.views.address_of",
        "MAINTENANCE_MODE_STATUS_CODE": status,
    }
    with shop.serve(sync_or_async, **settings) as server:
        visitor = Visitor(server)
        # Pages cached while the shop is up are not served while it is down.
        fresh = [visitor.get("/time/").body for _ in range(2)]
        assert fresh[0] == fresh[1], "the cache works"
        shop.maint("on")
        assert visitor.get("/time/").headers["Maint-Decision"] == "block"
        assert visitor.get("/other/time/").headers["Maint-Decision"] == "block"
        tester = visitor.get("/other/time/", **{"X-Client": "203.0.113.7"})
        assert "Maint-Decision" not in tester.headers
        assert visitor.get("/other/time/").headers["Maint-Decision"] == "block"
        shop.maint("off")
        assert "Maint-Decision" not in visitor.get("/time/").headers
        answer = visitor.get("/other/time/")
        assert "Maint-Decision" not in answer.headers
        assert answer.body != tester.body


def test_no_worker_is_left_with_what_was_before(shop: Shop) -> None:
    with shop.serve("gunicorn") as server:
        visitor = Visitor(server)
        for number in range(10):
            shop.maint("on", "-m", f"reason {number}")
            assert all(f"reason {number}" in visitor.get("/").body for _ in range(12))
            shop.maint("off")
            assert {visitor.get("/").status for _ in range(12)} == {200}


def test_a_window_begins_and_ends_by_the_clock(shop: Shop, sync_or_async: str) -> None:
    with shop.serve(sync_or_async) as server:
        visitor = Visitor(server)
        # On a busy machine a short window is over before anybody looks.
        for seconds in (2, 8, 32):
            shop.maint("on", "--for", f"{seconds}s")
            if visitor.get("/").status == 503:
                break
        else:
            pytest.fail("the window never began")
        last = time.monotonic() + 120
        while visitor.get("/").status != 200:
            assert time.monotonic() < last
            time.sleep(0.05)
        assert shop.status()["state"] == "off"


def test_a_window_holds_up_what_it_covers_and_no_more(shop: Shop, sync_or_async: str) -> None:
    with shop.serve(sync_or_async) as server:
        visitor = Visitor(server)
        shop.maint("on", "move", "--read-only")
        assert visitor.get("/").status == 200
        assert visitor.post("/order/", {}).status == 503
        shop.maint("on", "part", "--path", "/who/**")
        assert visitor.get("/who/").status == 503
        shop.maint("off", "move")
        assert visitor.post("/order/", {}).status == 200
        assert visitor.get("/who/").status == 503
        # Django reports that a window is open, whatever it covers.
        assert "part" in shop.manage("maintenance_mode", "status")
        ask = "from maint.django.core import get_maintenance_mode as ask; print(ask())"
        assert shop.manage("shell", "-c", ask).splitlines()[-1] == "True"
        shop.maint("off", "part")
        assert visitor.get("/who/").status == 200


def test_a_template_writes_times_as_django_does(shop: Shop, sync_or_async: str) -> None:
    page = shop.directory / "templates" / "503.html"
    page.write_text('{{ start|date:"Y" }} {{ end|date:"c" }} {{ end }} {{ end|timeuntil }}')
    settings = {"TIME_ZONE": "Asia/Tokyo", "LANGUAGE_CODE": "de"}
    with shop.serve(sync_or_async, **settings) as server:
        shop.maint("on", "--until", "2100-01-01T12:00:00Z")
        year, iso, rest = Visitor(server).get("/").body.split(" ", 2)
        assert int(year) >= 2026
        assert iso == "2100-01-01T21:00:00+09:00"
        assert rest.startswith("1. Januar 2100 21:00 ")
        shop.maint("on", "--yes")
        assert Visitor(server).get("/").body.strip().startswith("20"), "an end may be missing"


def test_trouble_with_the_page_is_told_once_and_not_to_each_visitor(
    shop: Shop, sync_or_async: str
) -> None:
    page = shop.directory / "templates" / "503.html"
    page.write_text("{{ user.username }}")
    with shop.serve(sync_or_async) as server:
        bob = shop.log_in(server, "bob")
        shop.maint("on")
        shop.database.write_bytes(b"this is no database")
        assert {bob.get("/").status for _ in range(30)} == {503}
        told = server.log().count("cannot be rendered; visitors get the built-in page")
        assert 1 <= told <= WORKERS[sync_or_async]
