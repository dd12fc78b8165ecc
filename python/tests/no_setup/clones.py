"""Projects as a team has them in a fresh clone: nobody has made a site."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from servers import Server

#: An account that owns nothing, as a web server's own.
NOBODY = 65534


@dataclass
class Clone:
    """A clone of a project, and a person who types in it."""

    root: Path
    binary: str
    env: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable

    @property
    def site(self) -> Path:
        """Where the site belongs."""
        return self.root / ".maint"

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run(
        self, *command: str, at: str = "", user: int | None = None, umask: int = -1
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.root / at,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            umask=umask,
        )

    def maint(self, *arguments: str, at: str = "", user: int | None = None, umask: int = -1) -> str:
        """Types the command, which must succeed; returns what it says on both channels."""
        done = self.run(self.binary, *arguments, at=at, user=user, umask=umask)
        assert done.returncode == 0, (arguments, done)
        return done.stdout + done.stderr

    def manage(
        self, *arguments: str, at: str = "", user: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self.run(self.python, "manage.py", *arguments, at=at, user=user)


def status(server: Server, path: str = "/") -> int:
    """The status of an answer."""
    try:
        with urllib.request.urlopen(server.url + path, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
