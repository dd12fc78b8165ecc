"""Turns the gate's answers into responses of Django."""

from __future__ import annotations

import logging
from contextlib import nullcontext, suppress
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.http.response import ResponseHeaders
from django.urls import Resolver404, get_resolver
from django.utils import translation

from maint import Pass, Reply
from maint._asking import attempt
from maint._maint import keep_private as private
from maint.django.conf import Configuration, configuration
from maint.django.hooks import Exempt, hooks
from maint.django.marks import OFF, ON, is_used

logger = logging.getLogger("maint.django")

#: The status of the answer to a bypass link, which goes before all else. No page has it.
SEE_OTHER = 303


def need_maintenance_response(request: HttpRequest) -> bool:
    """Whether the middleware would answer this request itself, or its view is always down.

    Logs the user out if the settings say so.
    """
    current = configuration()
    if _is_always_down(request):
        return True
    answer = current.gate.answer_django(request, False)
    if current.hold is not None:
        current, answer = consider_hold(request, answer, current)
    if isinstance(answer, Reply):
        return isinstance(judge(request, answer, current), Reply)
    return False


def get_maintenance_response(request: HttpRequest) -> HttpResponse:
    """Returns the maintenance response for this request, whether or not the site is down."""
    current = configuration()
    reply = _reply(request, current, False)
    if reply.needs_asking:
        reply = _reply(request, current, True)
    return respond(request, reply, current)


async def aget_maintenance_response(request: HttpRequest) -> HttpResponse:
    """Returns the same as `get_maintenance_response`, for async views."""
    current = configuration()
    reply = _reply(request, current, False)
    if reply.needs_asking:
        return await sync_to_async(get_maintenance_response)(request)
    return await arespond(request, reply, current)


def _reply(request: HttpRequest, current: Configuration, ask: bool) -> Reply:
    # A window that covers the request has the reason and the end for the page.
    answer = current.gate.answer_django(request, ask)
    if isinstance(answer, Pass):
        answer = current.gate.answer_django(request, ask, force="on")
    assert isinstance(answer, Reply)
    return answer


# Requests that the app lets through


def consider_hold(
    request: HttpRequest, answer: Pass | Reply, current: Configuration
) -> tuple[Configuration, Pass | Reply]:
    """Asks again, as if all were down, if something other than the site holds it down."""
    if isinstance(answer, Reply) or current.hold is None or not current.hold(request):
        return current, answer
    assert current.held is not None
    return current.held, current.held.gate.answer_django(request, False)


def judge(
    request: HttpRequest, reply: Reply, current: Configuration
) -> Pass | Reply | Exempt | None:
    """Decides on a request that the gate would block without asking the app.

    Returns `None` if its view is never down.
    """
    if reply.status == SEE_OTHER:
        return reply
    if is_never_down(request, current):
        return None
    return hooks().exempt(request) or ask(request, reply, current)


async def ajudge(
    request: HttpRequest, reply: Reply, current: Configuration
) -> Pass | Reply | Exempt | None:
    """Does the same as `judge`, without blocking the event loop."""
    if reply.status == SEE_OTHER:
        return reply
    if is_never_down(request, current):
        return None
    exempt = hooks().exempt
    passed = await sync_to_async(exempt)(request) if hooks().exempt_may_wait else exempt(request)
    if passed is not None:
        return passed
    if reply.needs_asking or current.logs_out:
        return await sync_to_async(ask)(request, reply, current)
    return reply


def ask(request: HttpRequest, reply: Reply, current: Configuration) -> Pass | Reply:
    """Asks for the user, and for whatever else functions of the team know."""
    if current.logs_out:
        answer = _answer_without_user(request, current) if reply.needs_asking else reply
        if isinstance(answer, Pass):
            return answer
        _log_out(request, current)
    return current.gate.answer_django(request) if reply.needs_asking else reply


def _answer_without_user(request: HttpRequest, current: Configuration) -> Pass | Reply:
    request._maint_user_is_left_out = True
    try:
        return current.gate.answer_django(request)
    finally:
        del request._maint_user_is_left_out


def is_never_down(request: HttpRequest, current: Configuration) -> bool:
    """Whether the request is for a view that is forced off, or for an admin site that is
    ignored."""
    # Resolving the URL costs more than everything else.
    if not (current.is_admin_ignored or _is_any_forced(request, OFF)):
        return False
    match = _resolve(request)
    if match is None:
        return False
    return getattr(match.func, OFF, False) is True or (
        current.is_admin_ignored and "admin" in match.app_names
    )


def _is_always_down(request: HttpRequest) -> bool:
    match = _resolve(request) if _is_any_forced(request, ON) else None
    return match is not None and getattr(match.func, ON, False) is True


def _is_any_forced(request: HttpRequest, mark: str) -> bool:
    # Loading the URLs decorates the views.
    if not is_used(mark):
        _load_urls(request)
    return is_used(mark)


def _load_urls(request: HttpRequest) -> None:
    try:
        get_resolver(_urlconf(request)).url_patterns  # noqa: B018
    except Exception:
        logger.exception("the URLs cannot be loaded, so no view is known to be never down")


def _urlconf(request: HttpRequest) -> Any:
    return getattr(request, "urlconf", None) or settings.ROOT_URLCONF


def _resolve(request: HttpRequest) -> Any:
    """Finds the view as Django will; `None` if there is none."""
    try:
        return _resolve_path(request, request.path_info)
    except Exception:
        logger.exception("`%s` cannot be resolved, so no view lets it through", request.path_info)
        return None


def _resolve_path(request: HttpRequest, path: str) -> Any:
    urlconf = _urlconf(request)
    resolver = get_resolver(urlconf)
    paths = [path]
    # Django redirects to the path with the slash, so this one has to pass as well.
    if settings.APPEND_SLASH and not path.endswith("/"):
        paths.append(f"{path}/")
    language = None
    # If LocaleMiddleware comes later, the language in the path is not active yet.
    if settings.USE_I18N and is_language_prefix_patterns_used(urlconf)[0]:
        language = translation.get_language_from_path(path)
    with translation.override(language) if language else nullcontext():
        for path in paths:
            try:
                return resolver.resolve(path)
            except Resolver404:
                pass
    return None


def _log_out(request: HttpRequest, current: Configuration) -> None:
    try:
        attempt(current.asking, _log_out_now, request, current)
    except Exception:
        logger.exception("a user could not be logged out")


def _log_out_now(request: HttpRequest, current: Configuration) -> None:
    user = current.find_user(request)
    if user is None or not user.is_authenticated or not _is_to_leave(user, current):
        return
    try:
        logout(request)
    except Exception:
        # Half of it may have happened. The session middleware would try to save that.
        request.session.modified = False
        raise
    request._maint_logged_out = True


def _is_to_leave(user: Any, current: Configuration) -> bool:
    everybody, staff, superusers = current.logout
    if getattr(user, "is_superuser", False):
        return bool(everybody if superusers is None else superusers)
    if getattr(user, "is_staff", False):
        return bool(everybody if staff is None else staff)
    return bool(everybody)


# Responses


def respond(request: HttpRequest, reply: Reply, current: Configuration) -> HttpResponse:
    """Makes the response, from the team's template if visitors get that one."""
    if (body := current.page.body(reply, request)) is not None:
        response = _response_of_the_team(request, reply, body)
    elif (body := current.page.json(reply, request)) is not None:
        response = _response(reply, body)
        response["content-length"] = str(len(body))
    else:
        response = _response(reply)
    leave_session_alone(request)
    finished: HttpResponse = hooks().finish(request, reply, response)
    return finished


async def arespond(request: HttpRequest, reply: Reply, current: Configuration) -> HttpResponse:
    """Does the same as `respond`, and renders in a thread, since context processors may query
    the database."""
    if current.page.is_quick(reply):
        return respond(request, reply, current)
    return await sync_to_async(respond)(request, reply, current)


def leave_session_alone(request: HttpRequest) -> None:
    """Keeps `SessionMiddleware` from reading and saving a session that did not change.

    With `SESSION_SAVE_EVERY_REQUEST` it does so after each request, in a database that may be
    away. A change of the session is saved as ever.
    """
    session: Any = getattr(request, "session", None)
    if session is None:
        return

    def is_empty() -> bool:
        if session.modified:
            return bool(type(session).is_empty(session))
        # This is how the middleware notices that there is no session.
        raise AttributeError("maint answered, and the session did not change")

    with suppress(AttributeError):  # It may not be a session of Django's.
        session.is_empty = is_empty


class _Headers(ResponseHeaders):
    """The header fields of a reply, which are valid and need no check one by one."""

    def __init__(self, reply: Reply) -> None:
        self._store = reply.header_store()


def _response(reply: Reply, body: bytes | None = None) -> HttpResponse:
    content = reply.body if body is None else body
    response = HttpResponse(content, content_type="", status=reply.status)
    response.headers = _Headers(reply)
    if cookie := response.headers.get("set-cookie"):
        del response.headers["set-cookie"]
        response.cookies.load(cookie)
    # A site that is down on purpose is not an error, so Django must neither log nor mail it.
    response._has_been_logged = True
    return response


def _response_of_the_team(request: HttpRequest, reply: Reply, body: bytes) -> HttpResponse:
    response = _response(reply, b"" if request.method == "HEAD" else body)
    response["content-length"] = str(len(body))
    # The policy fits the site's own page, and the language is that page's. The team's page may
    # load other things, and `LocaleMiddleware` says its language.
    del response["content-security-policy"]
    del response["content-language"]
    return response


def finish(response: Any, decision: Pass | Exempt) -> None:
    """Finishes what the app answers to a request that was let through."""
    if isinstance(decision, Pass):
        decision.finish(response.headers)
    elif decision.is_private:
        private(response.headers)
