"""Failures of the site as projects of django-maintenance-mode catch them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from maint import MaintError


@contextmanager
def as_os_errors() -> Iterator[None]:
    """Raises a `MaintError` as one that is an `OSError` too, and wrong values as `ValueError`."""
    try:
        yield
    except MaintError as error:
        if isinstance(error, (OSError, ValueError)):
            raise
        raise _both(error) from error


def _both(error: MaintError) -> MaintError:
    other = ValueError if error.code == "usage" else OSError
    both = _kind(type(error), other)(*error.args)
    for name, value in vars(error).items():
        setattr(both, name, value)
    return both


_kinds: dict[tuple[str, str], type[MaintError]] = {}


def _kind(kind: type[MaintError], other: type[Exception]) -> type[MaintError]:
    name = (kind.__name__, other.__name__)
    if name not in _kinds:
        _kinds[name] = type(kind.__name__, (kind, other), {"__doc__": kind.__doc__})
    return _kinds[name]
