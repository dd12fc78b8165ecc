"""Views that are never down or always down, however they get into the URLs."""

import functools
import inspect
import types

import pytest
from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import clear_url_caches, get_resolver, include, path, re_path, resolve, reverse
from django.utils.decorators import method_decorator
from django.utils.version import get_complete_version
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from maint.django import decorators, marks
from maint.django.decorators import force_maintenance_mode_off, force_maintenance_mode_on
from maint.django.http import get_maintenance_response, need_maintenance_response
from project import views

KINDS = ["function", "async", "class", "class/async"]
SHOP = b"the shop"


@pytest.fixture
def urls(configure):
    """Makes these patterns the URLs of the project."""

    def urls(*patterns, **attributes):
        module = types.ModuleType("urls_of_a_test")
        module.urlpatterns = [*patterns, path("plain/", views.home)]
        module.__dict__.update(attributes)
        clear_url_caches()
        configure(ROOT_URLCONF=module)
        return module

    yield urls
    clear_url_caches()


# Single views


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_a_view_forced_off_answers_while_the_site_is_down(visit, site, kind, method, queries):
    site.on()
    response = visit(f"/never/{kind}/", method=method)
    assert response.status_code == 200
    assert not response.has_header("cache-control")
    assert visit("/").status_code == 503
    assert queries == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", [None, False, True])
def test_a_view_forced_on_is_down_while_the_site_is_up(visit, site, configure, kind, mode):
    configure(MAINTENANCE_MODE=mode)
    response = visit(f"/always/{kind}/")
    assert response.status_code == 503
    assert b"The shop is closed" in response.content
    assert response["maint-decision"] == "block"
    assert visit(f"/always/{kind}/", headers={"accept": "application/json"}).status_code == 503
    if mode is not True:
        assert visit("/").status_code == 200
    site.on()
    assert visit(f"/always/{kind}/").status_code == 503


@pytest.mark.parametrize("kind", KINDS)
def test_no_rule_and_no_token_lets_anybody_into_a_view_forced_on(visit, site, configure, run, kind):
    configure(MAINTENANCE_MODE_IGNORE_ANONYMOUS_USER=True)
    site.add_rule("path", f"/always/{kind}/")
    visit(f"/?maint_bypass={run('bypass', 'new').stdout.strip()}")
    assert visit(f"/always/{kind}/").status_code == 503
    site.on()
    assert visit("/").status_code == 200
    assert visit(f"/always/{kind}/").status_code == 503


@pytest.mark.parametrize("kind", KINDS)
def test_a_form_for_a_view_forced_on_meets_the_page_and_no_check(visit, kind):
    # Without the CSRF token that Django would ask for.
    response = visit(f"/always/{kind}/", method="POST", data={"a": 1}, enforce_csrf_checks=True)
    assert response.status_code == 503


def test_a_view_forced_on_opens_no_transaction(visit, configure, broken_database, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    configure(MAINTENANCE_MODE_TEMPLATE=None)
    for kind in KINDS:
        assert visit(f"/always/{kind}/").status_code == 503


def test_nobody_has_to_log_in_to_meet_the_page(visit, configure):
    required = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    if get_complete_version() < (5, 1):
        pytest.skip("Django 5.1 brought it")
    configure(MIDDLEWARE=[*settings.MIDDLEWARE, required])
    assert visit("/").status_code == 302
    for kind in KINDS:
        assert visit(f"/always/{kind}/").status_code == 503


def test_a_window_says_why_a_view_forced_on_is_down(visit, site):
    site.on(reason="Back at noon")
    site.add_rule("ip", "192.0.2.1")
    assert b"Back at noon" not in visit("/always/function/").content
    assert b"Back at noon" in visit("/always/function/", ip="192.0.2.2").content


# What decorating changes in a view


def test_the_original_view_stays_as_it_is():
    def view(request):
        return HttpResponse("x")

    for force in (force_maintenance_mode_off, force_maintenance_mode_on):
        forced = force(view)
        assert forced is not view
        assert forced.__dict__[force.__name__] is True
        assert forced.__name__ == "view"
        assert forced.__wrapped__ is view
    assert view.__dict__ == {}


@pytest.mark.parametrize("force", [force_maintenance_mode_off, force_maintenance_mode_on])
def test_other_attributes_of_a_view_survive(force):
    exempt = force(csrf_exempt(views.home))
    assert exempt.csrf_exempt is True
    of_class = force(views.Home.as_view())
    assert of_class.view_class is views.Home
    assert of_class.view_initkwargs == {}

    @force
    @csrf_exempt
    @require_POST
    def hook(request):
        """Takes a payment."""

    assert hook.__doc__ == "Takes a payment."
    hook.cls = "as REST frameworks have it"
    assert force(hook).cls == "as REST frameworks have it"


def test_a_view_forced_off_is_checked_for_csrf_as_ever(visit, site):
    site.on()
    response = visit("/never/function/", method="POST", enforce_csrf_checks=True)
    assert response.status_code == 403


@pytest.mark.parametrize("force", [force_maintenance_mode_off, force_maintenance_mode_on])
def test_async_views_stay_async(force):
    assert iscoroutinefunction(force(views.home_async))
    assert iscoroutinefunction(force(views.HomeAsync.as_view()))
    assert not iscoroutinefunction(force(views.home))
    assert not iscoroutinefunction(force(views.Home.as_view()))


@pytest.mark.parametrize("force", [force_maintenance_mode_off, force_maintenance_mode_on])
def test_the_mark_survives_other_decorators(visit, site, urls, force):
    urls(path("", login_required(force(views.home))))
    site.on()
    # The view is reached, and the decorator around it decides first.
    expected = 302 if force is force_maintenance_mode_off else 503
    assert visit("/").status_code == expected


def test_arguments_and_partial_functions_reach_the_view(visit, site, urls):
    def item(request, number, color="none"):
        return HttpResponse(f"{number} {color}")

    urls(
        path("a/<int:number>/", force_maintenance_mode_off(item)),
        path("b/<int:number>/", force_maintenance_mode_off(functools.partial(item, color="red"))),
        path("c/<int:number>/", force_maintenance_mode_off(item), {"color": "blue"}),
    )
    site.on()
    assert visit("/a/7/").content == b"7 none"
    assert visit("/b/7/").content == b"7 red"
    assert visit("/c/7/").content == b"7 blue"


def test_an_object_that_is_called_is_a_view(visit, site, urls):
    class Feed:
        def __call__(self, request):
            return HttpResponse("feed")

    urls(path("", force_maintenance_mode_off(Feed())))
    site.on()
    assert visit("/").content == b"feed"


def test_dispatch_may_be_decorated(visit, site, urls):
    @method_decorator(force_maintenance_mode_off, name="dispatch")
    class Never(View):
        def get(self, request):
            return HttpResponse("x")

    @method_decorator(force_maintenance_mode_on, name="dispatch")
    class Always(View):
        def get(self, request):
            raise AssertionError

    urls(path("", Never.as_view()), path("always/", Always.as_view()))
    assert visit("/always/").status_code == 503
    site.on()
    assert visit("/").status_code == 200


@pytest.mark.parametrize("force", [force_maintenance_mode_off, force_maintenance_mode_on])
@pytest.mark.parametrize("wrong", [views.Home, "project.urls", None, 7])
def test_what_is_no_view_is_refused_with_what_to_write(force, wrong):
    with pytest.raises(TypeError, match=r"decorate `as_view\(\)`"):
        force(wrong)


# include() and other parts of URLs


def inner():
    return [path("", views.home, name="home"), path("item/<int:number>/", item, name="item")]


def item(request, number):
    return HttpResponse(f"item {number}")


def nested():
    deeper = [path("deeper/", include((inner(), "shop"), namespace="deep"))]
    return [*inner(), path("async/", views.home_async), path("nested/", include(deeper))]


@pytest.mark.parametrize(
    ("force", "status"), [(force_maintenance_mode_off, 200), (force_maintenance_mode_on, 503)]
)
@pytest.mark.parametrize(
    "patterns",
    [
        lambda force: [path("shop/", force(include(nested())))],
        lambda force: [path("shop/", force(include((nested(), "app"), namespace="instance")))],
        lambda force: [force(path("shop/", include(nested())))],
        lambda force: force([path("shop/", include(nested()))]),
        lambda force: force((path("shop/", include(nested())),)),
        lambda force: [path("shop/", include(force(nested())))],
        lambda force: [re_path("^shop/", force(include(nested())))],
    ],
)
def test_a_part_of_the_urls_is_forced_as_a_whole(visit, site, urls, patterns, force, status):
    urls(*patterns(force))
    (site.on if status == 200 else site.off)()
    for url in (
        "/shop/",
        "/shop/item/7/",
        "/shop/async/",
        "/shop/nested/deeper/",
        "/shop/nested/deeper/item/7/",
    ):
        assert visit(url).status_code == status, url
    assert visit("/plain/").status_code == (503 if status == 200 else 200)


def test_names_and_namespaces_stay(urls):
    urls(
        path("a/", force_maintenance_mode_off(include((inner(), "shop"), namespace="one"))),
        path("b/<slug:where>/", force_maintenance_mode_on(include((nested(), "shop"), "two"))),
        force_maintenance_mode_off(path("c/", views.home, name="c")),
    )
    assert reverse("one:item", args=[7]) == "/a/item/7/"
    assert reverse("two:item", args=["x", 7]) == "/b/x/item/7/"
    assert reverse("two:deep:home", args=["x"]) == "/b/x/nested/deeper/"
    assert reverse("c") == "/c/"
    match = resolve("/b/x/nested/deeper/item/7/")
    assert match.namespaces == ["two", "deep"]
    assert match.app_names == ["shop", "shop"]
    assert match.kwargs == {"where": "x", "number": 7}
    assert match.route == "b/<slug:where>/nested/deeper/item/<int:number>/"


def test_the_patterns_that_are_included_stay_as_they_are():
    patterns = nested()
    before = [pattern.callback for pattern in patterns]
    included = include((patterns, "app"))
    forced, app_name, namespace = force_maintenance_mode_off(included)
    assert [pattern.callback for pattern in patterns] == before
    assert (app_name, namespace) == ("app", "app")
    assert forced is not patterns
    assert all(new is not old for new, old in zip(forced, patterns, strict=True))


def test_a_module_is_included_by_its_name(visit, site, urls):
    urls(path("all/", force_maintenance_mode_off(include("project.urls_inner"))))
    site.on()
    assert visit("/all/item/").status_code == 200
    assert reverse("inner:item") == "/all/item/"
    # Included elsewhere, it is down like the rest.
    urls(path("all/", include("project.urls_inner")))
    assert visit("/all/item/").status_code == 503


def test_an_admin_site_can_be_forced_as_well(visit, site, urls):
    urls(path("admin/", force_maintenance_mode_off(admin.site.urls)))
    site.on()
    assert visit("/admin/", user="root").status_code == 200
    assert visit("/plain/").status_code == 503
    assert reverse("admin:index") == "/admin/"


def test_nearest_to_the_view_wins(visit, site, urls):
    mixed = [
        path("never/", force_maintenance_mode_off(views.home)),
        path("always/", force_maintenance_mode_on(views.home)),
        path("plain/", views.home),
    ]
    urls(
        path("off/", force_maintenance_mode_off(include(mixed))),
        path("on/", force_maintenance_mode_on(include(mixed))),
    )
    assert visit("/off/always/").status_code == 503
    assert visit("/on/never/").status_code == 200
    assert visit("/on/plain/").status_code == 503
    site.on()
    assert visit("/on/never/").status_code == 200
    assert visit("/off/plain/").status_code == 200


def test_urls_that_include_themselves_are_no_trap(visit, site, urls):
    again = [path("x/", views.home, name="x")]
    again.append(path("again/", include((again, "again"))))
    urls(path("", force_maintenance_mode_off(include(again))))
    site.on()
    assert visit("/x/").status_code == 200
    assert visit("/again/again/x/").status_code == 200
    assert reverse("again:x") == "/again/x/"


def test_what_came_of_it_passes_the_checks_of_django(urls):
    urls(
        path("a/", force_maintenance_mode_off(include((nested(), "a")))),
        *force_maintenance_mode_on([path("b/", views.home)]),
    )
    assert get_resolver().check() == []


# Languages, other URLs


LOCALE = "django.middleware.locale.LocaleMiddleware"


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("language", ["en", "de"])
def test_views_are_found_behind_a_language(visit, site, configure, place, language):
    order = {"before": [LOCALE, *settings.MIDDLEWARE], "after": [*settings.MIDDLEWARE, LOCALE]}
    configure(
        ROOT_URLCONF="project.urls_languages",
        MIDDLEWARE=order[place],
    )
    site.on()
    for url in ("never/", "never/inner/"):
        assert visit(f"/{language}/{url}").status_code == 200
    assert visit(f"/{language}/plain/").status_code == 503
    assert visit("/outside/").status_code == 200
    site.off()
    for url in ("always/", "always/inner/"):
        assert visit(f"/{language}/{url}").status_code == 503


class OtherUrls:
    """Chooses other URLs for a host, as django-hosts does."""

    sync_capable = async_capable = True

    def __init__(self, get_response):
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            from asgiref.sync import markcoroutinefunction

            markcoroutinefunction(self)

    def __call__(self, request):
        if request.headers.get("x-urls"):
            request.urlconf = request.headers["x-urls"]
        return self.get_response(request)


def test_views_are_found_by_the_urls_of_the_request(visit, site, configure):
    configure(MIDDLEWARE=["test_django_decorators.OtherUrls", *settings.MIDDLEWARE])
    site.on()
    other = {"x-urls": "project.urls_inner"}
    assert visit("/never/", headers=other).status_code == 200
    assert visit("/never/").status_code == 503
    assert visit("/never/function/").status_code == 200
    assert visit("/never/function/", headers=other).status_code == 503


def test_the_missing_slash_is_added_as_ever(visit, site, configure):
    site.on()
    response = visit("/never/function?a=1")
    assert (response.status_code, response["location"]) == (301, "/never/function/?a=1")
    configure(APPEND_SLASH=False)
    assert visit("/never/function").status_code == 503


def test_views_are_looked_for_only_if_any_is_forced_off(visit, site, configure, monkeypatch):
    looked = []
    resolver = type(get_resolver())
    find = resolver.resolve
    monkeypatch.setattr(
        resolver, "resolve", lambda self, path: looked.append(path) or find(self, path)
    )
    site.on()
    visit("/")
    assert looked
    looked.clear()
    monkeypatch.setattr(marks, "_used", {marks.ON})
    visit("/")
    assert looked == []


# http.py


@pytest.mark.parametrize(
    ("url", "up", "down"),
    [
        ("/", False, True),
        ("/nowhere/", False, True),
        ("/never/function/", False, False),
        ("/always/class/", True, True),
        ("/async/", False, False),
    ],
)
def test_need_maintenance_response_tells_what_would_be_answered(site, url, up, down):
    site.add_rule("path", "/async/")
    request = RequestFactory().get(url)
    assert need_maintenance_response(request) is up
    site.on()
    assert need_maintenance_response(request) is down


def test_get_maintenance_response_does_not_ask_whether_the_site_is_down(site):
    request = RequestFactory(headers={"accept": "application/json"}).get("/")
    response = get_maintenance_response(request)
    assert response.status_code == 503
    assert b"Back at noon" not in response.content
    site.on(reason="Back at noon")
    assert b"Back at noon" in get_maintenance_response(request).content


def test_every_public_name_of_the_peer_is_there():
    from maint.django import context_processors, core, http, logging, middleware
    from maint.django import views as own_views

    for module, names in {
        core: "get_maintenance_mode set_maintenance_mode override_maintenance_mode "
        "maintenance_mode_on maintenance_mode_off",
        http: "get_maintenance_response need_maintenance_response",
        decorators: "force_maintenance_mode_off force_maintenance_mode_on",
        middleware: "MaintenanceModeMiddleware",
        context_processors: "maintenance_mode",
        logging: "RequireNotMaintenanceMode503",
        own_views: "maintenance_mode_on maintenance_mode_off",
    }.items():
        for name in names.split():
            assert inspect.getdoc(getattr(module, name)), name
