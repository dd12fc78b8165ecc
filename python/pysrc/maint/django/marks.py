"""The marks of views that are never down or always down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

OFF = "force_maintenance_mode_off"
ON = "force_maintenance_mode_on"

_used: set[str] = set()


def mark(view: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Marks a view, and returns it."""
    view.__dict__[name] = True
    _used.add(name)
    return view


def is_used(name: str) -> bool:
    """Whether any view has this mark, as far as URLs and views are loaded."""
    return name in _used
