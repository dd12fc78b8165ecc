"""Invalid settings: an error at start-up that names the setting, and never a 500 later.

Each is also a finding of `manage.py check`.
"""

import re

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from django.test import Client
from django.urls import reverse_lazy
from django.utils.functional import lazystr

from maint.django.checks import check_maintenance
from maint.django.middleware import MaintenanceModeMiddleware


def raises(request):
    raise LookupError("no such thing")


def raises_by_keyword(*, request):
    raise LookupError("no such thing")


async def waits(request):
    return None


def returns_a_number(request):
    return 7


def returns_xml(request):
    return "xml"


# The setting without its prefix, an invalid value, and words of the error.
BAD = [
    ("", "True", "must be True, False or None, not 'True'.*as in `== '1'`"),
    ("", "", "must be True, False or None"),
    ("", 1, "must be True, False or None, not 1"),
    ("_IGNORE_ADMIN_SITE", "yes", "must be True, False or None"),
    ("_IGNORE_ANONYMOUS_USER", 0, "must be True, False or None"),
    ("_IGNORE_AUTHENTICATED_USER", "false", "must be True, False or None"),
    ("_IGNORE_STAFF", ["ann"], "must be True, False or None"),
    ("_IGNORE_SUPERUSER", "root", "must be True, False or None"),
    ("_IGNORE_TESTS", 1, "must be True, False or None"),
    ("_LOGOUT_AUTHENTICATED_USER", "1", "must be True, False or None"),
    ("_LOGOUT_STAFF_USER", 1, "must be True, False or None"),
    ("_LOGOUT_SUPERUSER", (), "must be True, False or None"),
    ("_IGNORE_IP_ADDRESSES", "10.0.0.1", r"must be a list, not the text.*write \['10.0.0.1'\]"),
    ("_IGNORE_IP_ADDRESSES", {"10.0.0.1": 1}, "must be a list"),
    ("_IGNORE_IP_ADDRESSES", [r"^10\."], "patterns over text.*write '10.0.0.0/8'"),
    ("_IGNORE_IP_ADDRESSES", [r"^192\.168\."], "write '192.168.0.0/16'"),
    ("_IGNORE_IP_ADDRESSES", [r"192.168.1.*"], "write '192.168.1.0/24'"),
    ("_IGNORE_IP_ADDRESSES", [r"192\.168\.1\.\d+"], "write '192.168.1.0/24'"),
    ("_IGNORE_IP_ADDRESSES", ["10.0."], "write '10.0.0.0/16'"),
    ("_IGNORE_IP_ADDRESSES", [r"^10\.0\.0\.1$"], "write '10.0.0.1'"),
    ("_IGNORE_IP_ADDRESSES", [r"(10|192)\..*"], "write an address, or a network"),
    ("_IGNORE_IP_ADDRESSES", ["localhost"], "has 'localhost'"),
    ("_IGNORE_IP_ADDRESSES", ["10.0.0.256"], "has '10.0.0.256'"),
    ("_IGNORE_IP_ADDRESSES", [10], "has 10, which is not an address"),
    ("_IGNORE_IP_ADDRESSES", ["0.0.0.0/0"], "has '0.0.0.0/0'.*everyone"),
    ("_GET_CONTEXT", "project.nowhere.function", "is not a valid function path"),
    ("_GET_CONTEXT", "project.views.nothing", "is not a valid function path"),
    ("_GET_CONTEXT", "function", "is not a valid function path"),
    ("_GET_CLIENT_IP_ADDRESS", "project.settings.ALLOWED_HOSTS", "must be a function"),
    ("_GET_CLIENT_IP_ADDRESS", 7, "must be a function"),
    ("_GET_CLIENT_IP_ADDRESS", waits, "must be a plain function"),
    ("_GET_CLIENT_IP_ADDRESS", returns_a_number, "must return an address or None, not 7"),
    ("_GET_AUTHENTICATED_USER", returns_a_number, "must return a user or None"),
    ("_GET_AUTHENTICATED_USER", lambda: None, "cannot be called with a request"),
    ("_GET_CONTEXT", returns_a_number, "must return a dict or None"),
    ("_GET_CONTEXT", {"team": "shop"}, "must be a function"),
    ("_RESPONSE_TYPE", "xml", "is not a valid function path"),
    ("_RESPONSE_TYPE", returns_xml, 'must return "html" or "json", not \'xml\''),
    ("_RESPONSE_TYPE", ["html"], "must be a function"),
    ("_IGNORE_URLS", "/health", r"must be a list, not the text.*write \['/health'\]"),
    ("_IGNORE_URLS", reverse_lazy("login"), "must be a list, not the text '/login/'"),
    ("_IGNORE_URLS", 7, "must be a list"),
    ("_IGNORE_URLS", [None], "neither text nor a compiled pattern"),
    ("_IGNORE_URLS", [""], "has ''"),
    ("_IGNORE_URLS", ["health"], "has 'health'"),
    ("_IGNORE_URLS", ["/api/.*"], r"write '/api/\*\*', or 're:/api/\.\*'"),
    ("_IGNORE_URLS", [r"/item/\d+"], r"write 're:/item/"),
    ("_IGNORE_URLS", ["/a$"], r"write 're:/a\$'"),
    ("_IGNORE_URLS", ["/(a|b)"], "neither a path nor marked as a regular expression"),
    ("_IGNORE_URLS", ["/api*"], "one whole segment"),
    ("_IGNORE_URLS", ["/**"], "everyone"),
    ("_IGNORE_URLS", ["^/.*"], "everyone"),
    ("_IGNORE_URLS", ["^/a(?!b)"], "has '.*look-around"),
    ("_IGNORE_URLS", ["^/a("], "has '"),
    ("_IGNORE_URLS", [r"^/(.)\1"], "has '"),
    ("_IGNORE_URLS", [re.compile(b"/api")], "pattern over bytes"),
    ("_IGNORE_URLS", [re.compile("/a b", re.VERBOSE)], "re.VERBOSE is not supported"),
    ("_IGNORE_URLS", [reverse_lazy("no-such-url")], "cannot be reversed"),
    ("_REDIRECT_URL", "login", "cannot be 'login'.*reverse_lazy"),
    ("_REDIRECT_URL", "//evil.example", "cannot be '//evil.example'.*or a path like"),
    ("_REDIRECT_URL", "javascript:alert(1)", "cannot be 'javascript:alert.*https://"),
    ("_REDIRECT_URL", 7, "must be text"),
    ("_REDIRECT_URL", "https://example.com/\r\nx: y", "cannot be .*percent-encoded"),
    ("_REDIRECT_URL", reverse_lazy("no-such-url"), "cannot be reversed"),
    ("_STATUS_CODE", "503", "must be a whole number"),
    ("_STATUS_CODE", True, "must be a whole number"),
    ("_STATUS_CODE", 204, "cannot be 204: .*from 400 to 599"),
    ("_STATUS_CODE", 600, "cannot be 600: .*from 400 to 599"),
    ("_STATUS_CODE", 70_000, "cannot be 70000: .*out of range"),
    ("_RETRY_AFTER", "3600", "must be a whole number"),
    ("_RETRY_AFTER", 0, "cannot be 0: .*from one second to one week"),
    ("_RETRY_AFTER", -1, "cannot be -1: .*out of range"),
    ("_RETRY_AFTER", 604801, "cannot be 604801: .*to one week"),
    ("_TEMPLATE", "broken.html", "leads to 'broken.html'.*TemplateSyntaxError"),
    ("_TEMPLATE", "", "must be the name of a template"),
    ("_TEMPLATE", 503, "must be the name of a template"),
]


@pytest.mark.parametrize(("name", "value", "words"), BAD)
def test_a_wrong_setting_is_named_when_the_app_starts(configure, name, value, words):
    setting = f"MAINTENANCE_MODE{name}"
    configure(**{setting: value})
    with pytest.raises(ImproperlyConfigured) as raised:
        MaintenanceModeMiddleware(lambda request: None)
    text = str(raised.value)
    assert text.startswith(f"{setting} ")
    assert re.search(words, text, re.DOTALL), text
    errors = [message for message in check_maintenance() if message.id.startswith("maint.E")]
    assert [error.msg.split()[0] for error in errors] == [setting]


@pytest.mark.parametrize("value", [7, "", b"", [".maint"], lazystr("x")])
def test_a_site_is_a_path(configure, value):
    configure(MAINT_SITE=value)
    with pytest.raises(ImproperlyConfigured, match=r"^MAINT_SITE must be the path"):
        MaintenanceModeMiddleware(lambda request: None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAINT_RECHECK", "0.1"),
        ("MAINT_RECHECK", -1),
        ("MAINT_RECHECK", True),
        ("MAINT_RECHECK", float("nan")),
        ("MAINT_RECHECK", 7200),
        ("MAINT_PLAIN_HTTP", "1"),
        ("MAINT_IS_READ", 7),
        ("MAINT_TITLE", 7),
        ("MAINT_TITLE", "two\nlines"),
        ("MAINT_CONTACT", "somebody"),
        ("MAINT_STATUS_URL", "/status"),
        ("MAINT_LANGUAGE", "german language"),
    ],
)
def test_what_maint_adds_is_named_as_well(configure, name, value):
    configure(**{name: value})
    with pytest.raises(ImproperlyConfigured, match=f"^{name} (must|cannot) be"):
        MaintenanceModeMiddleware(lambda request: None)


@pytest.mark.parametrize("error", [OperationalError, ConnectionRefusedError, TimeoutError])
def test_a_function_that_finds_no_database_does_not_stop_the_start(site, configure, error):
    def address(request):
        raise error("not now")

    configure(MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS=address)
    assert Client().get("/").status_code == 200
    site.on()
    assert Client().get("/").status_code == 503


def test_a_function_is_tried_out_with_a_request_that_is_whole(configure):
    seen = []

    def context(request):
        seen.append(request)
        return {
            "url": request.build_absolute_uri(),
            "user": str(request.user),
            "cart": request.session.get("cart"),
            "address": request.META["REMOTE_ADDR"],
        }

    configure(MAINTENANCE_MODE_GET_CONTEXT=context, ALLOWED_HOSTS=["*.example.com", ".example.org"])
    MaintenanceModeMiddleware(lambda request: None)
    (request,) = seen
    assert request.get_host() == "example.org"


def test_none_is_unset_for_every_setting(configure, visit):
    from maint.django.settings import READERS

    configure(**{name: None for name in READERS if name != "MAINT_SITE"})
    assert visit("/").status_code == 200
