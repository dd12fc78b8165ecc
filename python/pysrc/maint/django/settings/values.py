"""Settings that are one value."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.utils.functional import Promise

from maint._maint import validate_options
from maint.django.settings.mistake import Mistake, quoted

Value = TypeVar("Value")


def switch(name: str, value: Any) -> bool | None:
    """`True`, `False`, or `None` for unset."""
    if value is None or isinstance(value, bool):
        return value
    hint = "write the value without quotes"
    if isinstance(value, str):
        hint = "a value from the environment is text, so compare it, as in `== '1'`"
    raise Mistake(name, f"must be True, False or None, not {quoted(value)}", hint)


def flag(name: str, value: Any) -> bool:
    """`True` or `False`; unset is `False`."""
    return bool(switch(name, value))


def _number(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise Mistake(name, f"must be a whole number or None, not {quoted(value)}")
    return value


def interval(name: str, value: Any) -> float | None:
    """Seconds between two looks at the state file."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Mistake(name, f"must be a number of seconds or None, not {quoted(value)}")
    return _validated(name, value, "recheck")


def status(name: str, value: Any) -> int | None:
    """A status code."""
    return _validated(name, _number(name, value), "status")


def seconds(name: str, value: Any) -> int | None:
    """Seconds for `Retry-After`."""
    return _validated(name, _number(name, value), "retry_after")


def text_of(option: str) -> Callable[[str, Any], str | None]:
    """The reader of a text that the gate takes as this option."""

    def reader(name: str, value: Any) -> str | None:
        # It may be translated late; there is one for all visitors.
        text = str(value) if isinstance(value, Promise) else value
        if text is None or text == "":
            return None
        if not isinstance(text, str):
            raise Mistake(name, f"must be text or None, not {quoted(value)}")
        return _validated(name, text, option)

    return reader


def directory(name: str, value: Any) -> str | None:
    """The path of a site directory, relative to `BASE_DIR`."""
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise Mistake(name, f"must be the path of a site directory, not {quoted(value)}")
    # The working directory of a server says nothing about the project.
    return os.path.join(getattr(settings, "BASE_DIR", ""), os.fspath(value))


def redirect(name: str, value: Any) -> str | None:
    """A URL or a path, also one that is reversed late."""
    text = reversed_text(name, value) if isinstance(value, Promise) else value
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise Mistake(name, f"must be text, not {quoted(value)}")
    # Django's own functions take the name of a URL pattern here.
    hint = None if "/" in text else "for the name of a URL pattern write `reverse_lazy(...)`"
    return _validated(name, text, "redirect", hint)


def template(name: str, value: Any) -> str | None:
    """The name of a template."""
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise Mistake(
            name,
            f"must be the name of a template, not {quoted(value)}",
            "write None for the page of the site",
        )
    return str(value)


def _validated(name: str, value: Value, option: str, hint: str | None = None) -> Value:
    """The value, unless the gate refuses it as this option."""
    options: dict[str, Any] = {option: value}
    try:
        validate_options(**options)
    except (OverflowError, ValueError) as error:
        why = str(error).removeprefix(f"{option}: ")
        hint = f"{why}; {hint}" if hint else why
        raise Mistake(name, f"cannot be {quoted(value)}", hint) from error
    return value


def reversed_text(name: str, url: Promise) -> str:
    """The text of a URL that is reversed late."""
    try:
        return str(url)
    except Exception as error:
        raise Mistake(name, f"has a URL that cannot be reversed: {error}") from error
