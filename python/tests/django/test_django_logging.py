"""The filter for `LOGGING`, and the context processor."""

import logging

import pytest
from django.test import RequestFactory

from maint.django.context_processors import maintenance_mode
from maint.django.logging import RequireNotMaintenanceMode503


def record(**extra):
    return logging.makeLogRecord({"msg": "x", **extra})


@pytest.mark.parametrize(
    ("extra", "is_kept_up", "is_kept_down"),
    [
        ({"status_code": 503}, True, False),
        ({"status_code": 500}, True, True),
        ({"status_code": 404}, True, True),
        ({}, True, True),
    ],
)
def test_a_503_is_dropped_while_the_site_is_down(site, extra, is_kept_up, is_kept_down):
    keep = RequireNotMaintenanceMode503()
    assert keep.filter(record(**extra)) is is_kept_up
    site.on()
    assert keep.filter(record(**extra)) is is_kept_down


def test_wrong_settings_do_not_stop_the_log(configure):
    configure(MAINTENANCE_MODE="on")
    assert RequireNotMaintenanceMode503().filter(record(status_code=503)) is True


def test_it_works_where_logging_is_configured(site, caplog):
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"no_503": {"()": "maint.django.logging.RequireNotMaintenanceMode503"}},
            "handlers": {"memory": {"class": "logging.NullHandler", "filters": ["no_503"]}},
            "loggers": {"shop": {"handlers": ["memory"]}},
        }
    )
    (handler,) = logging.getLogger("shop").handlers
    assert handler.filter(record(status_code=503))
    site.on()
    assert not handler.filter(record(status_code=503))


def test_templates_are_told_whether_the_site_is_down(site, configure):
    request = RequestFactory().get("/")
    assert maintenance_mode(request)["maintenance_mode"] is False
    site.on()
    assert maintenance_mode(request)["maintenance_mode"] is True
    configure(MAINTENANCE_MODE=False)
    assert maintenance_mode(request)["maintenance_mode"] is False
