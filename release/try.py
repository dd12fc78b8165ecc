#!/usr/bin/env python3
"""Installs what `make release` built where people will, and uses it there: `make release-test`.

Debian 12 and 13 as debootstrap makes them, a root directory with nothing in it, and each Python
that is here: no Rust and no compiler in any. `release/try.py debian crate` tries some parts, and
`BEFORE=REV` says from which version to upgrade. It has to be root: it makes root directories and
enters them. All of it happens in namespaces for mounts and processes of its own, which take
everything with them when it ends.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target").absolute()
VERSION = subprocess.check_output([REPOSITORY / "release/version"], text=True).strip()
DIST = Path(os.environ.get("MAINT_RELEASE_DIST") or REPOSITORY / "dist").absolute() / VERSION
SUITES = {"bookworm": "Debian 12", "trixie": "Debian 13"}
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
#: Bare: no cargo, no compiler, no variable of the caller.
CLEAN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root"}
LONGEST = 120

rows: list[tuple[str, str, str]] = []
skipped: list[str] = []


def seen(artefact: Path | str, where: str, what: str) -> None:
    """A line of the table: what was installed where, and what ran."""
    rows.append((getattr(artefact, "name", str(artefact)), where, what))
    print(f"release-test: {rows[-1][0]}, {where}: {what}", flush=True)


def skip(what: str) -> None:
    skipped.append(what)
    print(f"SKIPPED: {what}", flush=True)


def figure(text: str) -> None:
    print(f"figure: {text}", flush=True)


def artefact(pattern: str) -> Path:
    """The only file of the release with such a name."""
    found = sorted(DIST.glob(pattern))
    assert len(found) == 1, f"{pattern} in {DIST}: {[file.name for file in found]}"
    return found[0]


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


def answer(url: str) -> tuple[int, str]:
    """The status and the body of an answer; 0 if there is none."""
    try:
        with urllib.request.urlopen(url, timeout=10) as got:
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


@functools.cache
def pristine(suite: str) -> Path:
    """A bare Debian, kept from one run to the next."""
    path = TARGET / "bare" / suite
    if not (path / "made").exists():
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        run("debootstrap", "--variant=minbase", suite, path, mirror(), timeout=1800)
        (path / "made").touch()
    return path


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
            run("umount", "--recursive", "--lazy", root.path / "dev", root.path / "proc", ok=False)


def apt(root: Root, *packages: str) -> None:
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    root.run(*environment, "apt-get", "update", "-qq", timeout=600)
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
    root.run(*environment, *install, *packages, timeout=1200)


def machine() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


def first_minute(root: Root, started: float) -> float:
    """`maint demo`, down and up again; the seconds until a browser shows the page."""
    with root.running("maint", "demo", "--port", "0", "--no-browser", user="deploy") as printed:
        until(lambda: "Ctrl-C" in printed.read_text(), "maint demo")
        text = printed.read_text()
        url = re.search(r"http://\S+", text)[0]
        site = re.search(r"--site (\S+)", text)[1]
        assert answer(url)[0] == 200
        root.run("maint", "--site", site, "on", "-m", "Back at noon", user="deploy")
        page = in_a_browser(url)
        took = time.monotonic() - started
        assert "Back at noon" in page, page
        status, _ = answer(url)
        assert status == 503, status
        root.run("maint", "--site", site, "off", user="deploy")
        assert answer(url)[0] == 200
    assert not (root.path / site.lstrip("/")).exists(), "the demo left its site behind"
    return took


def switch(root: Root) -> None:
    """On, status, off, by a user in the directory of a project."""
    where = {"user": "deploy", "cwd": "/srv/shop"}
    root.run("maint", "init", **where)
    root.run("maint", "on", "-m", "Zurück um zwölf", **where)
    status = json.loads(root.run("maint", "status", "--json", **where))
    assert status["state"] == "on", status
    root.run("maint", "off", **where)
    assert json.loads(root.run("maint", "status", "--json", **where))["state"] == "off"


COMPLETE = """
. /usr/share/bash-completion/bash_completion
_completion_loader maint 2>/dev/null || __load_completion maint || true
COMP_WORDS=(maint sta) COMP_CWORD=1 COMP_LINE='maint sta' COMP_POINT=9 COMP_TYPE=9
handler=$(complete -p maint | sed 's/.*-F \\([^ ]*\\).*/\\1/')
"$handler" maint sta maint
printf '%s\\n' "${COMPREPLY[@]}"
"""


def try_debian() -> None:
    """The .deb on bare systems: the first minute, what it brings, and its removal."""
    deb = artefact(f"maint_*_{machine()}.deb")
    for suite, name in SUITES.items():
        with debian(suite) as root:
            (package,) = root.put(deb)
            started = time.monotonic()
            root.run("dpkg", "--install", package)
            took = first_minute(root, started)
            figure(f"from an empty {name} to the page in a browser, by .deb: {took:.1f} s")
            switch(root)
            seen(deb, name, f"demo, on, status, off; the page in a browser after {took:.1f} s")
            apt(root, "man-db", "bash-completion", "systemd")
            # A minimal Debian leaves manual pages out; dpkg does as it is told once that is gone.
            for rule in (root.path / "etc/dpkg/dpkg.cfg.d").glob("*"):
                rule.unlink()
            root.run("dpkg", "--install", package)
            for page in ["maint", "maint-on", "maint-serve"]:
                assert "SYNOPSIS" in root.run("man", "--pager=cat", page), page
            assert "status" in root.run("bash", "-c", COMPLETE).split(), "no completion"
            units = sorted((root.path / "usr/lib/systemd/system").glob("maint-*"))
            names = [unit.name.replace("@", "@shop") for unit in units]
            said = root.run("systemd-analyze", "verify", *names, ok=False)
            assert "maint-" not in said, said
            planted = root.path / "etc/systemd/system/maint-planted.service"
            planted.write_text("[Service]\nExecStart=nowhere\n")
            assert planted.name in root.run("systemd-analyze", "verify", planted.name, ok=False)
            planted.unlink()
            seen(deb, name, f"man, completion of bash, {len(units)} units verified")
            removed(root, deb, name)


def removed(root: Root, deb: Path, name: str) -> None:
    """Purging the package leaves an open window as it is, and nothing of its own."""
    root.run("maint", "on", "-m", "Stays", user="deploy", cwd="/srv/shop")
    before = contents(root.path / "srv")
    root.run("dpkg", "--purge", "maint")
    assert contents(root.path / "srv") == before
    search = "/usr /etc /var -path /var/cache -prune -o -name *maint* -print"
    left = root.run("find", *search.split())
    own = [line for line in left.split() if re.search(r"/_?maint([-@./]|$)", line)]
    assert not own, own
    seen(deb, name, f"purged: {len(before)} files of a site as they were, nothing left")


def before() -> tuple[str, Path] | None:
    """The command of the version before: the last tag, or what `BEFORE` names."""
    describe = "describe --tags --abbrev=0 --match v* HEAD^"
    tag = run("git", "-C", REPOSITORY, *describe.split(), ok=False, stderr=subprocess.DEVNULL)
    revision = os.environ.get("BEFORE") or tag.strip()
    if not revision:
        return None
    source, built = TARGET / "before", TARGET / "before-target"
    shutil.rmtree(source, ignore_errors=True)
    run("git", "clone", "--quiet", REPOSITORY, source)
    run("git", "-C", source, "checkout", "--quiet", revision)
    # Quickly, since it is only to be followed by this one.
    triple = f"{platform.machine()}-unknown-linux-musl"
    features = "full" if "\nfull = " in (source / "Cargo.toml").read_text() else "cli"
    build = ["cargo", "zigbuild", "--quiet", "--locked", "--bin", "maint", "--no-default-features"]
    path = f"{TARGET}/release-tools/venv/bin:{TARGET}/release-tools/bin:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "CARGO_TARGET_DIR": str(built)}
    run(
        *build,
        "--features",
        features,
        "--target",
        triple,
        cwd=source,
        env=environment,
        timeout=3600,
    )
    return revision, built / triple / "debug" / "maint"


def packed(binary: Path, deb: Path, folder: Path) -> Path:
    """The package of the version before: this one, with that command in it."""
    run("dpkg-deb", "--raw-extract", deb, folder / "unpacked")
    shutil.copy(binary, folder / "unpacked/usr/bin/maint")
    control = folder / "unpacked/DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*", "Version: 0.0.9-1", control.read_text(), flags=re.M))
    (folder / "unpacked/DEBIAN/md5sums").unlink()
    package = folder / "before.deb"
    run("dpkg-deb", "--root-owner-group", "--build", folder / "unpacked", package)
    return package


def try_upgrade() -> None:
    """A newer package over an older one, with a window open and apps that read."""
    old = before()
    if old is None:
        skip("upgrade: there is no tag of a release before; BEFORE=REV upgrades from a commit")
        return
    revision, binary = old
    deb = artefact(f"maint_*_{machine()}.deb")
    with debian("trixie") as root, tempfile.TemporaryDirectory() as folder:
        earlier, later = root.put(packed(binary, deb, Path(folder)), deb)
        root.run("dpkg", "--install", earlier)
        here = {"user": "deploy", "cwd": "/srv/shop"}
        root.run("maint", "init", **here)
        root.run("maint", "on", "-m", "Before", "--bypass", **here)
        root.run("maint", "ignore", "add", "path", "/health", **here)
        before_upgrade = contents(root.path / "srv")
        address = "127.0.0.1:18503"
        with root.running("maint", "serve", "--listen", address, **here):
            page = f"http://{address}/page"
            until(lambda: answer(page)[0] == 503, "the endpoint of the version before")
            with root.running("maint", "wait", "off", **here) as waiting:
                root.run("dpkg", "--install", later)
                assert contents(root.path / "srv") == before_upgrade, "the upgrade changed the site"
                assert answer(page)[0] == 503, "open after the upgrade"
                status = json.loads(root.run("maint", "status", "--json", **here))
                assert status["state"] == "on", status
                assert "/health" in root.run("maint", "ignore", "list", **here)
                root.run("maint", "set", "-m", "After", **here)
                until(lambda: "After" in answer(page)[1], "the endpoint before reads what is new")
                root.run("maint", "off", **here)
                until(lambda: answer(page)[0] not in (0, 503), "the endpoint before opens")
                until(lambda: "up" in waiting.read_text(), "the waiting command before ends")
    seen(
        deb,
        "Debian 13",
        f"upgraded from {revision} with a window open: both versions read and obey",
    )


def try_tarball() -> None:
    """The static binary where there is nothing else, not even a C library."""
    archive = artefact(f"maint-*-{platform.machine()}-linux.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as tar:
            names = tar.getnames()
            tar.extractall(folder, filter="data")
        (top,) = Path(folder).iterdir()
        for needed in [
            "README.md",
            "LICENSE-MIT",
            "THIRD-PARTY-LICENSES.md",
            "man/maint.1",
            "contrib/systemd",
        ]:
            assert (top / needed).exists(), needed
        root = Root(Path(folder) / "empty")
        for place in ["bin", "srv", "tmp"]:
            (root.path / place).mkdir(parents=True)
        shutil.copy(top / "maint", root.path / "bin")
        shutil.chown(root.path / "srv", 65532, 65532)
        (root.path / "tmp").chmod(0o1777)
        site = ["/bin/maint", "--site", "/srv/.maint"]
        for verb in [["init"], ["on", "-m", "x"], ["status"], ["off"], ["doctor"]]:
            root.run(*site, *verb, user="65532:65532", ok=verb != ["doctor"])
        seen(archive, "an empty root", f"{len(names)} entries; on, status, off as user 65532")


def try_aarch64() -> None:
    """The binary for the other architecture, emulated."""
    emulator = shutil.which("qemu-aarch64-static")
    if emulator is None or platform.machine() == "aarch64":
        skip("aarch64: qemu-aarch64-static is not here (Debian: qemu-user-static)")
        return
    archive = artefact("maint-*-aarch64-linux.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        (binary,) = Path(folder).glob("*/maint")
        site = [emulator, binary, "--site", f"{folder}/.maint"]
        run(*site, "init")
        run(*site, "on", "-m", "x")
        assert json.loads(run(*site, "status", "--json"))["state"] == "on"
        run(*site, "off")
    seen(archive, "qemu-aarch64", "on, status, off")
    deb = artefact("maint_*_arm64.deb")
    assert "usr/bin/maint" in run("dpkg-deb", "--contents", deb)
    assert run("dpkg-deb", "--field", deb, "Architecture").strip() == "arm64"
    seen(deb, "looked into", "architecture and contents; not installed")


def try_rpm() -> None:
    """The .rpm in a root of its own, with the database of rpm."""
    if shutil.which("rpm") is None:
        skip("rpm is not here (Debian: rpm)")
        return
    package = artefact(f"maint-*.{platform.machine()}.rpm")
    with tempfile.TemporaryDirectory() as folder:
        root = Root(Path(folder))
        run("rpm", "--root", root.path, "--initdb")
        run("rpm", "--root", root.path, "--install", "--nosignature", package)
        files = run("rpm", "--root", root.path, "--query", "--list", "maint").split()
        assert "/usr/bin/maint" in files, files
        (root.path / "srv").mkdir()
        root.run("/usr/bin/maint", "--site", "/srv/.maint", "init")
        root.run("/usr/bin/maint", "--site", "/srv/.maint", "on", "-m", "x")
        assert "x" in root.run("/usr/bin/maint", "--site", "/srv/.maint", "status")
        before_removal = contents(root.path / "srv")
        run("rpm", "--root", root.path, "--erase", "maint")
        assert contents(root.path / "srv") == before_removal
        assert not (root.path / "usr/bin/maint").exists()
    seen(
        package,
        "a root with rpm alone",
        f"{len(files)} files; on, status; removed, the site as it was",
    )


DJANGO = """
set -eu
django-admin startproject shop .
sed -i 's/^INSTALLED_APPS = \\[/&\\n    "maint.django",/' shop/settings.py
middleware=maint.django.middleware.MaintenanceModeMiddleware
sed -i "s/^MIDDLEWARE = \\[/&\\n    '$middleware',/" shop/settings.py
python manage.py migrate -v 0
maint on -m 'Back at noon'
exec python manage.py runserver --noreload --skip-checks "$0"
"""


def django(environment: Path, root: Root | None, port: int) -> str:
    """Serves a new project of Django that is down; returns what a browser shows."""
    bin_folder = environment / "bin"
    path = f"{bin_folder}:{CLEAN['PATH']}"
    script = ["env", f"PATH={path}", "sh", "-c", DJANGO, f"127.0.0.1:{port}"]
    with contextlib.ExitStack() as stack:
        if root is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            here = Root(Path("/"))
        else:
            folder, here = "/srv/shop", root
        stack.enter_context(here.running(*script, cwd=folder))
        url = f"http://127.0.0.1:{port}/"
        until(lambda: answer(url)[0] == 503, f"Django is down at {url}")
        return in_a_browser(url)


def try_wheel() -> None:
    """The wheel on bare systems and under each Python, with Django."""
    wheel = artefact(f"maint-*-manylinux*_{platform.machine()}.whl")
    compat = artefact("maint_maintenance_mode-*.whl")
    for number, (suite, name) in enumerate(SUITES.items()):
        with debian(suite) as root:
            files = root.put(wheel)
            pip_of(root)
            started = time.monotonic()
            apt(root, "python3-venv")
            root.run("python3", "-m", "venv", "/opt/venv")
            root.run("/opt/venv/bin/pip", "install", "-q", "django", *files, timeout=600)
            page = django(Path("/opt/venv"), root, 18510 + number)
            took = time.monotonic() - started
            assert "Back at noon" in page, page
            figure(
                f"from an empty {name} to the page in a browser, by wheel with Django: {took:.1f} s"
            )
            python = root.run("/opt/venv/bin/python", "--version").strip()
            seen(
                wheel, f"{name}, {python}", f"Django down, the page in a browser after {took:.1f} s"
            )
    for number, version in enumerate(PYTHONS):
        python = python_of(version)
        if python is None:
            skip(f"there is no Python {version} here")
            continue
        with tempfile.TemporaryDirectory() as folder:
            environment = Path(folder) / "venv"
            run(python, "-m", "venv", environment)
            run(environment / "bin/pip", "install", "-q", "django", wheel, compat, timeout=600)
            page = django(environment, None, 18520 + number)
            assert "Back at noon" in page, page
            run(environment / "bin/python", "-c", "import maintenance_mode")
            shown = run(environment / "bin/pip", "list")
            django_version = re.search(r"(?mi)^django +(\S+)", shown)[1]
        seen(
            wheel,
            f"Python {version}",
            f"Django {django_version} down, the page in a browser; compat imports",
        )


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


def try_musl() -> None:
    """The module of the musl wheel finds all but Python's own in musl."""
    wheel = artefact(f"maint-*-musllinux*_{platform.machine()}.whl")
    loader = Path(f"/lib/ld-musl-{platform.machine()}.so.1")
    if not loader.exists():
        skip("musl is not here (Debian: musl)")
        return
    with tempfile.TemporaryDirectory() as folder:
        run("unzip", "-q", wheel, "-d", folder)
        (module,) = Path(folder).rglob("_maint*.so")
        said = run(loader, "--list", module, ok=False)
        missing = set(re.findall(r"relocating \S+: (\S+): symbol not found", said))
        foreign = {symbol for symbol in missing if not symbol.lstrip("_").startswith("Py")}
        assert missing and not foreign, said
        (command,) = Path(folder).rglob("scripts/maint")
        command.chmod(0o755)
        assert VERSION in run(command, "--version")
    seen(
        wheel,
        "musl's loader",
        f"links: all but {len(missing)} symbols of Python; no Python for musl is here",
    )


def alone(folder: Path, *command: object, **environment: str) -> str:
    """Runs without a network, with what cargo has fetched before."""
    offline = os.environ | {"CARGO_NET_OFFLINE": "true"} | environment
    return run("unshare", "--net", *command, cwd=folder, env=offline, timeout=3600)


def try_crate() -> None:
    """The crate and the source distribution build alone, offline, from their own lock files."""
    crate = artefact("maint-*.crate")
    kilobytes = crate.stat().st_size / 1000
    with tempfile.TemporaryDirectory() as folder:
        run("tar", "-xzf", crate, "-C", folder)
        (top,) = Path(folder).iterdir()
        run("cargo", "fetch", "--locked", "--quiet", cwd=top, timeout=600)
        built = TARGET / "alone"
        command = [
            "cargo",
            "build",
            "--quiet",
            "--locked",
            "--no-default-features",
            "--features",
            "full",
        ]
        alone(top, *command, CARGO_TARGET_DIR=str(built))
        assert VERSION in run(built / "debug/maint", "--version")
    seen(crate, "unpacked, without a network", f"{kilobytes:.0f} kB; the command is built and runs")


def try_sdist() -> None:
    sdist = DIST / f"maint-{VERSION}.tar.gz"
    venv = TARGET / "release-tools/venv/bin"
    with tempfile.TemporaryDirectory() as folder:
        run("tar", "-xzf", sdist, "-C", folder)
        (top,) = Path(folder).iterdir()
        run(
            "cargo",
            "fetch",
            "--locked",
            "--quiet",
            "--manifest-path",
            top / "python/Cargo.toml",
            timeout=600,
        )
        pip = [
            venv / "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "--no-index",
            "-w",
            folder,
            ".",
        ]
        environment = {
            "CARGO_TARGET_DIR": str(TARGET / "alone"),
            "MAINT_BUILD_PROFILE": "dev",
            "PATH": f"{venv}:{os.environ['PATH']}",
        }
        alone(top, *pip, **environment)
        (wheel,) = Path(folder).glob("maint-*.whl")
        run(sys.executable, "-m", "venv", f"{folder}/venv")
        run(f"{folder}/venv/bin/pip", "install", "-q", "--no-index", wheel)
        run(f"{folder}/venv/bin/python", "-c", "import maint; maint.Site")
        assert VERSION in run(f"{folder}/venv/bin/maint", "--version")
    seen(sdist, "unpacked, without a network", "a wheel is built; module and command run")


def try_contents() -> None:
    """Every wheel has licences and SBOMs of both of its programs, and no path of this machine."""
    for wheel in DIST.glob("maint-*.whl"):
        with zipfile.ZipFile(wheel) as packed:
            names = [name.rpartition(".dist-info/")[2] for name in packed.namelist()]
            for needed in ["MIT", "APACHE", "THIRD-PARTY-command.md", "THIRD-PARTY-module.md"]:
                assert f"licenses/LICENSE-{needed}" in names, f"{wheel.name}: {needed}"
            bills = [name for name in packed.namelist() if "/sboms/" in name]
            assert len(bills) == 2, bills
            for name in [*bills, *(name for name in packed.namelist() if name.endswith(".so"))]:
                for place in [str(TARGET), str(REPOSITORY), str(Path.home() / ".cargo")]:
                    assert place.encode() not in packed.read(name), f"{wheel.name}: {name}: {place}"
        seen(wheel, "read", f"{len(names)} files; licences, two SBOMs, no path of this machine")


def try_sums() -> None:
    """Every file is listed, and is what the list says."""
    run("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS", cwd=DIST)
    listed = {line.split()[1] for line in (DIST / "SHA256SUMS").read_text().splitlines()}
    there = {file.name for file in DIST.iterdir()} - {"SHA256SUMS"}
    assert listed == there, listed ^ there
    for bill in DIST.glob("*.cdx.json"):
        parts = json.loads(bill.read_text())
        assert parts["bomFormat"] == "CycloneDX" and len(parts["components"]) > 20, bill
        seen(bill, "read", f"{len(parts['components'])} components")


def try_lintian() -> None:
    if shutil.which("lintian") is None:
        skip("lintian is not here (Debian: lintian)")
        return
    for deb in DIST.glob("*.deb"):
        said = run("lintian", "--allow-root", "--fail-on", "error,warning", deb)
        assert not re.search("^[EW]:", said, re.M), said
        seen(deb, "lintian", "no error, no warning")


PARTS = {
    name.removeprefix("try_"): value
    for name, value in list(globals().items())
    if name.startswith("try_")
}


def table() -> str:
    lines = ["| file | kB | where | what was seen |", "| --- | --: | --- | --- |"]
    for name, where, what in rows:
        size = (DIST / name).stat().st_size / 1000
        lines.append(f"| `{name}` | {size:.0f} | {where} | {what} |")
    return "\n".join(lines)


def main() -> int:
    if os.geteuid() != 0:
        print("SKIPPED: release-test has to be root, to make root directories and enter them")
        return 0
    if "MAINT_RELEASE_INSIDE" not in os.environ:
        inside = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        environment = os.environ | {"MAINT_RELEASE_INSIDE": "1"}
        return subprocess.call([*inside, sys.executable, *sys.argv], env=environment)
    parts = sys.argv[1:] or list(PARTS)
    failed = []
    for part in parts:
        started = time.monotonic()
        try:
            PARTS[part]()
        except Exception:
            traceback.print_exc()
            failed.append(part)
        print(f"release-test: {part}: {time.monotonic() - started:.0f} s", flush=True)
    print(table())
    passed = len(parts) - len(failed)
    print(f"release-test: {passed} passed, {len(failed)} failed, {len(skipped)} skipped")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
