"""The URLs of the shop."""

from django.contrib import admin
from django.urls import include, path

from maint.django.decorators import force_maintenance_mode_off, force_maintenance_mode_on

from . import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", views.home),
    path("time/", views.now),
    path("other/time/", views.now),
    path("who/", views.who),
    path("order/", views.order),
    path("slow/", views.slow),
    path("coroutine/", views.coroutine),
    path("fails/", views.fails),
    path("unavailable/", views.unavailable),
    path("health/", views.health),
    path("contact/", force_maintenance_mode_off(views.Contact.as_view())),
    path("hooks/", force_maintenance_mode_off(include("shop.hooks"))),
    path("search/", views.search),
    path("orders/", force_maintenance_mode_on(views.Contact.as_view())),
    path("maintenance/", include("maint.django.urls")),
]
