from django.http import HttpResponse


def address(request):
    return request.META["HTTP_X_REAL_IP"]


def response_type(request):
    return "json" if request.path_info.startswith("/api") else "html"


def context(request):
    return {"phone": "555-0100"}


def page(request, *args, **kwargs):
    return HttpResponse("goods")
