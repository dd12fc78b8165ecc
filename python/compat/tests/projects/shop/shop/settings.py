"""A shop on several hosts, so the state is in a cache that they share."""

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "for tests alone"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "maintenance_mode",
    "shop",
]

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "maintenance_mode.middleware.MaintenanceModeMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "shop" / "templates"],
        "APP_DIRS": True,
    }
]

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "maintenance_mode": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": BASE_DIR / "cache",
    },
}
USE_TZ = True

MAINTENANCE_MODE_STATE_BACKEND = "maintenance_mode.backends.CacheBackend"
MAINTENANCE_MODE_STATE_BACKEND_FALLBACK_VALUE = False
MAINTENANCE_MODE_IGNORE_URLS = (r"^/webstore",)
MAINTENANCE_MODE_IGNORE_IP_ADDRESSES = (r"^10\.",)
MAINTENANCE_MODE_GET_CLIENT_IP_ADDRESS = "shop.views.address"
MAINTENANCE_MODE_RESPONSE_TYPE = "shop.views.response_type"
MAINTENANCE_MODE_GET_CONTEXT = "shop.views.context"
MAINTENANCE_MODE_TEMPLATE = "errors/503.html"
