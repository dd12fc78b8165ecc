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
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from collections.abc import Sequence
from pathlib import Path

import report
from bare import (
    CLEAN,
    EMULATOR,
    SUITES,
    Root,
    answer,
    apt,
    contents,
    debian,
    emulated,
    in_a_browser,
    machine,
    pip_of,
    python_of,
    run,
    unmount,
    until,
)
from report import DIST, REPOSITORY, TARGET, VERSION, artefact, figure, seen, skip

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]


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


BOOTED = """
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/root/units.sh
ExecStopPost=systemctl exit $EXIT_STATUS
StandardOutput=append:/root/said
StandardError=inherit
TimeoutStartSec=900
[Install]
WantedBy=graphical.target
"""


def try_units() -> None:
    """The units of the .deb under a systemd that runs."""
    if shutil.which("systemd-nspawn") is None:
        skip("units: systemd-nspawn is not here (Debian: systemd-container)")
        return
    deb = artefact(f"maint_*_{machine()}.deb")
    with debian("bookworm") as root:
        root.run("dpkg", "--install", *root.put(deb))
        apt(root, "systemd", "systemd-sysv", "dbus", "curl")
        shutil.copy(REPOSITORY / "release/units.sh", root.path / "root")
        (root.path / "etc/systemd/system/trial.service").write_text(BOOTED)
        root.run("systemctl", "enable", "trial.service")
        unmount(root)
        boot = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network"]
        run(*boot, "--console=pipe", "--boot", "-D", root.path, ok=False, timeout=1200)
        said = root.path / "root/said"
        assert said.exists(), "it does not boot"
        facts = re.findall("(?m)^fact: (.*)$", said.read_text())
        assert facts and facts[-1] == "no unit has failed", said.read_text()
    seen(deb, "Debian 12, booted", "; ".join(facts))


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
    small = {"CARGO_PROFILE_DEV_DEBUG": "none", "CARGO_PROFILE_DEV_STRIP": "symbols"}
    environment = os.environ | small | {"PATH": path, "CARGO_TARGET_DIR": str(built)}
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
    (folder / "unpacked/DEBIAN/md5sums").unlink(missing_ok=True)
    package = folder / "before.deb"
    run("dpkg-deb", "--root-owner-group", "-Znone", "--build", folder / "unpacked", package)
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
        root.run("maint", "on", "-m", "Before", **here)
        root.run("maint", "bypass", "new", **here)
        root.run("maint", "ignore", "add", "path", "/health", **here)
        before_upgrade = contents(root.path / "srv")
        address = "127.0.0.1:18503"
        fields = {"X-Original-Method": "GET", "X-Original-URI": "/"}

        def asked(question: str) -> tuple[int, str]:
            return answer(f"http://{address}/{question}", fields)

        with root.running("maint", "serve", "--listen", address, **here):
            until(lambda: asked("auth")[0] == 403, "the endpoint of the version before")
            with root.running("maint", "wait", "off", **here) as waiting:
                root.run("dpkg", "--install", later)
                assert contents(root.path / "srv") == before_upgrade, "the upgrade changed the site"
                assert asked("auth")[0] == 403, "open after the upgrade"
                status = json.loads(root.run("maint", "status", "--json", **here))
                assert status["state"] == "on", status
                assert "/health" in root.run("maint", "ignore", "list", **here)
                root.run("maint", "set", "-m", "After", **here)
                until(lambda: "After" in asked("page")[1], "the endpoint before reads what is new")
                root.run("maint", "off", **here)
                until(lambda: asked("auth")[0] == 204, "the endpoint before opens")
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


def is_emulated() -> bool:
    """Whether what is for the other architecture can run here."""
    can = shutil.which(EMULATOR) is not None and platform.machine() != "aarch64"
    if not can:
        skip(f"aarch64: {EMULATOR} is not here (Debian: qemu-user-static)")
    return can


def try_aarch64() -> None:
    """What is for the other architecture, emulated."""
    if not is_emulated():
        return
    archive = artefact("maint-*-aarch64-linux.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        (binary,) = Path(folder).glob("*/maint")
        site = [EMULATOR, binary, "--site", f"{folder}/.maint"]
        run(*site, "init")
        run(*site, "on", "-m", "x")
        assert json.loads(run(*site, "status", "--json"))["state"] == "on"
        run(*site, "off")
    seen(archive, "qemu-aarch64", "on, status, off")
    deb = artefact("maint_*_arm64.deb")
    assert "usr/bin/maint" in run("dpkg-deb", "--contents", deb)
    assert run("dpkg-deb", "--field", deb, "Architecture").strip() == "arm64"
    seen(deb, "looked into", "architecture and contents; not installed")
    wheel = artefact("maint-*-manylinux*_aarch64.whl")
    with tempfile.TemporaryDirectory() as folder:
        environment = emulated_environment(Path(folder), "django", wheel)
        page = django(environment, None, 18530)
        assert "Back at noon" in page, page
        python = run(environment / "bin/python", "--version").strip()
    seen(wheel, f"qemu-aarch64, {python} of Debian 12", "Django down, the page in a browser")


def emulated_environment(folder: Path, *packages: object) -> Path:
    """Packages for aarch64, with a `bin` whose commands run them."""
    site = folder / "site"
    options = ["--only-binary=:all:", "--platform=manylinux2014_aarch64", "--python-version=3.11"]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--target", site]
    run(*pip, *options, *packages, timeout=600)
    python = shlex.join(emulated("/usr/bin/python3.11"))
    (folder / "bin").mkdir()
    for name, words in {
        "python": python,
        "django-admin": f"{python} -m django",
        "maint": f"{EMULATOR} {site}/bin/maint",
    }.items():
        command = folder / "bin" / name
        command.write_text(f'#!/bin/sh\nPYTHONPATH={site} exec {words} "$@"\n')
        command.chmod(0o755)
    return folder


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


def try_musl() -> None:
    """The modules of the musl wheels find all but Python's own in musl."""
    own = platform.machine()
    loader = Path(f"/lib/ld-musl-{own}.so.1")
    if loader.exists():
        links(own, [loader], [])
    else:
        skip("musl is not here (Debian: musl)")
    if is_emulated():
        links("aarch64", emulated("/lib/ld-musl-aarch64.so.1"), [EMULATOR])


def links(architecture: str, loader: Sequence[object], runs: Sequence[object]) -> None:
    wheel = artefact(f"maint-*-musllinux*_{architecture}.whl")
    with tempfile.TemporaryDirectory() as folder:
        run("unzip", "-q", wheel, "-d", folder)
        (module,) = Path(folder).rglob("_maint*.so")
        said = run(*loader, "--list", module, ok=False)
        missing = set(re.findall(r"relocating \S+: (\S+): symbol not found", said))
        foreign = {symbol for symbol in missing if not symbol.lstrip("_").startswith("Py")}
        assert missing and not foreign, said
        (command,) = Path(folder).rglob("scripts/maint")
        command.chmod(0o755)
        assert VERSION in run(*runs, command, "--version")
    seen(
        wheel,
        f"musl's loader for {architecture}",
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
                for place in [
                    str(TARGET),
                    str(REPOSITORY),
                    str(Path.home() / ".cargo"),
                    "/tmp/maint-release",
                ]:
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


def main() -> int:
    if os.geteuid() != 0:
        print("SKIPPED: release-test has to be root, to make root directories and enter them")
        return 0
    if "MAINT_RELEASE_INSIDE" not in os.environ:
        inside = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        environment = os.environ | {"MAINT_RELEASE_INSIDE": "1"}
        return subprocess.call([*inside, sys.executable, *sys.argv], env=environment)
    # A shell that starts this in the background has it ignored, and programs would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
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
    print(report.table())
    passed = len(parts) - len(failed)
    print(f"release-test: {passed} passed, {len(failed)} failed, {len(report.skipped)} skipped")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
