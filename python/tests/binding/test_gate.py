"""The gate, as Python sees it."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import re
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import maint
from maint.testing import freeze

JSON = {"HTTP_ACCEPT": "application/json"}


def environ(path: str = "/", **more: Any) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "REMOTE_ADDR": "203.0.113.7",
        "wsgi.url_scheme": "http",
        **more,
    }


def scope(path: str = "/", **more: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "client": ("203.0.113.7", 4711),
        "headers": [],
        "scheme": "http",
        **more,
    }


def raises(subject: Any) -> Any:
    raise RuntimeError("the database is gone")


def by(answer: maint.Pass | maint.Reply) -> str | None:
    """What lets a request through, or `blocked`."""
    return answer.by if isinstance(answer, maint.Pass) else "blocked"


def test_the_next_request_obeys(site: maint.Site) -> None:
    gate = maint.Gate(site)
    for _ in range(200):
        site.on()
        assert isinstance(gate.answer_environ(environ()), maint.Reply)
        assert gate.is_down()
        site.off()
        assert isinstance(gate.answer_environ(environ()), maint.Pass)
        assert not gate.is_down()


def test_most_answers_are_one_object(site: maint.Site) -> None:
    gate = maint.Gate(site)
    assert gate.answer_environ(environ()) is gate.answer_scope(scope())


def test_a_reply_has_all_that_a_server_sends(site: maint.Site) -> None:
    site.on(reason="Back at noon", retry_after=300)
    reply = maint.Gate(site).answer_environ(environ(**JSON))
    assert isinstance(reply, maint.Reply)
    headers = dict(reply.headers)
    assert (reply.status, reply.window, reply.format) == (503, "default", "json")
    assert headers["content-type"] == "application/problem+json"
    assert headers["retry-after"] == "300"
    assert int(headers["content-length"]) == len(reply.body)
    assert b"Back at noon" in reply.body
    assert reply.template is None
    assert reply.context is not None
    assert reply.context["reason"] == "Back at noon"
    assert reply.context["end"] is None


def test_head_has_the_length_of_get_and_no_body(site: maint.Site) -> None:
    site.on()
    gate = maint.Gate(site)
    get, head = gate.answer_environ(environ()), gate.answer_environ(environ(REQUEST_METHOD="HEAD"))
    assert isinstance(get, maint.Reply) and isinstance(head, maint.Reply)
    assert dict(head.headers)["content-length"] == str(len(get.body))
    assert head.body == b""


@pytest.mark.parametrize(
    ("path", "passes"),
    [
        ("/health", True),
        ("/health/", False),
        ("/healthz", False),
        ("/static/a.css", True),
        ("/static/ä b.css", True),
        ("/static/../admin", False),
        ("/static//a", False),
        ("/static/a;x=1", False),
        ("/static/a\\b", False),
        # The server has decoded `%252e` once. A second decoding would see a dot.
        ("/static/%2e%2e/admin", False),
        ("/static/%41", False),
        ("", False),
    ],
)
def test_requirement_41_rules_see_the_path_that_the_app_routes_by(
    site: maint.Site, path: str, passes: bool
) -> None:
    site.on()
    site.add_rule("path", "/health")
    site.add_rule("path", "/static/**")
    gate = maint.Gate(site)
    as_wsgi = path.encode().decode("latin-1")
    assert isinstance(gate.answer_environ(environ(as_wsgi)), maint.Pass) is passes
    assert isinstance(gate.answer_scope(scope(path)), maint.Pass) is passes


def test_requirement_41_the_path_as_it_was_sent_counts_where_the_server_tells(
    site: maint.Site,
) -> None:
    site.on()
    site.add_rule("path", "/static/**")
    gate = maint.Gate(site)
    for raw, passes in [
        (b"/static/a", True),
        (b"/static/%61", True),
        (b"/static/a?b", True),
        (b"/static%2fa", False),
        (b"/static/%2e%2e/admin", False),
    ]:
        answer = gate.answer_scope(scope("/static/a", raw_path=raw))
        assert isinstance(answer, maint.Pass) is passes, raw


def test_the_prefix_of_an_app_is_a_part_of_its_paths(site: maint.Site) -> None:
    site.on()
    site.add_rule("path", "/shop/health")
    gate = maint.Gate(site)
    assert by(gate.answer_environ(environ("/health", SCRIPT_NAME="/shop"))) == "r3"
    assert by(gate.answer_environ(environ("/health"))) == "blocked"


def test_addresses_headers_hosts_and_methods_are_found(site: maint.Site) -> None:
    site.on()
    ids = {
        "ip": site.add_rule("ip", "203.0.113.0/24"),
        "header": site.add_rule("header", "X-Probe: blue"),
        "host": site.add_rule("host", "staging.example.com"),
        "method": site.add_rule("method", "PURGE"),
    }
    gate = maint.Gate(site)
    elsewhere = {"REMOTE_ADDR": "198.51.100.1"}
    assert by(gate.answer_environ(environ())) == ids["ip"]
    assert by(gate.answer_environ(environ(**elsewhere))) == "blocked"
    assert by(gate.answer_environ(environ(HTTP_X_PROBE="blue", **elsewhere))) == ids["header"]
    assert (
        by(gate.answer_environ(environ(HTTP_HOST="staging.example.com:80", **elsewhere)))
        == (ids["host"])
    )
    assert by(gate.answer_environ(environ(REQUEST_METHOD="PURGE", **elsewhere))) == ids["method"]

    client = ("198.51.100.1", 1)
    assert by(gate.answer_scope(scope())) == ids["ip"]
    assert by(gate.answer_scope(scope(client=client))) == "blocked"
    headers = [(b"x-probe", b"blue")]
    assert by(gate.answer_scope(scope(client=client, headers=headers))) == ids["header"]
    headers = [(b"host", b"staging.example.com")]
    assert by(gate.answer_scope(scope(client=client, headers=headers))) == ids["host"]
    assert by(gate.answer_scope(scope(client=client, method="PURGE"))) == ids["method"]


def test_facts_of_another_type_are_unknown(site: maint.Site) -> None:
    site.on()
    site.add_rule("ip", "203.0.113.0/24")
    site.add_rule("header", "X-Probe: blue")
    gate = maint.Gate(site)
    nonsense: dict[str, Any] = {
        "REMOTE_ADDR": 7,
        "PATH_INFO": None,
        "REQUEST_METHOD": b"GET",
        "HTTP_X_PROBE": ["blue"],
    }
    assert by(gate.answer_environ(nonsense)) == "blocked"
    for odd in ({"client": "203"}, {"headers": 7}, {"headers": [(1, 2), "x"]}, {"path": None}):
        answer = gate.answer_scope(scope(**{"client": None, **odd}))
        assert by(answer) == "blocked", odd


def test_the_user_is_asked_for_last_and_only_if_a_rule_needs_it(site: maint.Site) -> None:
    asked: list[Any] = []

    def user(subject: Any) -> maint.User:
        asked.append(subject)
        return maint.User(is_authenticated=True, is_staff=True)

    gate = maint.Gate(site, user=user)
    gate.answer_environ(environ())
    site.on()
    assert by(gate.answer_environ(environ())) == "blocked"
    site.add_rule("path", "/health")
    staff = site.add_rule("user", "staff")
    gate.answer_environ(environ("/health"))
    assert asked == []
    request = environ()
    assert by(gate.answer_environ(request)) == staff
    assert asked == [request] and asked[0] is request


def test_without_the_user_the_answer_says_that_it_may_change(site: maint.Site) -> None:
    site.on()
    gate = maint.Gate(site, user=lambda _: maint.User(is_authenticated=True))
    answer = gate.answer_scope(scope(), ask=False)
    assert isinstance(answer, maint.Reply) and not answer.needs_asking, "no rule asks"
    rule = site.add_rule("user", "authenticated")
    answer = gate.answer_scope(scope(), ask=False)
    assert isinstance(answer, maint.Reply) and answer.needs_asking
    assert by(gate.answer_scope(scope())) == rule


def test_no_function_is_called_that_was_not_to_be(site: maint.Site) -> None:
    site.on()
    site.add_rule("ip", "10.0.0.0/8")
    for options in ({"client": raises}, {"format": raises}):
        answer = maint.Gate(site, **options).answer_scope(scope(), ask=False)  # type: ignore[arg-type]
        assert isinstance(answer, maint.Reply) and answer.needs_asking


def test_who_sends_two_hosts_has_none(site: maint.Site) -> None:
    site.on()
    rule = site.add_rule("host", "staging.example.com")
    gate = maint.Gate(site)
    host = (b"host", b"staging.example.com")
    assert by(gate.answer_scope(scope(headers=[host]))) == rule
    assert by(gate.answer_scope(scope(headers=[host, host]))) == "blocked"


def test_a_websocket_is_answered_in_a_line(site: maint.Site) -> None:
    site.on()
    reply = maint.Gate(site).answer_scope({**scope(), "type": "websocket"})
    assert isinstance(reply, maint.Reply) and reply.format == "txt"


def test_the_client_of_the_app_goes_before_the_peer(site: maint.Site) -> None:
    site.on()
    rule = site.add_rule("ip", "10.0.0.0/8")
    gate = maint.Gate(site, client=lambda environ: environ.get("HTTP_X_REAL_IP"))
    assert by(gate.answer_environ(environ(HTTP_X_REAL_IP="10.1.2.3"))) == rule
    assert by(gate.answer_environ(environ(REMOTE_ADDR="10.1.2.3"))) == "blocked", "unknown"


@pytest.mark.parametrize("name", ["user", "client", "format"])
@pytest.mark.parametrize("function", [raises, lambda subject: object(), lambda subject: "7 7"])
def test_a_function_that_fails_knows_nothing_and_is_told_of_once(
    site: maint.Site,
    name: str,
    function: Callable[[Any], Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    site.on()
    site.add_rule("user", "staff")
    site.add_rule("ip", "10.0.0.0/8")
    options: dict[str, Any] = {name: function}
    gate = maint.Gate(site, **options)
    with caplog.at_level(logging.ERROR, "maint"):
        for _ in range(3):
            assert by(gate.answer_environ(environ())) == "blocked"
    assert [record.name for record in caplog.records] == ["maint"]
    assert f"`{name}`" in caplog.text


def test_the_app_says_in_which_format_every_page_is(site: maint.Site) -> None:
    site.on()
    for wanted, accept, format in [
        ("json", "text/html", "json"),
        ("html", "application/json", "html"),
        (lambda environ: environ["wanted"], "text/html", "json"),
    ]:
        reply = maint.Gate(site, format=wanted).answer_environ(
            environ(HTTP_ACCEPT=accept, wanted="json")
        )
        assert isinstance(reply, maint.Reply) and reply.format == format


def test_what_the_app_says_by_itself(site: maint.Site) -> None:
    rules = [("MY_HEALTH", "path", "/health")]
    gate = maint.Gate(site, down=True, ignore=rules, status=500, retry_after=9)  # type: ignore[arg-type]
    reply = gate.answer_environ(environ())
    assert isinstance(reply, maint.Reply)
    assert (reply.status, dict(reply.headers)["retry-after"]) == (500, "9")
    assert by(gate.answer_environ(environ("/health"))) == "MY_HEALTH"
    assert gate.is_down()
    site.on()
    never = maint.Gate(site, down=False)
    assert by(never.answer_environ(environ())) is None and not never.is_down()


def test_a_view_that_is_always_or_never_down(site: maint.Site) -> None:
    gate = maint.Gate(site)
    assert isinstance(gate.answer_environ(environ(), force="on"), maint.Reply)
    site.on()
    assert by(gate.answer_environ(environ(), force="off")) is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ignore": [("MY_IPS", "ip", "10.0.")]}, "MY_IPS: `10.0.`"),
        ({"ignore": [("MY_URLS", "path", "/**")]}, "MY_URLS: "),
        ({"ignore": [("X", "shape", "/")]}, "X: no kind of rule named `shape`"),
        ({"status": 302}, "status: "),
        ({"status": 70_000}, "status: `70000` is out of range"),
        ({"retry_after": 0}, "retry_after: "),
        ({"retry_after": -1}, "retry_after: `-1` is out of range"),
        ({"redirect": "//evil"}, "redirect: "),
        ({"format": "xml"}, "format: "),
        ({"on_error": "panic"}, "on_error: "),
        ({"recheck": -1.0}, "recheck: "),
        ({"title": ""}, "title: the title must be one line, and not empty"),
        ({"contact": "x"}, "contact: `x` cannot be the contact; write a mail address"),
        ({"status_url": "/s"}, "status_url: "),
        ({"language": "x"}, "language: `x` is not the tag of a language; write it like `de`"),
        ({"recheck": -1}, "recheck: `-1` is not from 0 to 3600 seconds; leave it out"),
        ({"recheck": 3_601}, "recheck: `3601` is not from 0 to 3600 seconds"),
    ],
)
def test_a_setting_that_cannot_be_is_named(
    site: maint.Site, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match="^" + words.replace("*", r"\*").replace(".", r"\.")):
        maint.Gate(site, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"recheck": "1"}, "recheck: `'1'` is not a number of seconds"),
        ({"ignore": len}, "ignore: `<built-in function len>` is not a list of rules; a rule is"),
        ({"ignore": "/health"}, "ignore: `'/health'` is not a list of rules"),
        ({"ignore": ["/health"]}, "ignore: `'/health'` is not a rule: (name, kind, value)"),
        ({"ignore": ("probe", "path", "/health")}, "ignore: `'probe'` is not a rule"),
        ({"status": "503"}, "status: `'503'` is not a whole number"),
        ({"retry_after": "10"}, "retry_after: `'10'` is not a whole number of seconds"),
        ({"redirect": 5}, "redirect: `5` is not text"),
        ({"title": 5}, "title: `5` is not text"),
        ({"language": 5}, "language: `5` is not text"),
        ({"down": "yes"}, "down: `'yes'` is not `True` or `False`"),
        ({"plain_http": "x"}, "plain_http: `'x'` is not `True` or `False`"),
        ({"on_error": 5}, "on_error: `5` is not text"),
        ({"format": 5}, "format: write `html`, `json` or a function"),
        ({"user": 5}, "user: `5` is not a function"),
        ({"client": "10.0.0.1"}, "client: `'10.0.0.1'` is not a function"),
        ({"on_problem": True}, "on_problem: `True` is not a function"),
        ({"site": 5}, "site: `5` is not a `Site` or a path"),
    ],
)
def test_an_option_of_another_type_is_named(
    site: maint.Site, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(TypeError, match="^" + re.escape(words)):
        maint.Gate(**{"site": site, **options})


def test_what_the_page_says_where_neither_window_nor_site_does(site: maint.Site) -> None:
    gate = maint.Gate(
        site,
        title="The shop is moving",
        contact="+49 30 123456",
        status_url="https://status.example.com/",
        language="pt_BR",
    )
    site.on(reason="Já")

    def page(languages: str | None = None) -> tuple[dict[str, Any], dict[str, str]]:
        headers = [("accept-language", languages)] if languages else []
        reply = gate.answer(maint.Request("GET", "/", headers=headers))
        assert isinstance(reply, maint.Reply) and reply.context
        return reply.context, dict(reply.headers)

    said, headers = page()
    assert (said["title"], said["contact_url"]) == ("The shop is moving", "tel:+4930123456")
    assert said["status_url"] == "https://status.example.com/"
    assert (said["language"], headers["content-language"]) == ("pt-br", "pt-br")
    assert page("de")[0]["language"] == "de"
    site.set_page(title="Of the site", language="fr")
    assert (page()[0]["title"], page()[0]["language"]) == ("Of the site", "fr")
    site.set(title="Of the window", language="it")
    assert (page()[0]["title"], page()[0]["language"]) == ("Of the window", "it")


async def somebody(request: Any) -> None:
    raise AssertionError("nobody awaits it")


@pytest.mark.parametrize("option", ["client", "format", "on_problem"])
def test_an_asynchronous_function_that_nobody_would_await_is_refused(
    site: maint.Site, option: str
) -> None:
    with pytest.raises(maint.UsageError, match=f"^{option}: .*asynchronous.*; write a plain"):
        maint.Gate(site, **{option: somebody})


@pytest.mark.parametrize(
    ("ask", "hint"),
    [
        (lambda gate: gate.answer(maint.Request("GET", "/")), "user=…"),
        (lambda gate: gate.answer_environ(environ()), "plain function"),
        (lambda gate: gate.answer_scope(scope()), "maint.asgi.answer_scope"),
        (lambda gate: gate.answer_django(object(), False), "plain function"),
    ],
    ids=["answer", "environ", "scope", "django"],
)
@pytest.mark.parametrize("is_down", [False, True])
def test_a_gate_with_an_asynchronous_user_refuses_to_answer_where_nothing_awaits(
    site: maint.Site, ask: Any, hint: str, is_down: bool
) -> None:
    gate = maint.Gate(site, user=somebody)
    if is_down:
        site.on()
    with pytest.raises(maint.UsageError, match=f"^user: the function is asynchronous.*{hint}"):
        ask(gate)
    # Somebody who is described need not be asked for.
    described = maint.Request("GET", "/", user=maint.User())
    assert isinstance(gate.answer(described), maint.Reply if is_down else maint.Pass)


def test_a_plain_function_that_returns_a_coroutine_is_reported_and_leaves_no_warning(
    site: maint.Site, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    site.add_rule("user", "staff")
    site.on()
    gate = maint.Gate(site, user=lambda request: somebody(request))
    assert by(gate.answer_environ(environ())) == "blocked"
    assert "returned a coroutine, and nothing awaits that" in caplog.text
    gc.collect()
    assert not recwarn.list


def test_a_site_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(maint.UsageError) as missing:
        maint.Gate(tmp_path / "nowhere")
    assert (missing.value.code, missing.value.path) == ("usage", str(tmp_path / "nowhere"))
    assert missing.value.hint and "init" in missing.value.hint
    site = maint.Site.create(tmp_path / ".maint")
    Path(site.state_file).write_text("{")
    with pytest.raises(maint.Corrupt, match="broken") as broken:
        maint.Gate(site)
    assert (broken.value.code, broken.value.path) == ("corrupt", site.state_file)
    assert by(maint.Gate(site, on_error="open").answer_environ(environ())) is None
    assert by(maint.Gate(site, on_error="closed").answer_environ(environ())) == "blocked"


def test_a_state_that_breaks_later_changes_nothing_and_is_told(
    site: maint.Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.on()
    gate, told = maint.Gate(site), []
    other = maint.Gate(site, on_problem=told.append)
    Path(site.state_file).write_text("{")
    with caplog.at_level(logging.WARNING, "maint"):
        for _ in range(3):
            assert by(gate.answer_environ(environ())) == "blocked"
            assert by(other.answer_environ(environ())) == "blocked"
    assert len(told) == 1 and "last good state" in told[0]
    assert len(caplog.records) == 1 and "last good state" in caplog.text


def test_the_clock_of_tests_stands_still(site: maint.Site) -> None:
    noon = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
    freeze(noon)
    try:
        gate = maint.Gate(site)
        site.on(start=noon + timedelta(hours=1), end=noon + timedelta(hours=2))
        assert by(gate.answer_environ(environ())) is None
        freeze(noon + timedelta(hours=1))
        assert by(gate.answer_environ(environ())) == "blocked" and gate.is_down()
        freeze("2026-11-24T14:00:00Z")
        assert by(gate.answer_environ(environ())) is None
    finally:
        freeze(None)
    with pytest.raises(ValueError, match="no time zone"):
        freeze(datetime(2026, 11, 24, 12))


def test_others_run_while_the_gate_looks_at_the_file(tmp_path: Path) -> None:
    """Threads ask while another writes; each releases the interpreter's lock to do so."""
    site = maint.Site.create(tmp_path / ".maint")
    site.on()
    gate = maint.Gate(site)
    counts = [0] * 4
    stop = threading.Event()

    def ask(number: int) -> None:
        while not stop.is_set():
            assert isinstance(gate.answer_environ(environ()), maint.Reply)
            counts[number] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        site.on(reason="again")
        site.on(reason="and again")
    stop.set()
    for thread in threads:
        thread.join(timeout=60)
    assert all(counts), counts


def child(gate: maint.Gate, told: Any) -> None:
    told.put(by(gate.answer_environ(environ())))


def test_a_gate_works_on_after_a_fork(site: maint.Site) -> None:
    gate = maint.Gate(site)
    gate.answer_environ(environ())
    site.on()
    context = multiprocessing.get_context("fork")
    told = context.Queue()
    processes = [context.Process(target=child, args=(gate, told)) for _ in range(4)]
    for process in processes:
        process.start()
    assert [told.get(timeout=60) for _ in processes] == ["blocked"] * 4
    for process in processes:
        process.join(timeout=60)
    assert by(gate.answer_environ(environ())) == "blocked"


def test_requirement_66_a_child_forked_during_a_change_keeps_no_lock(
    site: maint.Site, run: Any
) -> None:
    ends, children, is_over = os.pipe(), [], threading.Event()

    def write() -> None:
        while not is_over.is_set():
            site.on()
            site.off()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(200):
            pid = os.fork()
            if pid == 0:
                # It lives until the parent closes its end.
                os.close(ends[1])
                os.read(ends[0], 1)
                os._exit(0)
            children.append(pid)
    finally:
        is_over.set()
        writer.join(timeout=60)
    # Each child lives, and none holds anybody up.
    done = run("on", "--no-wait", check=False)
    os.close(ends[1])
    for pid in children:
        os.waitpid(pid, 0)
    assert done.returncode == 0, done.stderr


def test_reading_needs_no_right_to_write(site: maint.Site) -> None:
    if os.geteuid() != 0:
        pytest.skip("SKIPPED: only root can become somebody else")
    site.on()
    for folder in Path(site.directory).parents:
        if folder.stat().st_mode & 0o005 != 0o005 and folder.is_relative_to("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
    before = sorted(os.listdir(site.directory))
    pid = os.fork()
    if pid == 0:
        os.setgid(65534)
        os.setuid(65534)
        answer = by(maint.Gate(site.directory).answer_environ(environ()))
        os._exit(0 if answer == "blocked" else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert sorted(os.listdir(site.directory)) == before


def test_a_bypass_link_becomes_a_cookie(site: maint.Site, run: Any) -> None:
    site.on()
    token = run("bypass", "new", "-q").stdout.strip().splitlines()[-1].split()[-1]
    gate = maint.Gate(site)
    link = environ("/shop", QUERY_STRING=f"a=1&maint_bypass={token}", HTTP_HOST="example.com")
    reply = gate.answer_environ(link)
    assert isinstance(reply, maint.Reply) and reply.status == 303 and reply.format is None
    headers = dict(reply.headers)
    assert headers["location"] == "/shop?a=1"
    cookie = headers["set-cookie"]
    assert cookie.startswith("__Host-maint_bypass=") and "; Secure" in cookie
    answer = gate.answer_environ(environ("/shop", HTTP_COOKIE=cookie.split(";")[0]))
    assert isinstance(answer, maint.Pass) and answer.is_private
    plain = maint.Gate(site, plain_http=True).answer_environ(link)
    assert isinstance(plain, maint.Reply) and "Secure" not in dict(plain.headers)["set-cookie"]


def test_a_recheck_interval_saves_looks_and_finds_changes(site: maint.Site) -> None:
    gate = maint.Gate(site, recheck=0.05)
    site.on()
    deadline = time.monotonic() + 60
    while by(gate.answer_environ(environ())) is None:
        assert time.monotonic() < deadline, "the change never comes"


def test_a_pass_says_what_is_read_only_and_what_is_to_come(tmp_path: Path) -> None:
    site = maint.Site(tmp_path)
    gate = maint.Gate(tmp_path)
    plain = gate.answer(maint.Request("GET", "/"))
    assert (plain.read_only, plain.next) == (None, None)
    site.on(read_only=True, paths=["/shop/**"])
    start = datetime(2099, 1, 2, 3, 4, 5, 678_000, tzinfo=timezone.utc)
    end = start + timedelta(hours=1)
    site.on("later", reason="Bigger disks", start=start, end=end, methods=["POST"])
    found = gate.answer(maint.Request("GET", "/shop/1"))
    assert found.read_only == "default"
    assert found.next is not None
    assert (found.next.name, found.next.reason) == ("later", "Bigger disks")
    assert (found.next.start, found.next.end) == (start, end)
    assert found.next.start.utcoffset() == timedelta(0)
    assert not found.next.is_read_only
    assert repr(found.next) == '<maint.Upcoming "later" at 2099-01-02T03:04:05.678Z>'
    assert gate.answer(maint.Request("GET", "/")).read_only is None


def test_an_announcement_is_in_the_visitor_s_language(tmp_path: Path) -> None:
    site = maint.Site(tmp_path)
    site.on(start="2099-01-02T03:04:05Z", reason="Disks", reasons={"de": "Platten"})
    next = maint.Gate(tmp_path).next(maint.Request("GET", "/"))
    assert next is not None
    assert (next.reason, next.reasons, next.language) == ("Disks", {"de": "Platten"}, "en")
    languages = ("de-AT,en;q=0.9", "en,de;q=0.9", "de", "ja", "")
    told = [next.reason_in(language) for language in languages]
    assert told == ["Platten", "Disks", "Platten", "Disks", "Disks"]


def test_the_gate_says_what_is_to_come_however_a_request_is_given(tmp_path: Path) -> None:
    site = maint.Site(tmp_path)
    gate = maint.Gate(tmp_path)
    assert gate.next(maint.Request("GET", "/")) is None
    assert gate.next_environ(environ()) is None
    start = datetime(2099, 1, 2, 3, 4, tzinfo=timezone.utc)
    site.on("writes", start=start, paths=["/shop/**"], read_only=True)
    site.on("all", start=start + timedelta(hours=1))
    site.add_rule("path", "/health")
    found = gate.next(maint.Request("POST", "/shop/1"))
    assert found is not None and found.is_read_only and not found.covers_everything
    assert (found.name, found.scope) == ("writes", {"paths": ["/shop/**"], "read_only": True})
    found = gate.next(maint.Request("GET", "/"))
    assert found is not None and found.covers_everything and found.scope == {}
    assert gate.next(maint.Request("GET", "/shop/1"), at=start).name == "all"
    assert gate.next(maint.Request("GET", "/"), at=start + timedelta(hours=1)) is None
    assert gate.next(maint.Request("GET", "/health")) is None, "it stays up"
    assert gate.next_environ(environ(PATH_INFO="/shop/1")).name == "writes"
    assert gate.next_scope(scope("/shop/1")).name == "writes"
    assert gate.next_scope(scope("/health")) is None


def test_a_described_request_may_be_a_read(tmp_path: Path) -> None:
    site = maint.Site(tmp_path)
    gate = maint.Gate(tmp_path)
    site.on(read_only=True)
    assert by(gate.answer(maint.Request("POST", "/", is_read=True))) is None
    assert by(gate.answer(maint.Request("POST", "/"))) == "blocked"
    assert by(gate.answer(maint.Request("QUERY", "/"))) is None


def test_a_rule_for_addresses_that_cannot_match_is_reported_once(tmp_path: Path) -> None:
    site = maint.Site(tmp_path)
    site.on()
    site.add_rule("ip", "192.0.2.0/24")
    told: list[str] = []
    gate = maint.Gate(tmp_path, on_problem=told.append)
    for _ in range(3):
        assert gate.answer_environ(environ(REMOTE_ADDR=""))
    assert len(told) == 1
    assert "which address connects" in told[0]
    # A function may know some clients and not others, and is asked later.
    told.clear()
    gate = maint.Gate(tmp_path, on_problem=told.append, client=lambda environ: None)
    assert gate.answer_environ(environ(REMOTE_ADDR=""))
    gate = maint.Gate(tmp_path, on_problem=told.append)
    assert gate.answer_environ(environ())
    assert told == []
