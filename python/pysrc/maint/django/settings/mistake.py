"""What is wrong with a setting."""

from __future__ import annotations


class Mistake(Exception):
    """A setting that cannot be: what is wrong, and what to write instead.

    `id` is that of the system check.
    """

    def __init__(
        self, setting: str, problem: str, hint: str | None = None, *, id: str = "maint.E003"
    ) -> None:
        super().__init__(setting, problem, hint)
        self.setting = setting
        self.problem = problem
        self.hint = hint
        self.id = id

    def __str__(self) -> str:
        text = f"{self.setting} {self.problem}"
        return f"{text}: {self.hint}" if self.hint else text


def quoted(value: object) -> str:
    """A value as Python writes it, cut off after 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
