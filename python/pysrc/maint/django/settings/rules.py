"""Settings that are lists of rules: addresses and URLs that get through."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.utils import translation
from django.utils.functional import Promise

from maint import parse_rule
from maint.django.settings.mistake import Mistake, quoted
from maint.django.settings.values import reversed_text

#: A rule of the app itself: the setting that it comes from, its kind and its value.
Rule = tuple[str, Any, str]

ADDRESSES = (
    ipaddress.IPv4Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Address,
    ipaddress.IPv6Network,
)


def entries(name: str, value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, (str, Promise)):
        raise Mistake(
            name,
            f"must be a list, not the text {quoted(str(value))}",
            f"write [{str(value)!r}]",
            id="maint.E004",
        )
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise Mistake(name, f"must be a list, not {quoted(value)}", id="maint.E004")
    return list(value)


def _rule(name: str, kind: Any, value: str, given: Any) -> Rule:
    try:
        return name, kind, parse_rule(kind, value)
    except ValueError as error:
        raise Mistake(name, f"has {quoted(given)}", str(error)) from error


def addresses(name: str, value: Any) -> list[Rule]:
    """Rules for addresses and networks, given as text or objects of `ipaddress`."""
    rules = []
    for entry in entries(name, value):
        if not isinstance(entry, (str, *ADDRESSES)):
            raise Mistake(name, f"has {quoted(entry)}, which is not an address")
        text = str(entry)
        network = network_meant(text)
        if network is not None or re.search(r"[\\^$*+?()|]", text):
            hint = (
                f"write {network!r}" if network else "write an address, or a network as 10.0.0.0/8"
            )
            raise Mistake(
                name, f"has {text!r}, and patterns over text do not match addresses", hint
            )
        rules.append(_rule(name, "ip", text, entry))
    return rules


def network_meant(text: str) -> str | None:
    """Returns the network that a regular expression over dotted addresses means."""
    start = text.removeprefix("^").replace("\\.", ".")
    whole = re.fullmatch(r"(\d{1,3}(?:\.\d{1,3}){3})\$?", start)
    if whole and whole[1] != text:
        return whole[1]
    parts = re.fullmatch(r"((?:\d{1,3}\.){1,3})(?:[*+$]|\\d|\.|\d\{[\d,]*\})*", start)
    if not parts:
        return None
    octets = parts[1].rstrip(".").split(".")
    return ".".join(octets + ["0"] * (4 - len(octets))) + f"/{8 * len(octets)}"


def urls(name: str, value: Any) -> list[Rule]:
    """Rules for paths, given as text, compiled patterns, or URLs that are reversed late."""
    rules = [
        _rule(name, "path", pattern, entry)
        for entry in entries(name, value)
        for pattern in _patterns(name, entry)
    ]
    return list(dict.fromkeys(rules))


def _patterns(name: str, entry: Any) -> Iterator[str]:
    if isinstance(entry, re.Pattern):
        yield _from_regex(name, entry)
    elif isinstance(entry, Promise):
        yield from in_each_language(name, entry)
    elif not isinstance(entry, str):
        raise Mistake(name, f"has {quoted(entry)}, which is neither text nor a compiled pattern")
    elif entry.startswith("re:"):
        yield entry
    elif entry.startswith("^"):
        yield "re:" + _ends_in_rust(entry)
    elif re.search(r"[\\()\[\]{}|^$?]|\.[*+]", entry):
        raise Mistake(
            name,
            f"has {quoted(entry)}, which is neither a path nor marked as a regular expression",
            _instead_of_regex(entry),
        )
    else:
        yield entry


def _from_regex(name: str, pattern: re.Pattern[Any]) -> str:
    text = pattern.pattern
    if not isinstance(text, str):
        raise Mistake(name, f"has {quoted(pattern)}, which is a pattern over bytes", "drop the b")
    if pattern.flags & re.VERBOSE:
        hint = "write it on one line, without spaces and comments"
        raise Mistake(name, f"has {quoted(pattern)}, and re.VERBOSE is not supported", hint)
    letters = "".join(
        letter for letter, flag in (("i", re.I), ("m", re.M), ("s", re.S)) if pattern.flags & flag
    )
    text = _ends_in_rust(text)
    return f"re:(?{letters}:{text})" if letters else f"re:{text}"


def _ends_in_rust(text: str) -> str:
    """The expression without Python's `\\Z`, which Rust does not have; whole paths match anyway."""
    return text[:-2] if re.search(r"(?<!\\)(?:\\\\)*\\Z$", text) else text


def _instead_of_regex(text: str) -> str:
    stem = re.match(r"(/[\w./-]*?)/?(?:\.[*+]\$?)?$", text)
    if stem and stem[1] != "/":
        return f"write {stem[1] + '/**'!r}, or {'re:' + text!r} if it is one"
    return f"write {'re:' + text!r} if it is one"


def in_each_language(name: str, entry: Promise) -> Iterator[str]:
    """Yields the paths of a URL: one for each language, if the language is a part of it."""
    # Patterns are matched against decoded paths.
    yield unquote(reversed_text(name, entry))
    if _has_languages_in_urls():
        for code, _ in settings.LANGUAGES:
            with translation.override(code):
                yield unquote(reversed_text(name, entry))


def _has_languages_in_urls() -> bool:
    from django.conf.urls.i18n import is_language_prefix_patterns_used

    return bool(settings.USE_I18N and is_language_prefix_patterns_used(settings.ROOT_URLCONF)[0])


def prefix_patterns(entries: Any) -> Iterator[tuple[str, str]]:
    """Yields the regular expressions that match one path alone here but all paths below it in
    django-maintenance-mode, each with what to write instead."""
    for entry in entries if isinstance(entries, (list, tuple, set, frozenset)) else ():
        text = entry.pattern if isinstance(entry, re.Pattern) else entry
        if not isinstance(text, str) or (text is entry and not text.startswith("^")):
            continue
        if re.search(r"(?:\$|\\Z|\.[*+])$", text):
            continue
        stem = text.removeprefix("^").rstrip("/")
        is_literal = re.fullmatch(r"(?:/[\w.~-]+)+", stem)
        yield text, f"{stem}/**" if is_literal else f"re:{text.removeprefix('^')}.*"
