"""A fault to find: a worker that looks at the site only ten times a second."""

import time

from maint.django.core import get_maintenance_mode
from maint.django.http import get_maintenance_response


class LateMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response
        self.looked_at = 0.0
        self.is_down = False

    def __call__(self, request):
        if time.monotonic() > self.looked_at + 0.1:
            self.looked_at, self.is_down = time.monotonic(), get_maintenance_mode()
        if self.is_down and request.path != "/health/":
            return get_maintenance_response(request)
        return self.get_response(request)
