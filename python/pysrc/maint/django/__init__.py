"""Maintenance mode for Django: the app, to be named in `INSTALLED_APPS`."""
