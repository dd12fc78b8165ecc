"""A fresh virtual environment with the built wheels, and servers and commands in it."""

from __future__ import annotations

import contextlib
import http.client
import importlib.metadata
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2]

#: Where `make python-test` puts the wheels: of maint, and of this package.
DIST = Path(os.environ.get("MAINT_DIST") or PACKAGE / "dist")

PATIENCE = 60.0

#: What projects need beside the wheels. They are linked from the Python that runs this test.
BESIDE = ("django", "asgiref", "sqlparse", "gunicorn", "packaging", "uvicorn", "h11", "click")


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    path: Path

    def run(self, *command: str | Path, cwd: Path, check: bool = True, **env: str) -> str:
        """Runs a command of the environment, and returns all that it prints."""
        program, *rest = command
        done = subprocess.run(
            [str(self.path / "bin" / program), *map(str, rest)],
            cwd=cwd,
            env=self.variables(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE * 2,
        )
        assert not check or done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout

    def variables(self, **env: str) -> dict[str, str]:
        """The variables of a shell in which the environment is active, and nothing of ours."""
        mine = {"PATH": f"{self.path / 'bin'}:{os.environ['PATH']}", "HOME": str(self.path)}
        # Settings that change within a second, and keep their size, look the same to Python.
        mine["PYTHONDONTWRITEBYTECODE"] = "1"
        return {**mine, **env}

    def pip(self, *arguments: str) -> str:
        """Runs pip without a network."""
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        done = subprocess.run(
            [*command, "--python", str(self.path / "bin" / "python"), *arguments],
            env=self.variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE * 2,
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout}"
        return done.stdout

    @contextlib.contextmanager
    def serve(self, project: Path, *command: str, **env: str) -> Iterator[Server]:
        """A server on a free port, until the block ends. `PORT` in the command is that port."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = project / f"server-{port}.log"
        program, *rest = (word.replace("PORT", str(port)) for word in command)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(self.path / "bin" / program), *rest],
                cwd=project,
                env=self.variables(**env),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            server = Server(port, log)
            server.wait(process)
            yield server
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@dataclass(frozen=True)
class Server:
    port: int
    log: Path

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        """Waits until it answers."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.get("/")
                return
            except OSError:
                assert process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.05)

    def get(self, path: str, **headers: str) -> Answer:
        """What a visitor gets."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("GET", path, headers={"accept": "text/html", **named})
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, fields, response.read().decode())
        finally:
            connection.close()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: str


def _link(directory: Path) -> None:
    """Links what projects need, and nothing else that is installed here."""
    directory.mkdir()
    for name in BESIDE:
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        tops = {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}
        for top in tops - {"__pycache__"}:
            link = directory / top
            if not link.exists():
                link.symlink_to(Path(str(distribution.locate_file(top))))


def wheels() -> list[str]:
    """The arguments for pip that find both wheels."""
    found = [*DIST.glob("maint-*.whl"), *DIST.glob("compat/maint_maintenance_mode-*.whl")]
    if len(found) != 2:
        pytest.skip("SKIPPED: no wheels in python/dist: `make python-test` builds them")
    return ["--no-index", "--no-compile", f"--find-links={DIST}", f"--find-links={DIST / 'compat'}"]


def fresh(directory: Path) -> Environment:
    """A virtual environment that has Django and servers, and neither package."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True)
    [site_packages] = directory.glob("lib/*/site-packages")
    _link(directory / "beside")
    (site_packages / "beside.pth").write_text(f"{directory / 'beside'}\n")
    return Environment(directory)


def copied(name: str, to: Path) -> Path:
    """A copy of a project, with the requirements changed, which is all that is changed."""
    source = Path(__file__).parent / "projects" / name
    project = shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    requirements = project / "requirements.txt"
    text = requirements.read_text()
    changed = re.sub(r"^django-maintenance-mode$", "maint[maintenance-mode]", text, flags=re.M)
    assert changed != text
    requirements.write_text(changed)
    return project
