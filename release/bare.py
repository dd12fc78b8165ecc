"""Bare systems: root directories to install into, and what is run and asked there."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from report import TARGET, skip

#: Bare: no cargo, no compiler, no variable of the caller.
CLEAN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root"}
LONGEST = 120
EMULATOR = "qemu-aarch64-static"
SUITES = {"bookworm": "Debian 12", "trixie": "Debian 13"}


def run(*command: object, ok: bool = True, **options) -> str:
    """What a command prints; with `ok` it has to succeed."""
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    options = {"timeout": LONGEST, "stdin": subprocess.DEVNULL} | both | options
    words = [str(word) for word in command]
    done = subprocess.run(words, text=True, check=False, **options)
    assert not ok or done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}"
    return done.stdout


def until(fact: Callable[[], Any], what: str) -> Any:
    """Waits until something is so."""
    end = time.monotonic() + LONGEST
    while not (value := fact()):
        assert time.monotonic() < end, f"not within {LONGEST} s: {what}"
        time.sleep(0.02)
    return value


def answer(url: str, fields: Mapping[str, str] = MappingProxyType({})) -> tuple[int, str]:
    """The status and the body of an answer; 0 if there is none."""
    try:
        asked = urllib.request.Request(url, headers=dict(fields))
        with urllib.request.urlopen(asked, timeout=10) as got:
            return got.status, got.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def in_a_browser(url: str) -> str:
    """What a browser makes of a page, or curl's kin where there is none."""
    chromium = shutil.which("chromium")
    if chromium is None:
        skip("no Chromium here: pages were fetched without a browser")
        return answer(url)[1]
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    return run(chromium, *flags, "--dump-dom", url, stderr=subprocess.DEVNULL)


def contents(folder: Path) -> dict[str, str]:
    """The digest of each file below a folder."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@dataclass
class Root:
    """A root directory to install into and to run in."""

    path: Path

    def run(self, *command: object, user: str = "root", cwd: str = "/", ok: bool = True, **options):
        return run(*self.words(command, user, cwd), env=CLEAN, ok=ok, **options)

    @contextlib.contextmanager
    def running(self, *command: object, user: str = "root", cwd: str = "/") -> Iterator[Path]:
        """A process that goes on meanwhile, and the file with what it prints."""
        printed = Path(tempfile.mkstemp(prefix="printed-", dir=self.path.parent)[1])
        with printed.open("w") as output:
            process = subprocess.Popen(
                self.words(command, user, cwd),
                env=CLEAN,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield printed
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(20)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def words(self, command: tuple[object, ...], user: str, cwd: str) -> list[str]:
        there = ["sh", "-c", 'cd "$0" && exec "$@"', cwd] if cwd != "/" else []
        who = [] if user == "root" else [f"--userspec={user}"]
        home = ["env", f"HOME=/home/{user}"] if user == "deploy" else []
        return ["chroot", *who, str(self.path), *home, *there, *map(str, command)]

    def put(self, *files: Path) -> list[str]:
        for file in files:
            shutil.copy(file, self.path / "tmp")
        return [f"/tmp/{file.name}" for file in files]


def mirror() -> str:
    """Where this machine takes Debian from."""
    for file in [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]:
        text = file.read_text() if file.is_file() else ""
        if found := re.search(
            r"^(?:URIs:|deb(?: \[.*?\])?) *(http\S+/debian/?)(?:\s|$)", text, re.M
        ):
            return found[1]
    return "http://deb.debian.org/debian"


def kept(name: str, make: Callable[[Path], object]) -> Path:
    """A folder that is made once, and kept from one run to the next."""
    path = TARGET / "bare" / name
    if not (path / "made").exists():
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
        (path / "made").touch()
    return path


def bootstrap(path: Path, suite: str, *options: str) -> None:
    run("debootstrap", "--variant=minbase", *options, suite, path, mirror(), timeout=1800)


def pristine(suite: str) -> Path:
    """A bare Debian."""
    return kept(suite, lambda path: bootstrap(path, suite))


@contextlib.contextmanager
def debian(suite: str) -> Iterator[Root]:
    """A bare Debian to install into, with two users."""
    with tempfile.TemporaryDirectory(
        prefix=f"maint-{suite}-", ignore_cleanup_errors=True
    ) as folder:
        root = Root(Path(folder) / "root")
        run("cp", "-a", "--reflink=auto", pristine(suite), root.path)
        run("mount", "-t", "proc", "proc", root.path / "proc")
        run("mount", "--rbind", "/dev", root.path / "dev")
        for file in ["resolv.conf", "hosts"]:
            shutil.copy(Path("/etc") / file, root.path / "etc" / file)
        # The addresses of a machine that is behind a proxy, as this one may be.
        for file in Path("/etc/apt/apt.conf.d").glob("*proxy*"):
            shutil.copy(file, root.path / "etc/apt/apt.conf.d")
        for tool in ["cargo", "rustc", "gcc", "cc", "maint"]:
            assert root.run("sh", "-c", f"command -v {tool}", ok=False) == "", f"{tool} is there"
        root.run("useradd", "--create-home", "deploy")
        root.run("install", "--directory", "--owner=deploy", "/srv/shop")
        try:
            yield root
        finally:
            unmount(root)


def unmount(root: Root) -> None:
    """Takes away what programs inside see of this machine."""
    run("umount", "--recursive", "--lazy", root.path / "dev", root.path / "proc", ok=False)


def foreign() -> Path:
    """The files of a Debian 12 for aarch64 with its Python, and of musl beside them. Nothing of it
    is set up: it is run from outside, by `emulated`."""

    def make(path: Path) -> None:
        bootstrap(path, "bookworm", "--arch=arm64", "--foreign", "--include=python3,musl")
        for package in (path / "var/cache/apt/archives").glob("*.deb"):
            run("dpkg-deb", "--extract", package, path)

    return kept("bookworm-arm64", make)


def emulated(program: str) -> list[str]:
    """The words that run a program of `foreign`."""
    return [EMULATOR, "-L", str(foreign()), f"{foreign()}{program}"]


def apt(root: Root, *packages: str) -> None:
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    root.run(*environment, "apt-get", "update", "-qq", timeout=600)
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
    root.run(*environment, *install, *packages, timeout=1200)


def machine() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


def pip_of(root: Root) -> None:
    """The index that this machine takes packages from, and whom it trusts."""
    shown = run(sys.executable, "-m", "pip", "config", "list", stderr=subprocess.DEVNULL)
    lines = re.findall(r"^[^.]*\.(index-url|extra-index-url|trusted-host)='(.*)'$", shown, re.M)
    authorities = Path("/etc/ssl/certs/ca-certificates.crt")
    if authorities.is_file():
        shutil.copy(authorities, root.path / "etc/authorities.crt")
        lines.append(("cert", "/etc/authorities.crt"))
    settings = "".join(f"{name} = {value}\n" for name, value in lines)
    (root.path / "etc/pip.conf").write_text(f"[global]\n{settings}")


def python_of(version: str) -> str | None:
    """Such a Python, of pyenv or of the system."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [str(path) for path in sorted(pyenv.glob(f"versions/{version}.*/bin/python3"))]
    return found[-1] if found else shutil.which(f"python{version}")
