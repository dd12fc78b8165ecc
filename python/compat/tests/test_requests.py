"""Who is blocked, who gets through, and what visitors get."""

import asyncio
import re

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse, JsonResponse
from django.test import AsyncClient, RequestFactory
from django.urls import reverse_lazy

from maint.django.checks import check_maintenance
from maintenance_mode.http import (
    get_maintenance_response,
    get_maintenance_response_context,
    need_maintenance_response,
)
from maintenance_mode.middleware import MaintenanceModeMiddleware


@pytest.fixture
def down(site):
    site.on()


def starts():
    MaintenanceModeMiddleware(lambda request: HttpResponse("the shop"))


# URLs


@pytest.mark.parametrize(
    ("entry", "through", "blocked"),
    [
        ("^/static/", ["/static/", "/static/a/b.css"], ["/statics", "/a/static/"]),
        ("^/admin", ["/admin/login/", "/administrator"], ["/x/admin"]),
        ("/webstore", ["/webstore", "/webstore/cart/1"], ["/", "/my/webstore"]),
        (r"^(?!/allocation.*|/rest_api.*$).*", ["/", "/shop/"], ["/allocation/7", "/rest_api/"]),
        (r"^(/c/[a-z0-9_-]+)?/login/$", ["/login/", "/c/a-1/login/"], ["/login/x", "/c/A/login/"]),
        (re.compile("^/CASE", re.IGNORECASE), ["/case/1"], ["/x"]),
        (r"^/(.)\1/", ["/aa/", "/bb/c"], ["/ab/"]),
        (reverse_lazy("my_view"), ["/class/never/", "/class/never/x"], ["/class/"]),
    ],
)
def test_an_ignored_url_is_an_expression_from_the_start(
    visit, configure, down, entry, through, blocked
):
    configure(_IGNORE_URLS=(entry,))
    assert {path: visit(path).status_code for path in blocked} == dict.fromkeys(blocked, 503)
    for path in through:
        assert visit(path).status_code in (200, 302), path


def test_a_bad_expression_stops_the_start_and_is_named(configure):
    configure(_IGNORE_URLS=["^/a("])
    with pytest.raises(ImproperlyConfigured, match=r"MAINTENANCE_MODE_IGNORE_URLS has '\^/a\('"):
        starts()
    [message] = [one for one in check_maintenance() if one.id == "maint.E003"]
    assert "makes no sense" in message.msg


def test_w007_says_what_else_an_expression_lets_in(configure, site):
    site.add_rule("path", "/admin/login/")
    configure(_IGNORE_URLS=["^/admin", "^/static/", "^/x$", r"^(?!/a).*", "/a.*"])
    [message] = check_maintenance()
    assert message.id == "maint.W007"
    assert "'^/admin', which lets through everything that begins so" in message.msg


# Addresses


@pytest.mark.parametrize(
    ("entry", "through", "blocked"),
    [
        ("10.0.0.1", ["10.0.0.1"], ["10.0.0.100", "10.0.0.2"]),
        ("10.0.0.0/24", ["10.0.0.7"], ["10.0.1.7"]),
        (r"^10\.", ["10.9.9.9"], ["110.1.1.1"]),
        ("192.168.", ["192.168.3.4"], ["192.169.3.4"]),
        (r"^10\.0\.[0-4]\.\d+$", ["10.0.3.200"], ["10.0.5.1"]),
        ("::1", ["::1"], ["::2"]),
    ],
)
def test_an_ignored_address(visit, configure, down, entry, through, blocked):
    configure(_IGNORE_IP_ADDRESSES=(entry,))
    for address in through:
        answer = visit(ip=address)
        assert answer.status_code == 200, address
        assert answer.headers["cache-control"] == "private, no-store", "no shared cache keeps it"
    for address in blocked:
        assert visit(ip=address).status_code == 503, address


def by_field(request):
    return request.META.get("HTTP_X_ADDRESS")


def test_an_expression_is_tried_on_the_address_that_the_function_finds(visit, configure, down):
    configure(
        _IGNORE_IP_ADDRESSES=[r"^1[02]\."],
        _GET_CLIENT_IP_ADDRESS="test_requests.by_field",
    )
    assert visit(HTTP_X_ADDRESS="12.1.1.1").status_code == 200
    assert visit(ip="12.1.1.1").status_code == 503


def test_an_expression_that_lets_in_everyone_stops_the_start(configure):
    configure(_IGNORE_IP_ADDRESSES=[".*"])
    with pytest.raises(ImproperlyConfigured, match="lets in everyone"):
        starts()


def test_the_function_of_the_readme_need_not_be_importable_where_no_rule_needs_it(
    visit, configure, down
):
    configure(_GET_CLIENT_IP_ADDRESS="ipware.ip.get_ip")
    assert visit().status_code == 503
    assert {message.id for message in check_maintenance()} >= {"maint.W015"}


# Users, views, the admin site


def test_users_by_truth(visit, configure, down):
    configure(_IGNORE_STAFF=1, _IGNORE_SUPERUSER=0, _IGNORE_ADMIN_SITE=None)
    assert [visit(user=user).status_code for user in (None, "ann", "staff")] == [503, 503, 200]


def test_the_admin_site_and_all_below_it(visit, configure, down):
    assert visit("/admin/login/").status_code == 503
    configure(_IGNORE_ADMIN_SITE=True)
    assert visit("/admin/login/").status_code == 200
    assert visit("/admin/nothing/here").status_code in (302, 404)
    assert visit("/shop/").status_code == 503


def test_decorated_views(visit, down):
    for path, status in (
        ("/never/", 200),
        ("/class/never/", 200),
        ("/always/", 503),
        ("/class/always/", 503),
    ):
        assert visit(path).status_code == status, path


def test_a_view_that_is_always_down_is_so_with_mode_false(visit, configure):
    configure(**{"": False})
    assert (visit("/always/").status_code, visit("/").status_code) == (503, 200)


@pytest.mark.parametrize(("value", "status"), [(0, 200), (1, 503)])
def test_mode_0_and_1_are_false_and_true(visit, configure, value, status):
    configure(**{"": value})
    assert visit().status_code == status


# Answers


def test_the_headers_are_those_of_the_peer_and_ours(visit, down):
    answer = visit()
    control = {part.strip() for part in answer.headers["cache-control"].split(",")}
    assert control == {"max-age=0", "no-cache", "no-store", "must-revalidate", "private"}
    assert answer.headers["retry-after"] == "3600"
    assert answer.headers["surrogate-control"] == "no-store"


def test_retry_after_0_is_unset_and_an_end_goes_before(visit, configure, site):
    site.on(end="2099-01-01T00:00:00Z")
    configure(_RETRY_AFTER=0)
    assert int(visit().headers["retry-after"]) > 3600


def context(request):
    return {"team": "the shop's team", "status": "from the team"}


def test_json_has_the_variables_of_the_team(visit, configure, down):
    configure(_GET_CONTEXT="test_requests.context", _RESPONSE_TYPE="json")
    answer = visit()
    assert isinstance(answer, JsonResponse)
    said = answer.json()
    assert (said["team"], said["status"]) == ("the shop's team", "from the team")
    assert said["title"], "our members"
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)
    head = visit(method="head")
    assert (head.status_code, head.content) == (503, b"")


def test_the_page_without_a_file_is_the_built_in_one_with_its_policy(visit, configure, down):
    built_in = visit()
    assert "503.html" in [template.name for template in built_in.templates]
    assert b"<!doctype html>" in built_in.content[:20].lower()
    assert "content-security-policy" in built_in.headers
    configure(_TEMPLATE="503.html", _GET_CONTEXT="test_requests.context")
    answer = visit()
    assert answer.content == built_in.content
    assert answer.context["team"] == "the shop's team"
    assert not [one for one in check_maintenance() if one.id in ("maint.E006", "maint.W014")]


def test_the_projects_own_page_comes_first(visit, configure, down, tmp_path):
    (tmp_path / "503.html").write_text("<h1>{{ team }} {{ maintenance_mode }}</h1>")
    [engine] = settings.TEMPLATES
    from django.test import override_settings

    with override_settings(TEMPLATES=[{**engine, "DIRS": [tmp_path]}]):
        configure(_GET_CONTEXT="test_requests.context")
        assert visit().content == b"<h1>the shop&#x27;s team True</h1>"


@pytest.mark.parametrize("accept", ["text/html", "*/*", None])
def test_who_would_get_html_is_redirected(visit, configure, down, accept):
    configure(_REDIRECT_URL="/sorry/")
    answer = visit(accept=accept)
    assert (answer.status_code, answer.headers["location"]) == (302, "/sorry/")
    assert "no-store" in answer.headers["cache-control"]
    assert [visit(f"/sorry/{more}").status_code for more in ("", "why/")] == [200, 200]


@pytest.mark.parametrize("accept", ["application/json", "text/plain"])
def test_who_asks_for_something_else_is_not_redirected(visit, configure, down, accept):
    configure(_REDIRECT_URL="/sorry/")
    assert visit(accept=accept).status_code == 503


def test_a_redirect_home_is_for_all_but_home(visit, configure, down):
    configure(_REDIRECT_URL="/")
    assert visit("/shop/").status_code == 302
    assert visit("/").status_code == 200


def test_the_functions_of_http(configure, down):
    request = RequestFactory().get("/", headers={"accept": "text/html"})
    assert need_maintenance_response(request) is True
    assert get_maintenance_response(request).status_code == 503
    assert get_maintenance_response_context(request) == {}
    configure(_GET_CONTEXT=context, _IGNORE_URLS=["^/$"])
    assert get_maintenance_response_context(request)["team"]
    assert need_maintenance_response(request) is False


# The middleware


class OnlyPosts(MaintenanceModeMiddleware):
    """As projects write it: their own condition first."""

    def process_request(self, request):
        return super().process_request(request) if request.method == "POST" else None


class Calls(MaintenanceModeMiddleware):
    """As projects write it, who know nothing of coroutines."""

    def __call__(self, request):
        response = super().__call__(request)
        response["x-seen"] = "yes"
        return response


OURS = "maintenance_mode.middleware.MaintenanceModeMiddleware"


def visit_async(path="/", method="get"):
    async def visit():
        return await getattr(AsyncClient(), method)(path, headers={"accept": "text/html"})

    return asyncio.run(visit())


@pytest.fixture
def replace():
    from django.test import override_settings

    def replaced(name):
        order = [name if one == OURS else one for one in settings.MIDDLEWARE]
        return override_settings(MIDDLEWARE=order)

    return replaced


def test_a_subclass_may_override_process_request(visit, down, replace):
    with replace("test_requests.OnlyPosts"):
        assert (visit().status_code, visit(method="post").status_code) == (200, 503)
        assert visit_async().status_code == 200
        assert visit_async("/always/").status_code == 503
    assert OnlyPosts.async_capable is True
    assert "maint.W001" not in {message.id for message in check_maintenance()}


def test_a_subclass_that_overrides_call_is_never_handed_a_coroutine(visit, down, replace):
    with replace("test_requests.Calls"):
        for answer in (visit(), visit_async(), visit("/never/"), visit_async("/never/")):
            assert answer.headers["x-seen"] == "yes"
    assert Calls.async_capable is False


def test_a_subclass_lets_people_through_privately(visit, configure, down, replace):
    class_name = "test_requests.Passes"
    configure(_IGNORE_IP_ADDRESSES=["10.0.0.1"])
    with replace(class_name):
        answer = visit(ip="10.0.0.1")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-store")
        assert visit(ip="10.0.0.2").status_code == 503


class Passes(MaintenanceModeMiddleware):
    def process_request(self, request):
        return super().process_request(request)


def test_the_middleware_can_be_asked_without_a_view(site):
    request = RequestFactory().get("/")
    assert MaintenanceModeMiddleware().process_request(request) is None
    site.on()
    assert MaintenanceModeMiddleware().process_request(request).status_code == 503


def test_async_visitors_get_the_same(configure, down):
    assert visit_async().status_code == 503
    configure(_IGNORE_URLS=["^/shop"])
    assert visit_async("/shop/").status_code == 200


# The views


@pytest.mark.parametrize("user", [None, "ann", "staff"])
@pytest.mark.parametrize("word", ["on", "off"])
def test_who_is_no_superuser_is_sent_home_and_changes_nothing(visit, site, user, word):
    if word == "off":
        site.on()
    for method in ("get", "post"):
        answer = visit(f"/maintenance-mode/{word}/", user=user, method=method)
        assert (answer.status_code, answer.headers["location"]) == (302, "/")
    assert bool(site.open_windows()) is (word == "off")


def test_a_superuser_confirms_by_post(visit, site):
    form = visit("/maintenance-mode/on/", user="root")
    assert (form.status_code, site.open_windows()) == (200, [])
    assert b"csrfmiddlewaretoken" in form.content
    assert visit("/maintenance-mode/on/", user="root", method="post").status_code == 302
    assert site.open_windows() == ["default"]
    assert visit("/maintenance-mode/off/", user="root", method="post").status_code == 302
    assert site.open_windows() == []


def test_the_check_knows_the_views_by_their_mark():
    assert "maint.W010" in {message.id for message in check_maintenance()}
