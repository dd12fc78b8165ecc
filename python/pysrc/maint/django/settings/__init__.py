"""The settings, and what each of them may be.

Every setting has one reader here, which turns what the team wrote into what the gate takes, or
raises a `Mistake`. Start-up raises the first; `manage.py check` lists them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.template import TemplateDoesNotExist
from django.template.loader import get_template

from maint.django.hooks import hooks
from maint.django.settings.functions import (
    FUNCTIONS,
    UNREACHABLE,
    doubts,
    function,
    response_type,
)
from maint.django.settings.mistake import Mistake
from maint.django.settings.rules import addresses, urls
from maint.django.settings.values import (
    directory,
    flag,
    interval,
    redirect,
    seconds,
    status,
    switch,
    template,
    text_of,
)

DEFAULT_TEMPLATE = "503.html"

READERS: dict[str, Callable[[str, Any], Any]] = {
    "MAINT_SITE": directory,
    "MAINT_RECHECK": interval,
    "MAINT_PLAIN_HTTP": flag,
    "MAINT_IS_READ": function,
    "MAINT_TITLE": text_of("title"),
    "MAINT_CONTACT": text_of("contact"),
    "MAINT_STATUS_URL": text_of("status_url"),
    "MAINT_LANGUAGE": text_of("language"),
    "MAINTENANCE_MODE": switch,
    "MAINTENANCE_MODE_IGNORE_ADMIN_SITE": flag,
    "MAINTENANCE_MODE_IGNORE_ANONYMOUS_USER": flag,
    "MAINTENANCE_MODE_IGNORE_AUTHENTICATED_USER": flag,
    "MAINTENANCE_MODE_IGNORE_STAFF": flag,
    "MAINTENANCE_MODE_IGNORE_SUPERUSER": flag,
    "MAINTENANCE_MODE_IGNORE_IP_ADDRESSES": addresses,
    "MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS": function,
    "MAINTENANCE_MODE_GET_AUTHENTICATED_USER": function,
    "MAINTENANCE_MODE_IGNORE_URLS": urls,
    "MAINTENANCE_MODE_IGNORE_TESTS": flag,
    "MAINTENANCE_MODE_LOGOUT_AUTHENTICATED_USER": switch,
    "MAINTENANCE_MODE_LOGOUT_STAFF_USER": switch,
    "MAINTENANCE_MODE_LOGOUT_SUPERUSER": switch,
    "MAINTENANCE_MODE_REDIRECT_URL": redirect,
    "MAINTENANCE_MODE_RESPONSE_TYPE": response_type,
    "MAINTENANCE_MODE_TEMPLATE": template,
    "MAINTENANCE_MODE_STATUS_CODE": status,
    "MAINTENANCE_MODE_RETRY_AFTER": seconds,
    "MAINTENANCE_MODE_GET_CONTEXT": function,
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
    """Reads every setting: the values by name, and the mistakes in the others."""
    values: dict[str, Any] = {}
    mistakes = []
    for name, reader in READERS.items():
        unset = DEFAULT_TEMPLATE if name == "MAINTENANCE_MODE_TEMPLATE" else None
        try:
            values[name] = reader(name, hooks().setting(name, getattr(settings, name, unset)))
        except Mistake as mistake:
            mistakes.append(mistake)
    mistakes.extend(_mistakes_in_template(values.get("MAINTENANCE_MODE_TEMPLATE")))
    return values, mistakes


def _mistakes_in_template(chosen: str | None) -> Iterator[Mistake]:
    name = "MAINTENANCE_MODE_TEMPLATE"
    if chosen is None:
        return
    try:
        get_template(chosen)
    except (TemplateDoesNotExist, *UNREACHABLE):
        # Visitors get the page of the site then.
        pass
    except Exception as error:
        problem = f"leads to {chosen!r}, which cannot be used: {type(error).__name__}: {error}"
        yield Mistake(name, problem, id="maint.E006")


def all_doubts(values: dict[str, Any]) -> Iterator[Mistake]:
    """What may be wrong with the settings and keeps no server from starting."""
    chosen = values.get("MAINTENANCE_MODE_TEMPLATE")
    # Many settings say the default, and there is a page without a file of that name.
    if chosen is not None and chosen != DEFAULT_TEMPLATE and _is_missing(chosen):
        yield Mistake(
            "MAINTENANCE_MODE_TEMPLATE",
            f"names {chosen!r}, which no template loader finds, so visitors get the built-in page",
            "put it into a folder of `DIRS` in TEMPLATES",
            id="maint.W014",
        )
    for name in FUNCTIONS:
        yield from doubts(name, getattr(settings, name, None), values.get(name))


def _is_missing(template: str) -> bool:
    try:
        get_template(template)
    except TemplateDoesNotExist:
        return True
    except Exception:
        # It is there; another check says what is wrong with it.
        return False
    return False
