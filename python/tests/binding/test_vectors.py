"""The conformance vectors, which the Rust gate runs too: tests/vectors/README.md."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import maint

VECTORS = Path(__file__).parents[3] / "tests" / "vectors"

USERS = {
    "anonymous": maint.User(),
    "authenticated": maint.User(is_authenticated=True),
    "staff": maint.User(is_authenticated=True, is_staff=True),
    "superuser": maint.User(is_authenticated=True, is_staff=True, is_superuser=True),
}


def request_of(asked: dict[str, Any]) -> maint.Request:
    headers = list(asked["headers"])
    if asked["token"] is not None:
        headers.append(("cookie", f"maint_bypass={asked['token']}"))
    return maint.Request(
        asked["method"],
        asked["target"],
        host=asked["host"],
        peer=asked["peer"],
        headers=[(name, value) for name, value in headers],
        user=USERS[asked["user"]] if asked["user"] else None,
    )


def failure(vector: dict[str, Any], directory: Path) -> str | None:
    """What is wrong with the decision or the status, if anything."""
    (directory / "state.json").write_text(json.dumps(vector["state"]))
    answer = maint.Gate(maint.Site(directory)).answer(
        request_of(vector["request"]), at=vector["now"]
    )
    if isinstance(answer, maint.Pass):
        decision, by = "pass", answer.by
    else:
        decision, by = "block", answer.window
    fitting = vector["by"] if isinstance(vector["by"], list) else [vector["by"]]
    if decision != vector["decision"] or by not in fitting:
        return f"{vector['decision']} by {vector['by']} expected, {decision} by {by} found"
    expected = vector.get("status")
    found = None if isinstance(answer, maint.Pass) else answer.status
    if expected in (None, found):
        return None
    return f"status {expected} expected, {found} found"


@pytest.mark.skipif(not VECTORS.is_dir(), reason="the vectors are in the repository alone")
def test_requirement_56_every_vector_decides_as_written(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    number = 0
    failures = []
    for file in sorted(VECTORS.glob("*.json")):
        for vector in json.loads(file.read_text())["vectors"]:
            number += 1
            directory = tmp_path / str(number)
            directory.mkdir()
            if wrong := failure(vector, directory):
                failures.append(f"{file.stem}: {vector['name']}\n    {wrong}")
            shutil.rmtree(directory)
    assert number >= 300, f"only {number} vectors"
    assert not failures, "decided differently from the vectors:\n" + "\n".join(failures)
    figure(f"{number} of {number} vectors decide as written, through the binding")
