"""A real browser, which shows what becomes of a page once its scripts have run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def find_browser() -> str | None:
    """The path of one, if there is any."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def seen_in(browser: str, zone: str, html: str, directory: Path) -> str:
    """What a visitor in a time zone sees of a page, in American English."""
    page = directory / "page.html"
    page.write_text(html)
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--lang=en-US"]
    command += [f"--user-data-dir={directory / 'profile'}", "--dump-dom", page.as_uri()]
    environ = {**os.environ, "TZ": zone, "LANGUAGE": "en_US"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout
