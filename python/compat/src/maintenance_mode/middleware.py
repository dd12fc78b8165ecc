"""The middleware, which projects may extend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse

from maint import Reply
from maint.django import conf
from maint.django import http as maint_http
from maint.django import middleware as maint_middleware
from maintenance_mode.core import refresh
from maintenance_mode.http import get_maintenance_response, need_maintenance_response

__all__ = [
    "MaintenanceModeMiddleware",
    "get_maintenance_response",
    "need_maintenance_response",
]


def _no_view(request: HttpRequest) -> HttpResponse:
    raise TypeError("this middleware was made without `get_response`")


class MaintenanceModeMiddleware(maint_middleware.MaintenanceModeMiddleware):
    """Answers requests that are blocked, and passes the others to the view.

    A subclass may override `process_request`, which returns a response or `None`.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__call__ is not MaintenanceModeMiddleware.__call__ and (
            "async_capable" not in vars(cls)
        ):
            # It expects a response from the view, not a coroutine.
            cls.async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], Any] | None = None) -> None:
        refresh()
        super().__init__(_no_view if get_response is None else get_response)

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """The response, if the request is blocked."""
        refresh()
        current = conf.configuration()
        answer: Any = current.gate.answer_django(request, False)
        if current.hold is not None:
            current, answer = maint_http.consider_hold(request, answer, current)
        if isinstance(answer, Reply):
            answer = maint_http.judge(request, answer, current)
            if isinstance(answer, Reply):
                return maint_http.respond(request, answer, current)
        if answer is not None:
            request._maint_decision = answer
        return None

    def __call__(self, request: HttpRequest) -> Any:
        if self.is_async:
            return self.__acall__(request)
        if type(self).process_request is _process_request:
            refresh()
            return super().__call__(request)
        response = self.process_request(request)
        return self._finish(request, self.get_response(request) if response is None else response)

    async def __acall__(self, request: HttpRequest) -> Any:
        if type(self).process_request is _process_request:
            refresh()
            return await super().__acall__(request)
        response = await sync_to_async(self.process_request)(request)
        if response is None:
            response = await self.get_response(request)
        return self._finish(request, response)

    def _finish(self, request: HttpRequest, response: Any) -> Any:
        if (decision := getattr(request, "_maint_decision", None)) is not None:
            maint_http.finish(response, decision)
        return response


#: What subclasses, and tests that patch the class, may replace.
_process_request = MaintenanceModeMiddleware.process_request
