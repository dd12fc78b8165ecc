"""The middleware: asks the gate about each request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest

from maint import Reply
from maint.django import conf, http

logger = logging.getLogger("maint.django")


class MaintenanceModeMiddleware:
    """Answers requests that are blocked, and passes the others to the view, which finds the
    decision as `request.maint_pass`.

    Raises `ImproperlyConfigured` at start-up if a setting or the site cannot be used.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)
        if conf.configuration().mode is False:
            _warn_that_nothing_is_blocked()

    def __call__(self, request: HttpRequest) -> Any:
        if self.is_async:
            return self.__acall__(request)
        current = conf.configuration()
        answer: Any = current.gate.answer_django(request, False)
        if current.hold is not None:
            current, answer = http.consider_hold(request, answer, current)
        if isinstance(answer, Reply):
            answer = http.judge(request, answer, current)
            if isinstance(answer, Reply):
                return http.respond(request, answer, current)
        if answer is None:
            answer = current.gate.answer_django(request, False, force="off")
        request.maint_pass = answer
        response = self.get_response(request)
        http.finish(response, answer)
        return response

    async def __acall__(self, request: HttpRequest) -> Any:
        current = conf.configuration()
        answer: Any = current.gate.answer_django(request, False)
        if current.hold is not None:
            # The hold may have to be looked up.
            current, answer = await sync_to_async(http.consider_hold)(request, answer, current)
        if isinstance(answer, Reply):
            answer = await http.ajudge(request, answer, current)
            if isinstance(answer, Reply):
                return await http.arespond(request, answer, current)
        if answer is None:
            answer = current.gate.answer_django(request, False, force="off")
        request.maint_pass = answer
        response = await self.get_response(request)
        http.finish(response, answer)
        return response


@cache
def _warn_that_nothing_is_blocked() -> None:
    logger.warning(
        "MAINTENANCE_MODE is False in the settings, so `maint on` has no effect here; "
        "leave the setting out"
    )
