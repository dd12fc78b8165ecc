"""The middleware, by WSGI and by ASGI."""

import asyncio
import json
import logging

import pytest
from asgiref.sync import iscoroutinefunction
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.utils.version import get_complete_version

from maint.django import middleware
from maint.django.middleware import MaintenanceModeMiddleware

HEADERS = {
    "cache-control": "no-store",
    "surrogate-control": "no-store",
    "cdn-cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "maint-decision": "block",
}


def test_the_app_answers_while_the_site_is_up_and_the_database_is_not_asked(visit, queries):
    response = visit("/")
    assert (response.status_code, response.content) == (200, b"the shop")
    assert not response.has_header("cache-control")
    assert queries == []


@pytest.mark.parametrize("path", ["/", "/async/", "/staff/", "/admin/", "/nowhere/"])
def test_the_next_request_is_blocked_whatever_it_asks_for(visit, site, path, queries):
    site.on(reason="Back at noon")
    response = visit(path)
    assert response.status_code == 503
    assert b"Back at noon" in response.content
    site.off()
    assert visit(path).status_code != 503
    # The page of the example shows who is logged in: without a session, the visitor is
    # anonymous.
    assert queries == []


def test_the_header_fields_are_those_of_the_page(visit, site, configure):
    configure(MAINTENANCE_MODE_TEMPLATE=None)
    change = site.on(retry_after=600)
    response = visit("/")
    for name, value in HEADERS.items():
        assert response[name] == value
    assert response["maint-revision"] == str(change.revision)
    assert response["retry-after"] == "600"
    assert response["vary"] == "Accept, Accept-Language, Cookie"
    assert response["content-type"] == "text/html; charset=utf-8"
    assert response["content-length"] == str(len(response.content))
    assert "default-src 'none'" in response["content-security-policy"]


@pytest.mark.parametrize("template", [None, "503.html"])
def test_head_is_get_without_a_body(visit, site, configure, template):
    configure(MAINTENANCE_MODE_TEMPLATE=template)
    site.on()
    get, head = visit("/"), visit("/", method="HEAD")
    assert (head.status_code, head.content) == (503, b"")
    assert head["content-length"] == get["content-length"] == str(len(get.content))
    assert dict(head.headers) == dict(get.headers)


@pytest.mark.parametrize("template", [None, "503.html"])
def test_so_it_is_for_middleware_further_out(site, configure, template):
    configure(MAINTENANCE_MODE_TEMPLATE=template)
    site.on()
    # The test client would have removed the body.
    response = MaintenanceModeMiddleware(None)(RequestFactory().head("/"))
    assert response.content == b""
    assert int(response["content-length"]) > 100


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_is_blocked(visit, site, method):
    site.on()
    assert visit("/", method=method).status_code == 503


def test_api_clients_get_json(visit, site):
    site.on(reason="Back at noon")
    response = visit("/", headers={"accept": "application/json"})
    assert response["content-type"] == "application/problem+json"
    problem = json.loads(response.content)
    assert (problem["status"], problem["detail"]) == (503, "Back at noon")
    assert visit("/", headers={"accept": "text/plain"})["content-type"].startswith("text/plain")


def test_a_scope_covers_a_part_of_the_app(visit, site):
    site.on("shop", paths=["/async/**"])
    assert visit("/async/").status_code == 503
    assert visit("/").status_code == 200


def test_read_only_lets_get_through(visit, site):
    site.on(read_only=True)
    assert visit("/").status_code == 200
    assert visit("/", method="POST").status_code == 503


def test_a_rule_of_the_site_lets_its_path_through_as_it_is(visit, site):
    site.on()
    site.add_rule("path", "/async/")
    response = visit("/async/")
    assert response.status_code == 200
    assert not response.has_header("cache-control")
    assert visit("/").status_code == 503


def test_answers_to_those_who_were_let_through_are_private(visit, site):
    site.on()
    site.add_rule("ip", "203.0.113.7")
    response = visit("/", ip="203.0.113.7")
    assert response.status_code == 200
    assert response["cache-control"] == "private, no-store"
    assert visit("/", ip="203.0.113.8").status_code == 503


def test_the_view_sees_the_decision(visit, site, run):
    def seen(path="/", **options):
        response = visit(path, **options)
        assert response.status_code == 200
        request = getattr(response, "wsgi_request", None) or response.asgi_request
        return request.maint_pass.by, request.maint_pass.is_private

    assert seen() == (None, False)
    by_path = site.add_rule("path", "/async/")
    by_address = site.add_rule("ip", "203.0.113.7")
    by_user = site.add_rule("user", "staff")
    site.on()
    assert seen("/async/") == (by_path, False)
    assert seen(ip="203.0.113.7") == (by_address, True)
    assert seen(user="staff") == (by_user, True)
    # A view that is never down, whoever asks.
    assert seen("/never/function/") == (None, False)


@pytest.mark.parametrize("kind", ["whole", "streaming"])
def test_fields_that_overrule_it_are_taken_off_a_private_answer(site, kind):
    site.on()
    site.add_rule("header", "x-probe: blue")

    def view(request):
        response = HttpResponse("x") if kind == "whole" else StreamingHttpResponse(["x"])
        response["Cache-Control"] = "public, max-age=600"
        response["CDN-Cache-Control"] = "max-age=600"
        response["Surrogate-Control"] = "max-age=600"
        response["X-Accel-Expires"] = "600"
        response["X-Other"] = "stays"
        return response

    response = MaintenanceModeMiddleware(view)(RequestFactory(headers={"x-probe": "blue"}).get("/"))
    assert dict(response.headers) == {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "private, no-store",
        "X-Other": "stays",
    }


def test_a_bypass_link_is_followed_up_or_down(visit, site, run):
    for turn in (site.off, site.on):
        turn()
        token = run("bypass", "new", "--keep").stdout.strip()
        response = visit(f"/async/?a=1&maint_bypass={token}")
        assert response.status_code == 303
        assert response["location"] == "/async/?a=1"
        assert not response.has_header("content-type")
        cookie = next(iter(response.cookies.values()))
        assert cookie.value == token
        assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/", True, "Lax")
        # The client has kept the cookie.
        response = visit("/")
        assert response.status_code == 200
    assert response["cache-control"] == "private, no-store"
    visit.cookies = None
    assert visit("/").status_code == 503


@pytest.mark.parametrize("path", ["/", "/never/function/"])
def test_a_bypass_link_goes_before_everything_that_the_app_says(visit, site, configure, run, path):
    configure(
        MAINTENANCE_MODE_LOGOUT_AUTHENTICATED_USER=True, MAINTENANCE_MODE_IGNORE_SUPERUSER=True
    )
    site.on()
    token = run("bypass", "new").stdout.strip()
    assert visit(f"{path}?maint_bypass={token}", user="ann").status_code == 303
    assert visit.cookies["sessionid"].value == visit.session


def test_a_redirect_of_the_operator_is_followed_by_browsers(visit, site):
    site.on(redirect="https://status.example.com/")
    response = visit("/")
    assert (response.status_code, response["location"]) == (302, "https://status.example.com/")
    assert visit("/", headers={"accept": "application/json"}).status_code == 503


def test_a_503_of_ours_is_neither_logged_as_an_error_nor_mailed(visit, site, configure, caplog):
    configure(
        ADMINS=["admin@example.com"]
        if get_complete_version() >= (6, 0)
        else [("A", "admin@example.com")]
    )
    mail.outbox.clear()
    site.on()
    with caplog.at_level(logging.INFO):
        assert visit("/").status_code == 503
        assert visit("/always/function/").status_code == 503
    assert (caplog.records, mail.outbox) == ([], [])
    # The app's own errors are still mailed.
    site.off()
    assert visit("/broken/").status_code == 503
    (message,) = mail.outbox
    assert "Service Unavailable: /broken/" in message.subject


def test_a_changed_setting_counts_at_once(visit, configure):
    client = Client()
    assert client.get("/").status_code == 200
    configure(MAINTENANCE_MODE=True)
    assert client.get("/").status_code == 503
    assert visit("/").status_code == 503
    configure(MAINTENANCE_MODE=None)
    assert client.get("/").status_code == 200


def test_a_wrong_setting_stops_the_start(configure):
    configure(MAINTENANCE_MODE="True")
    with pytest.raises(ImproperlyConfigured, match=r"^MAINTENANCE_MODE must be"):
        Client().get("/")
    with pytest.raises(ImproperlyConfigured, match=r"^MAINTENANCE_MODE must be"):
        asyncio.run(AsyncClient().get("/"))


def test_a_site_that_is_not_there_stops_the_start(configure, tmp_path):
    configure(MAINT_SITE=str(tmp_path / "nowhere"))
    with pytest.raises(ImproperlyConfigured, match=r"MAINT_SITE: .*nowhere.*maint.* init"):
        MaintenanceModeMiddleware(lambda request: None)


def test_a_broken_state_stops_the_start(configure, site, tmp_path):
    site.on()
    with open(site.state_file, "w") as file:
        file.write('{"version": 1,')
    configure(MAINT_SITE=site.directory)
    with pytest.raises(ImproperlyConfigured, match=r"MAINT_SITE: .*state\.json"):
        MaintenanceModeMiddleware(lambda request: None)


def test_a_state_that_breaks_later_changes_nothing(visit, site):
    client = Client()
    site.on()
    assert client.get("/").status_code == 503
    with open(site.state_file, "w") as file:
        file.write('{"version": 1,')
    assert client.get("/").status_code == 503


def test_maintenance_mode_false_is_told_once(configure, caplog):
    middleware._warn_that_nothing_is_blocked.cache_clear()
    configure(MAINTENANCE_MODE=False)
    with caplog.at_level(logging.WARNING):
        MaintenanceModeMiddleware(lambda request: None)
        MaintenanceModeMiddleware(lambda request: None)
    (record,) = caplog.records
    assert record.name == "maint.django"
    assert "`maint on` has no effect" in record.getMessage()


def test_it_is_a_coroutine_function_only_where_the_rest_is_one():
    async def get_response(request):
        return HttpResponse()

    assert iscoroutinefunction(MaintenanceModeMiddleware(get_response))
    assert not iscoroutinefunction(MaintenanceModeMiddleware(lambda request: HttpResponse()))


def test_a_dead_database_changes_nothing_for_visitors(visit, site, configure, broken_database, log):
    configure(MAINTENANCE_MODE_IGNORE_STAFF=True)
    assert visit("/").status_code == 200
    site.on()
    # A session cookie, so that looking up the user does ask the database.
    response = visit("/", headers={"cookie": "sessionid=abcdefghijklmnopqrstuvwxyz123456"})
    assert response.status_code == 503
    assert "unable to open database file" in log.text
    # The team's page shows who is logged in, which is unknown now.
    assert b"The shop is closed" not in response.content
    assert b"<h1" in response.content
    assert visit("/", headers={"accept": "application/json"}).status_code == 503


def test_urls_that_cannot_be_read_change_nothing_for_visitors(visit, site, configure, log):
    visit("/")
    site.on()
    configure(ROOT_URLCONF="project.nowhere")
    assert visit("/").status_code == 503
    assert "project.nowhere" in log.text
