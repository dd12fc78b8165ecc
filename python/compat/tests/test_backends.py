"""Back ends: the local file is the site, and any other is one more hold."""

import asyncio
import io
import os
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import AsyncClient, override_settings
from django.utils import timezone

from maint.django import conf
from maintenance_mode import backends, holds
from maintenance_mode.backends import AbstractStateBackend, CacheBackend, LocalFileBackend
from maintenance_mode.checks import check_face
from maintenance_mode.core import (
    get_maintenance_mode,
    get_maintenance_mode_backend,
    maintenance_mode_off,
    maintenance_mode_on,
    set_maintenance_mode,
)
from maintenance_mode.middleware import MaintenanceModeMiddleware

PAST = {"start": "2001-01-01T00:00:00+00:00", "end": "2001-01-02T00:00:00+00:00"}
CACHE = "maintenance_mode.backends.CacheBackend"


class Database(AbstractStateBackend):
    """A back end as projects write it, which can be away, and counts who asks."""

    state = False
    asked = 0
    error = None

    def get_value(self):
        Database.asked += 1
        if Database.error:
            raise Database.error
        return Database.state

    def set_value(self, value):
        Database.state = value


@pytest.fixture(autouse=True)
def clean():
    Database.state, Database.asked, Database.error = False, 0, None
    holds._holds.clear()


@pytest.fixture
def database(configure):
    configure(_STATE_BACKEND="test_backends.Database")


@pytest.fixture
def shared(configure):
    configure(_STATE_BACKEND=CACHE)


# The five helpers


def test_a_state_is_text_and_back():
    schedule = {"start": None, "end": "2099-01-01T00:00:00+00:00"}
    for state in (True, False, schedule):
        text = AbstractStateBackend.from_state_to_str_value(state)
        assert AbstractStateBackend.from_str_to_state_value(text) == state
    assert AbstractStateBackend.from_bool_to_str_value(True) == "1"
    assert AbstractStateBackend.from_str_to_bool_value(" 0\n") is False
    assert AbstractStateBackend.validate_schedule_state_value(schedule) == schedule


@pytest.mark.parametrize(
    "text",
    ["", "x", "true", '{"a": 1}', '{"start": null, "end": null}', '{"start": 1, "end": null}', "{"],
)
def test_text_that_is_no_state_is_refused(text):
    with pytest.raises(ValueError):
        AbstractStateBackend.from_str_to_state_value(text)


def test_a_schedule_is_refused_where_only_a_switch_fits():
    with pytest.raises(ValueError):
        AbstractStateBackend.from_bool_to_str_value(PAST)
    for method in ("get_value", "set_value"):
        with pytest.raises(NotImplementedError):
            getattr(AbstractStateBackend(), method)(*([True] if method == "set_value" else []))


# The site


def test_the_local_file_is_the_window_of_the_site(site, run):
    backend = get_maintenance_mode_backend()
    assert (type(backend), backend.get_value()) == (LocalFileBackend, False)
    run("on")
    assert backend.get_value() is True
    backend.set_value(False)
    assert site.open_windows() == []
    backend.set_value(True)
    assert site.open_windows() == ["default"]


def test_a_schedule_that_is_over_is_put_back_as_it_is(site):
    for _ in range(2):
        LocalFileBackend().set_value(PAST)
    assert LocalFileBackend().get_value() == {
        "start": "2001-01-01T00:00:00Z",
        "end": "2001-01-02T00:00:00Z",
    }
    assert site.open_windows() == []


def test_w003_names_the_site_that_would_keep_the_place_of_the_file(configure, tmp_path):
    from maint.django.checks import check_maintenance

    configure(_STATE_FILE_PATH=str(tmp_path / "build" / "state.txt"))
    found = [one for one in check_maintenance() if one.id == "maint.W003"]
    assert len(found) == 1, found
    [message] = found
    assert f"MAINT_SITE = {str(tmp_path / 'build' / '.maint')!r}" in message.hint


@pytest.mark.parametrize("text", ["1", '{"start": null, "end": "2099-01-01T00:00:00+00:00"}'])
def test_w013_an_old_file_that_says_down_is_found_until_the_site_is_down(
    configure, site, tmp_path, text
):
    file = tmp_path / "maintenance_mode_state.txt"
    file.write_text(text)
    configure(_STATE_FILE_PATH=str(file))
    ids = [message.id for message in check_face()]
    assert "maint.W013" in ids
    site.on()
    assert "maint.W013" not in [message.id for message in check_face()]
    site.off()
    file.write_text("0")
    assert "maint.W013" not in [message.id for message in check_face()]


# One more hold


def test_each_of_site_and_back_end_holds_the_site_down(database, visit, site, run):
    assert visit().status_code == 200
    Database.state = True
    assert (visit().status_code, get_maintenance_mode()) == (503, True)
    run("on")
    Database.state = False
    assert (visit().status_code, get_maintenance_mode()) == (503, True)
    run("off")
    assert (visit().status_code, get_maintenance_mode()) == (200, False)


def test_on_is_for_the_back_end_alone_and_off_for_both(database, site):
    set_maintenance_mode(True)
    assert (Database.state, site.open_windows()) == (True, [])
    site.on()
    set_maintenance_mode(False)
    assert (Database.state, site.open_windows()) == (False, [])
    # Where nobody has ever taken this host down, nothing is written for it.
    os.remove(site.state_file)
    set_maintenance_mode(False)
    assert (Database.state, os.path.exists(site.state_file)) == (False, False)


def test_a_schedule_of_a_back_end_is_by_the_clock(database, visit):
    now = timezone.now()
    set_maintenance_mode(True, start=now - timedelta(hours=1), end=now + timedelta(hours=1))
    assert visit().status_code == 503
    Database.state = PAST
    assert visit().status_code == 200
    set_maintenance_mode(True, start="2099-01-01 00:00")
    assert (visit().status_code, Database.state["end"]) == (200, None)
    for times in (("2099-01-02", "2099-01-01"), (None, "2001-01-01")):
        with pytest.raises(ValueError):
            set_maintenance_mode(True, *times)


def test_rules_let_people_through_as_ever(database, visit, configure, run):
    Database.state = True
    configure(_IGNORE_STAFF=True, _IGNORE_URLS=["^/open"], _IGNORE_IP_ADDRESSES=["10.0.0.1"])
    run("ignore", "add", "path", "/health/")
    assert visit().status_code == 503
    assert visit(user="staff").status_code == 200
    assert visit(ip="10.0.0.1").headers["cache-control"] == "private, no-store"
    for path in ("/open/", "/health/", "/never/"):
        assert visit(path).status_code == 200, path


def test_a_request_asks_the_back_end_once(database, visit, configure):
    configure(_IGNORE_URLS=["^/state/"])
    visit("/state/")
    Database.asked = 0
    assert visit("/state/").content == b"up\n", "the context processor asks, too"
    assert Database.asked == 1


def test_the_event_loop_is_not_kept_waiting_by_a_back_end(database):
    async def visit():
        return await AsyncClient().get("/", headers={"accept": "text/html"})

    Database.state = True
    assert asyncio.run(visit()).status_code == 503

    class NotInALoop(Exception):
        pass

    def get_value(self):
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return False
        raise NotInALoop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "get_value", get_value)
        assert asyncio.run(visit()).status_code == 200


def test_while_a_back_end_is_away_the_site_stays_as_it_said_last(database, visit, caplog):
    Database.error = ConnectionError("away")
    assert visit().status_code == 200, "the fallback value, since it has said nothing yet"
    # Nobody waits here for the ten seconds until it is asked again.
    holds._holds.clear()
    conf.configuration.cache_clear()
    Database.error = None
    Database.state = True
    assert visit().status_code == 503
    Database.error = ConnectionError("away")
    for _ in range(3):
        assert (visit().status_code, get_maintenance_mode()) == (503, True)
    assert "cannot be asked" in caplog.text
    # What this process has written is known all the same.
    set_maintenance_mode(False)
    assert get_maintenance_mode() is False


def test_the_fallback_value_is_for_who_has_said_nothing(configure, visit):
    Database.error = KeyError("no table yet")
    configure(_STATE_BACKEND="test_backends.Database", _STATE_BACKEND_FALLBACK_VALUE=True)
    assert visit().status_code == 503


def test_contexts_save_and_restore_the_value_of_the_back_end(database, site):
    Database.state = PAST
    with maintenance_mode_on():
        assert (Database.state, site.open_windows()) == (True, [])
        with maintenance_mode_off():
            assert not get_maintenance_mode()
        assert get_maintenance_mode()
    assert Database.state == PAST


def test_a_fixed_mode_goes_before_the_back_end(database, visit, configure):
    Database.state = True
    configure(**{"": False})
    assert visit().status_code == 200
    with pytest.raises(ImproperlyConfigured), maintenance_mode_on():
        pass
    assert Database.state is True


@pytest.mark.parametrize("path", ["shop.nowhere.Backend", "os", "os.path.join", 7])
def test_a_back_end_that_is_none_stops_the_start(configure, path):
    configure(_STATE_BACKEND=path)
    with pytest.raises(ImproperlyConfigured, match="STATE_BACKEND"):
        MaintenanceModeMiddleware(lambda request: None)
    assert "maint.E005" in {message.id for message in check_face()}


def test_w012_says_how_a_back_end_is_switched(database):
    [message] = [one for one in check_face() if one.id == "maint.W012"]
    assert "`maint off` does not reach it" in message.msg


def test_the_command_switches_the_back_end_and_shows_both(database, site):
    def command(*arguments, **options):
        out = io.StringIO()
        call_command("maintenance_mode", *arguments, stdout=out, **options)
        return out.getvalue()

    assert command("on") == ""
    assert (Database.state, site.open_windows()) == (True, [])
    status = command("status")
    assert "down" in status.splitlines()[0]
    assert "Database holds the site down: True" in status
    assert command("off", verbosity=2) == "Database no longer holds the site down\n"
    assert Database.state is False
    site.on()
    assert "window `default` is closed" in command("off", verbosity=2)
    assert "Database does not hold the site down: False" in command("status")


def test_the_views_switch_the_back_end(database, visit, site):
    assert visit("/maintenance-mode/on/", user="root", method="post").status_code == 302
    assert (Database.state, site.open_windows()) == (True, [])
    assert visit("/maintenance-mode/off/", user="root", method="post").status_code == 302
    assert Database.state is False


# Those of the package


def test_the_cache_keeps_the_key_of_the_peer_for_hosts_that_still_run_it(shared, visit):
    cache.set("maintenance_mode", "1", None)
    assert visit().status_code == 503
    set_maintenance_mode(False)
    assert cache.get("maintenance_mode") == "0"
    assert visit().status_code == 200


def test_an_empty_cache_gives_the_fallback_value(shared, configure):
    assert CacheBackend().get_value() is False
    configure(_STATE_BACKEND_FALLBACK_VALUE=True)
    assert CacheBackend().get_value() is True


def test_the_cache_is_that_of_the_setting_or_the_one_named_so(shared, configure):
    local = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    named = {**local, "LOCATION": "named"}
    with override_settings(CACHES={"default": local, "maintenance_mode": named, "x": named}):
        assert CacheBackend.get_cache() is backends.caches["maintenance_mode"]
        configure(_CACHE_BACKEND="x")
        assert CacheBackend.get_cache() is backends.caches["x"]


def test_a_cache_that_fails_keeps_the_site_down(shared, visit, monkeypatch):
    set_maintenance_mode(True)
    monkeypatch.setattr(
        "django.core.cache.backends.locmem.LocMemCache.get",
        lambda *arguments, **options: (_ for _ in ()).throw(ConnectionError("away")),
    )
    assert CacheBackend().get_value() is False, "as the peer: the fallback value"
    assert visit().status_code == 503


@pytest.mark.parametrize("kind", ["DefaultStorageBackend", "StaticStorageBackend"])
def test_a_storage_keeps_one_file(configure, visit, tmp_path, kind):
    # That of the project is one for the whole process.
    from django.core.files.storage import FileSystemStorage

    storage = FileSystemStorage(location=tmp_path / "files")
    name = "default_storage" if kind == "DefaultStorageBackend" else "staticfiles_storage"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends, name, storage)
        configure(_STATE_BACKEND=f"maintenance_mode.backends.{kind}")
        assert visit().status_code == 200
        for value, status in ((True, 503), (False, 200), (True, 503)):
            set_maintenance_mode(value)
            assert visit().status_code == status
        assert storage.listdir("")[1] == [settings.MAINTENANCE_MODE_STATE_FILE_NAME]


def test_a_subclass_of_the_local_file_is_the_site_too(configure, visit, site):
    configure(_STATE_BACKEND="test_backends.Logged")
    set_maintenance_mode(True)
    assert (visit().status_code, site.open_windows()) == (503, ["default"])
    set_maintenance_mode(False)
    assert (visit().status_code, site.open_windows()) == (200, [])


class Logged(LocalFileBackend):
    pass


def test_files_are_written_whole_and_readable_by_everyone(tmp_path):
    from maintenance_mode.io import read_file, write_file

    path = tmp_path / "deep" / "state.txt"
    assert read_file(path, "nothing") == "nothing"
    write_file(path, "1")
    write_file(path, "0")
    assert (read_file(path), [file.name for file in path.parent.iterdir()]) == ("0", ["state.txt"])
    assert path.stat().st_mode & 0o777 == 0o644
