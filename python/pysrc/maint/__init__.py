"""One switch that takes a web app into maintenance and brings it back.

`Gate` is what an app asks about every request; `maint.django`, `maint.wsgi` and `maint.asgi`
do so for you. `Site` changes the state, as the command `maint` does.
"""

from maint._maint import (
    PRIVATE,
    Change,
    Gate,
    MaintError,
    Pass,
    Reply,
    Request,
    Site,
    User,
    __version__,
    freeze,
    is_overruling,
    parse_rule,
)

__all__ = [
    "PRIVATE",
    "Change",
    "Gate",
    "MaintError",
    "Pass",
    "Reply",
    "Request",
    "Site",
    "User",
    "__version__",
    "freeze",
    "is_overruling",
    "parse_rule",
]
