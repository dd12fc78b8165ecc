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


def bytes_of(text: str | list[Any]) -> bytes:
    """The bytes of a text, which may be written in pieces."""

    def piece(part: str | dict[str, Any]) -> bytes:
        if isinstance(part, str):
            return part.encode()
        if "hex" in part:
            return bytes.fromhex(part["hex"])
        repeat, times = part["repeat"], part["times"]
        if "{n}" not in repeat:
            return bytes(repeat.encode() * times)
        return "".join(repeat.replace("{n}", str(n + 1)) for n in range(times)).encode()

    return piece(text) if isinstance(text, str) else b"".join(map(piece, text))


def request_of(asked: dict[str, Any]) -> maint.Request:
    headers = [(name, bytes_of(value).decode()) for name, value in asked["headers"]]
    if asked["token"] is not None:
        headers.append(("cookie", f"maint_bypass={asked['token']}"))
    return maint.Request(
        asked["method"],
        bytes_of(asked["target"]).decode(),
        host=asked["host"],
        peer=asked["peer"],
        headers=headers,
        user=USERS[asked["user"]] if asked["user"] else None,
    )


def failure(vector: dict[str, Any], directory: Path) -> str | None:
    """What is wrong with the decision, the status or the format, if anything."""
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
    if isinstance(answer, maint.Pass):
        return None
    found = {
        "status": answer.status,
        "format": answer.format,
        "retry_after": int(dict(answer.headers)["retry-after"]),
    }
    for field, is_found in found.items():
        if (expected := vector.get(field)) not in (None, is_found):
            return f"{field} {expected} expected, {is_found} found"
    return None


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


def failure_of_file(vector: dict[str, Any], directory: Path) -> str | None:
    """What is wrong with what is made of a state file, if anything."""
    (directory / "state.json").write_bytes(bytes_of(vector["file"]))
    try:
        gate = maint.Gate(maint.Site(directory))
    except maint.Corrupt as error:
        # One class has both; which of them it is, the Rust test asks.
        found = f"refused: {error}"
        return None if vector["result"] in ("broken", "newer") else found
    if vector["result"] != "read":
        return f"{vector['result']} expected, and it was read"
    answer = gate.answer(maint.Request("GET", "/", host="example.com"), at="2026-11-22T03:30:00Z")
    decision = "pass" if isinstance(answer, maint.Pass) else "block"
    wrong = f"{vector['decision']} expected, {decision} found"
    return None if decision == vector["decision"] else wrong


@pytest.mark.skipif(not VECTORS.is_dir(), reason="the vectors are in the repository alone")
def test_every_vector_of_a_state_file_is_read_or_refused_as_written(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    number = 0
    failures = []
    for file in sorted((VECTORS / "files").glob("*.json")):
        for vector in json.loads(file.read_text())["vectors"]:
            number += 1
            if wrong := failure_of_file(vector, tmp_path):
                failures.append(f"{file.stem}: {vector['name']}\n    {wrong}")
    assert number >= 300, f"only {number} vectors"
    assert not failures, "read differently from the vectors:\n" + "\n".join(failures)
    figure(f"{number} of {number} state files are read or refused as written, through the binding")
