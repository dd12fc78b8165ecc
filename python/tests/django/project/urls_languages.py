"""URLs that begin with a language."""

from django.conf.urls.i18n import i18n_patterns
from django.urls import include, path

from maint.django.decorators import force_maintenance_mode_off, force_maintenance_mode_on

from . import views

inner = [path("inner/", views.home, name="inner")]

urlpatterns = [
    *i18n_patterns(
        path("plain/", views.home, name="plain"),
        path("never/", views.never),
        path("always/", views.always),
        path("never/", force_maintenance_mode_off(include(inner))),
        path("always/", force_maintenance_mode_on(include(inner))),
    ),
    path("outside/", views.never),
    path("café/", views.home, name="accents"),
    path("déjà/", views.home, name="more accents"),
]
