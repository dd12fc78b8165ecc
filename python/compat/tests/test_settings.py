"""Defaults that are put into the settings, and names that projects import."""

import importlib
import re
import subprocess
import sys

import pytest
from django.conf import settings
from django.test import override_settings

import maintenance_mode
from maint.django.checks import check_maintenance
from maintenance_mode import settings as defaults
from maintenance_mode.checks import check_face


def test_every_default_of_the_readme_is_in_the_settings():
    for name, value in defaults.DEFAULTS.items():
        if name != "MAINTENANCE_MODE_STATE_FILE_PATH":
            assert getattr(settings, name) == value, name
    assert settings.MAINTENANCE_MODE_STATE_FILE_PATH.endswith("/shop/maintenance_mode_state.txt")


def test_a_default_is_unsaid_and_the_same_value_in_a_test_is_said():
    name = "MAINTENANCE_MODE_RESPONSE_TYPE"
    assert not defaults.is_said(name)
    with override_settings(**{name: "html"}):
        assert defaults.is_said(name)
        with override_settings(MAINTENANCE_MODE_TEMPLATE="x.html"):
            assert defaults.is_said(name)
            importlib.reload(defaults)
            assert defaults.is_said(name)
    importlib.reload(maintenance_mode)
    assert not defaults.is_said(name)
    settings.MAINTENANCE_MODE_STATUS_CODE = 500
    assert defaults.is_said("MAINTENANCE_MODE_STATUS_CODE")


def test_json_goes_by_accept_until_a_project_says_html(visit, configure, run):
    run("on")
    assert visit(accept="application/json").headers["content-type"] == "application/json"
    configure(_RESPONSE_TYPE="html")
    assert visit(accept="application/json").headers["content-type"].startswith("text/html")


def test_a_project_that_says_nothing_gets_no_finding(run):
    run("ignore", "add", "path", "/admin/login/")
    assert list(check_maintenance()) == []


NAMES = {
    "metadata": "__author__ __copyright__ __description__ __license__ __title__ __version__",
    "apps": "MaintenanceModeConfig",
    "backends": "AbstractStateBackend LocalFileBackend DefaultStorageBackend StaticStorageBackend "
    "CacheBackend cache caches default_storage",
    "core": "get_maintenance_mode set_maintenance_mode get_maintenance_mode_backend "
    "override_maintenance_mode maintenance_mode_on maintenance_mode_off",
    "http": "need_maintenance_response get_maintenance_response get_maintenance_response_context "
    "get_maintenance_mode",
    "decorators": "force_maintenance_mode_off force_maintenance_mode_on",
    "context_processors": "maintenance_mode",
    "logging": "RequireNotMaintenanceMode503",
    "middleware": "MaintenanceModeMiddleware",
    "io": "read_file write_file set_file_permissions",
    "utils": "get_client_ip_address get_now_datetime import_function parse_aware_datetime",
    "urls": "urlpatterns",
    "views": "maintenance_mode_off maintenance_mode_on",
    "management.commands.maintenance_mode": "Command",
}


@pytest.mark.parametrize("module", NAMES)
def test_projects_find_every_name_where_it_was(module):
    there = importlib.import_module(f"maintenance_mode.{module}")
    assert [name for name in NAMES[module].split() if not hasattr(there, name)] == []


def test_the_version_is_three_numbers_and_that_of_maint():
    import maint

    assert re.fullmatch(r"\d+\.\d+\.\d+", maintenance_mode.__version__)
    assert maintenance_mode.__version__ == maint.__version__


def test_a_private_name_of_the_peer_says_what_to_ask_instead():
    with pytest.raises(ImportError, match="need_maintenance_response"):
        from maintenance_mode.http import _need_maintenance_ignore_users  # noqa: F401


def test_the_version_can_be_asked_for_without_a_project():
    program = "import maintenance_mode, sys; print(maintenance_mode.__version__)"
    paths = [str(path) for path in sys.path if path]
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(paths)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout.strip(), done.stderr) == (maintenance_mode.__version__, "")


def test_both_distributions_at_once_are_an_error(monkeypatch):
    from maintenance_mode import checks

    def absent(name):
        raise checks.PackageNotFoundError(name)

    monkeypatch.setattr(checks, "distribution", absent)
    assert [message.id for message in check_face()] == []
    monkeypatch.setattr(checks, "distribution", lambda name: name)
    [message] = check_face()
    assert (message.id, message.is_serious()) == ("maint.E007", True)
    assert "pip uninstall django-maintenance-mode" in message.hint


def test_a_long_list_that_grows_in_place_is_noticed(visit):
    settings.MAINTENANCE_MODE = True
    settings.MAINTENANCE_MODE_IGNORE_URLS = [f"^/x{number}$" for number in range(1000)]
    assert visit("/open/").status_code == 503
    settings.MAINTENANCE_MODE_IGNORE_URLS.append("^/open")
    assert visit("/open/").status_code == 200


def test_the_guide_has_every_check_of_the_package():
    from pathlib import Path

    package = Path(maintenance_mode.__file__).parent
    ids = {
        found
        for file in package.rglob("*.py")
        for found in re.findall(r"maint\.[EW]\d{3}", file.read_text())
    }
    guide = (Path(__file__).parents[3] / "docs" / "migrating.md").read_text()
    assert {one for one in ids - {"maint.E005"} if f"`{one}`" not in guide} == set()
    assert len(ids) > 3
