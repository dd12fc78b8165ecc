"""The views of the example project."""

from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.views import View

from maint.django.decorators import force_maintenance_mode_off, force_maintenance_mode_on


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse("the shop")


async def home_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse("the shop")


def broken(request: HttpRequest) -> HttpResponse:
    """Answers 503 for a reason of its own."""
    return HttpResponse("no stock", status=503)


@staff_member_required(login_url="/login/")
def staff(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"the shop for {request.user.get_username()}")


@force_maintenance_mode_off
def never(request: HttpRequest) -> HttpResponse:
    return HttpResponse("never down")


@force_maintenance_mode_off
async def never_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse("never down")


@force_maintenance_mode_on
def always(request: HttpRequest) -> HttpResponse:
    raise AssertionError("this view is always down")


@force_maintenance_mode_on
async def always_async(request: HttpRequest) -> HttpResponse:
    raise AssertionError("this view is always down")


class Home(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("the shop")

    post = get


class HomeAsync(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("the shop")

    post = get
