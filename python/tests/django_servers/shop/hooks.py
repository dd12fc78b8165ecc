"""A part of the shop that is never down."""

from django.urls import path

from . import views

urlpatterns = [path("payments/", views.order), path("coroutine/", views.coroutine)]
