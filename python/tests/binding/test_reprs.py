"""What `repr()` shows, in a log or in a debugger: enough to recognise, and no secret."""

from __future__ import annotations

import json
from typing import Any

import maint

TOKEN = "maint_0123456789abcdefghijklmnopqrstuv"


def test_a_request_shows_what_it_asks_for() -> None:
    user = maint.User(is_authenticated=True, is_staff=True)
    asked = maint.Request(
        "post",
        "/shop/caf%C3%A9",
        host="example.com",
        peer="203.0.113.7",
        headers=[("Accept", "text/html")],
        user=user,
        is_https=True,
    )
    assert repr(asked) == (
        '<maint.Request post /shop/caf%C3%A9 host="example.com" peer=203.0.113.7 '
        f'headers=["Accept"] user={user!r} is_https=True>'
    )
    assert repr(maint.Request("GET", "/")) == "<maint.Request GET />"
    assert "\n" not in repr(maint.Request("GET", "/\n"))


def test_a_request_shows_no_secret() -> None:
    asked = maint.Request(
        "GET",
        f"/?maint_bypass={TOKEN}",
        headers=[
            ("Cookie", f"maint_bypass={TOKEN}; sessionid=s3cret"),
            ("Authorization", "Bearer s3cret"),
        ],
    )
    assert repr(asked) == '<maint.Request GET /?… headers=["Cookie", "Authorization"]>'


def test_answers_show_why(site: maint.Site) -> None:
    gate = maint.Gate(site, ignore=[("HEALTH", "path", "/health")])
    asked = maint.Request("GET", "/health")
    assert repr(gate.answer(asked)) == "<maint.Pass by=None>"
    site.on()
    assert repr(gate.answer(asked)) == '<maint.Pass by="HEALTH">'
    assert repr(gate.answer(maint.Request("GET", "/"))) == '<maint.Reply 503 window="default">'


def test_the_answer_to_a_bypass_link_shows_no_token(site: maint.Site, run: Any) -> None:
    site.on()
    made = json.loads(run("--json", "bypass", "new").stdout)
    link = maint.Request("GET", f"/?maint_bypass={made['token']}", host="example.com")
    answer = maint.Gate(site).answer(link)
    assert isinstance(answer, maint.Reply) and answer.status == 303
    assert any(made["token"] in value for _, value in answer.headers), "the cookie has it"
    assert repr(answer) == "<maint.Reply 303>"
    asked = maint.Request("GET", "/", headers=[("cookie", f"maint_bypass={made['token']}")])
    passed = maint.Gate(site).answer(asked)
    assert isinstance(passed, maint.Pass) and made["token"] not in repr(passed)


def test_an_answer_that_is_private_says_so(site: maint.Site) -> None:
    site.add_rule("user", "staff")
    site.on()
    staff = maint.User(is_authenticated=True, is_staff=True)
    answer = maint.Gate(site).answer(maint.Request("GET", "/", user=staff))
    assert isinstance(answer, maint.Pass) and answer.is_private
    assert repr(answer).endswith(" private>")


def test_sites_gates_users_and_changes_show_which(site: maint.Site) -> None:
    assert repr(site) == f"<maint.Site {site.directory}>"
    assert repr(maint.Gate(site)) == f"<maint.Gate {site.directory}>"
    assert repr(maint.User()) == "User(is_authenticated=False, is_staff=False, is_superuser=False)"
    change = site.on("deploy")
    assert repr(change) == (f'<maint.Change "deploy" revision={change.revision} open=["deploy"]>')
    assert repr(site.on("deploy")).endswith(' open=["deploy"] unchanged>')
