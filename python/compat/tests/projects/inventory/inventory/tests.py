from django.test import TestCase

from inventory.models import Setting
from maintenance_mode.core import get_maintenance_mode, maintenance_mode_on, set_maintenance_mode


class StateTest(TestCase):
    def test_the_state_is_in_the_database(self):
        set_maintenance_mode(True)
        self.assertTrue(get_maintenance_mode())
        self.assertTrue(Setting.objects.get(key="_MAINTENANCE_MODE").value)
        self.assertEqual(self.client.get("/").status_code, 503)
        set_maintenance_mode(False)
        self.assertEqual(self.client.get("/").status_code, 200)

    async def test_async_visitors_see_the_page(self):
        response = await self.async_client.get("/")
        self.assertEqual(response.status_code, 200)

    def test_an_import_runs_in_maintenance(self):
        with maintenance_mode_on():
            self.assertEqual(self.client.get("/").status_code, 503)
        self.assertFalse(get_maintenance_mode())
