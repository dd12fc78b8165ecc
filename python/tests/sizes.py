"""How much a test does: less in `make test` than before a release."""

from __future__ import annotations

import os


def amount(short: int, long: int) -> int:
    """The long amount with `MAINT_PROOF=long`, as `tests/common/say.rs` has it."""
    return long if os.environ.get("MAINT_PROOF") == "long" else short
