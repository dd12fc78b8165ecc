"""The meaning of each setting, by WSGI and by ASGI; the unsafe old meaning is gone.

Rules for users and logging out are in test_django_users.py, templates in
test_django_templates.py, wrong values in test_django_bad_settings.py.
"""

import html
import ipaddress
import json
import os
import re
import sys

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy

from maint import Site
from maint.django import conf
from maint.django.core import get_maintenance_mode

URLS = "MAINTENANCE_MODE_IGNORE_URLS"
ADDRESSES = "MAINTENANCE_MODE_IGNORE_IP_ADDRESSES"


def statuses(visit, paths):
    return {path: visit(path).status_code != 503 for path in paths}


# MAINTENANCE_MODE


def test_true_takes_everything_down_and_rules_still_apply(visit, site, configure, run):
    configure(MAINTENANCE_MODE=True, MAINTENANCE_MODE_IGNORE_URLS=["/async/"])
    site.add_rule("ip", "203.0.113.7")
    assert statuses(visit, ["/", "/staff/", "/nowhere/", "/async/", "/never/function/"]) == {
        "/": False,
        "/staff/": False,
        "/nowhere/": False,
        "/async/": True,
        "/never/function/": True,
    }
    assert visit("/", ip="203.0.113.7").status_code == 200
    visit(f"/?maint_bypass={run('bypass', 'new').stdout.strip()}")
    assert visit("/").status_code == 200
    assert get_maintenance_mode() is True


def test_false_never_is_down_but_for_views_that_always_are(visit, site, configure):
    configure(MAINTENANCE_MODE=False)
    site.on()
    assert visit("/").status_code == 200
    assert visit("/always/function/").status_code == 503
    assert get_maintenance_mode() is False


@pytest.mark.parametrize("is_set", [True, False])
def test_none_or_nothing_leaves_it_to_the_site(visit, site, configure, is_set):
    if is_set:
        configure(MAINTENANCE_MODE=None)
    assert visit("/").status_code == 200
    assert get_maintenance_mode() is False
    site.on()
    assert visit("/").status_code == 503
    assert get_maintenance_mode() is True


# MAINT_SITE


def test_the_site_is_the_one_of_the_setting(site):
    assert conf.configuration().site.directory == site.directory


def test_a_relative_site_begins_at_the_project(configure, tmp_path, monkeypatch):
    Site.create(tmp_path / "state" / ".maint")
    monkeypatch.chdir("/")
    configure(MAINT_SITE="state/.maint", BASE_DIR=tmp_path)
    assert os.path.samefile(conf.configuration().site.directory, tmp_path / "state" / ".maint")


def test_without_it_the_variable_counts(configure, tmp_path, monkeypatch):
    site = Site.create(tmp_path / "other" / ".maint")
    monkeypatch.setenv("MAINT_SITE", site.directory)
    configure(MAINT_SITE=None)
    assert conf.configuration().site.directory == site.directory
    assert conf.configuration().site.found == "environment"


# MAINT_RECHECK and MAINT_PLAIN_HTTP


def test_the_file_is_looked_at_no_more_often_than_the_setting_says(visit, site, configure):
    configure(MAINT_RECHECK=3600)
    assert visit("/").status_code == 200
    site.on()
    assert visit("/").status_code == 200
    configure(MAINT_RECHECK=None)
    assert visit("/").status_code == 503


def test_without_encryption_the_cookie_of_a_link_is_sent_in_the_clear(visit, site, configure, run):
    site.on()
    token = run("bypass", "new", "-q").stdout.split()[0]
    for plain, secure in ((None, True), (True, "")):
        configure(MAINT_PLAIN_HTTP=plain)
        cookies = visit(f"/?maint_bypass={token}").cookies
        (cookie,) = [cookie for name, cookie in cookies.items() if "maint_bypass" in name]
        assert cookie["secure"] == secure


# MAINT_TITLE, MAINT_CONTACT, MAINT_STATUS_URL, MAINT_LANGUAGE


def test_the_settings_say_what_every_page_says_unless_the_site_does(visit, site, configure):
    configure(
        MAINTENANCE_MODE_TEMPLATE=None,
        MAINT_TITLE=gettext_lazy("The shop is moving"),
        MAINT_CONTACT="help@example.com",
        MAINT_STATUS_URL="https://status.example.com/",
        MAINT_LANGUAGE="de",
    )
    site.on()
    response = visit("/")
    page = html.unescape(response.content.decode())
    assert "<title>The shop is moving</title>" in page
    assert 'href="mailto:help@example.com"' in page
    assert 'href="https://status.example.com/"' in page
    assert (response["content-language"], '<html lang="de"' in page) == ("de", True)
    assert visit("/", headers={"accept-language": "fr"})["content-language"] == "fr"
    site.set_page(title="Of the site", language="it")
    response = visit("/")
    assert b"<title>Of the site</title>" in response.content
    assert response["content-language"] == "it"


@pytest.mark.parametrize("value", [None, ""])
def test_what_is_empty_says_nothing(visit, site, configure, value):
    names = ("MAINT_TITLE", "MAINT_CONTACT", "MAINT_STATUS_URL", "MAINT_LANGUAGE")
    configure(MAINTENANCE_MODE_TEMPLATE=None, **dict.fromkeys(names, value))
    site.on()
    response = visit("/")
    assert b"<title>Down for maintenance</title>" in response.content
    assert response["content-language"] == "en"


def test_without_both_the_nearest_one_from_the_project_up_counts(
    visit, configure, site, tmp_path, monkeypatch
):
    monkeypatch.delenv("MAINT_SITE", raising=False)
    monkeypatch.chdir("/")
    (tmp_path / "src" / "project").mkdir(parents=True)
    configure(MAINT_SITE=None, BASE_DIR=tmp_path / "src" / "project")
    assert conf.configuration().site.found == "nearest"
    site.on()
    assert visit("/").status_code == 503


# MAINTENANCE_MODE_IGNORE_ADMIN_SITE


@pytest.mark.parametrize("value", [None, False, True])
def test_the_admin_site_stays_up_only_if_asked_for(visit, site, configure, value):
    configure(MAINTENANCE_MODE_IGNORE_ADMIN_SITE=value)
    site.on()
    paths = ["/admin/", "/admin/login/", "/admin/auth/user/", "/admin", "/admin/nowhere/"]
    assert statuses(visit, paths) == dict.fromkeys(paths, bool(value))
    # The peer compared only the start of the text.
    paths = ["/", "/administrator/", "/x/admin/", "/?next=/admin/"]
    assert statuses(visit, paths) == dict.fromkeys(paths, False)


def test_staff_works_in_the_admin_site_meanwhile(visit, site, configure):
    configure(MAINTENANCE_MODE_IGNORE_ADMIN_SITE=True)
    site.on()
    response = visit("/admin/", user="root")
    assert response.status_code == 200
    assert b"Site administration" in response.content
    # The decision did not depend on who asks, so the app's answer stays as it is.
    assert "private, no-store" not in response.get("cache-control", "")
    assert visit("/admin").status_code == 301


def test_another_admin_site_is_one_as_well(visit, site, configure):
    configure(MAINTENANCE_MODE_IGNORE_ADMIN_SITE=True, ROOT_URLCONF="project.urls_other")
    site.on()
    assert visit("/office/").status_code == 302
    assert visit("/shop/").status_code == 503


# MAINTENANCE_MODE_IGNORE_IP_ADDRESSES, MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset])
def test_addresses_and_networks_are_let_through(visit, site, configure, kind):
    configure(**{ADDRESSES: kind(["203.0.113.7", "10.0.0.0/8", "2001:db8::/32"])})
    site.on()
    for ip in ("203.0.113.7", "10.1.2.3", "2001:db8::1", "::ffff:203.0.113.7"):
        response = visit("/", ip=ip)
        assert response.status_code == 200, ip
        assert response["cache-control"] == "private, no-store"
    # To the peer, which had regular expressions, the first of these matched.
    for ip in ("203.0.113.70", "11.0.0.1", "2001:db9::1", "127.0.0.1", "192.168.0.1"):
        assert visit("/", ip=ip).status_code == 503, ip


def test_so_are_those_of_the_standard_library(visit, site, configure):
    addresses = [ipaddress.ip_address("203.0.113.7"), ipaddress.ip_network("10.0.0.0/8")]
    configure(**{ADDRESSES: addresses})
    site.on()
    assert visit("/", ip="203.0.113.7").status_code == 200
    assert visit("/", ip="10.1.1.1").status_code == 200


def test_a_forwarded_address_counts_only_from_a_proxy_that_the_site_trusts(
    visit, site, configure, run
):
    configure(**{ADDRESSES: ["203.0.113.7"]})
    site.on()
    forwarded = {"x-forwarded-for": "203.0.113.7"}
    assert visit("/", headers=forwarded).status_code == 503
    run("proxy", "add", "192.0.2.1")
    assert visit("/", headers=forwarded).status_code == 200
    assert visit("/", headers=forwarded, ip="192.0.2.2").status_code == 503


def by_field(request):
    return request.headers.get("x-client", "192.0.2.9")


def by_field_as_address(request):
    return ipaddress.ip_address(by_field(request))


@pytest.mark.parametrize("function", ["test_django_settings.by_field", by_field_as_address])
def test_a_function_may_find_the_address(visit, site, configure, function):
    configure(**{ADDRESSES: ["203.0.113.7"]}, MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS=function)
    site.on()
    assert visit("/", headers={"x-client": "203.0.113.7"}).status_code == 200
    assert visit("/", headers={"x-client": "203.0.113.8"}).status_code == 503
    assert visit("/", ip="203.0.113.7").status_code == 503


def by_database(request):
    from django.contrib.auth import get_user_model

    return "203.0.113.7" if get_user_model().objects.count() else None


def test_it_may_ask_the_database(visit, site, configure, queries):
    configure(**{ADDRESSES: ["203.0.113.7"]}, MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS=by_database)
    assert visit("/").status_code == 200
    queries.clear()  # of the start
    assert visit("/").status_code == 200
    assert queries == []
    site.on()
    response = visit("/")
    assert response.status_code == 200
    assert response["cache-control"] == "private, no-store"
    assert len(queries) == 1


def test_one_that_fails_later_is_logged_and_knows_nothing(visit, site, configure, log):
    calls = []

    def fails_later(request):
        calls.append(request)
        if len(calls) > 1:
            raise LookupError("no address")
        return "203.0.113.7"

    configure(**{ADDRESSES: ["203.0.113.7"]}, MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS=fails_later)
    site.on()
    assert visit("/").status_code == 503
    assert "no address" in log.text


# MAINTENANCE_MODE_IGNORE_URLS

PATTERNS = [
    # entry, what it lets through, what it does not
    ("/async/", ["/async/", "/async/?a=1"], ["/async", "/asyncx/", "/x/async/", "/?x=/async/"]),
    ("/shop/**", ["/shop", "/shop/", "/shop/a/b"], ["/shopx", "/x/shop/", "/shop/../admin/"]),
    ("/api/*/status", ["/api/7/status"], ["/api/status", "/api/7/8/status", "/api/7/status/"]),
    ("re:/v[0-9]+/.*", ["/v2/", "/v10/users"], ["/v2", "/x/v2/", "/v/"]),
    ("^/api/.*$", ["/api/", "/api/7"], ["/x/api/", "/api"]),
    (r"^/item/\d+/$", ["/item/7/"], ["/item/x/", "/item/7/8"]),
    ("^/a|/b$", ["/a", "/b"], ["/ax", "/x/b"]),
    (re.compile("^/api/.*"), ["/api/", "/api/7"], ["/API/", "/x/api/"]),
    (re.compile("^/api/.*", re.IGNORECASE), ["/api/7", "/API/7"], ["/x/api/"]),
    (re.compile(r"/item/\d+/\Z"), ["/item/7/"], ["/item/7/8", "/item/"]),
    (reverse_lazy("login"), ["/login/", "/login/?next=/"], ["/login/x", "/login"]),
]


@pytest.mark.parametrize(("entry", "opens", "stays"), PATTERNS, ids=lambda value: str(value))
def test_urls_are_let_through(visit, site, configure, entry, opens, stays):
    configure(**{URLS: [entry]})
    site.on()
    assert statuses(visit, opens) == dict.fromkeys(opens, True)
    assert statuses(visit, stays) == dict.fromkeys(stays, False)


def test_a_regular_expression_is_no_longer_a_prefix(visit, site, configure):
    configure(**{URLS: ["^/api"]})
    site.on()
    assert visit("/api").status_code == 404
    # The peer let all of these through.
    paths = ["/api/", "/apiary", "/api-internal/", "/api/../admin/"]
    assert statuses(visit, paths) == dict.fromkeys(paths, False)


@pytest.mark.parametrize(
    "path", ["/shop/%2e%2e/admin/", "/shop//x", "/shop/..;/admin/", "/shop/%2f", "/shop/%00"]
)
def test_an_ambiguous_path_is_not_let_through(visit, site, configure, path):
    configure(**{URLS: ["/shop/**", "^/shop/.*"]})
    site.on()
    assert visit(path).status_code == 503


def test_patterns_see_the_path_that_visitors_see(site, configure):
    configure(**{URLS: ["/app/async/"]})
    site.on()
    client = Client(SCRIPT_NAME="/app")
    assert client.get("/async/").status_code == 200
    assert client.get("/").status_code == 503


def test_a_reversed_url_is_let_through_in_each_language(visit, site, configure):
    configure(
        ROOT_URLCONF="project.urls_languages",
        MIDDLEWARE=["django.middleware.locale.LocaleMiddleware", *settings.MIDDLEWARE],
        **{URLS: [reverse_lazy("plain")]},
    )
    site.on()
    paths = ["/en/plain/", "/de/plain/"]
    assert statuses(visit, paths) == dict.fromkeys(paths, True)
    assert visit("/fr/plain/").status_code == 503


# MAINTENANCE_MODE_IGNORE_TESTS


@pytest.mark.parametrize(
    ("argv", "is_test"),
    [
        (["manage.py", "test"], True),
        (["./manage.py", "test", "shop"], True),
        (["runtests.py"], True),
        (["manage.py", "runserver"], False),
        (["gunicorn", "shop.wsgi"], False),
    ],
)
@pytest.mark.parametrize("mode", [None, True])
def test_under_manage_py_test_nothing_is_down(
    visit, site, configure, monkeypatch, argv, is_test, mode
):
    monkeypatch.setattr(sys, "argv", argv)
    configure(MAINTENANCE_MODE_IGNORE_TESTS=True, MAINTENANCE_MODE=mode)
    site.on()
    assert visit("/").status_code == (200 if is_test else 503)
    configure(MAINTENANCE_MODE_IGNORE_TESTS=False)
    assert visit("/").status_code == 503


# MAINTENANCE_MODE_REDIRECT_URL


def test_browsers_are_sent_elsewhere_and_api_clients_get_the_page(visit, site, configure):
    configure(MAINTENANCE_MODE_REDIRECT_URL="https://status.example.com/")
    assert visit("/").status_code == 200
    site.on()
    response = visit("/")
    assert (response.status_code, response["location"]) == (302, "https://status.example.com/")
    assert response["cache-control"] == "no-store"
    response = visit("/", headers={"accept": "application/json"})
    assert response.status_code == 503


@pytest.mark.parametrize("url", ["/login/", reverse_lazy("login"), "/login/?why=maintenance"])
def test_the_page_of_the_app_that_they_are_sent_to_is_open(visit, site, configure, url):
    configure(MAINTENANCE_MODE_REDIRECT_URL=url)
    site.on()
    response = visit("/staff/")
    assert (response.status_code, response["location"]) == (302, str(url))
    assert visit(str(url)).status_code == 200
    assert visit("/login/x").status_code == 302


def test_a_reversed_path_is_compared_decoded(site, configure):
    configure(
        ROOT_URLCONF="project.urls_languages",
        MAINTENANCE_MODE_IGNORE_URLS=[reverse_lazy("accents")],
        MAINTENANCE_MODE_REDIRECT_URL=reverse_lazy("more accents"),
    )
    site.on()
    # Django's async client takes such a path for another one.
    client = Client(headers={"accept": "text/html"})
    assert client.get("/caf%C3%A9/").status_code == 200
    assert client.get("/caf/").status_code == 302
    assert client.get("/")["location"] == "/d%C3%A9j%C3%A0/"
    assert client.get("/d%C3%A9j%C3%A0/").status_code == 200


def test_a_redirect_to_the_root_does_not_open_the_whole_app(visit, site, configure):
    # To the peer it was a regular expression that everything matched.
    configure(MAINTENANCE_MODE_REDIRECT_URL="/")
    site.on()
    assert visit("/").content == b"the shop"
    assert visit("/staff/")["location"] == "/"


def test_what_a_window_says_goes_before_it(visit, site, configure):
    configure(MAINTENANCE_MODE_REDIRECT_URL="https://status.example.com/")
    site.on(redirect="https://other.example.com/")
    assert visit("/")["location"] == "https://other.example.com/"


# MAINTENANCE_MODE_RESPONSE_TYPE


@pytest.mark.parametrize(
    ("value", "accept", "expected"),
    [
        (None, "text/html", "text/html; charset=utf-8"),
        (None, "application/json", "application/problem+json"),
        ("html", "application/json", "text/html; charset=utf-8"),
        ("json", "text/html", "application/problem+json"),
        ("test_django_settings.json_for_api", "text/html", "text/html; charset=utf-8"),
    ],
)
def test_the_type_is_what_accept_says_unless_it_is_set(visit, configure, value, accept, expected):
    configure(MAINTENANCE_MODE=True, MAINTENANCE_MODE_RESPONSE_TYPE=value)
    assert visit("/", headers={"accept": accept})["content-type"] == expected


def json_for_api(request):
    return "json" if request.path.startswith("/api/") else "html"


@pytest.mark.parametrize("function", [json_for_api, "test_django_settings.json_for_api"])
def test_a_function_may_choose_the_type(visit, configure, function):
    configure(MAINTENANCE_MODE=True, MAINTENANCE_MODE_RESPONSE_TYPE=function)
    for accept in ("text/html", "application/json"):
        headers = {"accept": accept}
        response = visit("/api/7", headers=headers)
        assert response["content-type"] == "application/problem+json"
        assert json.loads(response.content)["status"] == 503
        assert visit("/", headers=headers)["content-type"].startswith("text/html")


def test_one_that_knows_nothing_leaves_it_to_accept(visit, configure, log):
    calls = []

    def fails_later(request):
        calls.append(request)
        if len(calls) == 1:
            return "html"
        raise LookupError("no type")

    configure(MAINTENANCE_MODE=True, MAINTENANCE_MODE_RESPONSE_TYPE=fails_later)
    response = visit("/", headers={"accept": "application/json"})
    assert response["content-type"] == "application/problem+json"
    assert "no type" in log.text


# MAINTENANCE_MODE_STATUS_CODE, MAINTENANCE_MODE_RETRY_AFTER


@pytest.mark.parametrize("template", [None, "503.html"])
def test_status_and_retry_after_are_those_of_the_settings(visit, site, configure, template):
    configure(
        MAINTENANCE_MODE_STATUS_CODE=500,
        MAINTENANCE_MODE_RETRY_AFTER=900,
        MAINTENANCE_MODE_TEMPLATE=template,
    )
    site.on()
    response = visit("/")
    assert (response.status_code, response["retry-after"]) == (500, "900")
    response = visit("/", headers={"accept": "application/json"})
    assert (response.status_code, response["retry-after"]) == (500, "900")


def test_what_a_window_says_goes_before_them(visit, site, configure):
    configure(MAINTENANCE_MODE_STATUS_CODE=500, MAINTENANCE_MODE_RETRY_AFTER=900)
    site.on(status=502, retry_after=60)
    response = visit("/")
    assert (response.status_code, response["retry-after"]) == (502, "60")


def test_unset_they_are_503_and_two_minutes(visit, site):
    site.on()
    response = visit("/")
    assert (response.status_code, response["retry-after"]) == (503, "120")
