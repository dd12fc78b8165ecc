"""URLs with an admin site of another name, and without the views of maint."""

from django.contrib import admin
from django.urls import path

from . import views

office = admin.AdminSite(name="office")

urlpatterns = [
    path("office/", office.urls),
    path("shop/", views.home),
]
