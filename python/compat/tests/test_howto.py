"""The public how-to for django-maintenance-mode, step by step, verbatim but for the requirement.

The tests are the steps, in order: each goes on with the project as the one before left it.
"""

import re
from pathlib import Path

import pytest

from fresh import Environment, fresh, wheels

VIEWS = """from django.http import HttpResponse
from django.views import View


def home(request):
    return HttpResponse("home")


def shop(request):
    return HttpResponse("shop")


class YourView(View):
    def get(self, request):
        return HttpResponse("your view")
"""

URLS = """from django.contrib import admin
from django.urls import path

from mysite import views
from mysite.views import YourView

urlpatterns = [
    path('admin/', admin.site.urls),
    path('shop/', views.shop),
    path('home/', views.home),
    path('', YourView.as_view(), name='my_view'),
]
"""


class Project:
    """What a reader has on disk."""

    def __init__(self, environment: Environment, directory: Path) -> None:
        self.environment = environment
        self.directory = directory

    def edit(self, name: str, old: str, new: str) -> None:
        file = self.directory / name
        text = file.read_text()
        assert text.count(old) == 1, f"{name} has {old!r} {text.count(old)} times"
        file.write_text(text.replace(old, new))

    def setting(self, line: str) -> None:
        """Writes a setting, in place of what it was before."""
        file = self.directory / "mysite" / "settings.py"
        name = line.split(" ")[0]
        kept = re.sub(rf"^{name} =.*\n", "", file.read_text(), flags=re.M)
        file.write_text(f"{kept}{line}\n")

    def answers(self, *paths: str) -> dict[str, int]:
        """What a server says that is started now, as the how-to says."""
        with self.server() as server:
            return {path: server.get(path).status for path in paths}

    def server(self):
        command = ("python", "manage.py", "runserver", "--noreload", "127.0.0.1:PORT")
        return self.environment.serve(self.directory, *command)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    found = wheels()
    environment = fresh(tmp_path_factory.mktemp("howto") / "venv")
    directory = tmp_path_factory.mktemp("project")
    environment.run("python", "-m", "django", "startproject", "mysite", ".", cwd=directory)
    (directory / "mysite" / "views.py").write_text(VIEWS)
    (directory / "mysite" / "urls.py").write_text(URLS)
    # Step 1, the one that is another: maint[maintenance-mode] for django-maintenance-mode.
    environment.pip("install", "-q", *found, "maint[maintenance-mode]")
    return Project(environment, directory)


def test_step_01_the_package_is_installed(project):
    program = "import maintenance_mode; print(maintenance_mode.__file__)"
    said = project.environment.run("python", "-c", program, cwd=project.directory)
    assert said.startswith(str(project.environment.path))


def test_step_02_the_app(project):
    project.edit(
        "mysite/settings.py",
        "    'django.contrib.staticfiles',\n]",
        "    'django.contrib.staticfiles',\n    'maintenance_mode',\n]",
    )
    said = project.environment.run("python", "manage.py", "check", cwd=project.directory)
    assert "maint.W001" in said, "the next step is missing"


def test_step_03_the_middleware(project):
    project.edit(
        "mysite/settings.py",
        "    'django.middleware.clickjacking.XFrameOptionsMiddleware',\n]",
        "    'django.middleware.clickjacking.XFrameOptionsMiddleware',\n"
        "    'maintenance_mode.middleware.MaintenanceModeMiddleware',\n]",
    )
    said = project.environment.run("python", "manage.py", "check", cwd=project.directory)
    assert "no issues" in said


def test_step_04_the_page(project):
    (project.directory / "templates").mkdir()
    (project.directory / "templates" / "503.html").write_text(
        "<h1>Site under maintenance</h1><p>We will be back soon.</p>"
        "<a href='mailto:support@example.com'>Contact us</a>\n"
    )
    project.edit("mysite/settings.py", "'DIRS': []", "'DIRS': [BASE_DIR / 'templates']")
    assert project.answers("/", "/shop/") == {"/": 200, "/shop/": 200}


def test_step_05_the_setting_and_a_restart_show_the_page(project):
    project.setting("MAINTENANCE_MODE = True")
    with project.server() as server:
        page = server.get("/shop/")
        assert page.status == 503
        assert "<h1>Site under maintenance</h1>" in page.body
        assert server.get("/admin/login/").status == 503, "the admin site goes down too"


def test_step_05_without_the_setting_the_command_needs_no_restart(project):
    project.setting("MAINTENANCE_MODE = None")
    with project.server() as server:
        for word, status in (("on", 503), ("off", 200)):
            project.environment.run("maint", word, cwd=project.directory)
            assert server.get("/shop/").status == status


def test_step_06_the_admin_site_stays_up(project):
    project.setting("MAINTENANCE_MODE = True")
    project.setting("MAINTENANCE_MODE_IGNORE_ADMIN_SITE = True")
    assert project.answers("/admin/login/", "/shop/") == {"/admin/login/": 200, "/shop/": 503}


def test_steps_07_and_08_views_that_are_never_down(project):
    project.edit(
        "mysite/views.py",
        "\n\ndef shop(",
        "\n\n@force_maintenance_mode_off\ndef shop(",
    )
    project.edit(
        "mysite/views.py",
        "from django.views import View\n",
        "from django.views import View\n"
        "from maintenance_mode.decorators import force_maintenance_mode_off\n",
    )
    project.edit(
        "mysite/urls.py",
        "path('', YourView.as_view(), name='my_view')",
        "path('', force_maintenance_mode_off(YourView.as_view()), name='my_view')",
    )
    project.edit(
        "mysite/urls.py",
        "from mysite import views\n",
        "from maintenance_mode.decorators import force_maintenance_mode_off\n"
        "from mysite import views\n",
    )
    answers = project.answers("/shop/", "/", "/home/")
    assert answers == {"/shop/": 200, "/": 200, "/home/": 503}


def test_steps_09_and_10_views_that_are_always_down(project):
    project.setting("MAINTENANCE_MODE = False")
    for name in ("mysite/views.py", "mysite/urls.py"):
        file = project.directory / name
        file.write_text(file.read_text().replace("mode_off", "mode_on"))
    answers = project.answers("/shop/", "/", "/home/")
    assert answers == {"/shop/": 503, "/": 503, "/home/": 200}


def test_step_11_a_page_from_another_folder(project):
    (project.directory / "templates" / "errors").mkdir()
    (project.directory / "templates" / "errors" / "503.html").write_text("<h1>Elsewhere</h1>\n")
    project.setting('MAINTENANCE_MODE_TEMPLATE = "errors/503.html"')
    with project.server() as server:
        assert "<h1>Elsewhere</h1>" in server.get("/shop/").body
