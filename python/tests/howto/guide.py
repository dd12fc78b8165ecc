"""Follows a guide of `docs/` as a reader does: from top to bottom, as written.

The language of a fence, or a comment before it, says what it is for:

    ```console                     run in a terminal; answers as shown, with `…` for omissions
    ```sh                          run in a terminal; exits 0
    <!-- test: server -->          run in another terminal, in place of the server before it
    <!-- test: file PATH -->       a file, whole
    <!-- test: settings -->        assignments of settings.py, in place of those with the same name
    <!-- test: without NAME -->    no fence: the setting is removed, as the text says
    <!-- test: code -->            run in `manage.py shell`
    <!-- test: as WHO, PATH answers STATUS -->   no fence: a promise of the text
    <!-- test: install -->         not run, since what it installs is there; each word is looked at
    <!-- test: shown -->           not run: an excerpt, or for another host

Anything else is an error, so that every part is read.
"""

from __future__ import annotations

import ast
import contextlib
import http.cookiejar
import importlib.metadata
import importlib.util
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]

#: How long a command, a server or a restart may take, in seconds.
PATIENCE = 60.0

#: The port that guides name. Tests run side by side, so each uses another one; only that,
#: and what installs, is not run as written.
PORT = "8000"


@dataclass(frozen=True)
class Step:
    """A fence or a comment, in the order of the guide."""

    line: int
    #: The text of `<!-- test: … -->`.
    what: str
    #: The language of the fence; empty for a comment that stands alone.
    language: str
    text: str


def read(document: str) -> list[Step]:
    """The steps of a guide."""
    steps: list[Step] = []
    what = ""
    lines = iter(enumerate(document.splitlines(), start=1))
    for number, line in lines:
        if note := re.fullmatch(r"<!-- test: (.+) -->", line):
            what = note[1]
            if what.startswith(("as ", "without ")):
                steps.append(Step(number, what, "", ""))
                what = ""
        elif line.startswith("```"):
            body = []
            for _, inner in lines:
                if inner == "```":
                    break
                body.append(inner)
            steps.append(Step(number, what, line[3:], "\n".join(body) + "\n"))
            what = ""
        elif what:
            raise ValueError(f"line {number}: `test: {what}` is not followed by a fence")
    return steps


def session(text: str) -> list[tuple[str, list[str]]]:
    """The commands of a session after `$ `, each with the answer shown."""
    commands: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        elif commands:
            commands[-1][1].append(line)
        else:
            raise ValueError(f"a session begins with a command: {line}")
    return commands


def is_as_shown(shown: list[str], answer: list[str]) -> bool:
    """Whether an answer is as shown: `…` stands for any lines, or the rest of one, and
    lines after the last one shown do not count."""
    if not shown:
        return True
    first, rest = shown[0], shown[1:]
    if first == "…":
        return any(is_as_shown(rest, answer[skipped:]) for skipped in range(len(answer) + 1))
    if not answer:
        return False
    is_same = answer[0].startswith(first[:-1]) if first.endswith("…") else answer[0] == first
    return is_same and is_as_shown(rest, answer[1:])


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Terminal:
    """One shell for the whole guide: directories and variables stay."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, command: str) -> tuple[int, str]:
        """Runs a command, and returns its exit code and its output."""
        assert self._shell.stdin and self._shell.stdout
        # In braces, since a subshell would forget `cd` and `export`.
        script = f"{{ {command}\n}} </dev/null 2>&1\nprintf '\\001%s\\001' $?\n"
        self._shell.stdin.write(script.encode())
        self._shell.stdin.flush()
        said = b""
        last = time.monotonic() + PATIENCE
        while not said.endswith(b"\x01") or said.count(b"\x01") < 2:
            ready, _, _ = select.select([self._shell.stdout], [], [], last - time.monotonic())
            more = os.read(self._shell.stdout.fileno(), 65536) if ready else b""
            if not more:
                raise TimeoutError(f"{command}: no end after {said.decode(errors='replace')}")
            said += more
        text, code, _ = said.decode().split("\x01")
        return int(code), text

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait(PATIENCE)


class Reader:
    """A reader who follows a guide for a Django project, in an empty directory."""

    def __init__(self, directory: Path, maint_binary: str, project: str) -> None:
        self.port = free_port()
        self._directory = directory / "work"
        self._directory.mkdir()
        #: The place for files, once the guide has made the project.
        self.project = self._directory / project
        self._settings = self.project / project / "settings.py"
        self._log = directory / "server.log"
        self._server: int | None = None
        self._restarts_itself = False
        self._edited: list[Path] = []
        self._child: int | None = None
        commands = directory / "bin"
        commands.mkdir()
        (commands / "maint").symlink_to(maint_binary)
        (directory / "home").mkdir()
        self.terminal = Terminal(self._directory, _environment(directory, commands))

    def close(self) -> None:
        self._end_server()
        self.terminal.close()

    def follow(self, step: Step) -> None:
        """Does what a step says. Raises `AssertionError` if the answer differs."""
        what, _, rest = step.what.partition(" ")
        match what, step.language:
            case "", "console":
                self._settle()
                for command, shown in session(step.text):
                    self._type(command, shown)
            case "", "sh":
                self._settle()
                self._run(step.text)
            case "server", "sh":
                self._start_server(step.text)
            case "file", _:
                self._write(self.project / rest, step.text)
            case "settings", "python":
                self._write(self._settings, _with_settings(self._settings.read_text(), step.text))
            case "without", "":
                self._write(self._settings, _without(self._settings.read_text(), rest))
            case "code", "python":
                self._run(f"python manage.py shell <<'END'\n{step.text}END\n")
            case "as", "":
                self._settle()
                self._ask(rest)
            case "shown", "python":
                compile(step.text, "shown", "exec")
            case "install", "sh":
                look_at_install(step.text)
            case "shown", _:
                pass
            case _:
                raise AssertionError(f"nobody knows what to do with `{step.what}` {step.language}")

    def _here(self, text: str) -> str:
        return text.replace(PORT, str(self.port))

    def _run(self, script: str) -> str:
        code, said = self.terminal.run(self._here(script))
        assert code == 0, f"exit {code}: {script}\n{said}{self._server_log()}"
        return said

    def _type(self, command: str, shown: list[str]) -> None:
        code, said = self.terminal.run(self._here(command))
        assert code in (0, 1), f"exit {code}: {command}\n{said}{self._server_log()}"
        answer = [line.rstrip("\r") for line in said.splitlines()]
        shown = [self._here(line) for line in shown]
        assert is_as_shown(shown, answer), f"{command}\nsaid:\n{said}{self._server_log()}"

    def _server_log(self) -> str:
        if not self._log.exists():
            return ""
        return f"\n--- log of the server\n{self._log.read_text(errors='replace')[-5000:]}"

    # Files

    def _write(self, path: Path, text: str) -> None:
        if not self._edited:
            self._child = self._server_child()
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        if path.suffix == ".py":
            self._edited.append(path)

    def _settle(self) -> None:
        """Waits until `runserver` has restarted after an edit."""
        edited, self._edited = self._edited, []
        if not edited or not self._restarts_itself:
            return
        last = time.monotonic() + PATIENCE
        again = time.monotonic() + 3
        while (child := self._server_child()) in (None, self._child) or not self._answers():
            if child == self._child and time.monotonic() > again:
                # It looks once a second, and not while it is starting: save again. One that has
                # restarted is left to start, or it would never be done on a busy machine.
                again = time.monotonic() + 3
                for path in edited:
                    os.utime(path)
            assert time.monotonic() < last, f"runserver does not restart{self._server_log()}"
            time.sleep(0.05)

    # Servers

    def _start_server(self, text: str) -> None:
        self._end_server()
        self._edited = []
        command = f"setsid {self._here(text).strip()} >'{self._log}' 2>&1 </dev/null & echo $!"
        self._server = int(self._run(command))
        self._restarts_itself = " runserver " in command
        last = time.monotonic() + PATIENCE
        while not self._answers():
            assert time.monotonic() < last, f"{text} does not answer{self._server_log()}"
            time.sleep(0.05)

    def _end_server(self) -> None:
        if self._server is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._server, signal.SIGTERM)
        last = time.monotonic() + 10
        while time.monotonic() < last and self._is_there(self._server):
            self.terminal.run(":")  # The shell must notice that its child has ended.
            time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._server, signal.SIGKILL)
        self._server = None

    @staticmethod
    def _is_there(group: int) -> bool:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        return True

    def _server_child(self) -> int | None:
        """The process that `runserver` restarts when a file changes."""
        if self._server is None:
            return None
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{self._server}/task/{self._server}/children").read_text()
            if children.split():
                return int(children.split()[0])
        return None

    # Requests

    def _answers(self) -> bool:
        try:
            self._get(self._opener(), "/")
        except OSError:
            return False
        return True

    def _opener(self) -> urllib.request.OpenerDirector:
        return urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
        )

    def _get(
        self, opener: urllib.request.OpenerDirector, path: str, form: dict[str, str] | None = None
    ) -> tuple[int, str]:
        url = f"http://localhost:{self.port}{path}"
        data = urllib.parse.urlencode(form).encode() if form else None
        request = urllib.request.Request(url, data, {"Referer": url, "Accept": "text/html"})
        try:
            with opener.open(request, timeout=PATIENCE / 2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(errors="replace")

    def _ask(self, promise: str) -> None:
        """`WHO, PATH answers STATUS`; `nobody` is anonymous."""
        found = re.fullmatch(r"(\w+), (\S+) answers (\d+)", promise)
        assert found, promise
        who, path, status = found.groups()
        opener = self._opener()
        if who != "nobody":
            _, page = self._get(opener, "/admin/login/")
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
            assert token, f"no login page:\n{page}{self._server_log()}"
            password = self._run('printf %s "$DJANGO_SUPERUSER_PASSWORD"')
            form = {"username": who, "password": password, "csrfmiddlewaretoken": token[1]}
            code, page = self._get(opener, "/admin/login/?next=/admin/", form)
            assert code == 200 and "Log out" in page, f"no login: {code}\n{page}"
        code, page = self._get(opener, path)
        assert code == int(status), f"{promise}: {code}\n{page}{self._server_log()}"


def _environment(directory: Path, commands: Path) -> dict[str, str]:
    package = importlib.util.find_spec("maint")
    origins = list(package.submodule_search_locations or []) if package else []
    assert origins, "the package under test is missing"
    return {
        # Instead of activating an environment.
        "PATH": os.pathsep.join(
            [str(commands), str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]
        ),
        # Instead of `pip install`, unless the package is installed anyway.
        "PYTHONPATH": str(Path(origins[0]).resolve().parent),
        "HOME": str(directory / "home"),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONUNBUFFERED": "1",
    }


def look_at_install(command: str) -> None:
    """Whether this command installs what is here: a folder of this repository, of which `maint/`
    is a clone, or a package that has releases. `tests/packaging` runs the folder's part."""
    pip, install, *words = shlex.split(command)
    assert (pip, install) == ("pip", "install"), command
    assert "./maint/python" in words, f"{command}: it lacks the package under test"
    for word in words:
        if word.startswith("./maint/"):
            assert (REPOSITORY / word.removeprefix("./maint/") / "pyproject.toml").is_file(), word
        else:
            assert word != "maint", "there is no release on PyPI"
            importlib.metadata.distribution(word)


def missing_tools() -> list[str]:
    """Missing commands that a guide needs."""
    beside = str(Path(sys.executable).parent)
    tools = ["django-admin", "gunicorn", "uvicorn", "curl", "setsid"]
    return [tool for tool in tools if not shutil.which(tool, path=f"{beside}:/usr/bin:/bin")]


def _span(source: str, name: str) -> slice | None:
    """The lines of an assignment, as a slice of the file's lines."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in node.targets
        ):
            return slice(node.lineno - 1, node.end_lineno)
    return None


def _with_settings(source: str, new: str) -> str:
    """A settings file with its assignments replaced by new ones of the same name."""
    new_lines = new.splitlines()
    for node in ast.parse(new).body:
        assert isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name), new
        name = node.targets[0].id
        lines = source.splitlines()
        span = _span(source, name) or slice(len(lines), len(lines))
        lines[span] = new_lines[node.lineno - 1 : node.end_lineno]
        source = "\n".join(lines) + "\n"
    return source


def _without(source: str, name: str) -> str:
    lines = source.splitlines()
    span = _span(source, name)
    assert span, f"{name} is not set"
    del lines[span]
    return "\n".join(lines) + "\n"
