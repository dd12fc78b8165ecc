"""The URLs, with the views of the package and every kind of decorated view."""

from django.contrib import admin
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import include, path, re_path
from django.views import View

from maintenance_mode.decorators import force_maintenance_mode_off, force_maintenance_mode_on


def shop(request, *args, **kwargs):
    return HttpResponse("the shop")


def state(request):
    return render(request, "state.html")


def broken(request):
    return HttpResponse("broken", status=503)


@force_maintenance_mode_off
def never(request):
    return HttpResponse("never down")


@force_maintenance_mode_on
def always(request):
    return HttpResponse("always down")


class Page(View):
    def get(self, request):
        return HttpResponse("a class")


urlpatterns = [
    path("admin/", admin.site.urls),
    re_path(r"^maintenance-mode/", include("maintenance_mode.urls")),
    path("state/", state),
    path("broken/", broken),
    path("never/", never),
    path("always/", always),
    path("class/never/", force_maintenance_mode_off(Page.as_view()), name="my_view"),
    path("class/always/", force_maintenance_mode_on(Page.as_view()), name="my_other_view"),
    re_path(r"^.*$", shop),
]
