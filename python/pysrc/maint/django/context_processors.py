"""Variables for templates."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.utils import translation

from maint import Upcoming
from maint.django.conf import configuration
from maint.django.core import get_maintenance_mode


def maintenance_mode(request: Any) -> dict[str, Any]:
    """Adds `maintenance_mode`: whether the site is down, for a notice to those who get through;
    and `maintenance`, a `Maintenance`."""
    return {
        "maintenance_mode": get_maintenance_mode(),
        "maintenance": Maintenance(request),
    }


class Maintenance:
    """What a template may know of maintenance where a request leads, looked up when it is used."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._decision: Any = getattr(request, "maint_pass", None)

    @cached_property
    def is_on(self) -> bool:
        """The same as `maintenance_mode`."""
        return get_maintenance_mode()

    @property
    def is_private(self) -> bool:
        """Whether others get the page, and this visitor is let through."""
        return bool(getattr(self._decision, "is_private", False))

    @property
    def read_only(self) -> bool:
        """Whether a window blocks those who change something there: hide the forms."""
        return getattr(self._decision, "read_only", None) is not None

    @cached_property
    def next(self) -> Upcoming | None:
        """The next maintenance to come, for an announcement."""
        if hasattr(self._decision, "next"):
            found: Upcoming | None = self._decision.next
            return found
        # Not everybody has the middleware in front, as code that tests call directly.
        return configuration().gate.next_django(self._request)

    @property
    def next_reason(self) -> str:
        """Why, in the language of the page that the app renders; empty if nothing is said."""
        if self.next is None:
            return ""
        return self.next.reason_in(translation.get_language() or "") or ""
