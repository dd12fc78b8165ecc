"""`manage.py check`: each finding, and none for a sound project.

test_django_bad_settings.py tests that every invalid setting is an error.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core import checks
from django.test import Client
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy

from maint import Site
from maint.django.checks import OBSOLETE, check_maintenance
from maint.django.middleware import MaintenanceModeMiddleware
from maint.django.settings import READERS

OURS = "maint.django.middleware.MaintenanceModeMiddleware"
SESSION = "django.contrib.sessions.middleware.SessionMiddleware"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"


@pytest.fixture(autouse=True)
def login_stays_up(site):
    """The project has the views for superusers, and W010 is about those."""
    site.add_rule("path", "/login/")


def found():
    return [(message.id, message.msg, message.hint) for message in check_maintenance()]


def only():
    (message,) = check_maintenance()
    return message


class MaintenanceOfTheTeam:
    """Not ours."""


class ExtendedMiddleware(MaintenanceModeMiddleware):
    """Ours, and more."""


def test_a_sound_project_has_no_finding(site):
    site.on()
    site.add_rule("user", "staff")
    assert found() == []
    assert checks.run_checks(tags=["maint"]) == []


def test_every_setting_at_a_sound_value_is_none(configure):
    configure(
        MAINTENANCE_MODE_IGNORE_ADMIN_SITE=True,
        MAINTENANCE_MODE_IGNORE_ANONYMOUS_USER=False,
        MAINTENANCE_MODE_IGNORE_AUTHENTICATED_USER=False,
        MAINTENANCE_MODE_IGNORE_STAFF=True,
        MAINTENANCE_MODE_IGNORE_SUPERUSER=True,
        MAINTENANCE_MODE_IGNORE_IP_ADDRESSES=("10.0.0.0/8",),
        MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS="test_django_settings.by_field",
        MAINTENANCE_MODE_GET_AUTHENTICATED_USER="test_django_users.by_header",
        MAINTENANCE_MODE_IGNORE_URLS=("/health", "^/api/.*$", re.compile("^/b/.*"), "re:/c"),
        MAINTENANCE_MODE_IGNORE_TESTS=True,
        MAINTENANCE_MODE_LOGOUT_AUTHENTICATED_USER=True,
        MAINTENANCE_MODE_LOGOUT_STAFF_USER=False,
        MAINTENANCE_MODE_LOGOUT_SUPERUSER=None,
        MAINTENANCE_MODE_REDIRECT_URL=reverse_lazy("login"),
        MAINTENANCE_MODE_RESPONSE_TYPE="json",
        MAINTENANCE_MODE_TEMPLATE="errors/503.html",
        MAINTENANCE_MODE_STATUS_CODE=503,
        MAINTENANCE_MODE_RETRY_AFTER=3600,
        MAINTENANCE_MODE_GET_CONTEXT="test_django_templates.team",
        MAINT_RECHECK=0.1,
        MAINT_PLAIN_HTTP=False,
        MAINT_IS_READ=lambda request: request.path == "/login/",
        MAINT_TITLE=gettext_lazy("The shop is moving"),
        MAINT_CONTACT="help@example.com",
        MAINT_STATUS_URL="https://status.example.com/",
        MAINT_LANGUAGE="pt_BR",
    )
    assert found() == []
    named = {name for name in dir(settings) if name in READERS}
    assert named | {"MAINTENANCE_MODE"} == set(READERS)


def test_e001_no_site(configure, tmp_path):
    configure(MAINT_SITE=tmp_path / "nowhere")
    message = only()
    assert (message.id, message.level) == ("maint.E001", checks.ERROR)
    assert "nowhere" in message.msg
    assert "init" in message.msg


def test_a_project_without_a_site_has_nothing_to_report(configure, tmp_path, monkeypatch):
    for name in ("MAINT_SITE", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".maint").rename(tmp_path / "away")
    (tmp_path / "manage.py").touch()
    configure(MAINT_SITE=None, BASE_DIR=tmp_path)
    # No login stays up in this project, with a site or without.
    assert [message.id for message in check_maintenance()] == ["maint.W010"]
    assert not (tmp_path / ".maint").exists()


def test_e001_a_state_of_a_later_version(site):
    Path(site.state_file).write_text('{"version": 99, "revision": 1}')
    assert only().id in ("maint.E001", "maint.E002")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1, "revision": 0, "windows": 7}'])
def test_e002_a_broken_state(site, text):
    Path(site.state_file).write_text(text)
    message = only()
    assert (message.id, message.level) == ("maint.E002", checks.ERROR)
    assert site.state_file in message.msg


def test_e003_a_wrong_type_and_all_of_them_at_once(configure):
    configure(
        MAINTENANCE_MODE="True",
        MAINTENANCE_MODE_IGNORE_STAFF="yes",
        MAINTENANCE_MODE_STATUS_CODE="503",
    )
    messages = check_maintenance()
    assert [message.id for message in messages] == ["maint.E003"] * 3
    assert messages[0].msg == "MAINTENANCE_MODE must be True, False or None, not 'True'."
    assert messages[0].hint == (
        "a value from the environment is text, so compare it, as in `== '1'`"
    )


@pytest.mark.parametrize("name", ["IGNORE_URLS", "IGNORE_IP_ADDRESSES"])
def test_e004_a_list_given_as_text(configure, name):
    configure(**{f"MAINTENANCE_MODE_{name}": "10.0.0.1"})
    message = only()
    assert (message.id, message.hint) == ("maint.E004", "write ['10.0.0.1']")


@pytest.mark.parametrize("value", ["project.nowhere.function", lambda: None])
def test_e005_a_function_that_cannot_be_called(configure, value):
    configure(MAINTENANCE_MODE_GET_CONTEXT=value)
    assert only().id == "maint.E005"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GET_CLIENT_IP_ADDRESS", "test_django_bad_settings.raises"),
        ("GET_CONTEXT", "test_django_bad_settings.raises_by_keyword"),
    ],
)
def test_w015_a_function_that_raises_for_nobody_keeps_no_server_from_starting(
    configure, name, value
):
    configure(**{f"MAINTENANCE_MODE_{name}": value})
    message = only()
    assert (message.id, message.level) == ("maint.W015", checks.WARNING)
    assert "raises LookupError" in message.msg
    MaintenanceModeMiddleware(lambda request: None)


def test_w015_an_address_function_that_is_missing_is_an_error_only_where_rules_need_it(
    configure, site, run
):
    """The README of django-maintenance-mode shows `ipware.ip.get_ip`, and many copy the line."""
    configure(MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS="ipware.ip.get_ip")
    assert only().id == "maint.W015"
    run("on")
    run("ignore", "add", "ip", "192.0.2.1")
    page = Client(REMOTE_ADDR="192.0.2.1").get("/")
    assert page.status_code == 503, "the address is not known, so it matches no rule"
    configure(MAINTENANCE_MODE_IGNORE_IP_ADDRESSES=["192.0.2.1"])
    assert only().id == "maint.E005"


def test_w014_a_template_that_is_named_and_missing(configure):
    configure(MAINTENANCE_MODE_TEMPLATE="nowhere.html")
    message = only()
    assert (message.id, message.level) == ("maint.W014", checks.WARNING)
    assert "'nowhere.html'" in message.msg
    MaintenanceModeMiddleware(lambda request: None)


def test_the_default_template_may_be_named_and_missing(configure, tmp_path):
    (engine,) = settings.TEMPLATES
    configure(TEMPLATES=[{**engine, "DIRS": [tmp_path]}], MAINTENANCE_MODE_TEMPLATE="503.html")
    assert found() == []


def test_e006_a_template_that_is_broken_or_cannot_be_read(configure, tmp_path):
    (engine,) = settings.TEMPLATES
    templates = [{**engine, "DIRS": [tmp_path]}]
    configure(TEMPLATES=templates)
    # The default template may be missing …
    assert found() == []
    # … but if it is there, it must be valid.
    for content, words in ((b"{% if %}", "TemplateSyntaxError"), (b"\xff", "UnicodeDecodeError")):
        (tmp_path / "503.html").write_bytes(content)
        configure(TEMPLATES=templates)  # which Django remembers
        message = only()
        assert message.id == "maint.E006"
        assert words in message.msg


def test_w001_the_middleware_is_missing(configure):
    configure(
        MIDDLEWARE=[
            name if name != OURS else "test_django_checks.MaintenanceOfTheTeam"
            for name in settings.MIDDLEWARE
        ]
    )
    message = only()
    assert (message.id, message.level) == ("maint.W001", checks.WARNING)
    assert OURS in message.hint


def test_a_middleware_that_builds_on_ours_will_do(configure):
    configure(
        MIDDLEWARE=[
            name if name != OURS else "test_django_checks.ExtendedMiddleware"
            for name in settings.MIDDLEWARE
        ]
    )
    assert found() == []


RULES_FOR_USERS = [
    {"MAINTENANCE_MODE_IGNORE_STAFF": True},
    {"MAINTENANCE_MODE_IGNORE_ANONYMOUS_USER": True},
    {"MAINTENANCE_MODE_LOGOUT_SUPERUSER": True},
]


@pytest.mark.parametrize("rules", RULES_FOR_USERS)
def test_w002_rules_for_users_and_the_middleware_comes_too_early(configure, rules):
    configure(MIDDLEWARE=[OURS, *(name for name in settings.MIDDLEWARE if name != OURS)])
    assert found() == []
    configure(**rules)
    assert [id for id, _, _ in found()] == ["maint.W002", "maint.W002"]
    assert "SessionMiddleware is after" in found()[0][1]
    assert "AuthenticationMiddleware is after" in found()[1][1]


def test_w002_counts_the_rules_of_the_site(configure, site):
    configure(MIDDLEWARE=[SESSION, OURS, AUTH])
    site.add_rule("path", "/health")
    assert found() == []
    site.add_rule("user", "staff")
    (message,) = check_maintenance()
    assert message.id == "maint.W002"
    assert message.msg.startswith("AuthenticationMiddleware is after")


def test_w002_nobody_knows_users_at_all(configure):
    configure(MIDDLEWARE=[OURS], MAINTENANCE_MODE_IGNORE_STAFF=True)
    assert [message.split(" in ")[0] for _, message, _ in found()] == [
        f"{name} is missing from MIDDLEWARE, so the user is unknown and rules for users let "
        "nobody through."
        for name in ("SessionMiddleware", "AuthenticationMiddleware")
    ]
    # Unless the team finds users in another way.
    configure(MAINTENANCE_MODE_GET_AUTHENTICATED_USER="test_django_users.by_header")
    assert found() == []


@pytest.mark.parametrize("name", sorted(OBSOLETE))
def test_w003_an_obsolete_setting_says_what_replaced_it(configure, name):
    configure(**{name: "x"})
    message = only()
    assert (message.id, message.msg) == ("maint.W003", f"{name} has no effect.")
    assert message.hint == OBSOLETE[name]
    assert "remove the setting" in message.hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("MAINTENANCE_MODE_IGNORE_STAF", "did you mean MAINTENANCE_MODE_IGNORE_STAFF?"),
        ("MAINTENANCE_MODE_RETRY", "did you mean MAINTENANCE_MODE_RETRY_AFTER?"),
        ("MAINTENANCE_MODES", "did you mean MAINTENANCE_MODE?"),
    ],
)
def test_w004_a_setting_that_nobody_knows(configure, name, hint):
    configure(**{name: True})
    message = only()
    assert (message.id, message.msg) == ("maint.W004", f"{name} is not a setting of maint.")
    assert message.hint == hint


@pytest.mark.parametrize(
    ("value", "words"),
    [(True, "`maint off` has no effect"), (False, "`maint on` has no effect")],
)
def test_w005_the_settings_say_it_once_and_for_all(configure, value, words):
    configure(MAINTENANCE_MODE=value)
    message = only()
    assert message.id == "maint.W005"
    assert words in message.msg


def test_w006_the_site_is_that_of_the_user(configure, tmp_path, monkeypatch):
    monkeypatch.delenv("MAINT_SITE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / ".maint").rename(tmp_path / "away")
    Site.create(tmp_path / "state" / "maint").add_rule("path", "/login/")
    # Neither a directory nor a script says where the project is.
    monkeypatch.setattr("maint.django.conf._settings_directory", lambda: None)
    monkeypatch.chdir(tmp_path)
    configure(MAINT_SITE=None, BASE_DIR=None)
    message = only()
    assert message.id == "maint.W006"
    assert str(tmp_path / "state" / "maint") in message.msg


@pytest.mark.parametrize(
    ("entry", "instead"),
    [
        ("^/api/", "'/api/**'"),
        ("^/api", "'/api/**'"),
        ("^/a/b.html", "'/a/b.html/**'"),
        (re.compile("^/api/"), "'/api/**'"),
        (re.compile("/api/"), "'/api/**'"),
        (r"^/item/\d+/", r"'re:/item/\\d+/.*'"),
        ("^/(a|b)", "'re:/(a|b).*'"),
    ],
)
def test_w007_a_regular_expression_that_was_a_prefix(configure, entry, instead):
    configure(MAINTENANCE_MODE_IGNORE_URLS=["/health", entry])
    message = only()
    assert message.id == "maint.W007"
    assert f"write {instead};" in message.hint
    # The pattern that the hint suggests passes without a finding.
    (written,) = re.findall(r"^for those write '(.*)';", message.hint)
    configure(MAINTENANCE_MODE_IGNORE_URLS=[written.replace("\\\\", "\\")])
    assert found() == []


@pytest.mark.parametrize(
    ("entry", "instead"),
    [
        ("/never/", "'/never/**'"),
        ("/never", "'/never/**'"),
        ("/maintenance-mode/", "'/maintenance-mode/**'"),
        # A view has these paths, or something that Django does not know.
        ("/", None),
        ("/async", None),
        ("/login/", None),
        ("/admin/", None),
        ("/admin/login/", None),
        ("/health", None),
        ("/static/site.css", None),
        ("/never/**", None),
        ("re:/never/", None),
    ],
)
def test_w007_a_path_that_no_view_has_and_many_are_below(configure, entry, instead):
    configure(MAINTENANCE_MODE_IGNORE_URLS=[entry])
    hints = [f"for all paths below it write {instead}"] if instead else []
    assert [(id, hint) for id, _, hint in found()] == [("maint.W007", hint) for hint in hints]


def test_urls_that_cannot_be_read_are_for_django_to_tell(configure):
    configure(MAINTENANCE_MODE_IGNORE_URLS=["/never/"], ROOT_URLCONF="project.nowhere")
    assert found() == []


@pytest.mark.parametrize("setting", ["INSTALLED_APPS", "MIDDLEWARE"])
def test_w008_the_other_package_is_still_there(monkeypatch, setting):
    # Without override_settings, which would load the app.
    theirs = "maintenance_mode.middleware.MaintenanceModeMiddleware"
    value = "maintenance_mode" if setting == "INSTALLED_APPS" else theirs
    monkeypatch.setattr(settings._wrapped, setting, [*getattr(settings, setting), value])
    monkeypatch.delitem(settings.__dict__, setting, raising=False)
    assert only().id == "maint.W008"


@pytest.mark.parametrize(
    ("rules", "settings", "is_told"),
    [
        ([], {}, True),
        # Only whoever is logged in has any use of this one.
        ([("user", "superuser")], {}, True),
        ([("path", "/admin/")], {}, True),
        ([("path", "/admin/login/")], {}, False),
        ([("path", "/login/")], {}, False),
        ([], {"MAINTENANCE_MODE_IGNORE_ADMIN_SITE": True}, False),
        ([], {"MAINTENANCE_MODE_IGNORE_ANONYMOUS_USER": True}, False),
        # Without the views nobody takes it down in the browser.
        ([], {"ROOT_URLCONF": "project.urls_other"}, False),
    ],
)
def test_w010_a_superuser_who_is_logged_out_cannot_log_in(
    site, configure, rules, settings, is_told
):
    for name in site.state()["ignore"]:
        site.remove_rule(name)
    for kind, value in rules:
        site.add_rule(kind, value)
    configure(**settings)
    assert [id for id, _, _ in found()] == (["maint.W010"] if is_told else [])
    if is_told:
        assert only().hint == (
            "`maint ignore add path /admin/login/` or MAINTENANCE_MODE_IGNORE_ADMIN_SITE = True; "
            "`maint off` on the host works always"
        )


def test_a_broken_list_of_middleware_is_for_django_to_tell(configure):
    configure(
        MIDDLEWARE=["project.nowhere.Middleware", *settings.MIDDLEWARE],
        MAINTENANCE_MODE_IGNORE_STAFF=True,
    )
    assert found() == []


def test_a_finding_can_be_silenced(configure):
    configure(MAINTENANCE_MODE=True, SILENCED_SYSTEM_CHECKS=["maint.W005"])
    (message,) = checks.run_checks(tags=["maint"])
    assert message.is_silenced()


def test_manage_py_check_prints_them(site):
    def check(**values):
        variables = {f"PROJECT_{name}": json.dumps(value) for name, value in values.items()}
        return subprocess.run(
            [sys.executable, Path(settings.BASE_DIR).parent / "manage.py", "check"],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
        )

    done = check(MAINT_SITE=site.directory)
    assert done.stdout == "System check identified no issues (0 silenced).\n", done
    done = check(MAINT_SITE=site.directory + "x", MAINTENANCE_MODE_IGNORE_URLS="/health")
    assert done.returncode == 1
    assert "(maint.E001)" in done.stderr
    assert "?: (maint.E004) MAINTENANCE_MODE_IGNORE_URLS must be a list" in done.stderr
    assert "\tHINT: write ['/health']" in done.stderr


def test_a_server_that_cannot_start_says_which_setting(site):
    code = "import os, django.core.wsgi as w; w.get_wsgi_application()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PROJECT_MAINT_SITE": json.dumps(site.directory),
            "PROJECT_MAINTENANCE_MODE_IGNORE_STAFF": '"yes"',
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "django.core.exceptions.ImproperlyConfigured: MAINTENANCE_MODE_IGNORE_STAFF must be True, "
        "False or None, not 'yes': a value from the environment is text, so compare it, as in "
        "`== '1'`"
    )
