"""What each setting may say.

Every setting has one reader here. It turns what the team wrote into what the gate
takes, or raises a `Mistake`. Start-up raises the first, `manage.py check` lists them all.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Iterator, Mapping
from inspect import iscoroutinefunction
from typing import Any, NamedTuple
from urllib.parse import unquote
from wsgiref.util import setup_testing_defaults

from django.apps import apps
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.core.handlers.wsgi import WSGIRequest
from django.db import Error as DatabaseError
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.utils import translation
from django.utils.functional import Promise
from django.utils.module_loading import import_string

from maint import parse_rule

#: A rule of the app itself: the setting that it comes from, its kind and its value.
Rule = tuple[str, Any, str]

#: What may be down while a worker starts, since a site that is in maintenance may be
#: without its database.
UNREACHABLE = (DatabaseError, ConnectionError, TimeoutError)

DEFAULT_TEMPLATE = "503.html"


class Mistake(Exception):
    """A setting that cannot be: what is wrong, and what to write instead."""

    def __init__(
        self, setting: str, problem: str, hint: str | None = None, *, id: str = "maint.E003"
    ) -> None:
        super().__init__(setting, problem, hint)
        self.setting = setting
        self.problem = problem
        self.hint = hint
        self.id = id

    def __str__(self) -> str:
        text = f"{self.setting} {self.problem}"
        return f"{text}: {self.hint}" if self.hint else text


def _quoted(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


# Plain values


def _switch(name: str, value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    hint = "write the value without quotes"
    if isinstance(value, str):
        hint = "what comes from the environment is text, so compare it, as in `== '1'`"
    raise Mistake(name, f"must be True, False or None, not {_quoted(value)}", hint)


def _flag(name: str, value: Any) -> bool:
    return bool(_switch(name, value))


def _number(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise Mistake(name, f"must be a whole number or None, not {_quoted(value)}")
    return value


def _interval(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 3600:
        raise Mistake(name, f"must be a number of seconds up to an hour, not {_quoted(value)}")
    return float(value)


def _status(name: str, value: Any) -> int | None:
    number = _number(name, value)
    if number is not None and number != 200 and not 400 <= number <= 599:
        raise Mistake(name, f"must be 200 or 400 to 599, not {number}")
    return number


def _seconds(name: str, value: Any) -> int | None:
    number = _number(name, value)
    if number is not None and not 1 <= number <= 604800:
        raise Mistake(
            name, f"must be 1 to 604800 seconds (a week), not {number}", "leave it out for 120"
        )
    return number


def _directory(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise Mistake(name, f"must be the path of a site directory, not {_quoted(value)}")
    # The working directory of a server is an accident.
    return os.path.join(getattr(settings, "BASE_DIR", ""), os.fspath(value))


def _redirect(name: str, value: Any) -> str | None:
    text = _reversed(name, value) if isinstance(value, Promise) else value
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise Mistake(name, f"must be text, not {_quoted(value)}")
    is_path = text.startswith("/") and not text.startswith(("//", "/\\"))
    if not (is_path or text.startswith(("http://", "https://"))):
        raise Mistake(
            name,
            f"must be a path that begins with `/`, or an http or https URL, not {_quoted(text)}",
            "for the name of a URL pattern write `reverse_lazy(...)`",
        )
    return text


def _template(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise Mistake(
            name,
            f"must be the name of a template, not {_quoted(value)}",
            "write None for the page of the site",
        )
    return str(value)


# Lists


def _entries(name: str, value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, (str, Promise)):
        raise Mistake(
            name,
            f"must be a list, not the text {_quoted(str(value))}",
            f"write [{str(value)!r}]",
            id="maint.E004",
        )
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise Mistake(name, f"must be a list, not {_quoted(value)}", id="maint.E004")
    return list(value)


def _rule(name: str, kind: Any, value: str, given: Any) -> Rule:
    try:
        return name, kind, parse_rule(kind, value)
    except ValueError as error:
        raise Mistake(name, f"has {_quoted(given)}", str(error)) from error


def _addresses(name: str, value: Any) -> list[Rule]:
    rules = []
    for entry in _entries(name, value):
        if not isinstance(entry, (str, *_ADDRESSES)):
            raise Mistake(name, f"has {_quoted(entry)}, which is no address")
        text = str(entry)
        network = _network_meant(text)
        if network is not None or re.search(r"[\\^$*+?()|]", text):
            hint = (
                f"write {network!r}" if network else "write an address, or a network as 10.0.0.0/8"
            )
            raise Mistake(
                name, f"has {text!r}, and patterns over text are not taken for addresses", hint
            )
        rules.append(_rule(name, "ip", text, entry))
    return rules


_ADDRESSES = (
    ipaddress.IPv4Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Address,
    ipaddress.IPv6Network,
)


def _network_meant(text: str) -> str | None:
    """Returns the network that a regular expression over dotted addresses was written for."""
    start = text.removeprefix("^").replace("\\.", ".")
    whole = re.fullmatch(r"(\d{1,3}(?:\.\d{1,3}){3})\$?", start)
    if whole and whole[1] != text:
        return whole[1]
    parts = re.fullmatch(r"((?:\d{1,3}\.){1,3})(?:[*+$]|\\d|\.|\d\{[\d,]*\})*", start)
    if not parts:
        return None
    octets = parts[1].rstrip(".").split(".")
    return ".".join(octets + ["0"] * (4 - len(octets))) + f"/{8 * len(octets)}"


def _urls(name: str, value: Any) -> list[Rule]:
    rules = [
        _rule(name, "path", pattern, entry)
        for entry in _entries(name, value)
        for pattern in _patterns(name, entry)
    ]
    return list(dict.fromkeys(rules))


def _patterns(name: str, entry: Any) -> Iterator[str]:
    if isinstance(entry, re.Pattern):
        yield _from_regex(name, entry)
    elif isinstance(entry, Promise):
        yield from _in_each_language(name, entry)
    elif not isinstance(entry, str):
        raise Mistake(name, f"has {_quoted(entry)}, which is neither text nor a compiled pattern")
    elif entry.startswith("re:"):
        yield entry
    elif entry.startswith("^"):
        yield "re:" + _ends_in_rust(entry)
    elif re.search(r"[\\()\[\]{}|^$?]|\.[*+]", entry):
        raise Mistake(
            name,
            f"has {_quoted(entry)}, which is no path and does not say that it is a regular "
            "expression",
            _instead_of_regex(entry),
        )
    else:
        yield entry


def _from_regex(name: str, pattern: re.Pattern[Any]) -> str:
    text = pattern.pattern
    if not isinstance(text, str):
        raise Mistake(name, f"has {_quoted(pattern)}, which is a pattern over bytes", "drop the b")
    if pattern.flags & re.VERBOSE:
        hint = "write it on one line, without spaces and comments"
        raise Mistake(name, f"has {_quoted(pattern)}, and re.VERBOSE is not supported", hint)
    letters = "".join(
        letter for letter, flag in (("i", re.I), ("m", re.M), ("s", re.S)) if pattern.flags & flag
    )
    text = _ends_in_rust(text)
    return f"re:(?{letters}:{text})" if letters else f"re:{text}"


def _ends_in_rust(text: str) -> str:
    """The end of the text is written `\\z` there; the whole path has to match anyway."""
    return text[:-2] if re.search(r"(?<!\\)(?:\\\\)*\\Z$", text) else text


def _instead_of_regex(text: str) -> str:
    stem = re.match(r"(/[\w./-]*?)/?(?:\.[*+]\$?)?$", text)
    if stem and stem[1] != "/":
        return f"write {stem[1] + '/**'!r}, or {'re:' + text!r} if it is one"
    return f"write {'re:' + text!r} if it is one"


def _in_each_language(name: str, entry: Promise) -> Iterator[str]:
    """A URL that is reversed has as many paths as there are languages, if they are in it."""
    # Patterns see paths without percent-encoding.
    yield unquote(_reversed(name, entry))
    if _has_languages_in_urls():
        for code, _ in settings.LANGUAGES:
            with translation.override(code):
                yield unquote(_reversed(name, entry))


def _reversed(name: str, url: Promise) -> str:
    try:
        return str(url)
    except Exception as error:
        raise Mistake(name, f"has a URL that cannot be reversed: {error}") from error


def _has_languages_in_urls() -> bool:
    from django.conf.urls.i18n import is_language_prefix_patterns_used

    return bool(settings.USE_I18N and is_language_prefix_patterns_used(settings.ROOT_URLCONF)[0])


def prefix_patterns(entries: Any) -> Iterator[tuple[str, str]]:
    """Yields the regular expressions that let everything below them through once, and
    match one path alone now, each with what to write."""
    for entry in entries if isinstance(entries, (list, tuple, set, frozenset)) else ():
        text = entry.pattern if isinstance(entry, re.Pattern) else entry
        if not isinstance(text, str) or (text is entry and not text.startswith("^")):
            continue
        if re.search(r"(?:\$|\\Z|\.[*+])$", text):
            continue
        stem = text.removeprefix("^").rstrip("/")
        is_literal = re.fullmatch(r"(?:/[\w.~-]+)+", stem)
        yield text, f"{stem}/**" if is_literal else f"re:{text.removeprefix('^')}.*"


# Functions


class _Function(NamedTuple):
    """What a function of the team is called with, and what it has to return."""

    call: Callable[[Callable[..., Any], Any], Any]
    is_sound: Callable[[Any], bool]
    returns: str


def _by_keyword(function: Callable[..., Any], request: Any) -> Any:
    return function(request=request)


FUNCTIONS = {
    "MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS": _Function(
        lambda function, request: function(request),
        lambda value: value is None or isinstance(value, (str, *_ADDRESSES)),
        "an address or None",
    ),
    "MAINTENANCE_MODE_GET_AUTHENTICATED_USER": _Function(
        _by_keyword,
        lambda value: value is None or hasattr(value, "is_authenticated"),
        "a user or None",
    ),
    "MAINTENANCE_MODE_GET_CONTEXT": _Function(
        _by_keyword,
        lambda value: value is None or isinstance(value, Mapping),
        "a dict or None",
    ),
    "MAINTENANCE_MODE_RESPONSE_TYPE": _Function(
        _by_keyword,
        lambda value: value in ("html", "json"),
        '"html" or "json"',
    ),
}


def _function(name: str, value: Any) -> Callable[..., Any] | None:
    if value is None:
        return None
    function = value
    if isinstance(value, str):
        try:
            function = import_string(value)
        except Exception as error:
            raise Mistake(name, f"cannot be imported: {error}", id="maint.E005") from error
    if not callable(function):
        raise Mistake(
            name,
            f"must be a function or the dotted path of one, not {_quoted(value)}",
            id="maint.E005",
        )
    if iscoroutinefunction(function):
        raise Mistake(
            name,
            f"must be a plain function, and {_quoted(value)} is an async one",
            "it is called in a thread, so it may wait",
            id="maint.E005",
        )
    _try_out(name, function)
    return function  # type: ignore[no-any-return]


def _try_out(name: str, function: Callable[..., Any]) -> None:
    """Calls a function once, so that a mistake is seen when a server starts."""
    expected = FUNCTIONS[name]
    try:
        result = expected.call(function, _probe())
    except UNREACHABLE:
        return
    except Exception as error:
        raise Mistake(
            name,
            f"raises {type(error).__name__} for a plain GET of `/` by nobody: {error}",
            "it has to do without session data and users",
            id="maint.E005",
        ) from error
    if not expected.is_sound(result):
        raise Mistake(
            name, f"must return {expected.returns}, not {_quoted(result)}", id="maint.E005"
        )


def _probe() -> WSGIRequest:
    environ: dict[str, Any] = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": _host()}
    setup_testing_defaults(environ)
    request = WSGIRequest(environ)
    if apps.is_installed("django.contrib.auth"):
        from django.contrib.auth.models import AnonymousUser

        request.user = AnonymousUser()
    request.session = _NoSession()
    return request


class _NoSession(SessionBase):
    """A session that is empty and is kept nowhere."""

    def load(self) -> dict[str, Any]:
        return {}

    def exists(self, session_key: str) -> bool:
        return False


def _host() -> str:
    """A host that the app answers for."""
    hosts = (host.lstrip(".") for host in settings.ALLOWED_HOSTS)
    return next((host for host in hosts if host and "*" not in host), "localhost")


def _response_type(name: str, value: Any) -> Any:
    return value if value in ("html", "json") else _function(name, value)


# All of them

READERS: dict[str, Callable[[str, Any], Any]] = {
    "MAINT_SITE": _directory,
    "MAINT_RECHECK": _interval,
    "MAINT_PLAIN_HTTP": _flag,
    "MAINTENANCE_MODE": _switch,
    "MAINTENANCE_MODE_IGNORE_ADMIN_SITE": _flag,
    "MAINTENANCE_MODE_IGNORE_ANONYMOUS_USER": _flag,
    "MAINTENANCE_MODE_IGNORE_AUTHENTICATED_USER": _flag,
    "MAINTENANCE_MODE_IGNORE_STAFF": _flag,
    "MAINTENANCE_MODE_IGNORE_SUPERUSER": _flag,
    "MAINTENANCE_MODE_IGNORE_IP_ADDRESSES": _addresses,
    "MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS": _function,
    "MAINTENANCE_MODE_GET_AUTHENTICATED_USER": _function,
    "MAINTENANCE_MODE_IGNORE_URLS": _urls,
    "MAINTENANCE_MODE_IGNORE_TESTS": _flag,
    "MAINTENANCE_MODE_LOGOUT_AUTHENTICATED_USER": _switch,
    "MAINTENANCE_MODE_LOGOUT_STAFF_USER": _switch,
    "MAINTENANCE_MODE_LOGOUT_SUPERUSER": _switch,
    "MAINTENANCE_MODE_REDIRECT_URL": _redirect,
    "MAINTENANCE_MODE_RESPONSE_TYPE": _response_type,
    "MAINTENANCE_MODE_TEMPLATE": _template,
    "MAINTENANCE_MODE_STATUS_CODE": _status,
    "MAINTENANCE_MODE_RETRY_AFTER": _seconds,
    "MAINTENANCE_MODE_GET_CONTEXT": _function,
}

USER_RULES = {
    "MAINTENANCE_MODE_IGNORE_ANONYMOUS_USER": "anonymous",
    "MAINTENANCE_MODE_IGNORE_AUTHENTICATED_USER": "authenticated",
    "MAINTENANCE_MODE_IGNORE_STAFF": "staff",
    "MAINTENANCE_MODE_IGNORE_SUPERUSER": "superuser",
}

LOGOUTS = (
    "MAINTENANCE_MODE_LOGOUT_AUTHENTICATED_USER",
    "MAINTENANCE_MODE_LOGOUT_STAFF_USER",
    "MAINTENANCE_MODE_LOGOUT_SUPERUSER",
)


def read() -> tuple[dict[str, Any], list[Mistake]]:
    """Reads every setting: the values by name, and what is wrong with the others."""
    values: dict[str, Any] = {}
    mistakes = []
    for name, reader in READERS.items():
        unset = DEFAULT_TEMPLATE if name == "MAINTENANCE_MODE_TEMPLATE" else None
        try:
            values[name] = reader(name, getattr(settings, name, unset))
        except Mistake as mistake:
            mistakes.append(mistake)
    mistakes.extend(_mistakes_in_template(values.get("MAINTENANCE_MODE_TEMPLATE")))
    return values, mistakes


def _mistakes_in_template(template: str | None) -> Iterator[Mistake]:
    name = "MAINTENANCE_MODE_TEMPLATE"
    if template is None:
        return
    try:
        get_template(template)
    except TemplateDoesNotExist:
        # Whoever has written no page gets that of the site.
        if hasattr(settings, name):
            yield Mistake(
                name,
                f"names {template!r}, which no template loader finds",
                "put it into a folder of `DIRS` in TEMPLATES",
                id="maint.E006",
            )
    except UNREACHABLE:
        pass
    except Exception as error:
        problem = f"leads to {template!r}, which cannot be used: {type(error).__name__}: {error}"
        yield Mistake(name, problem, id="maint.E006")
