"""URLs to include, and those of another host."""

from django.urls import path

from . import views

app_name = "inner"

urlpatterns = [
    path("item/", views.home, name="item"),
    path("never/", views.never),
]
