"""The WSGI middleware around plain callables, without a server."""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from maint import PRIVATE, Gate, MaintError, Site, UsageError, User
from maint.wsgi import MaintenanceMiddleware

Headers = list[tuple[str, str]]

#: Fields that allow some caches to keep an answer for everyone.
PUBLIC: Headers = [
    ("Content-Type", "text/plain"),
    ("Cache-Control", "public, max-age=600"),
    ("cache-control", "immutable"),
    ("CDN-Cache-Control", "max-age=600"),
    ("Surrogate-Control", "max-age=600"),
    ("X-Accel-Expires", "600"),
    ("X-Kept", "yes"),
]


@validator
def shop(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", PUBLIC)
    return [b"the shop"]


class Answer:
    def __init__(self, status: str, headers: Headers, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def all(self, name: str) -> list[str]:
        return [value for given, value in self.headers if given.lower() == name]


def ask(app: Any, path: str = "/", method: str = "GET", **environ: Any) -> Answer:
    """Asks an app while checking for every breach of PEP 3333."""
    environ = {
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "REQUEST_METHOD": method,
        "QUERY_STRING": "",
        **environ,
    }
    setup_testing_defaults(environ)
    started: list[Any] = []

    def start_response(status: str, headers: Headers, exc_info: Any = None) -> Any:
        started[:] = [status, headers]
        return io.BytesIO().write

    parts = validator(app)(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        parts.close()
    return Answer(*started, body)


def test_the_app_answers_while_the_site_is_up(site: Site) -> None:
    answer = ask(MaintenanceMiddleware(shop, site))
    assert (answer.status, answer.body) == ("200 OK", b"the shop")
    assert answer.headers == PUBLIC


def test_the_page_is_whole(site: Site) -> None:
    app = MaintenanceMiddleware(shop, site)
    site.on(reason="Back at noon", retry_after=60)
    answer = ask(app, HTTP_ACCEPT="text/html")
    assert answer.status == "503 Service Unavailable"
    assert b"Back at noon" in answer.body
    assert answer.all("content-length") == [str(len(answer.body))]
    assert answer.all("retry-after") == ["60"]
    assert answer.all("cache-control") == ["no-store"]
    assert answer.all("maint-decision") == ["block"]


def test_an_api_client_gets_json(site: Site) -> None:
    app = MaintenanceMiddleware(shop, site)
    site.on()
    answer = ask(app, HTTP_ACCEPT="application/json")
    assert answer.all("content-type") == ["application/problem+json"]


def test_head_has_no_body(site: Site) -> None:
    app = MaintenanceMiddleware(shop, site)
    site.on()
    get, head = ask(app), ask(app, method="HEAD")
    assert head.body == b""
    assert head.all("content-length") == [str(len(get.body))]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_is_blocked(site: Site, method: str) -> None:
    app = MaintenanceMiddleware(shop, site)
    site.on()
    answer = ask(app, method=method, CONTENT_TYPE="text/plain", CONTENT_LENGTH="0")
    assert answer.status == "503 Service Unavailable"


def test_a_status_without_a_phrase_has_one(site: Site) -> None:
    app = MaintenanceMiddleware(shop, site)
    site.on(status=599)
    assert ask(app).status == "599 Maintenance"


def test_a_visitor_may_be_sent_on(site: Site) -> None:
    app = MaintenanceMiddleware(shop, site, redirect="https://status.example.com/")
    site.on()
    answer = ask(app, HTTP_ACCEPT="text/html")
    assert answer.status == "302 Found"
    assert answer.all("location") == ["https://status.example.com/"]
    assert ask(app, HTTP_ACCEPT="application/json").status == "503 Service Unavailable"


def test_an_answer_that_only_some_may_see_is_private(site: Site) -> None:
    site.add_rule("ip", "203.0.113.7")
    app = MaintenanceMiddleware(shop, site)
    site.on()
    answer = ask(app, REMOTE_ADDR="203.0.113.7")
    assert answer.body == b"the shop"
    assert answer.headers == [
        ("Content-Type", "text/plain"),
        ("X-Kept", "yes"),
        ("Cache-Control", PRIVATE),
    ]
    assert ask(app, REMOTE_ADDR="203.0.113.8").status == "503 Service Unavailable"


def test_an_answer_that_all_may_see_is_as_the_app_made_it(site: Site) -> None:
    site.add_rule("path", "/health")
    app = MaintenanceMiddleware(shop, site)
    site.on()
    assert ask(app, "/health").headers == PUBLIC


def test_an_error_of_the_app_to_a_private_visitor_is_private(site: Site) -> None:
    def failing(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        try:
            raise KeyError("stock")
        except KeyError as error:
            trace = (type(error), error, error.__traceback__)
            start_response("500 Oh", [("Content-Type", "text/plain")], trace)
        return [b"oh"]

    app = MaintenanceMiddleware(failing, site, down=True, ignore=[("office", "ip", "10.0.0.0/8")])
    answer = ask(app, REMOTE_ADDR="10.1.2.3")
    assert answer.status == "500 Oh"
    assert answer.all("cache-control") == [PRIVATE]


def test_start_response_is_called_in_any_way_that_servers_take(site: Site) -> None:
    def naming(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response(status="200 OK", headers=[], exc_info=None)
        return [b"named"]

    app = MaintenanceMiddleware(naming, site, down=True, ignore=[("office", "ip", "10.0.0.0/8")])
    environ: dict[str, Any] = {"REMOTE_ADDR": "10.1.2.3"}
    setup_testing_defaults(environ)
    started: list[Any] = []
    assert list(app(environ, lambda *given: started.extend(given))) == [b"named"]
    assert started == ["200 OK", [("Cache-Control", PRIVATE)], None]


def test_write_works_for_a_private_visitor(site: Site) -> None:
    written: list[bytes] = []

    def writing(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])(b"old way")
        return []

    app = MaintenanceMiddleware(writing, site, down=True, ignore=[("office", "ip", "10.0.0.0/8")])
    environ: dict[str, Any] = {"REMOTE_ADDR": "10.1.2.3"}
    setup_testing_defaults(environ)
    assert list(app(environ, lambda *_: written.append)) == []
    assert written == [b"old way"]


@pytest.mark.parametrize(
    ("rule", "user", "passes"),
    [
        ("anonymous", User(), True),
        ("anonymous", User(is_authenticated=True), False),
        ("authenticated", User(is_authenticated=True), True),
        ("staff", User(is_authenticated=True), False),
        ("staff", User(is_authenticated=True, is_staff=True), True),
        ("superuser", User(is_authenticated=True, is_staff=True), False),
        ("superuser", User(is_authenticated=True, is_superuser=True), True),
        ("anonymous", None, False),
    ],
)
def test_the_user_is_who_the_app_says(
    site: Site, rule: str, user: User | None, passes: bool
) -> None:
    site.add_rule("user", rule)
    site.on()
    answer = ask(
        MaintenanceMiddleware(shop, site, user=lambda environ: environ["test.who"]),
        **{"test.who": user},
    )
    assert answer.status == ("200 OK" if passes else "503 Service Unavailable")
    if passes:
        assert answer.all("cache-control") == [PRIVATE]


def test_the_user_is_asked_for_only_if_it_matters(site: Site) -> None:
    asked: list[str] = []

    def who(environ: dict[str, Any]) -> User:
        asked.append(environ["PATH_INFO"])
        return User(is_authenticated=True)

    app = MaintenanceMiddleware(shop, site, user=who)
    ask(app, "/up")
    site.on()
    ask(app, "/no-rule")
    site.add_rule("path", "/health")
    site.add_rule("user", "authenticated")
    ask(app, "/health")
    assert asked == []
    ask(app, "/page")
    assert asked == ["/page"]


def test_the_address_is_the_one_that_the_app_says(site: Site) -> None:
    site.add_rule("ip", "203.0.113.7")
    site.on()

    def client(environ: dict[str, Any]) -> str | None:
        return environ.get("HTTP_X_REAL_IP")

    app = MaintenanceMiddleware(shop, site, client=client)
    assert ask(app, HTTP_X_REAL_IP="203.0.113.7").status == "200 OK"
    assert ask(app, REMOTE_ADDR="203.0.113.7").status == "503 Service Unavailable"


@pytest.mark.parametrize("option", ["user", "client", "format"])
@pytest.mark.parametrize("wrong", ["raises", "returns nonsense"])
def test_a_function_that_fails_blocks_and_is_told(
    site: Site, option: str, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    def function(environ: dict[str, Any]) -> Any:
        if wrong == "raises":
            raise RuntimeError("the database is away")
        return object()

    site.add_rule("user", "anonymous")
    site.add_rule("ip", "127.0.0.1")
    site.on()
    # One function does not replace another.
    options: dict[str, Any] = {"client": lambda _: None, option: function}
    app = MaintenanceMiddleware(shop, site, **options)
    with caplog.at_level(logging.WARNING, logger="maint"):
        answer = ask(app, REMOTE_ADDR="127.0.0.1")
    assert answer.status == "503 Service Unavailable"
    assert f"`{option}`" in caplog.text
    if wrong == "raises":
        assert "the database is away" in caplog.text


def test_options_of_the_app_hold_whatever_the_site_says(site: Site) -> None:
    app = MaintenanceMiddleware(
        shop, site, down=True, ignore=[("probe", "path", "/health")], status=500, retry_after=7
    )
    answer = ask(app)
    assert answer.status == "500 Internal Server Error"
    assert answer.all("retry-after") == ["7"]
    assert ask(app, "/health").status == "200 OK"
    assert ask(MaintenanceMiddleware(shop, site, down=False)).status == "200 OK"


def test_a_bypass_link_sets_the_cookie_and_leads_on(site: Site, run: Any) -> None:
    app = MaintenanceMiddleware(shop, site)
    site.on()
    token = run("bypass", "new", "-q").stdout.strip()
    link = ask(app, "/cart", QUERY_STRING=f"a=1&maint_bypass={token}", HTTP_HOST="example.com")
    assert link.status == "303 See Other"
    assert link.all("location") == ["/cart?a=1"]
    (cookie,) = link.all("set-cookie")
    assert cookie.startswith(f"__Host-maint_bypass={token};")
    answer = ask(app, "/cart", HTTP_COOKIE=cookie.split(";")[0])
    assert answer.body == b"the shop"
    assert answer.all("cache-control") == [PRIVATE]


def test_a_gate_may_be_shared(site: Site) -> None:
    gate = Gate(site)
    apps = [MaintenanceMiddleware(shop, gate=gate) for _ in range(2)]
    site.on()
    assert [ask(app).status for app in apps] == ["503 Service Unavailable"] * 2
    assert all(app.gate is gate for app in apps)


def test_a_gate_and_its_options_are_not_given_twice(site: Site) -> None:
    with pytest.raises(TypeError, match=r"`site` and `user` and `status` beside `gate`"):
        MaintenanceMiddleware(shop, site, gate=Gate(site), user=lambda _: None, status=500)


def test_without_a_site_there_is_no_app(tmp_path: Any) -> None:
    with pytest.raises(MaintError) as caught:
        MaintenanceMiddleware(shop, tmp_path / "nowhere")
    assert "nowhere" in str(caught.value)
    assert " init`" in str(caught.value)


def test_with_a_broken_state_there_is_no_app(site: Site) -> None:
    with open(site.state_file, "w") as state:
        state.write("{")
    with pytest.raises(MaintError) as caught:
        MaintenanceMiddleware(shop, site)
    assert site.state_file in str(caught.value)
    assert "maint doctor" in str(caught.value)


def test_a_state_that_breaks_later_changes_nothing(site: Site) -> None:
    app = MaintenanceMiddleware(shop, site)
    site.on()
    assert ask(app).status == "503 Service Unavailable"
    with open(site.state_file, "w") as state:
        state.write("{")
    assert ask(app).status == "503 Service Unavailable"


def test_a_wrong_rule_of_the_app_names_itself(site: Site) -> None:
    with pytest.raises(ValueError, match="the office"):
        MaintenanceMiddleware(shop, site, ignore=[("the office", "ip", "10.0.0.300")])


def test_processes_that_are_forked_off_see_every_change(site: Site) -> None:
    app = MaintenanceMiddleware(shop, site)
    assert ask(app).status == "200 OK"
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            # No code of pytest may run in the child.
            try:
                os._exit(_sees_both(app))
            finally:
                os._exit(9)
        children.append(child)
    try:
        site.on()
        assert ask(app).status == "503 Service Unavailable"
    finally:
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0, 0, 0]


def _sees_both(app: Any) -> int:
    """0 once the site is down for this process too."""
    last = time.monotonic() + 120
    while ask(app).status == "200 OK":
        if time.monotonic() > last:
            return 1
        time.sleep(0.002)
    return 0 if ask(app).status == "503 Service Unavailable" else 2


async def who(environ: dict[str, Any]) -> User:
    raise AssertionError("nobody awaits it")


@pytest.mark.parametrize("given", ["to the middleware", "to a gate of one's own"])
def test_an_asynchronous_user_is_refused_at_the_start(site: Site, given: str) -> None:
    with pytest.raises(UsageError, match=r"^user: the function is asynchronous.*`maint\.asgi`"):
        if given == "to the middleware":
            MaintenanceMiddleware(shop, site, user=who)
        else:
            MaintenanceMiddleware(shop, gate=Gate(site, user=who))
