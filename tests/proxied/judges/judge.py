"""Two routers that report what they serve for a target: the route, then the path.

    python -m gunicorn judge:django
    python judge.py PORT                 Flask, on Werkzeug's server
"""

import sys

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path, re_path
from flask import Flask, request

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="none")

ROUTES = {
    "health": ["health"],
    "static": ["static", "static/", "static/<path:rest>"],
    "status": ["api/<string:name>/status"],
    "version": ["v1/<path:rest>", "v2/<path:rest>"],
    "admin": ["admin", "admin/", "admin/<path:rest>"],
}


def django_view(label):
    def view(request, **_):
        body = f"{label}\n{request.path_info}".encode(errors="backslashreplace")
        length = {"Content-Length": str(len(body))}
        return HttpResponse(body, content_type="text/plain", headers=length)

    return view


urlpatterns = [
    path(pattern.replace("<string:", "<str:"), django_view(label))
    for label, patterns in ROUTES.items()
    for pattern in patterns
] + [re_path("", django_view("other"))]

django = get_wsgi_application()

flask = Flask(__name__, static_folder=None)


def flask_view(label):
    def view(**_):
        return f"{label}\n{request.path}"

    return view


for label, patterns in ROUTES.items():
    for number, pattern in enumerate(patterns):
        flask.add_url_rule(f"/{pattern}", f"{label}{number}", flask_view(label))


@flask.errorhandler(404)
def other(_):
    return f"other\n{request.path}", 200


if __name__ == "__main__":
    flask.run("127.0.0.1", int(sys.argv[1]), threaded=True)
