"""An inventory under ASGI, with the state in its database, until a time."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "for tests alone"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "inventory.urls"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "inventory",
    "maintenance_mode",
]

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "maintenance_mode.middleware.MaintenanceModeMiddleware",
]

TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

MAINTENANCE_MODE_STATE_BACKEND = "inventory.backends.DatabaseBackend"
MAINTENANCE_MODE_REDIRECT_URL = os.environ.get("MAINTENANCE_MODE_REDIRECT_URL") or None
MAINTENANCE_MODE_IGNORE_SUPERUSER = True
MAINTENANCE_MODE_STATUS_CODE = 503
