"""The types that the package promises, checked against the code by mypy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[2]

USER = """
import maint
from maint import Gate, Pass, Reply, Site

gate = Gate(Site("/srv/app/.maint"), ignore=[("HEALTH", "path", "/health")])
answer = gate.answer_environ({"REQUEST_METHOD": "GET"})
if isinstance(answer, Reply):
    reveal_type(answer.status)
else:
    reveal_type(answer)
gate.answer(1)
"""


def mypy(*arguments: str, cwd: Path = PACKAGE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=cwd, capture_output=True, text=True, timeout=600
    )


def test_the_package_is_typed_without_gaps() -> None:
    done = mypy("mypy", "--strict")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stubs_say_what_the_module_has() -> None:
    done = mypy("mypy.stubtest", "maint._maint", "--concise")
    assert done.returncode == 0, done.stdout + done.stderr


def test_who_uses_the_package_gets_its_types(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER)
    done = mypy("mypy", "--strict", "--config-file=", "user.py", cwd=tmp_path)
    assert 'Revealed type is "int"' in done.stdout or "builtins.int" in done.stdout, done.stdout
    assert "maint._maint.Pass" in done.stdout
    assert 'Argument 1 to "answer" of "Gate" has incompatible type "int"' in done.stdout
    assert "Found 1 error" in done.stdout, done.stdout


def test_the_face_of_django_maintenance_mode_is_typed_without_gaps() -> None:
    done = mypy("mypy", "--strict", cwd=PACKAGE / "compat")
    assert done.returncode == 0, done.stdout + done.stderr
