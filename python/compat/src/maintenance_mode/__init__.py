"""Runs projects of django-maintenance-mode on maint, unchanged.

Its modules have the names of django-maintenance-mode. They are a face of `maint.django`: the
state is that of the command `maint`, and so are the page and the rules.
"""

from contextlib import suppress

from django.core.exceptions import ImproperlyConfigured

from maintenance_mode.metadata import (
    __author__,
    __copyright__,
    __description__,
    __license__,
    __title__,
    __version__,
)

# A build tool may ask for the version, outside a project.
with suppress(ImproperlyConfigured):
    from maintenance_mode import settings  # noqa: F401

__all__ = [
    "__author__",
    "__copyright__",
    "__description__",
    "__license__",
    "__title__",
    "__version__",
]
