"""Rules for users, and logging users out: with real users, sessions and a real database."""

from types import SimpleNamespace

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session

NOBODY, ANN, STAFF, ROOT = None, "ann", "staff", "root"
EVERYBODY = [NOBODY, ANN, STAFF, ROOT]

RULES = {
    "MAINTENANCE_MODE_IGNORE_ANONYMOUS_USER": {NOBODY},
    "MAINTENANCE_MODE_IGNORE_AUTHENTICATED_USER": {ANN, STAFF, ROOT},
    "MAINTENANCE_MODE_IGNORE_STAFF": {STAFF, ROOT},
    "MAINTENANCE_MODE_IGNORE_SUPERUSER": {ROOT},
}


@pytest.mark.parametrize("user", EVERYBODY)
@pytest.mark.parametrize("setting", RULES)
def test_a_setting_lets_its_users_through_and_nobody_else(visit, site, configure, setting, user):
    configure(**{setting: True})
    site.on()
    response = visit("/", user=user)
    if user in RULES[setting]:
        assert (response.status_code, response.content) == (200, b"the shop")
        assert response["cache-control"] == "private, no-store"
    else:
        assert response.status_code == 503


@pytest.mark.parametrize("user", EVERYBODY)
@pytest.mark.parametrize(
    ("kind", "let_through"),
    [("anonymous", {NOBODY}), ("authenticated", {ANN, STAFF, ROOT}), ("staff", {STAFF, ROOT})],
)
def test_so_does_a_rule_of_the_site(visit, site, kind, let_through, user):
    site.on()
    site.add_rule("user", kind)
    assert visit("/", user=user).status_code == (200 if user in let_through else 503)


def test_the_user_is_not_asked_for_while_the_site_is_up(visit, configure, queries):
    configure(MAINTENANCE_MODE_IGNORE_STAFF=True, MAINTENANCE_MODE_LOGOUT_AUTHENTICATED_USER=True)
    visit("/", user=STAFF)  # and the session is kept
    queries.clear()
    assert visit("/").status_code == 200
    assert queries == []


def test_the_user_is_asked_for_only_if_a_rule_could_tell(visit, site, configure, queries):
    configure(MAINTENANCE_MODE_TEMPLATE=None)
    visit("/", user=STAFF)  # and the session is kept
    site.on()
    queries.clear()
    assert visit("/").status_code == 503
    assert queries == []
    # A rule that lets the request through in any case.
    site.add_rule("path", "/async/")
    site.add_rule("user", "staff")
    assert visit("/async/").status_code == 200
    assert queries == []
    assert visit("/").status_code == 200
    assert len(queries) == 2  # the session and the user


def test_without_a_session_not_even_a_rule_for_users_asks_the_database(visit, site, queries):
    site.on()
    site.add_rule("user", "staff")
    assert visit("/").status_code == 503
    assert queries == []


def test_before_the_authentication_middleware_nobody_is_known(visit, site, configure):
    first = "maint.django.middleware.MaintenanceModeMiddleware"
    configure(
        MIDDLEWARE=[first, *(name for name in settings.MIDDLEWARE if name != first)],
        MAINTENANCE_MODE_IGNORE_STAFF=True,
        MAINTENANCE_MODE_IGNORE_ANONYMOUS_USER=True,
    )
    site.on()
    assert visit("/", user=ROOT).status_code == 503
    assert visit("/").status_code == 503


# MAINTENANCE_MODE_GET_AUTHENTICATED_USER


def by_header(request):
    """The user of an API, who has no session."""
    return SimpleNamespace(is_authenticated=True) if "X-Key" in request.headers else None


def staff_without_superuser(request):
    return SimpleNamespace(is_authenticated=True, is_staff=True)


def nobody(request):
    return AnonymousUser()


@pytest.mark.parametrize("path", ["test_django_users.by_header", by_header])
def test_another_function_may_find_the_user(visit, site, configure, path):
    configure(
        MAINTENANCE_MODE_IGNORE_AUTHENTICATED_USER=True,
        MAINTENANCE_MODE_GET_AUTHENTICATED_USER=path,
    )
    site.on()
    assert visit("/", headers={"x-key": "1"}).status_code == 200
    assert visit("/").status_code == 503
    # None means that the function does not know, and the user of the session counts.
    assert visit("/", user=ANN).status_code == 200


def test_what_it_says_goes_before_the_session(visit, site, configure):
    configure(
        MAINTENANCE_MODE_IGNORE_AUTHENTICATED_USER=True,
        MAINTENANCE_MODE_GET_AUTHENTICATED_USER=nobody,
    )
    site.on()
    assert visit("/", user=ANN).status_code == 503


def test_users_need_not_know_all_classes(visit, site, configure):
    configure(
        MAINTENANCE_MODE_IGNORE_SUPERUSER=True,
        MAINTENANCE_MODE_GET_AUTHENTICATED_USER=staff_without_superuser,
    )
    site.on()
    assert visit("/").status_code == 503
    configure(MAINTENANCE_MODE_IGNORE_STAFF=True)
    assert visit("/").status_code == 200


def test_one_that_fails_later_is_logged_and_knows_nobody(visit, site, configure, log):
    calls = []

    def find(request):
        calls.append(request)
        if len(calls) > 1:
            raise LookupError("no such key")

    configure(
        MAINTENANCE_MODE_IGNORE_ANONYMOUS_USER=True, MAINTENANCE_MODE_GET_AUTHENTICATED_USER=find
    )
    site.on()
    assert visit("/").status_code == 503
    assert "no such key" in log.text


# MAINTENANCE_MODE_LOGOUT_…

LOGOUTS = [
    # everybody, staff, superusers: who is logged out
    ((True, None, None), {ANN, STAFF, ROOT}),
    ((False, True, None), {STAFF}),
    ((False, None, True), {ROOT}),
    ((True, False, None), {ANN, ROOT}),
    ((True, None, False), {ANN, STAFF}),
    ((True, False, False), {ANN}),
    ((None, None, None), set()),
]


def logout(everybody, staff, superusers):
    return {
        "MAINTENANCE_MODE_LOGOUT_AUTHENTICATED_USER": everybody,
        "MAINTENANCE_MODE_LOGOUT_STAFF_USER": staff,
        "MAINTENANCE_MODE_LOGOUT_SUPERUSER": superusers,
    }


@pytest.mark.parametrize("user", [ANN, STAFF, ROOT])
@pytest.mark.parametrize(("values", "leave"), LOGOUTS)
def test_users_who_meet_maintenance_are_logged_out(visit, site, configure, values, leave, user):
    configure(**logout(*values))
    site.on()
    before = Session.objects.count()
    assert visit("/", user=user).status_code == 503
    assert visit.cookies["sessionid"].value == ("" if user in leave else visit.session)
    assert Session.objects.count() == before + (user not in leave)
    site.off()
    # The staff page asks who is logged in.
    if user != ANN:
        assert visit("/staff/").status_code == (302 if user in leave else 200)


def test_nobody_is_logged_out_while_the_site_is_up(visit, configure):
    configure(**logout(True, True, True))
    assert visit("/", user=STAFF).status_code == 200
    assert visit("/staff/").status_code == 200


@pytest.mark.parametrize("path", ["/async/", "/never/function/", "/admin/"])
def test_nor_where_the_request_is_let_through_anyway(visit, site, configure, path):
    configure(**logout(True, None, None), MAINTENANCE_MODE_IGNORE_ADMIN_SITE=True)
    site.on()
    site.add_rule("path", "/async/")
    assert visit(path, user=STAFF).status_code == 200
    assert visit.cookies["sessionid"].value == visit.session


def test_nor_whoever_comes_from_an_address_that_is_let_through(visit, site, configure):
    configure(
        **logout(True, None, None),
        MAINTENANCE_MODE_IGNORE_STAFF=True,
        MAINTENANCE_MODE_IGNORE_IP_ADDRESSES=["203.0.113.7"],
        MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS="test_django_settings.by_field",
    )
    site.on()
    assert visit("/", user=STAFF, headers={"x-client": "203.0.113.7"}).status_code == 200
    assert visit.cookies["sessionid"].value == visit.session
    assert visit("/").status_code == 503
    assert visit.cookies["sessionid"].value == ""


def test_who_was_logged_out_is_judged_as_nobody(visit, site, configure):
    configure(
        **logout(True, None, False),
        MAINTENANCE_MODE_IGNORE_STAFF=True,
        MAINTENANCE_MODE_GET_AUTHENTICATED_USER="test_django_users.of_session",
    )
    site.on()
    assert visit("/", user=STAFF).status_code == 503
    assert visit("/", user=ROOT).status_code == 200
    configure(MAINTENANCE_MODE_IGNORE_ANONYMOUS_USER=True)
    response = visit("/", user=ANN)
    assert response.status_code == 200
    assert response["cache-control"] == "private, no-store"


KEPT = {}


def of_session(request):
    """Remembers users for longer than their sessions last."""
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        KEPT[id(request)] = user
    return KEPT.get(id(request))


def test_a_logout_that_fails_is_logged(visit, site, configure, broken_database, log):
    configure(**logout(True, None, None))
    site.on()
    cookie = {"cookie": "sessionid=abcdefghijklmnopqrstuvwxyz123456"}
    assert visit("/", headers=cookie).status_code == 503
    assert "a user could not be logged out" in log.text
