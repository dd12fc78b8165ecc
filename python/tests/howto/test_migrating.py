"""`docs/migrating.md`: its commands on a typical project, and its claims on before
and now, checked against both packages.

django-maintenance-mode is not a dependency of the tests. Where it is missing, half of
the comparison is skipped with a message.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from servers import gunicorn

GUIDE = Path(__file__).parents[3] / "docs" / "migrating.md"
PROJECT = Path(__file__).parent / "before_and_after" / "project.py"

WRONG = "ImproperlyConfigured"
NO_TEMPLATE = "TemplateDoesNotExist"
BROWSER = {"accept": "text/html", "sec-fetch-mode": "navigate"}
API = {"accept": "application/json"}


@dataclass(frozen=True)
class Case:
    """What a request got then, and what it gets now."""

    fact: str
    then: object
    now: object
    settings: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    what: str = "status"
    template: bool = True

    def told(self) -> dict[str, Any]:
        settings = {f"MAINTENANCE_MODE{name}": value for name, value in self.settings.items()}
        return {"settings": settings, **self.request}


def same(fact: str, answer: object, **more: Any) -> Case:
    return Case(fact, answer, answer, **more)


CASES = [
    same("down by a setting", 503),
    same("up by a setting", 200, settings={"": False}),
    same("a view forced off", 200, request={"path": "/never-down/"}),
    same("a view forced on", 503, settings={"": False}, request={"path": "/always-down/"}),
    # Addresses
    same(
        "an address", 200, settings={"_IGNORE_IP_ADDRESSES": ["10.0.0.1"]},
        request={"peer": "10.0.0.1"},
    ),
    Case(
        "an address that begins like one", 200, 503,
        settings={"_IGNORE_IP_ADDRESSES": ["10.0.0.1"]}, request={"peer": "10.0.0.100"},
    ),
    Case(
        "an expression for addresses", 200, WRONG,
        settings={"_IGNORE_IP_ADDRESSES": [r"^10\."]}, request={"peer": "10.1.2.3"},
    ),
    same(
        "an address from a function", 200,
        settings={
            "_IGNORE_IP_ADDRESSES": ["203.0.113.7"],
            "_GET_CLIENT_IP_ADDRESS": "project.address_of",
        },
        request={"headers": {"x-client": "203.0.113.7"}},
    ),
    # URLs
    same(
        "a URL that ends in .*", 200, settings={"_IGNORE_URLS": [r"^/api/.*"]},
        request={"path": "/api/x/"},
    ),
    Case(
        "a URL that begins like one", 200, 503, settings={"_IGNORE_URLS": [r"^/api"]},
        request={"path": "/apinternal/"},
    ),
    Case(
        "a compiled URL is whole", 200, 503, settings={"_IGNORE_URLS": ["compile:/api"]},
        request={"path": "/apinternal/"},
    ),
    Case(
        "a URL without an expression is whole", 200, 503, settings={"_IGNORE_URLS": ["/api/"]},
        request={"path": "/api/x/"},
    ),
    same(
        "a URL without an expression", 200, settings={"_IGNORE_URLS": ["/api/"]},
        request={"path": "/api/"},
    ),
    Case(
        "an expression that does not say so", 200, WRONG,
        settings={"_IGNORE_URLS": ["/api/.*"]}, request={"path": "/api/x/"},
    ),
    Case(
        "a URL under a prefix, without it", 200, 503, settings={"_IGNORE_URLS": ["/api/"]},
        request={"path": "/api/", "script": "/shop"},
    ),
    Case(
        "a URL under a prefix, with it", 503, 200, settings={"_IGNORE_URLS": ["/shop/api/"]},
        request={"path": "/api/", "script": "/shop"},
    ),
    # Users
    *(
        same(f"{setting} for {user}", status, settings={setting: True}, request={"user": user})
        for setting, statuses in {
            "_IGNORE_ANONYMOUS_USER": (200, 503, 503, 503),
            "_IGNORE_AUTHENTICATED_USER": (503, 200, 200, 200),
            "_IGNORE_STAFF": (503, 503, 200, 200),
            "_IGNORE_SUPERUSER": (503, 503, 503, 200),
        }.items()
        for user, status in zip((None, "cid", "bob", "ann"), statuses, strict=True)
    ),
    Case(
        "a function for the user that raises", "RuntimeError", 503,
        settings={"_IGNORE_STAFF": True, "_GET_AUTHENTICATED_USER": "project.user_of"},
        request={"user": "bob", "is_broken": True},
    ),
    # Logging out
    *(
        same(
            f"logging out {user} with {settings}", is_logged_in, settings=settings,
            request={"user": user}, what="is_logged_in",
        )
        for settings, statuses in (
            ({}, (True, True, True)),
            ({"_LOGOUT_AUTHENTICATED_USER": True}, (False, False, False)),
            (
                {"_LOGOUT_AUTHENTICATED_USER": True, "_LOGOUT_STAFF_USER": False},
                (False, True, False),
            ),
            ({"_LOGOUT_SUPERUSER": True}, (True, True, False)),
        )
        for user, is_logged_in in zip(("cid", "bob", "ann"), statuses, strict=True)
    ),
    Case(
        "logging out whose address is let through", False, True,
        settings={"_LOGOUT_AUTHENTICATED_USER": True, "_IGNORE_IP_ADDRESSES": ["192.0.2.1"]},
        request={"user": "cid"}, what="is_logged_in",
    ),
    # The admin site
    same("the admin site", 503, request={"path": "/admin/login/"}),
    same(
        "the admin site, ignored", 200, settings={"_IGNORE_ADMIN_SITE": True},
        request={"path": "/admin/login/"},
    ),
    Case(
        "what else is below the admin site", 302, 503, settings={"_IGNORE_ADMIN_SITE": True},
        request={"path": "/admin/docs/"},
    ),
    # Redirects
    same(
        "a redirect for a browser", 302, settings={"_REDIRECT_URL": "/sorry/"},
        request={"headers": BROWSER},
    ),
    Case(
        "a redirect for an API client", 302, 503, settings={"_REDIRECT_URL": "/sorry/"},
        request={"headers": API},
    ),
    same(
        "the target of a redirect", 200, settings={"_REDIRECT_URL": "/sorry/"},
        request={"path": "/sorry/", "headers": BROWSER},
    ),
    Case(
        "what begins like the target of a redirect", 200, 302,
        settings={"_REDIRECT_URL": "/sorry/"},
        request={"path": "/sorry/more/", "headers": BROWSER},
    ),
    # The page
    Case(
        "who asks for JSON", "text/html", "application/problem+json",
        request={"headers": API}, what="type",
    ),
    same(
        "HTML for everybody", "text/html", settings={"_RESPONSE_TYPE": "html"},
        request={"headers": API}, what="type",
    ),
    Case(
        "JSON for everybody", "application/json", "application/problem+json",
        settings={"_RESPONSE_TYPE": "json"}, request={"headers": BROWSER}, what="type",
    ),
    same("a status", 500, settings={"_STATUS_CODE": 500}),
    Case("Retry-After", "3600", "120", what="retry_after"),
    same("Retry-After by a setting", "77", settings={"_RETRY_AFTER": 77}, what="retry_after"),
    Case(
        "for caches", "max-age=0, no-cache, no-store, must-revalidate, private", "no-store",
        what="cache",
    ),
    same("no template", 503, template=False),
    Case(
        "no template of that name", NO_TEMPLATE, 503,
        settings={"_TEMPLATE": "errors/503.html"},
    ),
    same(
        "context from a function", "ours: from the function\n",
        settings={"_GET_CONTEXT": "project.context"}, what="body",
    ),
    Case(
        "a function for the context that raises", "RuntimeError", 503,
        settings={"_GET_CONTEXT": "project.context"}, request={"is_broken": True},
    ),
    # The views
    Case(
        "a superuser who follows the link", False, True,
        request={"path": "/maintenance/off/", "user": "ann", "state": True}, what="is_down",
    ),
    Case(
        "somebody else who follows the link", 302, 403,
        request={"path": "/maintenance/off/", "user": "bob", "state": True},
    ),
]  # fmt: skip


@cache
def answers(package: str, with_template: bool) -> list[dict[str, Any]]:
    """The answers of the project with this package in all cases."""
    with TemporaryDirectory(prefix="maint-migrating-") as directory:
        here = Path(directory).resolve()
        (here / ".maint").mkdir()
        (here / "templates").mkdir()
        if with_template:
            (here / "templates" / "503.html").write_text("ours: {{ hint }}\n")
        (here / "project.py").write_text(PROJECT.read_text())
        cases = [case.told() for case in CASES if case.template == with_template]
        output = subprocess.run(
            [sys.executable, "project.py", package],
            cwd=here,
            env=environment(here) | {"DJANGO_SETTINGS_MODULE": "project"},
            input=json.dumps([*cases, "overlapping"]),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert output.returncode == 0, output.stderr[-5000:]
        return json.loads(output.stdout)  # type: ignore[no-any-return]


def environment(here: Path) -> dict[str, str]:
    """The test's own, with the package under test, and without what would name another site."""
    package = importlib.util.find_spec("maint")
    assert package and package.submodule_search_locations, "the package under test is missing"
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MAINT_") and name != "DJANGO_SETTINGS_MODULE"
    }
    above = Path(next(iter(package.submodule_search_locations))).resolve().parent
    return {**kept, "PYTHONPATH": str(above), "HOME": str(here)}


@pytest.mark.parametrize("package", ["maintenance_mode", "maint.django"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.fact)
def test_what_the_table_says_of(case: Case, package: str) -> None:
    if package == "maintenance_mode":
        needs_the_other()
    place = [other for other in CASES if other.template == case.template].index(case)
    answer = answers(package, case.template)[place]
    expected = case.then if package == "maintenance_mode" else case.now
    assert answer.get(case.what) == expected, answer


def needs_the_other() -> None:
    if importlib.util.find_spec("maintenance_mode") is None:
        pytest.skip("SKIPPED: django-maintenance-mode is not installed: nothing to compare with")


def test_deploys_that_overlap_ended_each_other() -> None:
    needs_the_other()
    assert answers("maintenance_mode", True)[-1] == {"second": False, "after": True}


def test_deploys_that_overlap_do_not_end_each_other() -> None:
    assert answers("maint.django", True)[-1] == {"second": True, "after": False}


# The commands


def fence(name: str) -> str:
    """The commands after `<!-- test: NAME -->`."""
    _, _, rest = GUIDE.read_text().partition(f"<!-- test: {name} -->\n```sh\n")
    assert rest, f"no fence `{name}`"
    return rest.partition("\n```")[0]


#: Lines in the files of a team, and what they must become.
LINES = [
    ("from maintenance_mode.decorators import x", "from maint.django.decorators import x"),
    ("    from maintenance_mode.core import x", "    from maint.django.core import x"),
    ("import maintenance_mode.http", "import maint.django.http"),
    ("x = maintenance_mode.http.y", "x = maint.django.http.y"),
    ("from maintenance_mode import core", "from maint.django import core"),
    ("path('m/', include('maintenance_mode.urls'))", "path('m/', include('maint.django.urls'))"),
    (
        '"maintenance_mode.middleware.MaintenanceModeMiddleware",',
        '"maint.django.middleware.MaintenanceModeMiddleware",',
    ),
    (
        '"()": "maintenance_mode.logging.RequireNotMaintenanceMode503"',
        '"()": "maint.django.logging.RequireNotMaintenanceMode503"',
    ),
    (
        "'maintenance_mode.context_processors.maintenance_mode',",
        "'maint.django.context_processors.maintenance_mode',",
    ),
    # Lines that stay.
    ('call_command("maintenance_mode", "on")', 'call_command("maintenance_mode", "on")'),
    ('    "maintenance_mode",', '    "maintenance_mode",'),
    ('reverse("maintenance_mode_off")', 'reverse("maintenance_mode_off")'),
    ("from shop.maintenance_mode.core import x", "from shop.maintenance_mode.core import x"),
    ("from old_maintenance_mode.core import x", "from old_maintenance_mode.core import x"),
    ('if context["maintenance_mode"]:', 'if context["maintenance_mode"]:'),
    # What is gone must fail on import instead of in silence.
    ("from maintenance_mode.backends import x", "from maintenance_mode.backends import x"),
    ("maintenance_mode.coreutils", "maintenance_mode.coreutils"),
]


def test_the_command_for_imports_changes_these_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    before, after = ("\n".join(lines) + "\n" for lines in zip(*LINES, strict=True))
    (tmp_path / "shop" / "code.py").write_text(before)
    (tmp_path / "shop" / "page.html").write_text("{% if maintenance_mode.core %}")
    (tmp_path / "other.py").write_text("nothing of it\n")
    track(tmp_path)
    # Other people's code, in an environment inside the project.
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "code.py").write_text(before)
    for _ in range(2):
        subprocess.run(["sh", "-ec", fence("imports")], cwd=tmp_path, check=True, timeout=60)
        assert (tmp_path / "shop" / "code.py").read_text() == after
    assert (tmp_path / "shop" / "page.html").read_text() == "{% if maintenance_mode.core %}"
    assert (tmp_path / "other.py").read_text() == "nothing of it\n"
    assert (tmp_path / ".venv" / "code.py").read_text() == before


def track(directory: Path) -> None:
    """Puts the directory under version control."""
    if shutil.which("git") is None:
        pytest.skip("SKIPPED: the commands of docs/migrating.md: no git")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=directory, check=True, timeout=60)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("    'maintenance_mode',", "    'maint.django',"),
        ('INSTALLED_APPS += ["maintenance_mode"]', 'INSTALLED_APPS += ["maint.django"]'),
        ('    # "maintenance_mode",', '    # "maintenance_mode",'),
        ('    "maintenance_mode.middleware.X",', '    "maintenance_mode.middleware.X",'),
        ('    "old_maintenance_mode",', '    "old_maintenance_mode",'),
    ],
)
def test_the_command_for_the_app_changes_its_name_alone(
    tmp_path: Path, before: str, after: str
) -> None:
    (tmp_path / "shop").mkdir()
    settings = tmp_path / "shop" / "settings.py"
    settings.write_text(before + "\n")
    subprocess.run(["sh", "-ec", fence("app")], cwd=tmp_path, check=True, timeout=60)
    assert settings.read_text() == after + "\n"


#: The settings of a team, after those of `startproject`.
OLD_SETTINGS = """
INSTALLED_APPS += ['maintenance_mode']
MIDDLEWARE += ['maintenance_mode.middleware.MaintenanceModeMiddleware']
TEMPLATES[0]['DIRS'] = [BASE_DIR / 'templates']
TEMPLATES[0]['OPTIONS']['context_processors'] += [
    'maintenance_mode.context_processors.maintenance_mode',
]
ALLOWED_HOSTS = ['*']
MAINTENANCE_MODE_STATE_FILE_PATH = str(BASE_DIR / 'maintenance_mode_state.txt')
MAINTENANCE_MODE_IGNORE_ADMIN_SITE = True
MAINTENANCE_MODE_IGNORE_SUPERUSER = True
MAINTENANCE_MODE_IGNORE_URLS = (r'^/api',)
MAINTENANCE_MODE_IGNORE_IP_ADDRESSES = ('203.0.113.7',)
LOGGING = {
    'version': 1,
    'filters': {'no_503': {'()': 'maintenance_mode.logging.RequireNotMaintenanceMode503'}},
    'handlers': {'out': {'class': 'logging.StreamHandler', 'filters': ['no_503']}},
    'root': {'handlers': ['out']},
}
"""

OLD_URLS = """
from django.contrib import admin
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import include, path, re_path
from django.views import View
from maintenance_mode.decorators import force_maintenance_mode_off, force_maintenance_mode_on


@force_maintenance_mode_off
def health(request):
    return HttpResponse('well')


class Orders(View):
    def get(self, request):
        return HttpResponse('never seen')


urlpatterns = [
    path('admin/', admin.site.urls),
    path('health/', health),
    path('orders/', force_maintenance_mode_on(Orders.as_view())),
    path('maintenance-mode/', include('maintenance_mode.urls')),
    re_path('.*', lambda request: render(request, 'home.html')),
]
"""


@dataclass(frozen=True)
class Team:
    """A project of a team, and the commands of the guide in it."""

    directory: Path
    maint_binary: str

    def sh(self, script: str) -> str:
        beside = Path(sys.executable).parent
        commands = self.directory.parent / "bin"
        if not commands.exists():
            commands.mkdir()
            (commands / "maint").symlink_to(self.maint_binary)
        path = os.pathsep.join([str(commands), str(beside), os.environ["PATH"]])
        done = subprocess.run(
            ["sh", "-ec", script],
            cwd=self.directory,
            env=environment(self.directory) | {"PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    def answers(self) -> dict[str, tuple[int, str]]:
        """The answers of the project under a real server."""
        found = {}
        env = {"DJANGO_SETTINGS_MODULE": "shop.settings"}
        with gunicorn("shop.wsgi", directory=self.directory, env=env, ready="/health/") as server:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            for path in ("/", "/admin/login/", "/health/", "/orders/", "/api/x/"):
                try:
                    with opener.open(server.url + path, timeout=30) as answer:
                        found[path] = (answer.status, answer.read().decode())
                except urllib.error.HTTPError as error:
                    with error:
                        found[path] = (error.code, error.read().decode())
        return found


@pytest.fixture
def team(tmp_path: Path, maint_binary: str) -> Team:
    directory = tmp_path / "work"
    directory.mkdir()
    team = Team(directory, maint_binary)
    team.sh("django-admin startproject shop . && mkdir templates")
    with (directory / "shop" / "settings.py").open("a") as settings:
        settings.write(OLD_SETTINGS)
    (directory / "shop" / "urls.py").write_text(OLD_URLS)
    (directory / "templates" / "503.html").write_text("<h1>ours</h1>")
    (directory / "templates" / "home.html").write_text("home {{ maintenance_mode }}")
    track(directory)
    return team


@pytest.mark.parametrize("is_moved", [False, True], ids=["maintenance_mode", "maint.django"])
def test_a_project_answers_as_before_once_it_has_moved(team: Team, is_moved: bool) -> None:
    if is_moved:
        for step in ("imports", "app"):
            team.sh(fence(step))
        told = team.sh(fence("site"))
        assert "(maint.W003) MAINTENANCE_MODE_STATE_FILE_PATH" in told
        assert "(maint.W007) MAINTENANCE_MODE_IGNORE_URLS" in told
    else:
        needs_the_other()
    team.sh("python manage.py migrate --verbosity 0")
    up = team.answers()
    assert statuses(up) == {
        "/": 200,
        "/admin/login/": 200,
        "/health/": 200,
        "/orders/": 503,
        "/api/x/": 200,
    }
    assert up["/"][1] == "home False"
    # The same command as before.
    team.sh("python manage.py maintenance_mode on")
    down = team.answers()
    assert statuses(down) == {
        "/": 503,
        "/admin/login/": 200,
        "/health/": 200,
        "/orders/": 503,
        # The path that the check reported.
        "/api/x/": 503 if is_moved else 200,
    }
    assert down["/"][1] == down["/orders/"][1] == "<h1>ours</h1>"
    team.sh("python manage.py maintenance_mode off")
    assert statuses(team.answers()) == statuses(up)


def statuses(answers: dict[str, tuple[int, str]]) -> dict[str, int]:
    return {path: status for path, (status, _) in answers.items()}


def test_the_guide_has_every_setting_of_before_and_now() -> None:
    from maint.django.checks import OBSOLETE
    from maint.django.settings import READERS

    section = GUIDE.read_text().split("\n## Settings\n")[1].split("\n## ")[0]
    rows = "".join(re.findall(r"^\| (.*?) \|", section, re.M))
    told = {
        name if name.startswith("MAINT") else f"MAINTENANCE_MODE{name}"
        for name in re.findall(r"`(\w+)`", rows)
    }
    assert told == {name for name in {*READERS, *OBSOLETE} if not name.startswith("MAINT_")}
