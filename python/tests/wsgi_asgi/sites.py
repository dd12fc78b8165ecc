"""A site switched by the real command."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Operator:
    """A person who runs `maint` for a site."""

    binary: str
    site: Path

    def run(self, *arguments: str) -> str:
        """Runs the command, which must succeed, and returns its output."""
        env = {key: value for key, value in os.environ.items() if not key.startswith("MAINT_")}
        command = [self.binary, "--site", str(self.site), *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stderr}"
        return done.stdout

    def on(self, *arguments: str) -> None:
        self.run("on", *arguments)

    def off(self, *arguments: str) -> None:
        self.run("off", *arguments)

    def token(self) -> str:
        """A new bypass token."""
        return self.run("bypass", "new", "-q").strip()

    @property
    def env(self) -> dict[str, str]:
        """The environment in which a server finds the site."""
        return {"MAINT_SITE": str(self.site)}
