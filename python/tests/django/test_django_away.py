"""The page while what the app needs is away, locked or slow: requirement 71."""

import threading
import time
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.core.cache.backends.base import BaseCache
from django.db import OperationalError
from django.test import Client

from maint import _asking
from maint.django.checks import check_maintenance
from maint.django.conf import configuration

OURS = "maint.django.middleware.MaintenanceModeMiddleware"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
SITE = "django.contrib.sites.middleware.CurrentSiteMiddleware"
REMOTE = "django.contrib.auth.middleware.RemoteUserMiddleware"
SESSIONS = "django.contrib.sessions.backends"


class CacheThatIsAway(BaseCache):
    """A cache whose server cannot be reached."""

    def __init__(self, location, options):
        super().__init__(options)

    def get(self, *arguments, **options):
        raise ConnectionRefusedError("no cache")

    add = set = touch = delete = clear = get


AWAY = {"BACKEND": "test_django_away.CacheThatIsAway", "LOCATION": ""}


def in_order(*names):
    """The middleware of the project, with some in front of ours."""
    others = [name for name in settings.MIDDLEWARE if name not in (OURS, *names)]
    return [*others, *names]


@pytest.mark.parametrize("rule", [None, "staff"], ids=["no rule", "rule for users"])
@pytest.mark.parametrize("saves", [False, True], ids=["", "SESSION_SAVE_EVERY_REQUEST"])
@pytest.mark.parametrize("engine", ["db", "cached_db", "cache", "signed_cookies"])
@pytest.mark.parametrize("messages", ["fallback.FallbackStorage", "session.SessionStorage"])
def test_requirement_71_the_page_comes_whatever_becomes_of_the_database(
    visit, site, configure, broken_database, rule, saves, engine, messages
):
    configure(
        SESSION_ENGINE=f"{SESSIONS}.{engine}",
        SESSION_SAVE_EVERY_REQUEST=saves,
        MESSAGE_STORAGE=f"django.contrib.messages.storage.{messages}",
        CACHES={"default": AWAY},
    )
    site.on()
    if rule:
        site.add_rule("user", rule)
    for _ in range(2):
        response = visit("/", headers={"cookie": "sessionid=abcdefghijklmnopqrstuvwxyz012345"})
        assert response.status_code == 503
        # The visitor keeps the session for when it is there again.
        assert "sessionid" not in response.cookies


@pytest.mark.parametrize(
    ("reader", "values"),
    [
        (CSRF, {"CSRF_USE_SESSIONS": True}),
        (SITE, {"SITE_ID": 1}),
        (REMOTE, {}),
        ("django.middleware.locale.LocaleMiddleware", None),
    ],
)
@pytest.mark.parametrize("is_early", [True, False], ids=["before ours", "after ours"])
def test_requirement_71_the_page_comes_or_a_check_names_the_order_that_works(
    visit, site, configure, broken_database, reader, values, is_early
):
    apps = settings.INSTALLED_APPS
    if reader == SITE:
        apps = [*apps, "django.contrib.sites"]
    order = in_order(*([reader, OURS] if is_early else [OURS, reader]))
    configure(
        MIDDLEWARE=order,
        INSTALLED_APPS=apps,
        MAINTENANCE_MODE_IGNORE_STAFF=True,
        SESSION_SAVE_EVERY_REQUEST=True,
        **(values or {}),
    )
    site.on()
    site.add_rule("path", "/login/")
    found = [message for message in check_maintenance() if message.id != "maint.W002"]
    cookie = {"cookie": "sessionid=abcdefghijklmnopqrstuvwxyz012345"}
    if is_early and values is not None:
        (message,) = found
        assert message.id == "maint.W009"
        assert reader.rpartition(".")[2] in message.msg
        assert message.hint == "put that of maint before it, after AuthenticationMiddleware"
        with pytest.raises(OperationalError):
            visit("/", headers=cookie)
    else:
        assert found == []
        assert visit("/", headers=cookie).status_code == 503


@pytest.mark.parametrize("engine", ["signed_cookies", "file"])
def test_csrf_in_sessions_is_sound_if_they_need_no_database(configure, site, engine):
    site.add_rule("path", "/login/")
    configure(CSRF_USE_SESSIONS=True, SESSION_ENGINE=f"{SESSIONS}.{engine}")
    assert check_maintenance() == []


def test_a_page_that_shows_messages_is_replaced_by_the_built_in_one(
    visit, site, configure, tmp_path, broken_database
):
    (tmp_path / "503.html").write_text("{% for message in messages %}{{ message }}{% endfor %}")
    configure(
        TEMPLATES=[{**settings.TEMPLATES[0], "DIRS": [tmp_path]}],
        MESSAGE_STORAGE="django.contrib.messages.storage.session.SessionStorage",
    )
    site.on()
    response = visit("/", headers={"cookie": "sessionid=abcdefghijklmnopqrstuvwxyz012345"})
    assert response.status_code == 503
    assert b"Down for maintenance" in response.content


@pytest.mark.parametrize("saves", [False, True])
def test_a_database_that_can_only_be_read_logs_nobody_out(
    visit, site, configure, monkeypatch, saves, log
):
    configure(
        MAINTENANCE_MODE_LOGOUT_AUTHENTICATED_USER=True,
        SESSION_SAVE_EVERY_REQUEST=saves,
        MAINTENANCE_MODE_STATUS_CODE=429,
    )
    assert visit("/", user="ann").status_code == 200

    def refuse(*arguments, **options):
        raise OperationalError("attempt to write a readonly database")

    for name in ("save", "delete"):
        monkeypatch.setattr(SessionStore, name, refuse)
    site.on()
    assert visit("/").status_code == 429
    assert "could not be logged out" in log.text
    monkeypatch.undo()
    site.off()
    assert visit.cookies["sessionid"].value == visit.session


def test_a_session_that_changed_is_saved_with_a_page_that_is_no_error(site, configure):
    """Middleware of the team may count something."""
    configure(
        MIDDLEWARE=[
            *(name for name in settings.MIDDLEWARE if name != OURS),
            "test_django_away.counting",
            OURS,
        ],
        MAINTENANCE_MODE_STATUS_CODE=429,
    )
    site.on()
    client = Client()
    for number in (1, 2):
        assert client.get("/").status_code == 429
        assert client.session["visits"] == number


def counting(get_response):
    def middleware(request):
        response = get_response(request)
        request.session["visits"] = request.session.get("visits", 0) + 1
        return response

    return middleware


def test_a_session_is_not_prolonged_by_the_page(visit, site, configure, queries):
    configure(
        MAINTENANCE_MODE_TEMPLATE=None,
        SESSION_SAVE_EVERY_REQUEST=True,
        MAINTENANCE_MODE_STATUS_CODE=429,
    )
    visit("/", user="ann")
    site.on()
    queries.clear()
    response = visit("/")
    assert (response.status_code, queries) == (429, [])
    assert "sessionid" not in response.cookies


# Locked, slow, and there again


class Door:
    """A function of the team that finds users, unless the database is locked."""

    def __init__(self):
        self.is_open = threading.Event()
        self.is_open.set()
        self.asked = threading.Semaphore(0)
        self.calls = 0

    def __call__(self, request):
        self.calls += 1
        self.asked.release()
        assert self.is_open.wait(60)

    @contextmanager
    def locked(self):
        self.is_open.clear()
        try:
            yield
        finally:
            self.is_open.set()


@pytest.fixture
def door(configure, site, monkeypatch):
    monkeypatch.setattr(_asking, "SLOW", 0.2)
    door = Door()
    configure(MAINTENANCE_MODE_IGNORE_STAFF=True, MAINTENANCE_MODE_GET_AUTHENTICATED_USER=door)
    site.on()
    Client().get("/")
    door.calls = 0
    while door.asked.acquire(blocking=False):
        pass
    return door


class At:
    """The clock of `_asking`, ahead by some seconds."""

    ahead = 0.0

    def monotonic(self):
        return time.monotonic() + self.ahead


def test_requirement_71_one_visitor_at_most_waits_for_a_locked_database(door, monkeypatch, log):
    clock = At()
    monkeypatch.setattr(_asking, "time", clock)
    staff = Client()
    from django.contrib.auth import get_user_model

    staff.force_login(get_user_model().objects.get(username="staff"))
    assert staff.get("/").status_code == 200
    door.calls = 0
    door.asked.acquire()
    with door.locked():
        first = threading.Thread(target=Client().get, args=["/"])
        first.start()
        assert door.asked.acquire(timeout=60)
        # They are answered while the first one still waits.
        for _ in range(5):
            assert Client().get("/").status_code == 503
        assert first.is_alive()
        assert door.calls == 1
    first.join()
    # It is remembered, and then one asks.
    assert staff.get("/").status_code == 503
    assert door.calls == 1
    assert log.text.count("asked once in 10 s") == 1
    clock.ahead = _asking.AGAIN_AFTER
    assert staff.get("/").status_code == 200
    assert staff.get("/").status_code == 200
    assert door.calls == 3


def test_requirement_71_a_locked_database_is_tried_by_one_in_ten_seconds(door, monkeypatch):
    clock = At()
    monkeypatch.setattr(_asking, "time", clock)
    waits = []
    wait = threading.Condition.wait

    def recorded(condition, timeout=None):
        if any(condition is asking._changed for asking in _asking._all):
            waits.append(timeout)
        return wait(condition, timeout)

    monkeypatch.setattr(threading.Condition, "wait", recorded)
    for times in (1, 2):
        with door.locked():
            first = threading.Thread(target=Client().get, args=["/"])
            first.start()
            assert door.asked.acquire(timeout=60)
            waits.clear()
            for _ in range(20):
                assert Client().get("/").status_code == 503
            # The second time nobody waits even for a moment.
            assert times == 1 or not waits
            assert door.calls == times
            clock.ahead += 5
        first.join()
        clock.ahead += _asking.AGAIN_AFTER


def test_requirement_71_a_database_that_is_away_is_asked_once(
    visit, site, configure, broken_database, monkeypatch
):
    asked = []
    load = SessionStore.load

    def record(self):
        asked.append(self.session_key)
        return load(self)

    monkeypatch.setattr(SessionStore, "load", record)
    configure(MAINTENANCE_MODE_TEMPLATE=None, MAINTENANCE_MODE_LOGOUT_AUTHENTICATED_USER=True)
    site.on()
    site.add_rule("user", "staff")
    for _ in range(5):
        cookie = {"cookie": "sessionid=abcdefghijklmnopqrstuvwxyz012345"}
        assert visit("/", headers=cookie).status_code == 503
    assert len(asked) == 1


def test_what_a_visitor_does_wrong_keeps_nobody_else_out(visit, site, configure):
    def find(request):
        if "X-Key" in request.headers:
            raise LookupError("no such key")

    configure(MAINTENANCE_MODE_IGNORE_STAFF=True, MAINTENANCE_MODE_GET_AUTHENTICATED_USER=find)
    site.on()
    assert visit("/", headers={"x-key": "1"}).status_code == 503
    assert visit("/", user="staff").status_code == 200


def test_requirement_71_a_template_that_is_slow_is_rendered_by_one(
    visit, site, configure, tmp_path, monkeypatch
):
    monkeypatch.setattr(_asking, "SLOW", 0.01)
    rendered = []

    def context(request):
        def wait():
            rendered.append(request.path)
            time.sleep(0.02)
            return "their own"

        return {"lazily": wait}

    (tmp_path / "503.html").write_text("{{ lazily }}")
    configure(
        TEMPLATES=[{**settings.TEMPLATES[0], "DIRS": [tmp_path]}],
        MAINTENANCE_MODE_GET_CONTEXT=context,
    )
    site.on()
    assert visit("/").content == b"their own"
    for _ in range(3):
        assert b"Down for maintenance" in visit("/").content
    assert len(rendered) == 1


def test_requirement_71_the_context_of_the_team_is_asked_for_by_one(
    visit, site, configure, tmp_path
):
    calls = []

    def context(request):
        calls.append(request)
        raise ConnectionRefusedError("no database")

    (tmp_path / "503.html").write_text("their own {{ reason }} {{ request.path }}")
    configure(
        TEMPLATES=[{**settings.TEMPLATES[0], "DIRS": [tmp_path]}],
        MAINTENANCE_MODE_GET_CONTEXT=context,
    )
    site.on(reason="x")
    configuration()
    calls.clear()
    for _ in range(3):
        assert visit("/").content == b"their own x /"
    assert len(calls) == 1
