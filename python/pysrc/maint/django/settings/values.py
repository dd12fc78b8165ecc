"""Settings that are one value."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.utils.functional import Promise

from maint.django.settings.mistake import Mistake, quoted


def switch(name: str, value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    hint = "write the value without quotes"
    if isinstance(value, str):
        hint = "what comes from the environment is text, so compare it, as in `== '1'`"
    raise Mistake(name, f"must be True, False or None, not {quoted(value)}", hint)


def flag(name: str, value: Any) -> bool:
    return bool(switch(name, value))


def _number(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise Mistake(name, f"must be a whole number or None, not {quoted(value)}")
    return value


def interval(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 3600:
        raise Mistake(name, f"must be a number of seconds up to an hour, not {quoted(value)}")
    return float(value)


def status(name: str, value: Any) -> int | None:
    number = _number(name, value)
    if number is not None and number != 200 and not 400 <= number <= 599:
        raise Mistake(name, f"must be 200 or 400 to 599, not {number}")
    return number


def seconds(name: str, value: Any) -> int | None:
    number = _number(name, value)
    if number is not None and not 1 <= number <= 604800:
        raise Mistake(
            name, f"must be 1 to 604800 seconds (a week), not {number}", "leave it out for 120"
        )
    return number


def directory(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise Mistake(name, f"must be the path of a site directory, not {quoted(value)}")
    # The working directory of a server is an accident.
    return os.path.join(getattr(settings, "BASE_DIR", ""), os.fspath(value))


def redirect(name: str, value: Any) -> str | None:
    text = reversed_text(name, value) if isinstance(value, Promise) else value
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise Mistake(name, f"must be text, not {quoted(value)}")
    is_path = text.startswith("/") and not text.startswith(("//", "/\\"))
    if not (is_path or text.startswith(("http://", "https://"))):
        raise Mistake(
            name,
            f"must be a path that begins with `/`, or an http or https URL, not {quoted(text)}",
            "for the name of a URL pattern write `reverse_lazy(...)`",
        )
    return text


def template(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise Mistake(
            name,
            f"must be the name of a template, not {quoted(value)}",
            "write None for the page of the site",
        )
    return str(value)


def reversed_text(name: str, url: Promise) -> str:
    try:
        return str(url)
    except Exception as error:
        raise Mistake(name, f"has a URL that cannot be reversed: {error}") from error
