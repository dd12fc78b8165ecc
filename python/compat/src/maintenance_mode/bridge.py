"""Joins this package to `maint.django`: the meaning of rules, the back ends, the answers."""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise

from maint import Reply, parse_rule
from maint.django import conf
from maint.django.core import DEFAULT
from maint.django.hooks import Exempt, Hooks, install
from maint.django.settings.mistake import Mistake, quoted
from maint.django.settings.rules import ADDRESSES, entries, in_each_language, network_meant
from maintenance_mode import holds
from maintenance_mode import settings as defaults
from maintenance_mode.backends import DefaultStorageBackend
from maintenance_mode.utils import get_client_ip_address, get_now_datetime, import_function

logger = logging.getLogger("maintenance_mode")

#: These say more than the default by what `maint` does alone: by `Accept`, and by the window.
_BETTER_UNSAID = ("MAINTENANCE_MODE_RESPONSE_TYPE", "MAINTENANCE_MODE_STATUS_CODE")

_FLAGS = (
    "MAINTENANCE_MODE_IGNORE_ADMIN_SITE",
    "MAINTENANCE_MODE_IGNORE_ANONYMOUS_USER",
    "MAINTENANCE_MODE_IGNORE_AUTHENTICATED_USER",
    "MAINTENANCE_MODE_IGNORE_STAFF",
    "MAINTENANCE_MODE_IGNORE_SUPERUSER",
    "MAINTENANCE_MODE_IGNORE_TESTS",
)

_SWITCHES = (
    "MAINTENANCE_MODE",
    "MAINTENANCE_MODE_LOGOUT_AUTHENTICATED_USER",
    "MAINTENANCE_MODE_LOGOUT_STAFF_USER",
    "MAINTENANCE_MODE_LOGOUT_SUPERUSER",
)

_URLS = "MAINTENANCE_MODE_IGNORE_URLS"
_ADDRESSES = "MAINTENANCE_MODE_IGNORE_IP_ADDRESSES"

#: Where caches look, and what they must do.
_CACHE_CONTROL = "max-age=0, no-cache, no-store, must-revalidate, private"


class Written(NamedTuple):
    """What a change of a back end did, as `maint.Change` says it."""

    open: list[str]
    warnings: tuple[str, ...] = ()
    is_written: bool = True
    made: None = None
    before: None = None
    after: None = None


class Face(Hooks):
    """How `maint.django` works for a project of django-maintenance-mode."""

    is_face = True

    def setting(self, name: str, value: Any) -> Any:
        if self.is_assumed(name):
            return None if name in _BETTER_UNSAID else value
        if name in _FLAGS:
            return bool(value)
        if name in _SWITCHES and isinstance(value, int):
            return bool(value)
        if name == "MAINTENANCE_MODE_RETRY_AFTER" and value == 0:
            return None
        if name == _URLS:
            expressions_for_urls(value)  # Raises for what cannot be.
            return ()
        if name == _ADDRESSES:
            return addresses(value)[0]
        return value

    def is_assumed(self, name: str) -> bool:
        return name in defaults.DEFAULTS and not defaults.is_said(name)

    def without_effect(self, known: dict[str, str]) -> dict[str, str]:
        prefix = "MAINTENANCE_MODE_"
        if not is_site_the_backend():
            if not _is_storage():
                return {}
            path = f"{prefix}STATE_FILE_PATH"
            return {path: "the file is in the storage; remove the setting"}
        hint = f"the state is in the site now: MAINT_SITE = {_site_beside_file()!r} keeps it there"
        return {
            f"{prefix}STATE_FILE_PATH": hint if _site_beside_file() else known_hint(known),
            f"{prefix}STATE_FILE_NAME": known_hint(known),
            f"{prefix}STATE_BACKEND_FALLBACK_VALUE": known[f"{prefix}STATE_BACKEND_FALLBACK_VALUE"],
            f"{prefix}CACHE_BACKEND": "the state is in the site; remove the setting",
        }

    def prefixes(self, entries: Any) -> Iterable[tuple[str, str, str]]:
        return prefixes(entries)

    @property
    def exempt_may_wait(self) -> bool:  # type: ignore[override]
        # The function of the project finds the address.
        return bool(rules().addresses)

    def exempt(self, request: Any) -> Exempt | None:
        there = rules()
        path = request.path_info
        if any(expression.match(path) for expression in there.urls):
            return Exempt(is_private=False)
        if any(path.startswith(prefix) for prefix in there.prefixes):
            return Exempt(is_private=False)
        if there.admin is not None and path.startswith(there.admin):
            return Exempt(is_private=False)
        if there.addresses:
            address = there.address_of(request)
            if address and any(one.match(address) for one in there.addresses):
                return Exempt(is_private=True)
        return None

    def hold(self) -> Callable[[Any], bool] | None:
        backend = holds.get_maintenance_mode_backend()
        return None if holds.is_site(backend) else holds.hold_of(backend).is_down

    def write(
        self,
        value: bool,
        start: datetime | None,
        end: datetime | None,
        turn_off: Callable[[], Any],
        is_open: Callable[[], list[str]],
    ) -> Any:
        backend = holds.get_maintenance_mode_backend()
        if holds.is_site(backend):
            return None
        if not value:
            # First the back end: if that fails, nothing has changed.
            holds.write(backend, False)
            site = conf.configuration().site.current()
            if not os.path.exists(site.state_file):
                # The other hosts have a site, perhaps, and this one has not.
                return Written([])
            is_there = DEFAULT in site.state().get("windows", {})
            return turn_off() if is_there else Written(is_open())
        if start is not None and end is not None and start >= end:
            raise ValueError("the start must be before the end")
        if end is not None and end <= get_now_datetime():
            raise ValueError("the end has passed")
        holds.write(backend, holds.schedule(start, end))
        return Written(is_open())

    def override(self, value: bool) -> Callable[[], None] | None:
        backend = holds.get_maintenance_mode_backend()
        if holds.is_site(backend):
            return None
        before = backend.get_value()
        holds.write(backend, value)
        return lambda: holds.write(backend, before)

    def finish(self, request: HttpRequest, reply: Reply, response: HttpResponse) -> HttpResponse:
        if reply.format is None:
            return response
        response["cache-control"] = _CACHE_CONTROL
        if reply.format == "json" and reply.template is None:
            return _json(response)
        if reply.format == "html" and request.method in ("GET", "HEAD"):
            return _redirect(request, reply, response)
        return response


def is_site_the_backend() -> bool:
    """Whether the settings name no back end but the site."""
    try:
        return holds.is_site(holds.get_maintenance_mode_backend())
    except ImproperlyConfigured:
        return False


def _is_storage() -> bool:
    try:
        return isinstance(holds.get_maintenance_mode_backend(), DefaultStorageBackend)
    except ImproperlyConfigured:
        return False


def known_hint(known: dict[str, str]) -> str:
    """What maint.django says of the name of the state file."""
    return known["MAINTENANCE_MODE_STATE_FILE_NAME"]


def _site_beside_file() -> str | None:
    """The site directory beside the state file, unless that is in the project anyway."""
    directory = os.path.dirname(os.path.abspath(settings.MAINTENANCE_MODE_STATE_FILE_PATH))
    base = os.path.abspath(getattr(settings, "BASE_DIR", None) or os.getcwd())
    is_inside = os.path.commonpath([directory, base]) == base
    return None if is_inside else os.path.join(directory, ".maint")


# Rules


def expressions_for_urls(value: Any) -> list[re.Pattern[str]]:
    """The expressions that `MAINTENANCE_MODE_IGNORE_URLS` names.

    Raises `Mistake` for one that makes no sense.
    """
    found = []
    for entry in entries(_URLS, value or ()):
        texts = in_each_language(_URLS, entry) if isinstance(entry, Promise) else [entry]
        found += [_compiled(_URLS, text) for text in texts]
    return found


def _compiled(name: str, entry: Any) -> re.Pattern[str]:
    if not isinstance(entry, (str, re.Pattern)):
        raise Mistake(name, f"has {quoted(entry)}, which is neither text nor a compiled pattern")
    try:
        expression = re.compile(entry)
        expression.match("/")
    except (re.error, TypeError) as error:
        hint = "each entry is a regular expression that is matched from the start of the path"
        raise Mistake(name, f"has {quoted(entry)}, which makes no sense: {error}", hint) from error
    return expression


def addresses(value: Any) -> tuple[list[str], list[re.Pattern[str]]]:
    """The addresses and networks that `MAINTENANCE_MODE_IGNORE_IP_ADDRESSES` names, and the
    expressions for those that are none.

    Raises `Mistake` for an expression that makes no sense, and for one that lets in everyone.
    """
    networks: list[str] = []
    expressions: list[re.Pattern[str]] = []
    for entry in entries(_ADDRESSES, value or ()):
        if isinstance(entry, ADDRESSES):
            networks.append(str(entry))
            continue
        if isinstance(entry, str) and (network := _network(entry)):
            networks.append(network)
            continue
        expression = _compiled(_ADDRESSES, entry)
        if expression.match("192.0.2.1") and expression.match("2001:db8::1"):
            raise Mistake(_ADDRESSES, f"has {quoted(entry)}, which lets in everyone")
        expressions.append(expression)
    return networks, expressions


def _network(text: str) -> str | None:
    for meant in (text, network_meant(text)):
        if meant is None:
            continue
        try:
            ipaddress.ip_network(meant, strict=False)
            parse_rule("ip", meant)
        except ValueError:
            continue
        return meant
    return None


#: Under which a configuration keeps its rules.
_KEPT = "_rules_of_the_face"


class Rules(NamedTuple):
    """The rules that the gate does not know."""

    urls: list[re.Pattern[str]]
    prefixes: list[str]
    #: What the paths of the admin site begin with.
    admin: str | None
    addresses: list[re.Pattern[str]]
    address_of: Callable[[HttpRequest], str | None]


def _compile() -> Rules:
    found = addresses(settings.MAINTENANCE_MODE_IGNORE_IP_ADDRESSES)[1]
    return Rules(
        urls=expressions_for_urls(settings.MAINTENANCE_MODE_IGNORE_URLS),
        prefixes=_prefixes_of_redirect(),
        admin=_admin() if settings.MAINTENANCE_MODE_IGNORE_ADMIN_SITE else None,
        addresses=found,
        # A function that cannot be imported does not matter where no rule needs it.
        address_of=_address_of() if found else get_client_ip_address,
    )


def rules() -> Rules:
    """The rules in force, compiled once for each configuration."""
    kept = vars(conf.configuration())
    if _KEPT not in kept:
        kept[_KEPT] = _compile()
    compiled: Rules = kept[_KEPT]
    return compiled


def _prefixes_of_redirect() -> list[str]:
    url = settings.MAINTENANCE_MODE_REDIRECT_URL
    path = unquote(urlsplit(str(url)).path) if url else ""
    # With `/` as a prefix nothing would ever be down. The gate lets `/` itself through.
    is_here = str(url or "").startswith("/") and path != "/"
    return [path] if is_here else []


def _admin() -> str | None:
    try:
        path: str = reverse("admin:index")
    except NoReverseMatch:
        return None
    return path


def _address_of() -> Callable[[HttpRequest], str | None]:
    function = settings.MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS
    if isinstance(function, str):
        function = import_function(function, "MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS")

    def address_of(request: HttpRequest) -> str | None:
        try:
            found = (function or get_client_ip_address)(request)
        except Exception:
            logger.exception(
                "MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS failed; the address counts as unknown"
            )
            return None
        return None if found is None else str(found)

    return address_of


#: An expression that ends like this is meant for all that is below.
_MEANT = re.compile(r"(?:/|\$|\\Z|[.*+?)\]}])$")


def prefixes(value: Any) -> Iterator[tuple[str, str, str]]:
    """The entries that let in more than they show: `^/admin` also lets in `/administrator`."""
    for entry in value if isinstance(value, (list, tuple, set, frozenset)) else ():
        text = entry.pattern if isinstance(entry, re.Pattern) else entry
        if not isinstance(text, str) or _MEANT.search(text):
            continue
        stem = text.removeprefix("^")
        if not re.fullmatch(r"(?:/[\w.~-]+)+", stem):
            continue
        what = f"which lets through everything that begins so: {stem}, {stem}/a, {stem}-a"
        yield (
            text,
            what,
            f"for the path alone write {text + '$'!r}, for what is below {text + '/'!r}",
        )


# Answers


def _json(response: HttpResponse) -> HttpResponse:
    """The same as a `JsonResponse`, by whose type tests of projects know it."""
    if not response.content:
        response["content-type"] = "application/json"
        return response
    new = JsonResponse(json.loads(response.content), status=response.status_code)
    new._has_been_logged = True
    for name, value in response.items():
        if name.lower() not in ("content-type", "content-length"):
            new[name] = value
    new.cookies = response.cookies
    new["content-length"] = str(len(new.content))
    return new


def _redirect(request: HttpRequest, reply: Reply, response: HttpResponse) -> HttpResponse:
    """Redirects whoever would get HTML, also those who take anything."""
    url = settings.MAINTENANCE_MODE_REDIRECT_URL
    if not url:
        return response
    target = urlsplit(str(url))
    if unquote(target.path) == request.path and target.netloc in ("", request.get_host()):
        return response
    new = HttpResponse(status=302, content_type="")
    new._has_been_logged = True
    for name, value in response.items():
        if name.lower() not in (
            "content-type",
            "content-length",
            "content-language",
            "content-security-policy",
        ):
            new[name] = value
    new["location"] = str(url)
    new["content-length"] = "0"
    return new


def join() -> None:
    """Puts all of this into force. Every module that can be asked does so when it is imported."""
    install(Face())
