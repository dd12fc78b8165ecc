"""A library: its own middleware, a page, prefixes and a look-ahead."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "for tests alone"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "library.urls"
WSGI_APPLICATION = "library.wsgi.application"

INSTALLED_APPS = [
    "maintenance_mode",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "library.middleware.LibraryMaintenanceMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "library" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "maintenance_mode.context_processors.maintenance_mode",
            ]
        },
    }
]

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "require_not_maintenance_mode_503": {
            "()": "maintenance_mode.logging.RequireNotMaintenanceMode503",
        },
    },
    "handlers": {
        "mail_admins": {
            "level": "ERROR",
            "filters": ["require_not_maintenance_mode_503"],
            "class": "django.utils.log.AdminEmailHandler",
        },
    },
    "loggers": {"django.request": {"handlers": ["mail_admins"], "level": "ERROR"}},
}

if "MAINTENANCE_MODE" in os.environ:
    MAINTENANCE_MODE = int(os.environ["MAINTENANCE_MODE"])
MAINTENANCE_MODE_TEMPLATE = "503.html"
MAINTENANCE_MODE_IGNORE_ADMIN_SITE = True
MAINTENANCE_MODE_IGNORE_STAFF = True
MAINTENANCE_MODE_IGNORE_URLS = (
    "^/static/",
    "/healthz",
    r"^(?!/catalog.*|/loans.*$).*/about/$",
)
MAINTENANCE_MODE_RETRY_AFTER = 1800
MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS = "ipware.ip.get_ip"
