"""The URLs of the example project."""

from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.urls import include, path

from maint.django.decorators import force_maintenance_mode_off, force_maintenance_mode_on

from . import views

urlpatterns = [
    path("", views.home, name="home"),
    path("async/", views.home_async),
    path("broken/", views.broken),
    path("staff/", views.staff),
    path("login/", LoginView.as_view(template_name="login.html"), name="login"),
    path("admin/", admin.site.urls),
    path("never/function/", views.never),
    path("never/async/", views.never_async),
    path("never/class/", force_maintenance_mode_off(views.Home.as_view())),
    path("never/class/async/", force_maintenance_mode_off(views.HomeAsync.as_view())),
    path("always/function/", views.always),
    path("always/async/", views.always_async),
    path("always/class/", force_maintenance_mode_on(views.Home.as_view())),
    path("always/class/async/", force_maintenance_mode_on(views.HomeAsync.as_view())),
    path("maintenance-mode/", include("maint.django.urls")),
]
