"""One switch that takes a web app into maintenance and brings it back.

`Gate` is what an app asks about every request; `maint.django`,
`maint.wsgi` and `maint.asgi` do so for you. `Site` changes the state, as
the command `maint` does. Failures are subclasses of `MaintError`, one for
each kind. `maint.testing` has a site and a clock for the tests of apps.

`PRIVATE` is the value of `Cache-Control` for an answer that must not be
shared, see `Pass.is_private`.
"""

from maint._maint import (
    PRIVATE,
    Busy,
    Change,
    Conflict,
    Corrupt,
    Gate,
    MaintError,
    NotApplied,
    Pass,
    Reply,
    Request,
    Site,
    StoreError,
    Unreadable,
    Unsynced,
    Upcoming,
    UsageError,
    User,
    __version__,
    overrides_cache_control,
    parse_rule,
)

__all__ = [
    "PRIVATE",
    "Busy",
    "Change",
    "Conflict",
    "Corrupt",
    "Gate",
    "MaintError",
    "NotApplied",
    "Pass",
    "Reply",
    "Request",
    "Site",
    "StoreError",
    "Unreadable",
    "Unsynced",
    "Upcoming",
    "UsageError",
    "User",
    "__version__",
    "overrides_cache_control",
    "parse_rule",
]
