"""Readers who have a ticket go on while the library is closed to others."""

from maintenance_mode.http import get_maintenance_response, need_maintenance_response
from maintenance_mode.middleware import MaintenanceModeMiddleware


class LibraryMaintenanceMiddleware(MaintenanceModeMiddleware):
    def process_request(self, request):
        if request.headers.get("x-ticket") == "reading-room":
            return None
        if need_maintenance_response(request):
            return get_maintenance_response(request)
        return None
