"""Runs the commands and the code of `python/README.md`, the page on PyPI.

`pip install` is left out: the package under test is already there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from guide import Step, read
from maint import Site

README = Path(__file__).parents[2] / "README.md"


def fences(language: str) -> list[Step]:
    return [step for step in read(README.read_text()) if step.language == language]


def code(word: str) -> str:
    """The only block of Python with this word."""
    [found] = [step.text for step in fences("python") if word in step.text]
    return found


def test_the_first_commands_take_a_fresh_site_down_and_up(
    tmp_path: Path, maint_binary: str
) -> None:
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "maint").symlink_to(maint_binary)
    install, switch, *_ = (step.text for step in fences("sh"))
    # `tests/packaging` installs it, and runs the demo.
    assert [line.split("  ")[0] for line in install.splitlines()] == [
        "pip install ./python",
        "maint demo",
    ]
    (tmp_path / "manage.py").touch()
    lines = switch.splitlines()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAINT_")}
    path = os.pathsep.join([str(commands), os.environ["PATH"]])
    subprocess.run(
        ["sh", "-ec", "\n".join(lines)],
        cwd=tmp_path,
        env={**kept, "PATH": path, "HOME": str(tmp_path)},
        check=True,
        timeout=60,
    )
    site = Site(tmp_path / ".maint")
    assert site.open_windows() == []
    [rule] = site.state()["ignore"].values()
    assert (rule["kind"], rule["value"]) == ("path", "/health")


def test_the_gate_answers_by_itself(site: Site) -> None:
    site.on(reason="Back at noon")
    done = subprocess.run(
        [sys.executable, "-c", code("gate = Gate()")],
        env={
            **os.environ,
            "MAINT_SITE": site.directory,
            "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.startswith("503 ["), done
    assert "Back at noon" in done.stdout


def test_flask_takes_the_line(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    flask = pytest.importorskip("flask")
    monkeypatch.setenv("MAINT_SITE", site.directory)
    app = flask.Flask(__name__)
    app.add_url_rule("/", view_func=lambda: "the app")
    exec(code("app.wsgi_app ="), {"app": app})
    client = app.test_client()
    assert client.get("/").status_code == 200
    site.on()
    assert client.get("/").status_code == 503


def test_fastapi_takes_the_line(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    fastapi = pytest.importorskip("fastapi")
    pytest.importorskip("httpx")
    from fastapi.testclient import TestClient

    monkeypatch.setenv("MAINT_SITE", site.directory)
    app = fastapi.FastAPI()
    app.add_api_route("/", lambda: "the app")
    exec(code("app.add_middleware("), {"app": app})
    with TestClient(app) as client:
        assert client.get("/").status_code == 200
        site.on()
        assert client.get("/").status_code == 503


def test_every_piece_of_python_can_be_read() -> None:
    pieces = fences("python")
    assert len(pieces) >= 5
    for piece in pieces:
        compile(piece.text, f"python/README.md:{piece.line}", "exec")


def test_the_guides_that_it_names_are_there() -> None:
    root = README.parent.parent
    for name in ("django", "migrating", "flask", "fastapi", "page", "rules", "proxy"):
        assert f"`docs/{name}.md`" in README.read_text()
        assert (root / "docs" / f"{name}.md").exists()
