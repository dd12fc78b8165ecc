from unittest import mock

from django.test import TestCase, override_settings

from maintenance_mode.core import maintenance_mode_on, set_maintenance_mode

LOCAL = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


@override_settings(CACHES=LOCAL)
class DownTest(TestCase):
    def test_people_see_the_page(self):
        with maintenance_mode_on():
            response = self.client.get("/", headers={"x-real-ip": "192.0.2.1"})
        self.assertContains(response, "555-0100", status_code=503)
        self.assertEqual(response.context["phone"], "555-0100")

    def test_the_front_end_reads_the_context(self):
        with maintenance_mode_on():
            response = self.client.get("/api/goods", headers={"x-real-ip": "192.0.2.1"})
        self.assertEqual(response.status_code, 503)
        self.assertEqual(response.json()["phone"], "555-0100")

    def test_the_office_gets_through(self):
        with maintenance_mode_on():
            response = self.client.get("/", headers={"x-real-ip": "10.4.5.6"})
        self.assertEqual(response.status_code, 200)

    def test_the_cache_is_asked(self):
        with mock.patch("maintenance_mode.backends.cache") as cache:
            cache.get.return_value = "1"
            response = self.client.get("/", headers={"x-real-ip": "192.0.2.1"})
            set_maintenance_mode(False)
        self.assertEqual(response.status_code, 503)
        self.assertEqual(cache.set.call_args.args[:2], ("maintenance_mode", "0"))
