"""The configuration of the process: the settings, the site and its one gate."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db import connections

from maint import Gate, MaintError, Site, User
from maint._asking import Asking, attempt, mark_guarded
from maint.django.hooks import hooks
from maint.django.page import Page
from maint.django.settings import LOGOUTS, USER_RULES, read
from maint.django.settings.mistake import Mistake
from maint.django.settings.rules import Rule


@dataclass(frozen=True)
class Configuration:
    """The settings as the rest of the app uses them."""

    site: Site
    gate: Gate
    #: `MAINTENANCE_MODE`: `True`, `False`, or `None` where the site decides.
    mode: bool | None
    is_admin_ignored: bool
    #: Whether users, staff and superusers are logged out; `None` is as for users.
    logout: tuple[bool | None, bool | None, bool | None]
    #: Finds the user of a request, or `None`. May raise what the team's function raises.
    find_user: Callable[[Any], Any]
    #: Whether users can be asked for: their sessions may be in a database that is away.
    asking: Asking
    page: Page
    #: Whether something other than the site holds it down; `None` where only the site does.
    hold: Callable[[Any], bool] | None = None
    #: The configuration while that is so: its gate covers every request.
    held: Configuration | None = None

    @cached_property
    def logs_out(self) -> bool:
        """Whether anybody is logged out."""
        return any(self.logout)


@lru_cache(maxsize=1)
def configuration() -> Configuration:
    """Returns the configuration of the process, which the first call makes.

    Raises `ImproperlyConfigured` with the name of the setting.
    """
    values, mistakes = read_anywhere()
    if mistakes:
        raise ImproperlyConfigured(str(mistakes[0])) from mistakes[0]
    find_user = _user_finder(values["MAINTENANCE_MODE_GET_AUTHENTICATED_USER"])
    asking = Asking("the look-up of the user")
    hold = _hold(values)
    try:
        site = find_site(values["MAINT_SITE"])
        gate = open_gate(site, values, _facts(find_user, asking))
        held = hold and open_gate(site, values, _facts(find_user, asking), down=True)
    except MaintError as error:
        raise ImproperlyConfigured(f"MAINT_SITE: {error}") from error
    except Mistake as mistake:
        raise ImproperlyConfigured(str(mistake)) from mistake
    logout_user, logout_staff, logout_superuser = (values[name] for name in LOGOUTS)
    made = Configuration(
        site=site,
        gate=gate,
        mode=values["MAINTENANCE_MODE"],
        is_admin_ignored=values["MAINTENANCE_MODE_IGNORE_ADMIN_SITE"],
        logout=(logout_user, logout_staff, logout_superuser),
        find_user=find_user,
        asking=asking,
        page=Page(values["MAINTENANCE_MODE_TEMPLATE"], values["MAINTENANCE_MODE_GET_CONTEXT"]),
    )
    return replace(made, hold=hold, held=replace(made, gate=held)) if held else made


def _hold(values: dict[str, Any]) -> Callable[[Any], bool] | None:
    # What the settings say goes before.
    is_fixed = values["MAINTENANCE_MODE"] is not None or is_ignored_test_run(values)
    return None if is_fixed else hooks().hold()


def read_anywhere() -> tuple[dict[str, Any], list[Mistake]]:
    """Reads the settings. Servers load an app on the event loop, where functions of the team
    must not query the database, so a thread does it there."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return read()
    with ThreadPoolExecutor(1) as thread:
        try:
            return thread.submit(read).result()
        finally:
            thread.submit(connections.close_all).result()


def open_gate(
    site: Site, values: dict[str, Any], facts: Callable[[Any], User | None], **options: Any
) -> Gate:
    """Opens the gate of the site with the settings, and options that go before them.

    Raises `MaintError` for the site, `Mistake` for a setting that the gate refuses.
    """
    try:
        given: dict[str, Any] = {
            "down": False if is_ignored_test_run(values) else values["MAINTENANCE_MODE"],
            "ignore": _rules(values),
            "format": _by_keyword(values["MAINTENANCE_MODE_RESPONSE_TYPE"]),
            "user": facts,
            "client": values["MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS"],
            "recheck": values["MAINT_RECHECK"],
            "plain_http": values["MAINT_PLAIN_HTTP"],
            "is_read": values["MAINT_IS_READ"],
            "status": values["MAINTENANCE_MODE_STATUS_CODE"],
            "retry_after": values["MAINTENANCE_MODE_RETRY_AFTER"],
            "redirect": values["MAINTENANCE_MODE_REDIRECT_URL"],
            "title": values["MAINT_TITLE"],
            "contact": values["MAINT_CONTACT"],
            "status_url": values["MAINT_STATUS_URL"],
            "language": values["MAINT_LANGUAGE"],
        }
        return Gate(site, **{**given, **options})
    except ValueError as error:
        # It begins with the name of the rule, which is that of the setting.
        setting, _, problem = str(error).partition(": ")
        raise Mistake(setting, f"cannot be: {problem}") from error


def find_site(directory: str | None) -> Site:
    """Chooses the site as the command does, but begins at `BASE_DIR`.

    The project is where `manage.py` is, in `BASE_DIR` or above, or in the directory of the
    settings or above. Its site need not be there yet.

    Raises `MaintError`.
    """
    base = getattr(settings, "BASE_DIR", None) or None
    return Site.discover(directory, start=base, code=_settings_directory(), project=base)


def _settings_directory() -> str | None:
    module = sys.modules.get(getattr(settings, "SETTINGS_MODULE", None) or "")
    file = getattr(module, "__file__", None)
    return os.path.dirname(os.path.abspath(file)) if file else None


def is_ignored_test_run(values: dict[str, Any]) -> bool:
    """Whether this is `manage.py test`, and the settings keep maintenance from tests."""
    is_test = sys.argv[1:2] == ["test"] or "runtests" in os.path.basename(sys.argv[0])
    return bool(values["MAINTENANCE_MODE_IGNORE_TESTS"] and is_test)


def _rules(values: dict[str, Any]) -> list[Rule]:
    rules: list[Rule] = [(name, "user", user) for name, user in USER_RULES.items() if values[name]]
    rules += values["MAINTENANCE_MODE_IGNORE_IP_ADDRESSES"]
    rules += values["MAINTENANCE_MODE_IGNORE_URLS"]
    redirect = values["MAINTENANCE_MODE_REDIRECT_URL"]
    # Visitors who are redirected to a page of this app have to get through there.
    if redirect and redirect.startswith("/"):
        rules.append(("MAINTENANCE_MODE_REDIRECT_URL", "path", unquote(urlsplit(redirect).path)))
    return rules


def _user_finder(get_user: Callable[..., Any] | None) -> Callable[[Any], Any]:
    def find_user(request: Any) -> Any:
        user = None
        # A user who was just logged out counts as nobody, whatever that function remembers.
        if get_user is not None and not hasattr(request, "_maint_logged_out"):
            user = get_user(request=request)
        return getattr(request, "user", None) if user is None else user

    return find_user


def _facts(find_user: Callable[[Any], Any], asking: Asking) -> Callable[[Any], User | None]:
    def look(request: Any) -> User | None:
        user = find_user(request)
        if user is None:
            return None
        return User(
            is_authenticated=bool(getattr(user, "is_authenticated", False)),
            is_staff=bool(getattr(user, "is_staff", False)),
            is_superuser=bool(getattr(user, "is_superuser", False)),
        )

    def facts(request: Any) -> Any:
        if hasattr(request, "_maint_user_is_left_out"):
            return None
        return attempt(asking, look, request)

    return mark_guarded(facts)


def _by_keyword(response_type: Any) -> Any:
    return partial(_call, response_type) if callable(response_type) else response_type


def _call(function: Callable[..., Any], request: Any) -> Any:
    return function(request=request)


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting.startswith(("MAINT_", "MAINTENANCE_MODE")) or setting in _READ:
        configuration.cache_clear()


_READ = {"BASE_DIR", "TEMPLATES", "ROOT_URLCONF"}

setting_changed.connect(_forget)
