from django.urls import re_path

from maintenance_mode.decorators import force_maintenance_mode_off
from shop.views import page

urlpatterns = [
    re_path(r"^status/$", force_maintenance_mode_off(page)),
    re_path(r"^.*$", page),
]
