"""A Django project with one line in `INSTALLED_APPS` and one in `MIDDLEWARE`, and nothing else."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import servers
from clones import Clone, status
from servers import Server

LINES = """
INSTALLED_APPS += ["maint.django"]
MIDDLEWARE += ["maint.django.middleware.MaintenanceModeMiddleware"]
STATIC_ROOT = BASE_DIR / "static"
ALLOWED_HOSTS = ["*"]
"""

VIEWS = """
from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("", lambda request: HttpResponse("shop"))]
"""


@pytest.fixture
def project(clone: Clone) -> Clone:
    """A project as `startproject` makes it."""
    done = clone.run(sys.executable, "-m", "django", "startproject", "shop", ".")
    assert done.returncode == 0, done
    settings = clone.root / "shop/settings.py"
    settings.write_text(settings.read_text() + LINES)
    clone.write("shop/urls.py", VIEWS)
    clone.write("shop/tests.py", TESTS)
    return clone


TESTS = """
from django.test import TestCase

class Page(TestCase):
    def test_it_is_up(self):
        self.assertEqual(self.client.get("/").status_code, 200)
"""


@contextlib.contextmanager
def served(project: Clone, kind: str) -> Iterator[Server]:
    env = {"HOME": project.env["HOME"], "DJANGO_SETTINGS_MODULE": "shop.settings"}
    if kind == "gunicorn":
        arguments = ("shop.wsgi", "--workers", "2")
        with servers.gunicorn(*arguments, directory=project.root, env=env) as server:
            yield server
    else:
        arguments = ("shop.asgi:application", "--workers", "2")
        with servers.uvicorn(*arguments, directory=project.root, env=env) as server:
            yield server


def several(server: Server) -> set[int]:
    """What all workers answer."""
    return {status(server) for _ in range(12)}


@pytest.mark.parametrize(
    "arguments",
    [
        ("check",),
        ("migrate",),
        ("test",),
        ("collectstatic", "--noinput"),
        ("makemigrations", "--check"),
        ("maintenance_mode", "status"),
        ("maintenance_mode", "off"),
        ("shell", "-c", "from maint.django.core import get_maintenance_mode as get; get()"),
    ],
    ids=" ".join,
)
def test_a_fresh_clone_works_and_nothing_is_written(
    project: Clone, arguments: tuple[str, ...]
) -> None:
    done = project.manage(*arguments)
    assert done.returncode == 0, done
    assert "maint.W" not in done.stderr + done.stdout
    assert not project.site.exists()


@pytest.mark.parametrize("kind", ["gunicorn", "uvicorn"])
def test_every_worker_obeys_the_command_typed_in_the_project(project: Clone, kind: str) -> None:
    (project.root / "deep/er").mkdir(parents=True)
    with served(project, kind) as server:
        assert several(server) == {200}
        assert not project.site.exists()
        assert f"made the site {project.site}" in project.maint("on", at="deep/er")
        assert several(server) == {503}
        project.maint("off", at="shop")
        assert several(server) == {200}
        said = project.manage("maintenance_mode", "on")
        assert said.returncode == 0 and "made the site" not in said.stdout, said
        assert several(server) == {503}
        assert "● down" in project.maint("status")


def test_manage_py_makes_the_same_site(project: Clone) -> None:
    said = project.manage("maintenance_mode", "status").stdout
    assert said.endswith(f"no site yet; `maint on` makes {project.site}\n"), said
    said = project.manage("maintenance_mode", "on").stdout
    assert said.startswith(f"made the site {project.site}\n"), said
    assert "● down" in project.maint("status", at="shop")
    assert project.site.stat().st_mode & 0o777 == 0o755


def test_workers_of_another_user_follow_the_site_that_root_makes(
    project: Clone, as_nobody: int
) -> None:
    # A server that gives its rights away once it is bound.
    command = [project.python, "-m", "gunicorn", "shop.wsgi", "--bind", "127.0.0.1:0"]
    command += ["--workers", "2", "--user", str(as_nobody), "--group", str(as_nobody)]
    address = re.compile(r"Listening at: http://([\d.]+):(\d+)")
    env = {"HOME": "/nonexistent", "DJANGO_SETTINGS_MODULE": "shop.settings"}
    with servers.start_server(
        [*command, "--no-control-socket"], address, directory=project.root, env=env
    ) as server:
        assert several(server) == {200}
        project.maint("on", umask=0o077)
        assert several(server) == {503}
        project.maint("off")
        assert several(server) == {200}


def test_a_container_that_cannot_be_written_starts_and_on_names_the_way_out(
    project: Clone, as_nobody: int
) -> None:
    for arguments in (("check",), ("maintenance_mode", "status")):
        done = project.manage(*arguments, user=as_nobody)
        assert done.returncode == 0, done
    for line in (
        (project.binary, "on"),
        (project.python, "manage.py", "maintenance_mode", "on"),
    ):
        done = project.run(*line, user=as_nobody)
        assert done.returncode != 0
        assert f"could not make the site `{project.site}`: permission denied" in done.stderr
    volume = project.root.parent / "volume"
    volume.mkdir()
    volume.chmod(0o777)
    project.env["MAINT_SITE"] = str(volume)
    project.maint("on", user=as_nobody)
    said = project.manage("maintenance_mode", "status", user=as_nobody)
    assert "● down" in said.stdout, said


def test_a_site_that_is_named_must_be_there(project: Clone) -> None:
    project.env["MAINT_SITE"] = str(project.root / "typo")
    done = project.manage("migrate")
    assert done.returncode == 1
    assert "maint.E001" in done.stderr and "typo" in done.stderr


def test_base_dir_above_manage_py_means_the_same_site(clone: Clone) -> None:
    (clone.root / "backend").mkdir()
    start = (sys.executable, "-m", "django", "startproject", "shop", "backend")
    assert clone.run(*start).returncode == 0
    settings = clone.root / "backend/shop/settings.py"
    text = settings.read_text().replace("parent.parent\n", "parent.parent.parent\n")
    settings.write_text(text + LINES)
    said = clone.manage("maintenance_mode", "on", at="backend").stdout
    assert f"made the site {clone.root}/backend/.maint" in said
    assert "● down" in clone.maint("status", at="backend")


def test_a_planted_site_above_stops_nothing_and_is_reported(project: Clone, as_nobody: int) -> None:
    planted = project.root.parent / ".maint"
    project.root.parent.chmod(0o1777)
    done = project.run("mkdir", "-m", "755", str(planted), user=as_nobody)
    assert done.returncode == 0, done
    done = project.manage("migrate")
    assert done.returncode == 0, done
    done = project.manage("check")
    assert done.returncode == 0 and "maint.W016" in done.stderr, done
    assert f"{planted} was passed over: it belongs to `nobody`" in done.stderr
    said = project.maint("on")
    assert f"warning: passed over `{planted}`" in said and str(project.site) in said
    # In the project itself it is refused.
    own = project.root / "own"
    own.mkdir()
    own.chmod(0o777)
    assert project.run("mkdir", "-m", "755", str(own / ".maint"), user=as_nobody).returncode == 0
    done = project.run(project.binary, "on", at="own")
    assert done.returncode == 2 and "refusing the site" in done.stderr


def test_w006_a_project_that_the_command_cannot_see(project: Clone) -> None:
    project.manage("migrate")
    (project.root / "manage.py").unlink()
    done = project.run(
        sys.executable, "-m", "django", "check", "--settings", "shop.settings", "--pythonpath", "."
    )
    assert done.returncode == 0 and "maint.W006" in done.stderr, done
    assert f"makes the site {project.site}, but the command sees no project" in done.stderr


@pytest.mark.parametrize("shape", ["releases", "current"])
def test_w017_a_release_that_the_next_one_replaces(project: Clone, shape: str) -> None:
    home = project.root.parent
    release = home / ("app/releases/7" if shape == "releases" else "app/v7")
    release.parent.mkdir(parents=True)
    project.root.rename(release)
    (home / "app/current").symlink_to(release)
    at = release
    if shape == "current":
        project.env["PWD"] = str(home / "app/current")
    moved = Clone(at, project.binary, project.env)
    done = moved.manage("check", "--deploy", "--tag", "maint")
    assert "maint.W017" in done.stderr, done
    assert "maint.W017" not in moved.manage("check").stderr
    shared = home / "shared"
    assert moved.run(moved.binary, "--site", str(shared), "init").returncode == 0
    moved.env["MAINT_SITE"] = str(shared)
    assert "maint.W017" not in moved.manage("check", "--deploy", "--tag", "maint").stderr


def test_code_of_the_app_takes_it_down(project: Clone, figure: Callable[[str], None]) -> None:
    code = "from maint.django.core import set_maintenance_mode as to; to(False); to(True)"
    with served(project, "gunicorn") as server:
        assert several(server) == {200}
        done = project.manage("shell", "-c", code)
        assert done.returncode == 0, done
        assert several(server) == {503}
    assert Path(project.site, "state.json").exists()
