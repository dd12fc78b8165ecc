from django.http import HttpResponse
from django.urls import re_path


async def page(request, *args, **kwargs):
    return HttpResponse("parts")


urlpatterns = [re_path(r"^.*$", page)]
