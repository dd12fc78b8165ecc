"""Small functions that projects import."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.module_loading import import_string


def get_client_ip_address(request: HttpRequest) -> str | None:
    """The address that the server has seen."""
    address: str | None = request.META.get("REMOTE_ADDR")
    return address


def get_now_datetime() -> datetime:
    """Now, as an aware time."""
    return datetime.now(timezone.get_current_timezone())


def import_function(function_path: str, setting_name: str) -> Callable[..., Any]:
    """Imports a function by its dotted path.

    Raises `ImproperlyConfigured` with the name of the setting.
    """
    try:
        function = import_string(function_path)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"{setting_name} is not a valid function path: {error}"
        ) from error
    if not callable(function):
        raise ImproperlyConfigured(
            f"{setting_name} is not a valid function path: {function_path!r} is no function"
        )
    return function  # type: ignore[no-any-return]


def parse_aware_datetime(value: datetime | str | None) -> datetime | None:
    """A time, or text in ISO 8601; one without an offset is in the current time zone.

    Raises `ValueError` for other text and `TypeError` for other values.
    """
    if value is None:
        return None
    if not isinstance(value, (datetime, str)):
        raise TypeError(f"a time must be a datetime, text or None, not {value!r}")
    parsed = parse_datetime(value) if isinstance(value, str) else value
    if parsed is None:
        raise ValueError(f"{value!r} is not a time in ISO 8601, like 2026-11-22 03:00")
    return timezone.make_aware(parsed) if timezone.is_naive(parsed) else parsed
