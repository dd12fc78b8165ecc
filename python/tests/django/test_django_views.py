"""The views that take the site down and up, for superusers."""

import random
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from maint.django.core import get_maintenance_mode
from sizes import amount

ON, OFF = "/maintenance-mode/on/", "/maintenance-mode/off/"


@pytest.fixture
def post(visit):
    """Opens the form, and sends it like a browser."""

    def post(path, user="root", **options):
        response = visit(path, user=user, enforce_csrf_checks=True)
        assert response.status_code == 200
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', response.content.decode())
        data = {"csrfmiddlewaretoken": token[1]}
        return visit(path, method="POST", data=data, enforce_csrf_checks=True, **options)

    return post


def test_a_superuser_takes_the_site_down_and_up(visit, post, site):
    response = post(ON)
    assert (response.status_code, response["location"]) == (302, "/")
    assert visit("/").status_code == 503
    # The views themselves are never down.
    response = post(OFF)
    assert (response.status_code, response["location"]) == (302, "/")
    assert visit("/").status_code == 200


def test_a_window_that_is_open_loses_nothing_by_a_click(visit, post, site):
    site.on(reason="Bigger disks", paths=["/shop/**"])
    before = site.state()
    response = post(ON)
    assert response.status_code == 409
    assert "this would lose its scope (paths /shop/**, and then every" in response.content.decode()
    assert site.state() == before


def changes_by_asking(site, methods, requests):
    """How many changes random requests make, by a superuser without CSRF checks."""
    chance = random.Random(47)
    client = Client()
    client.force_login(get_user_model().objects.get(username="root"))
    before = site.state()["revision"]
    for _ in range(requests):
        path = chance.choice([ON, OFF, OFF, "/", "/admin/", "/maintenance-mode/", f"{OFF}x/"])
        fields = {
            name: chance.choice(["off", "on", "POST", "DELETE", "/", "//evil.example", "\x00", "1"])
            for name in ("redirect", "_method", "action", "csrfmiddlewaretoken", "maint_bypass")
            if chance.random() < 0.3
        }
        method = chance.choice(methods)
        override = {"x-http-method-override": "POST"} if chance.random() < 0.5 else {}
        target = f"{path}?{urlencode(fields)}"
        response = client.generic(method, target, headers=override)
        assert response.status_code in (200, 302, 301, 403, 404, 405, 503), (method, target)
    return site.state()["revision"] - before


@pytest.mark.parametrize("is_down", [False, True], ids=["up", "down"])
def test_requirement_47_no_get_head_or_options_changes_the_state(site, figure, is_down):
    if is_down:
        site.on()
    requests = amount(300, 5_000)
    changes = changes_by_asking(site, ["GET", "HEAD", "OPTIONS"], requests)
    figure(f"{requests} requests by GET, HEAD and OPTIONS of a superuser: {changes} changes")
    assert changes == 0


def test_requirement_57_a_request_that_changes_the_state_is_found(site, figure):
    changes = changes_by_asking(site, ["GET", "POST"], 200)
    figure(f"{changes} changes by 200 requests, about half of them POSTs without CSRF checks")
    assert changes > 0


@pytest.mark.parametrize("path", [ON, OFF])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"])
def test_requirement_47_nothing_but_post_changes_anything(visit, site, path, method):
    if path == OFF:
        site.on()
    before = site.state()
    response = visit(path, method=method, user="root")
    assert response.status_code == (200 if method in ("GET", "HEAD") else 405)
    assert site.state() == before


@pytest.mark.parametrize("path", [ON, OFF])
@pytest.mark.parametrize("user", [None, "ann", "staff"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_else_may(visit, site, path, user, method):
    if path == OFF:
        site.on()
    before = site.state()
    assert visit(path, method=method, user=user).status_code == 403
    assert site.state() == before


@pytest.mark.parametrize("backend", ["ModelBackend", "AllowAllUsersModelBackend"])
def test_nor_may_a_superuser_who_is_no_longer_active(visit, configure, backend):
    configure(AUTHENTICATION_BACKENDS=[f"django.contrib.auth.backends.{backend}"])
    root = get_user_model().objects.get(username="root")
    visit(ON, user="root")
    root.is_active = False
    root.save()
    try:
        assert visit(ON, method="POST").status_code == 403
    finally:
        root.is_active = True
        root.save()
    assert get_maintenance_mode() is False


@pytest.mark.parametrize("data", [{}, {"csrfmiddlewaretoken": "x" * 64}])
@pytest.mark.parametrize("has_middleware", [True, False])
def test_a_post_from_elsewhere_is_refused(visit, site, configure, data, has_middleware):
    from django.conf import settings

    if not has_middleware:
        configure(MIDDLEWARE=[name for name in settings.MIDDLEWARE if "Csrf" not in name])
    visit(ON, user="root")
    response = visit(ON, method="POST", data=data, enforce_csrf_checks=True)
    assert response.status_code == 403
    assert get_maintenance_mode() is False


@pytest.mark.parametrize(
    ("redirect", "place"),
    [
        ("/admin/", "/admin/"),
        ("/admin/%3Fa%3D1", "/admin/?a=1"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/%5Cevil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_it_goes_on_to_a_place_of_this_host_alone(visit, post, site, redirect, place):
    assert post(f"{ON}?redirect={redirect}")["location"] == place


def test_the_history_names_the_superuser(post, site, run):
    post(ON)
    post(OFF)
    log = run("log").stdout
    assert re.search(r"root@\S+ .*view maintenance_mode_on", log)
    assert re.search(r"root@\S+ .*view maintenance_mode_off", log)


def test_the_form_says_how_it_is_and_is_not_kept(visit, site):
    response = visit(ON, user="root")
    assert b"It is off now" in response.content
    assert "no-store" in response["cache-control"]
    site.on("deploy-42")
    assert b"It is on now, held by deploy-42" in visit(OFF).content


@pytest.mark.parametrize("path", [ON, OFF])
def test_no_other_site_shows_the_form_in_a_frame(visit, configure, path):
    from django.conf import settings

    clickjacking = "django.middleware.clickjacking.XFrameOptionsMiddleware"
    for middleware in (settings.MIDDLEWARE, [clickjacking, *settings.MIDDLEWARE]):
        configure(MIDDLEWARE=middleware, X_FRAME_OPTIONS="SAMEORIGIN")
        response = visit(path, user="root")
        assert response["x-frame-options"] == "DENY"
        policy = response["content-security-policy"].split("; ")
        assert {"frame-ancestors 'none'", "default-src 'none'", "form-action 'self'"} < set(policy)
        assert "no-store" in response["cache-control"]


@pytest.mark.parametrize(
    ("rule", "settings", "login"),
    [
        (None, {}, None),
        ("/login/", {}, "/login/"),
        ("/admin/**", {}, "/admin/login/"),
        (None, {"MAINTENANCE_MODE_IGNORE_ADMIN_SITE": True}, "/admin/login/"),
        (None, {"MAINTENANCE_MODE_IGNORE_URLS": ["/login/"]}, "/login/"),
        (None, {"MAINTENANCE_MODE_IGNORE_STAFF": True}, None),
    ],
)
def test_the_form_says_the_way_back_of_a_superuser_who_is_logged_out(
    visit, post, site, configure, rule, settings, login
):
    configure(**settings)
    if rule:
        site.add_rule("path", rule)
    form = visit(ON, user="root").content.decode()
    assert ("maint off" in form) == (login is None)
    assert login is None or f'log in again at <a href="{login}">' in form
    post(ON)
    # It is as the form says.
    reached = [
        path for path in ("/admin/login/", "/login/") if Client().get(path).status_code == 200
    ]
    assert reached == ([login] if login else [])


def test_off_says_what_still_holds_the_site(post, site):
    site.on()
    site.on("deploy-42")
    response = post(OFF)
    assert response.status_code == 200
    assert b"Still down, held by deploy-42" in response.content
    assert list(site.state()["windows"]) == ["deploy-42"]


def test_what_the_settings_say_cannot_be_changed(post, configure):
    configure(MAINTENANCE_MODE=False)
    response = post(ON)
    assert response.status_code == 409
    assert b"MAINTENANCE_MODE is False in the settings" in response.content


def test_a_state_that_cannot_be_written_is_told(visit, post, site):
    visit("/")
    Path(site.state_file).write_text("{")
    response = post(ON)
    assert response.status_code == 409
    assert b"state.json" in response.content


def test_without_users_nobody_may(visit, configure):
    configure(MIDDLEWARE=["maint.django.middleware.MaintenanceModeMiddleware"])
    assert visit(ON).status_code == 403
