"""The answers of the shop."""

import asyncio
import os
import time
from pathlib import Path

from django.http import HttpResponse
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from maint.django.decorators import force_maintenance_mode_off, force_maintenance_mode_on


def home(request):
    """Names the worker that answers, without looking at the user."""
    return HttpResponse("the shop", headers={"X-Worker": str(os.getpid())})


def who(request):
    user = getattr(request, "user", None)
    return HttpResponse((user and user.get_username()) or "nobody")


@csrf_exempt
def order(request):
    return HttpResponse(f"{len(request.body)} bytes")


def slow(request):
    """Tells by one file that it began, and goes on once there is another."""
    desk = Path(request.GET["desk"])
    (desk / "begun").touch()
    last = time.monotonic() + 120
    while not (desk / "released").exists():
        if time.monotonic() > last:
            raise TimeoutError("nobody let the answer go on")
        time.sleep(0.01)
    return HttpResponse("done")


async def coroutine(request):
    await asyncio.sleep(0)
    return HttpResponse("the shop", headers={"X-Worker": str(os.getpid())})


def fails(request):
    raise RuntimeError("a mistake of the shop")


@force_maintenance_mode_off
def unavailable(request):
    return HttpResponse("not today", status=503)


@force_maintenance_mode_off
def health(request):
    return HttpResponse("well", headers={"X-Worker": str(os.getpid())})


@force_maintenance_mode_on
def search(request):
    return HttpResponse("never seen")


class Contact(View):
    def get(self, request):
        return HttpResponse("help@example.com")


def now(request):
    return HttpResponse(f"{time.time_ns()}")


def address_of(request):
    """The client's address, as the shop's proxy passes it on."""
    return request.META.get("HTTP_X_CLIENT", request.META["REMOTE_ADDR"])
