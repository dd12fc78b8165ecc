"""A typical project, run with django-maintenance-mode or with `maint.django`.

    python project.py maintenance_mode < CASES > ANSWERS

`CASES` is a list of objects: `settings`, `path` and the other arguments of `answer`.
`ANSWERS` has the outcome of each, or the name of the exception.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.urls import include, path, re_path

import django

PACKAGE = sys.argv[1]
HERE = Path.cwd()

#: Whether the functions below raise. They do not while a project starts.
IS_BROKEN = False


def context(request: Any) -> dict[str, str]:
    if IS_BROKEN:
        raise RuntimeError("no context today")
    return {"hint": "from the function"}


def user_of(request: Any) -> Any:
    if IS_BROKEN:
        raise RuntimeError("nobody knows")
    return None


def address_of(request: Any) -> str:
    return request.META.get("HTTP_X_CLIENT", "192.0.2.1")  # type: ignore[no-any-return]


def configure() -> None:
    settings.configure(
        BASE_DIR=HERE,
        SECRET_KEY="for this test",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        USE_TZ=True,
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.admindocs",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            PACKAGE,
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            f"{PACKAGE}.middleware.MaintenanceModeMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [HERE / "templates"],
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(HERE / "db.sqlite3")}
        },
        MAINTENANCE_MODE_STATE_FILE_PATH=str(HERE / "maintenance_mode_state.txt"),
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        LOGGING_CONFIG=None,
    )
    django.setup()


def page(request: Any, **_: object) -> HttpResponse:
    return HttpResponse("the app")


def pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def patterns() -> list[Any]:
    from django.contrib import admin

    decorators = import_module(f"{PACKAGE}.decorators")
    return [
        path("admin/docs/", include("django.contrib.admindocs.urls")),
        path("admin/", admin.site.urls),
        path("maintenance/", include(f"{PACKAGE}.urls")),
        path("never-down/", decorators.force_maintenance_mode_off(page)),
        path("always-down/", decorators.force_maintenance_mode_on(page)),
        re_path(r"^.*$", page),
    ]


def answer(
    settings: dict[str, Any],
    path: str = "/",
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    peer: str = "192.0.2.1",
    user: str | None = None,
    script: str = "",
    is_broken: bool = False,
    state: bool | None = None,
) -> dict[str, Any]:
    """The answer of the project with these settings to a request."""
    global IS_BROKEN
    from django.contrib.auth.models import User
    from django.test import Client
    from django.test.utils import override_settings

    core = import_module(f"{PACKAGE}.core")
    settings = {"MAINTENANCE_MODE": True, **settings}
    for name, value in settings.items():
        if isinstance(value, list):
            settings[name] = [pattern(x[8:]) if x.startswith("compile:") else x for x in value]
    if state is not None:
        del settings["MAINTENANCE_MODE"]
        core.set_maintenance_mode(state)
    extra: dict[str, Any] = {"REMOTE_ADDR": peer}
    extra |= {"HTTP_" + name.upper().replace("-", "_"): v for name, v in (headers or {}).items()}
    if script:
        extra["SCRIPT_NAME"] = script
    with override_settings(**settings):
        client = Client()
        if user:
            client.force_login(User.objects.get(username=user))
        # The project starts with its first request, so send another one first.
        client.get("/never-down/")
        IS_BROKEN = is_broken
        try:
            response = client.generic(method, path, **extra)
        finally:
            IS_BROKEN = False
        return {
            "status": response.status_code,
            "type": response.headers.get("Content-Type", "").partition(";")[0],
            "retry_after": response.headers.get("Retry-After"),
            "cache": response.headers.get("Cache-Control"),
            "is_logged_in": "_auth_user_id" in client.session,
            "is_down": core.get_maintenance_mode(),
            "body": response.content.decode(),
        }


def overlapping() -> dict[str, bool]:
    """Two deploys that overlap: the first one ends while the second still runs."""
    core = import_module(f"{PACKAGE}.core")
    core.set_maintenance_mode(False)
    first, second = core.maintenance_mode_on(), core.maintenance_mode_on()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    is_down_for_the_second = core.get_maintenance_mode()
    second.__exit__(None, None, None)
    return {"second": is_down_for_the_second, "after": core.get_maintenance_mode()}


def main() -> None:
    configure()
    from django.contrib.auth.models import User
    from django.core.management import call_command

    global urlpatterns
    urlpatterns = patterns()
    call_command("migrate", verbosity=0)
    User.objects.create_user("ann", password="x", is_staff=True, is_superuser=True)
    User.objects.create_user("bob", password="x", is_staff=True)
    User.objects.create_user("cid", password="x")
    answers: list[object] = []
    for case in json.load(sys.stdin):
        try:
            answers.append(overlapping() if case == "overlapping" else answer(**case))
        except Exception as error:
            answers.append({"status": type(error).__name__, "why": str(error)})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    # Settings name functions of this module by path, whatever it runs as.
    sys.modules["project"] = sys.modules["__main__"]
    urlpatterns: list[Any] = []
    main()
