"""`Pass.keep_private`, with what servers keep header fields in."""

from __future__ import annotations

from collections.abc import MutableMapping
from http.client import HTTPMessage
from typing import Any

import pytest

import maint

PUBLIC = [
    ("Content-Type", "text/plain"),
    ("CACHE-CONTROL", "public, max-age=600"),
    ("cache-control", "immutable"),
    ("CDN-Cache-Control", "max-age=600"),
    ("Cloudflare-CDN-Cache-Control", "max-age=600"),
    ("surrogate-control", "max-age=600"),
    ("Surrogate-Control", "max-age=600"),
    ("Edge-Control", "max-age=600"),
    ("X-Accel-Expires", "600"),
    ("X-Kept", "yes"),
    ("X-Kept", "twice"),
]
KEPT = [("Content-Type", "text/plain"), ("X-Kept", "yes"), ("X-Kept", "twice")]


@pytest.fixture
def private(site: maint.Site) -> maint.Pass:
    site.add_rule("ip", "203.0.113.7")
    site.on()
    answer = maint.Gate(site).answer(maint.Request("GET", "/", peer="203.0.113.7"))
    assert isinstance(answer, maint.Pass) and answer.is_private
    return answer


@pytest.fixture
def public(tmp_path: Any) -> maint.Pass:
    answer = maint.Gate(maint.Site.create(tmp_path / "up")).answer(maint.Request("GET", "/"))
    assert isinstance(answer, maint.Pass) and not answer.is_private
    return answer


def as_bytes(pairs: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in pairs]


def test_pairs_give_a_new_list(private: maint.Pass) -> None:
    before = list(PUBLIC)
    assert private.keep_private(before) == [*KEPT, ("Cache-Control", maint.PRIVATE)]
    assert before == PUBLIC, "the app may send the same list again"
    assert private.keep_private([]) == [("Cache-Control", maint.PRIVATE)]
    # A name of other bytes is none of those.
    given = [*as_bytes(PUBLIC), (b"x-\xff", b"")]
    assert private.keep_private(given) == [
        *as_bytes(KEPT),
        (b"x-\xff", b""),
        (b"cache-control", maint.PRIVATE.encode()),
    ]
    assert private.keep_private(iter(PUBLIC)) == private.keep_private(PUBLIC)  # type: ignore[type-var]


def test_a_mapping_is_changed(private: maint.Pass) -> None:
    plain = dict(PUBLIC)
    assert private.keep_private(plain) is plain
    assert plain == {
        "Content-Type": "text/plain",
        "X-Kept": "twice",
        "Cache-Control": maint.PRIVATE,
    }
    raw = dict(as_bytes(PUBLIC))
    private.keep_private(raw)
    assert raw == {
        b"Content-Type": b"text/plain",
        b"X-Kept": b"twice",
        b"cache-control": maint.PRIVATE.encode(),
    }


def test_a_mapping_that_ignores_case_is_changed(private: maint.Pass) -> None:
    headers = HTTPMessage()
    for name, value in PUBLIC:
        headers[name] = value
    assert private.keep_private(headers) is headers  # type: ignore[type-var]
    assert headers.items() == [*KEPT, ("Cache-Control", maint.PRIVATE)]


def test_what_all_may_see_stays_as_it_is(public: maint.Pass) -> None:
    pairs = list(PUBLIC)
    assert public.keep_private(pairs) is pairs and pairs == PUBLIC
    mapping: MutableMapping[str, str] = dict(PUBLIC)
    assert public.keep_private(mapping) is mapping and mapping == dict(PUBLIC)


@pytest.mark.parametrize("wrong", [[(5, "x")], [("Cache-Control")], 5, ["x"]])
def test_what_are_no_fields_is_an_error(private: maint.Pass, wrong: Any) -> None:
    with pytest.raises(TypeError):
        private.keep_private(wrong)


@pytest.fixture
def reading(tmp_path: Any) -> maint.Pass:
    """The decision for somebody who reads while nobody may write."""
    site = maint.Site(tmp_path)
    site.on(read_only=True)
    answer = maint.Gate(site).answer(maint.Request("GET", "/"))
    assert isinstance(answer, maint.Pass) and answer.needs_finishing and not answer.is_private
    return answer


def test_an_answer_under_a_read_only_window_says_so(reading: maint.Pass) -> None:
    mark = ("Maint-Decision", "read-only")
    assert reading.finish(PUBLIC) == [*PUBLIC, mark], "caches may keep it"
    raw = [(b"content-type", b"text/plain")]
    assert reading.finish(raw) == [*raw, (b"maint-decision", b"read-only")]
    assert reading.finish([], as_bytes=True) == [(b"maint-decision", b"read-only")]
    mapping = {"X-Kept": "yes"}
    assert reading.finish(mapping) is mapping
    assert mapping == {"X-Kept": "yes", "Maint-Decision": "read-only"}
    # A gate further in has spoken.
    for before in ([("MAINT-decision", "block")], [(b"maint-decision", b"block")]):
        assert reading.finish(before) == before  # type: ignore[type-var]
    inner = {"maint-decision": "block"}
    assert reading.finish(inner) == {"maint-decision": "block"}


def test_what_needs_no_finishing_stays_as_it_is(public: maint.Pass, private: maint.Pass) -> None:
    pairs = list(PUBLIC)
    assert public.finish(pairs) is pairs and not public.needs_finishing
    assert private.needs_finishing
    assert private.finish(pairs) == private.keep_private(pairs)
