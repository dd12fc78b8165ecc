from django.contrib import admin
from django.http import HttpResponse
from django.urls import include, path, re_path


def page(request, *args, **kwargs):
    return HttpResponse("a book")


urlpatterns = [
    path("admin/", admin.site.urls),
    re_path(r"^maintenance-mode/", include("maintenance_mode.urls")),
    re_path(r"^.*$", page),
]
