"""A shop in Pyramid."""

from pyramid.config import Configurator
from pyramid.response import Response

from maint.wsgi import MaintenanceMiddleware

with Configurator() as config:
    config.add_route("shop", "/")
    config.add_view(lambda request: Response("the shop"), route_name="shop")
    app = MaintenanceMiddleware(config.make_wsgi_app())
