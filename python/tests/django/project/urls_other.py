"""URLs with an admin site under another name, and without maint's views."""

from django.contrib import admin
from django.urls import path

from . import views

office = admin.AdminSite(name="office")

urlpatterns = [
    path("office/", office.urls),
    path("shop/", views.home),
]
