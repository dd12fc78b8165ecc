"""Real servers for tests: each starts on a free loopback port and ends with the test."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

#: How long a server may take to start or to end, in seconds. No test should wait for it.
PATIENCE = 120.0

#: Variables that change how a server behaves, and are therefore not passed on.
_LEFT_OUT = {"FORWARDED_ALLOW_IPS", "GUNICORN_CMD_ARGS", "WEB_CONCURRENCY"}


@dataclass(frozen=True)
class Server:
    """A running server."""

    host: str
    port: int
    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def url(self) -> str:
        """The address without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    def log(self) -> str:
        """Its output so far, on standard output and standard error."""
        return self.log_file.read_text(errors="replace")


class ServerEnded(Exception):
    """A server ended before it answered. Its text is the log."""


@contextlib.contextmanager
def gunicorn(
    app: str,
    *arguments: str,
    directory: Path,
    env: Mapping[str, str] | None = None,
    ready: str | None = "/",
) -> Iterator[Server]:
    """Runs `gunicorn APP` with a module from the directory; see `start_server`."""
    _needs("gunicorn")
    command = [
        *(sys.executable, "-m", "gunicorn", app, "--bind", "127.0.0.1:0"),
        # A client that rests on a busy machine keeps its connection.
        *("--keep-alive", "120", "--graceful-timeout", "3", "--no-control-socket", *arguments),
    ]
    address = re.compile(r"Listening at: http://([\d.]+):(\d+)")
    with start_server(command, address, directory=directory, env=env, ready=ready) as server:
        yield server


@contextlib.contextmanager
def uvicorn(
    app: str,
    *arguments: str,
    directory: Path,
    env: Mapping[str, str] | None = None,
    ready: str | None = "/",
) -> Iterator[Server]:
    """Runs `uvicorn APP` with a module from the directory; see `start_server`."""
    _needs("uvicorn")
    command = [
        *(sys.executable, "-m", "uvicorn", app, "--host", "127.0.0.1", "--port", "0"),
        *("--timeout-keep-alive", "120", "--no-use-colors"),
        *("--timeout-graceful-shutdown", "3", *arguments),
    ]
    address = re.compile(r"Uvicorn running on http://([\d.]+):(\d+)")
    with start_server(command, address, directory=directory, env=env, ready=ready) as server:
        yield server


@contextlib.contextmanager
def start_server(
    command: Sequence[str],
    address: re.Pattern[str],
    *,
    directory: Path,
    env: Mapping[str, str] | None = None,
    ready: str | None = "/",
) -> Iterator[Server]:
    """Runs a server that logs its address, and yields it once it has answered.

    Any status of the path `ready` is an answer; `None` does not ask. The working
    directory is `directory`, and modules are found there. The environment is that of the
    test without `MAINT_*` and proxies, and `env`. Raises `ServerEnded` if it does not
    start. If the test fails, the log is shown.
    """
    with tempfile.TemporaryDirectory(prefix="maint-server-") as temporary:
        log_file = Path(temporary) / "log"
        with log_file.open("wb") as log:
            process = _spawn(command, log, directory, env or {})
        try:
            server = _when_ready(process, log_file, address, ready)
            yield server
        except BaseException as error:
            if not isinstance(error, ServerEnded):
                tail = log_file.read_text(errors="replace")[-10_000:]
                print(f"--- log of {' '.join(command)}\n{tail}---", file=sys.stderr)
            raise
        finally:
            _end(process)


def _needs(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")


def _spawn(
    command: Sequence[str], log: IO[bytes], directory: Path, env: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _LEFT_OUT
        and not name.startswith("MAINT_")
        and not name.lower().endswith("_proxy")
    }
    # The package that the test sees, wherever it is: `PYTHONPATH` may be relative.
    package = importlib.util.find_spec("maint")
    origins = list(package.submodule_search_locations or []) if package else []
    paths = [str(directory), *(str(Path(origin).resolve().parent) for origin in origins)]
    kept["PYTHONPATH"] = os.pathsep.join(paths)
    kept["PYTHONUNBUFFERED"] = "1"
    kept["PYTHONDONTWRITEBYTECODE"] = "1"
    return subprocess.Popen(
        command,
        cwd=directory,
        env={**kept, **env},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        # A separate process group, so that the workers end with it.
        start_new_session=True,
    )


def _when_ready(
    process: subprocess.Popen[bytes], log_file: Path, address: re.Pattern[str], ready: str | None
) -> Server:
    last = time.monotonic() + PATIENCE
    while time.monotonic() < last:
        log = log_file.read_text(errors="replace")
        if process.poll() is not None:
            raise ServerEnded(log)
        if found := address.search(log):
            server = Server(found[1], int(found[2]), process, log_file)
            if ready is None or _answers(server, ready):
                return server
        time.sleep(0.02)
    raise TimeoutError(f"no answer within {PATIENCE} s:\n{log_file.read_text(errors='replace')}")


def _answers(server: Server, path: str) -> bool:
    # Proxies of the environment are for outside hosts.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    try:
        opener.open(server.url + path, timeout=PATIENCE / 2).close()
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        return False
    return True


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a server and its workers: first politely, then by force."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.terminate()
        process.wait(8)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(PATIENCE)
