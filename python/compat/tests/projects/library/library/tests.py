from django.conf import settings
from django.test import TestCase, override_settings

from maintenance_mode.core import get_maintenance_mode, maintenance_mode_on


class ClosedTest(TestCase):
    def test_readers_see_the_page(self):
        with maintenance_mode_on():
            response = self.client.get("/catalog/7")
        self.assertEqual(response.status_code, 503)
        self.assertTemplateUsed(response, "503.html")
        self.assertEqual(response["Retry-After"], "1800")

    @override_settings(MAINTENANCE_MODE=True)
    def test_who_has_a_ticket_reads_on(self):
        response = self.client.get("/catalog/7", headers={"x-ticket": "reading-room"})
        self.assertEqual(response.status_code, 200)

    def test_the_admin_site_and_the_listed_paths_stay(self):
        settings.MAINTENANCE_MODE = True
        try:
            self.assertEqual(self.client.get("/admin/login/").status_code, 200)
            self.assertEqual(self.client.get("/static/a/b.css").status_code, 200)
            self.assertEqual(self.client.get("/healthz/deep").status_code, 200)
            self.assertEqual(self.client.get("/rooms/about/").status_code, 200)
            self.assertEqual(self.client.get("/catalog/about/").status_code, 503)
        finally:
            settings.MAINTENANCE_MODE = None
        self.assertFalse(get_maintenance_mode())
