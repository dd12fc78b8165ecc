"""The system checks: what `manage.py check` reports about the settings and the site."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.urls import get_resolver, is_valid_path
from django.utils.module_loading import import_string

from maint import Corrupt, MaintError, Site
from maint.django.conf import find_site, open_gate
from maint.django.hooks import hooks
from maint.django.settings import LOGOUTS, READERS, USER_RULES, all_doubts, read
from maint.django.settings.mistake import Mistake
from maint.django.settings.rules import prefix_patterns
from maint.django.way_back import login_that_stays_up, logins

MIDDLEWARE = "maint.django.middleware.MaintenanceModeMiddleware"

_STATE = "the state is in the site now, `maint status` shows where; remove the setting"

OBSOLETE = {
    "MAINTENANCE_MODE_STATE_BACKEND": _STATE,
    "MAINTENANCE_MODE_STATE_FILE_NAME": _STATE,
    "MAINTENANCE_MODE_STATE_FILE_PATH": "MAINT_SITE names the site directory; remove the setting",
    "MAINTENANCE_MODE_STATE_BACKEND_FALLBACK_VALUE": (
        "an unreadable state stops the start, and later the last good state stays in force; "
        "remove the setting"
    ),
    "MAINTENANCE_MODE_CACHE_BACKEND": (
        "the state is in a file, which every worker reads; remove the setting"
    ),
}


def check_maintenance(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Lists every mistake in the settings, and all else that keeps maintenance from working."""
    values, mistakes = read()
    messages = [_of_mistake(mistake) for mistake in mistakes]
    messages += [_of_doubt(doubt) for doubt in all_doubts(values)]
    messages += _names()
    has_user_rules = any(values.get(name) for name in (*USER_RULES, *LOGOUTS))
    if "MAINT_SITE" in values:
        about_site, state = _site(values, is_sound=not mistakes)
        messages += about_site
        has_user_rules |= any(rule.get("kind") == "user" for rule in _rules(state))
    if values.get("MAINTENANCE_MODE_GET_AUTHENTICATED_USER"):
        # A function that finds users in another way may need no session.
        has_user_rules = False
    messages += _mode(values.get("MAINTENANCE_MODE"))
    messages += _prefixes()
    if values.get("MAINTENANCE_MODE_IGNORE_URLS") and not hooks().is_face:
        messages += _paths_with_more_below(settings.MAINTENANCE_MODE_IGNORE_URLS)
    messages += _middleware(has_user_rules)
    messages += _readers_before_ours(has_user_rules)
    if not mistakes:
        messages += _way_back(values)
    return messages


def _of_mistake(mistake: Mistake) -> checks.Error:
    return checks.Error(
        f"{mistake.setting} {mistake.problem}.", hint=mistake.hint, obj=None, id=mistake.id
    )


def _of_doubt(doubt: Mistake) -> checks.Warning:
    return checks.Warning(f"{doubt.setting} {doubt.problem}.", hint=doubt.hint, id=doubt.id)


def _names() -> Iterator[checks.CheckMessage]:
    without_effect = hooks().without_effect(OBSOLETE)
    known = {*READERS, *OBSOLETE}
    for name in sorted({name for name in dir(settings) if name.startswith("MAINTENANCE_MODE")}):
        if hooks().is_assumed(name):
            continue
        if name in without_effect:
            yield checks.Warning(
                f"{name} has no effect.", hint=without_effect[name], id="maint.W003"
            )
        elif name not in known:
            near = get_close_matches(name, READERS, n=1)
            hint = f"did you mean {near[0]}?" if near else None
            yield checks.Warning(f"{name} is not a setting of maint.", hint=hint, id="maint.W004")


def _site(
    values: dict[str, Any], *, is_sound: bool
) -> tuple[list[checks.CheckMessage], dict[str, Any]]:
    """Checks the site and its gate; returns the messages, and the state."""
    try:
        site = find_site(values["MAINT_SITE"])
        state = site.state()
        if is_sound:
            open_gate(site, values, lambda request: None)
    except Mistake as mistake:
        return [_of_mistake(mistake)], state
    except MaintError as error:
        id = "maint.E002" if isinstance(error, Corrupt) else "maint.E001"
        return [checks.Error(f"The site cannot be used: {error}.", id=id)], {}
    return list(_place(site)), state


def _place(site: Site) -> Iterator[checks.CheckMessage]:
    """Warns of a site that the command may not find, and of planted ones."""
    for path, reason in site.passed_over:
        yield checks.Warning(
            f"The site {path} was passed over: {reason}.",
            hint="remove it; if it is meant, name it by MAINT_SITE",
            id="maint.W016",
        )
    if site.found == "framework":
        yield checks.Warning(
            f"The first change makes the site {site.directory}, but the command sees no project "
            "there: nothing shows it, such as manage.py.",
            hint="name the site by MAINT_SITE, for the command as well, or run `maint init` there",
            id="maint.W006",
        )
    if site.found == "user":
        yield checks.Warning(
            f"The site is {site.directory}, which belongs to the user of this process: a server "
            "that runs as another user has another site.",
            hint="run `maint init` in the project for a site that all users share, or set "
            "MAINT_SITE",
            id="maint.W006",
        )


def check_deployment(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Warns of a site that the next release does not have, with `check --deploy`."""
    values, _ = read()
    if "MAINT_SITE" not in values:
        return []
    try:
        site = find_site(values["MAINT_SITE"])
    except MaintError:
        # Another check says so.
        return []
    # The next release has whatever lies beside it or is linked to.
    place = os.path.dirname(os.path.realpath(site.state_file))
    if not (_is_in_release(place) or _is_current(site.directory)):
        return []
    return [
        checks.Warning(
            f"The site {site.directory} is in the directory of one release, and goes away with it.",
            hint="name one that stays by MAINT_SITE, or run `maint init` above the releases",
            id="maint.W017",
        )
    ]


def _is_in_release(path: str) -> bool:
    """Whether a directory called `releases` is above."""
    return "releases" in path.split(os.sep)[:-1]


def _is_current(path: str) -> bool:
    """Whether the working directory was reached through a link `current`, and the path is in
    what that leads to."""
    here = os.environ.get("PWD", "")
    link, found, _ = f"{here}/".partition("/current/")
    link += "/current"
    if not (found and os.path.islink(link)):
        return False
    release = os.path.realpath(link)
    return os.path.commonpath([release, os.path.realpath(path)]) == release


def _rules(state: dict[str, Any]) -> Iterable[dict[str, Any]]:
    rules: dict[str, dict[str, Any]] = state.get("ignore", {})
    return rules.values()


def _mode(mode: bool | None) -> Iterator[checks.CheckMessage]:
    if mode is None:
        return
    yield checks.Warning(
        f"MAINTENANCE_MODE is {mode}, so `maint {'off' if mode else 'on'}` has no effect here.",
        hint="leave the setting out, and the site decides",
        id="maint.W005",
    )


def _paths_with_more_below(entries: list[Any]) -> Iterator[checks.CheckMessage]:
    """Warns of `/api/`, with which django-maintenance-mode lets in all that begins with it."""
    for entry in entries:
        if not isinstance(entry, str) or not entry.startswith("/") or "*" in entry:
            continue
        below = entry.rstrip("/") + "/"
        try:
            is_dead = not _is_answered(entry) and _leads_below(get_resolver(), "/", below)
        except Exception:
            # Django reports what is wrong with the URLs.
            return
        if is_dead:
            yield checks.Warning(
                f"MAINTENANCE_MODE_IGNORE_URLS has {entry!r}, which is that path alone, and no "
                "view has it.",
                hint=f"for all paths below it write {below + '**'!r}",
                id="maint.W007",
            )


def _is_answered(path: str) -> bool:
    paths = [path, f"{path}/"] if settings.APPEND_SLASH else [path]
    return any(is_valid_path(path) for path in paths)


def _leads_below(resolver: Any, base: str, below: str, depth: int = 9) -> bool:
    """Whether any URL begins with `below` and is longer."""
    for pattern in resolver.url_patterns:
        route = base + str(pattern.pattern).removeprefix("^")
        if route.startswith(below) and route != below:
            return True
        if (
            hasattr(pattern, "url_patterns")
            and below.startswith(route)
            and depth
            and _leads_below(pattern, route, below, depth - 1)
        ):
            return True
    return False


def _prefixes() -> Iterator[checks.CheckMessage]:
    if hooks().is_face:
        entries = getattr(settings, "MAINTENANCE_MODE_IGNORE_URLS", None)
        for entry, what, hint in hooks().prefixes(entries):
            yield checks.Warning(
                f"MAINTENANCE_MODE_IGNORE_URLS has {entry!r}, {what}.", hint=hint, id="maint.W007"
            )
        return
    for text, instead in prefix_patterns(getattr(settings, "MAINTENANCE_MODE_IGNORE_URLS", None)):
        yield checks.Warning(
            f"MAINTENANCE_MODE_IGNORE_URLS has {text!r}, which matches whole paths, and not "
            "those below them.",
            hint=f"for those write {instead!r}; for the path alone end it with `$`",
            id="maint.W007",
        )


def _way_back(values: dict[str, Any]) -> Iterator[checks.CheckMessage]:
    """Warns if a superuser who loses the session cannot log in to bring the site back."""
    try:
        if not _has_view(get_resolver()):
            return
        paths = logins()
        if login_that_stays_up(find_site(values["MAINT_SITE"]), values) is not None:
            return
    except Exception:
        # Other checks report what is wrong with the URLs and the site.
        return
    hints = [f"`maint ignore add path {path}`" for path in paths[:1]]
    if "admin" in get_resolver().app_dict:
        hints.append("MAINTENANCE_MODE_IGNORE_ADMIN_SITE = True")
    hints.append("`maint off` on the host works always")
    yield checks.Warning(
        "The view maintenance_mode_off is for superusers, and no login stays up: whoever takes "
        "the site down in the browser and is logged out meanwhile cannot bring it back there.",
        hint="; ".join([" or ".join(hints[:-1]), hints[-1]]) if hints[1:] else hints[0],
        id="maint.W010",
    )


def _has_view(resolver: Any, depth: int = 9) -> bool:
    from maint.django.views import BRINGS_BACK

    return any(
        _has_view(pattern, depth - 1)
        if hasattr(pattern, "url_patterns")
        else getattr(pattern.callback, BRINGS_BACK, False)
        for pattern in (resolver.url_patterns if depth else ())
    )


#: Middleware that reads the database with every request, or every one with a session.
_CSRF = "django.middleware.csrf.CsrfViewMiddleware"
_SITE = "django.contrib.sites.middleware.CurrentSiteMiddleware"
_REMOTE = "django.contrib.auth.middleware.RemoteUserMiddleware"

#: Backends of sessions that need neither a database nor a cache.
_INDEPENDENT_SESSIONS = frozenset(
    f"django.contrib.sessions.backends.{name}" for name in ("file", "signed_cookies")
)


def _readers_before_ours(has_user_rules: bool) -> Iterator[checks.CheckMessage]:
    """Warns of middleware that needs the database before ours answers."""
    order = [_imported(path) for path in settings.MIDDLEWARE]
    ours = _position(order, MIDDLEWARE)
    if ours is None:
        return
    place = "put that of maint before it"
    if has_user_rules:
        place += ", after AuthenticationMiddleware"
    for path, why in _readers():
        theirs = _position(order, path)
        if theirs is not None and theirs < ours:
            yield checks.Warning(
                f"{path.rsplit('.', 1)[1]} comes before the middleware of maint and {why}, so "
                "visitors get an error in place of the page while that is away.",
                hint=place,
                id="maint.W009",
            )


def _readers() -> Iterator[tuple[str, str]]:
    stored = settings.SESSION_ENGINE not in _INDEPENDENT_SESSIONS
    if settings.CSRF_USE_SESSIONS and stored:
        yield _CSRF, "reads the session, since CSRF_USE_SESSIONS is True"
    if apps.is_installed("django.contrib.sites"):
        yield _SITE, "reads the site from the database"
    yield _REMOTE, "reads the user from the database"


def _middleware(has_user_rules: bool) -> Iterator[checks.CheckMessage]:
    order = [_imported(path) for path in settings.MIDDLEWARE]
    ours = _position(order, MIDDLEWARE)
    if ours is None:
        yield checks.Warning(
            "The middleware is not in MIDDLEWARE, so no request is ever blocked.",
            hint=f"add {MIDDLEWARE!r}",
            id="maint.W001",
        )
    elif has_user_rules:
        for path in (
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ):
            theirs = _position(order, path)
            if theirs is not None and theirs < ours:
                continue
            problem = "missing from" if theirs is None else "after that of maint in"
            yield checks.Warning(
                f"{path.rsplit('.', 1)[1]} is {problem} MIDDLEWARE, so the user is unknown and "
                "rules for users let nobody through.",
                hint="put that of maint after it",
                id="maint.W002",
            )
    if not hooks().is_face and any(
        name.partition(".")[0] == "maintenance_mode" for name in _installed()
    ):
        yield checks.Warning(
            "django-maintenance-mode is installed as well, with a state of its own.",
            hint="remove `maintenance_mode` from INSTALLED_APPS and MIDDLEWARE",
            id="maint.W008",
        )


def _installed() -> list[str]:
    return [*settings.INSTALLED_APPS, *settings.MIDDLEWARE]


def _imported(path: str) -> Any:
    try:
        return import_string(path)
    except Exception:
        # Django reports what is wrong with it.
        return None


def _position(order: list[Any], path: str) -> int | None:
    wanted = _imported(path)
    for position, middleware in enumerate(order):
        if middleware is wanted and wanted is not None:
            return position
        if (
            isinstance(middleware, type)
            and isinstance(wanted, type)
            and issubclass(middleware, wanted)
        ):
            return position
    return None
