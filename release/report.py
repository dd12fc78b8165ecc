"""What was seen of a release: lines of a table, figures, and what was left out."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target").absolute()
VERSION = subprocess.check_output([REPOSITORY / "release/version"], text=True).strip()
DIST = Path(os.environ.get("MAINT_RELEASE_DIST") or REPOSITORY / "dist").absolute() / VERSION

rows: list[tuple[str, str, str]] = []
skipped: list[str] = []


def seen(artefact: Path | str, where: str, what: str) -> None:
    """A line of the table: what was installed where, and what ran."""
    rows.append((getattr(artefact, "name", str(artefact)), where, what))
    print(f"release-test: {rows[-1][0]}, {where}: {what}", flush=True)


def skip(what: str) -> None:
    skipped.append(what)
    print(f"SKIPPED: {what}", flush=True)


def figure(text: str) -> None:
    print(f"figure: {text}", flush=True)


def artefact(pattern: str) -> Path:
    """The only file of the release with such a name."""
    found = sorted(DIST.glob(pattern))
    assert len(found) == 1, f"{pattern} in {DIST}: {[file.name for file in found]}"
    return found[0]


def table() -> str:
    lines = ["| file | kB | where | what was seen |", "| --- | --: | --- | --- |"]
    for name, where, what in rows:
        size = (DIST / name).stat().st_size / 1000
        lines.append(f"| `{name}` | {size:.0f} | {where} | {what} |")
    return "\n".join(lines)
