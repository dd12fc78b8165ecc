"""What the middleware for WSGI and for ASGI share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from maint import Gate, Site, User

if TYPE_CHECKING:
    from typing_extensions import Unpack

_Kind = Literal["path", "ip", "method", "host", "user", "header"]

#: The key of an environ or a scope under which the app finds the `Pass`.
PASS_KEY = "maint.pass"


class GateOptions(TypedDict, total=False):
    """The options of `maint.Gate` but for `user` and `is_read`; see there what they mean."""

    recheck: float | None
    on_error: Literal["refuse", "open", "closed"]
    on_problem: Callable[[str], object] | None
    down: bool | None
    ignore: Iterable[tuple[str, _Kind, str]]
    status: int | None
    retry_after: int | None
    redirect: str | None
    title: str | None
    contact: str | None
    status_url: str | None
    language: str | None
    format: Literal["html", "json", "txt"] | Callable[[Any], str | None] | None
    client: Callable[[Any], str | None] | None
    plain_http: bool


def choose_gate(
    gate: Gate | None,
    site: Site | str | PathLike[str] | None,
    user: Callable[[Any], User | Awaitable[User | None] | None] | None,
    is_read: Callable[[Any], bool | Awaitable[bool | None] | None] | None,
    **options: Unpack[GateOptions],
) -> Gate:
    """The gate that was given, or one that is opened now.

    Raises `TypeError` for options beside a gate, and whatever `Gate` raises.
    """
    if gate is None:
        return Gate(site, user=user, is_read=is_read, **options)
    named = {"site": site, "user": user, "is_read": is_read}
    given = [*(name for name, value in named.items() if value is not None), *options]
    if given:
        names = " and ".join(f"`{name}`" for name in given)
        raise TypeError(f"{names} beside `gate`: give them to the gate, `Gate({given[0]}=…)`")
    return gate
