"""Maintenance mode for Django: name it in `INSTALLED_APPS`."""
