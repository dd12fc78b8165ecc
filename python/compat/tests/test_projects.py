"""Projects of django-maintenance-mode, unchanged but for the requirements, from built wheels."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fresh import Environment, copied, fresh, wheels

NAMES = ["library", "shop", "inventory"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    found = wheels()
    made = fresh(tmp_path_factory.mktemp("fresh") / "venv")
    requirements = copied("library", tmp_path_factory.mktemp("requirements")) / "requirements.txt"
    made.pip("install", "-q", *found, "-r", str(requirements))
    return made


@pytest.fixture
def project(environment, tmp_path, request):
    return copied(request.param, tmp_path)


def of(name):
    return pytest.mark.parametrize("project", [name], indirect=True)


def maint(environment, project, *arguments):
    return environment.run("maint", *arguments, cwd=project)


@pytest.mark.parametrize("name", NAMES)
def test_the_projects_are_those_of_the_peer_whose_tests_pass_there(name, tmp_path):
    import importlib.metadata

    try:
        importlib.metadata.distribution("django-maintenance-mode")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("SKIPPED: django-maintenance-mode is not installed here")
    done = subprocess.run(
        [sys.executable, "manage.py", "test", "-v0"],
        cwd=copied(name, tmp_path),
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("project", NAMES, indirect=True)
def test_their_own_tests_pass_and_the_checks_find_no_error(environment, project):
    environment.run("python", "manage.py", "test", "-v0", cwd=project)


@of("library")
def test_the_library_obeys_maint_under_gunicorn(environment, project):
    command = ("python", "-m", "gunicorn", "library.wsgi", "-w", "2", "-b", "127.0.0.1:PORT")
    with environment.serve(project, *command, "--no-control-socket") as server:
        assert server.get("/catalog/7").body == "a book"
        maint(environment, project, "on")
        for _ in range(4):  # Both workers.
            page = server.get("/catalog/7")
            assert (page.status, page.headers["retry-after"]) == (503, "1800")
            assert "<h1>The library is closed</h1>" in page.body
        assert server.get("/catalog/7", x_ticket="reading-room").status == 200
        for path, status in (
            ("/healthz/deep", 200),
            ("/static/a.css", 200),
            ("/rooms/about/", 200),
            ("/catalog/about/", 503),
            ("/admin/login/", 200),
        ):
            assert server.get(path).status == status, path
        environment.run("python", "manage.py", "maintenance_mode", "off", cwd=project)
        assert server.get("/catalog/7").status == 200


@of("library")
def test_the_setting_of_the_library_goes_before(environment, project):
    command = (
        "python",
        "-m",
        "gunicorn",
        "library.wsgi",
        "-b",
        "127.0.0.1:PORT",
        "--no-control-socket",
    )
    with environment.serve(project, *command, MAINTENANCE_MODE="1") as server:
        maint(environment, project, "off")
        assert server.get("/").status == 503


@of("shop")
def test_the_shop_obeys_its_cache_under_runserver(environment, project):
    def manage(*arguments):
        return environment.run("python", "manage.py", *arguments, cwd=project)

    command = ("python", "manage.py", "runserver", "--noreload", "127.0.0.1:PORT")
    with environment.serve(project, *command) as server:
        here = {"x_real_ip": "192.0.2.1"}
        assert server.get("/", **here).status == 200
        assert manage("maintenance_mode", "on") == "", "as quiet as ever, for cron"
        assert "555-0100" in server.get("/", **here).body
        assert server.get("/", x_real_ip="10.1.2.3").status == 200
        assert server.get("/webstore/cart", **here).status == 200
        assert server.get("/status/", **here).status == 200
        api = server.get("/api/goods", **here)
        assert (api.status, json.loads(api.body)["phone"]) == (503, "555-0100")
        assert "CacheBackend holds the site down" in manage("maintenance_mode", "status")
        maint(environment, project, "off")
        assert server.get("/", **here).status == 503, "maint.W012"
        assert "importing, down: True" in manage("import_goods")
        assert server.get("/", **here).status == 200
        maint(environment, project, "on")
        assert server.get("/", **here).status == 503


@of("inventory")
def test_the_inventory_obeys_its_database_under_uvicorn(environment, project):
    environment.run("python", "manage.py", "migrate", "-v0", cwd=project)
    command = ("python", "-m", "uvicorn", "inventory.asgi:application", "--port", "PORT")
    with environment.serve(project, *command, MAINTENANCE_MODE_REDIRECT_URL="/sorry/") as server:
        assert server.get("/parts/").body == "parts"
        environment.run("python", "manage.py", "maintenance_mode", "on", cwd=project)
        sent = server.get("/parts/")
        assert (sent.status, sent.headers["location"]) == (302, "/sorry/")
        assert server.get("/sorry/").status == 200
        assert server.get("/parts/", accept="application/json").status == 503
        environment.run("python", "manage.py", "maintenance_mode", "off", cwd=project)
        assert server.get("/parts/").status == 200


# Installing


def test_the_extra_brings_the_face_of_the_same_version(environment):
    listed = json.loads(environment.pip("list", "--format", "json"))
    versions = {one["name"]: one["version"] for one in listed}
    assert versions["maint"] == versions["maint-maintenance-mode"]
    [told] = environment.path.glob("lib/*/site-packages/maint_maintenance_mode-*/METADATA")
    assert f"Requires-Dist: maint == {versions['maint']}" in told.read_text().replace(
        "(", ""
    ).replace(")", "").replace("maint==", "maint == ")


def test_every_place_that_names_the_version_names_the_same(environment):
    import re

    package = Path(__file__).parents[2]
    of_maint = re.search(r'^version = "(.+)"', (package / "Cargo.toml").read_text(), re.M)[1]
    ours = (package / "compat" / "pyproject.toml").read_text()
    metadata = package / "compat" / "src" / "maintenance_mode" / "metadata.py"
    assert f'version = "{of_maint}"' in ours
    assert f'"maint == {of_maint}"' in ours
    assert f'__version__ = "{of_maint}"' in metadata.read_text()
    extra = f'maintenance-mode = ["maint-maintenance-mode == {of_maint}"]'
    assert extra in (package / "pyproject.toml").read_text()


def test_installed_over_the_peer_the_check_says_how_to_mend_it(tmp_path):
    found = wheels()
    environment = fresh(tmp_path / "venv")
    [site_packages] = environment.path.glob("lib/*/site-packages")
    # What pip leaves of the peer, whose wheel cannot be had without a network.
    info = site_packages / "django_maintenance_mode-0.23.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: django-maintenance-mode\nVersion: 0.23.0\n"
    )
    files = ["maintenance_mode/__init__.py", "maintenance_mode/core.py"]
    for file in files:
        path = site_packages / file
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise ImportError('the peer')\n")
    names = [*files, f"{info.name}/METADATA", f"{info.name}/RECORD", f"{info.name}/INSTALLER"]
    (info / "INSTALLER").write_text("pip\n")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in names))
    environment.pip("install", "-q", *found, "maint[maintenance-mode]")
    project = copied("library", tmp_path)
    said = environment.run("python", "manage.py", "check", cwd=project, check=False)
    assert "maint.E007" in said
    # As the hint says.
    environment.pip("uninstall", "-q", "-y", "django-maintenance-mode")
    broken = environment.run("python", "manage.py", "check", cwd=project, check=False)
    assert "Error" in broken, "pip has removed files of the face"
    environment.pip(
        "install", "-q", *found, "--force-reinstall", "--no-deps", "maint-maintenance-mode"
    )
    assert "maint.E007" not in environment.run("python", "manage.py", "check", cwd=project)
