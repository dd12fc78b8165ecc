"""What is to come, for templates, and read-only windows that know reads."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType

import pytest
from django.template import engines
from django.test import AsyncClient, Client, RequestFactory
from django.utils import translation

from browser import find_browser, seen_in
from maint.django.context_processors import maintenance_mode

GUIDE = Path(__file__).parents[3] / "docs/django.md"
START = datetime(2099, 1, 4, 3, tzinfo=timezone.utc)


def shown(beginning: str) -> str:
    """The fence of the guide that begins like this."""
    fences = re.findall(r"^```\w+\n(.*?)^```$", GUIDE.read_text(), re.S | re.M)
    (found,) = [fence for fence in fences if fence.startswith(beginning)]
    return str(found)


def render(text: str, path: str = "/") -> str:
    template = engines["django"].from_string(text)
    return str(template.render(request=RequestFactory().get(path)))


def test_templates_know_what_is_to_come(site):
    said = "{{ maintenance.next.name }} {{ maintenance.is_on }} {{ maintenance.read_only }}"
    assert render(said) == " False False"
    site.on("move", start=START, paths=["/shop/**"])
    assert render(said) == " False False"
    assert render(said, "/shop/1") == "move False False"
    site.on()
    assert render("{{ maintenance_mode }} {{ maintenance.is_on }}") == "True True"


def test_behind_the_middleware_templates_know_what_it_decided(visit, site):
    request = RequestFactory().get("/")

    class Decision:
        is_private = True
        read_only = "w"
        next = None

    request.maint_pass = Decision()
    maintenance = maintenance_mode(request)["maintenance"]
    assert (maintenance.is_private, maintenance.read_only, maintenance.next) == (True, True, None)
    site.on("late", start=START)
    assert maintenance_mode(request)["maintenance"].next is None, "it asks once"


def test_the_banner_is_in_the_language_of_the_page(site):
    banner = shown("{% with next=maintenance.next %}")
    assert render("{{ maintenance.next_reason }}") == ""
    site.on(start=START, reason="Disks", reasons={"pt-br": "Discos"})
    assert "Disks</p>" in render(banner)
    with translation.override("pt-br"):
        assert "Discos</p>" in render(banner)
    with translation.override(None):
        assert "Disks</p>" in render(banner)
    site.off()
    site.on(start=START)
    assert render("{{ maintenance.next_reason }}") == ""


def test_the_banner_of_the_guide_is_in_the_visitor_s_own_zone(site, tmp_path):
    banner = shown("{% with next=maintenance.next %}")
    assert render(banner).strip() == ""
    site.on("move-4711", start=START, end=START + timedelta(hours=1), reason="Bigger <disks>")
    page = render(banner)
    times = re.findall('<time datetime="([^"]+)">', page)
    assert [datetime.fromisoformat(time) for time in times] == [START, START + timedelta(hours=1)]
    assert "4711" not in page
    assert "Bigger &lt;disks&gt;" in page
    browser = find_browser()
    if browser is None:
        pytest.skip("SKIPPED: no chromium")
    seen = seen_in(browser, "America/New_York", "<!doctype html>" + page, tmp_path)
    assert "Saturday, January 3" in seen and "10:00" in seen and "11:00" in seen
    site.on("move-4711", start=START, read_only=True)
    assert "You can look around, but not order" in render(banner)


@pytest.fixture
def is_read():
    """The function that the guide shows."""
    module = ModuleType("reads")
    exec(shown("# shop/reads.py"), module.__dict__)
    return module.is_read


@pytest.mark.parametrize(
    ("query", "passes"),
    [
        ("{ cart { items } }", True),
        ("mutation { buy }", False),
        ("query A { a } mutation B { b }", False),
        (7, False),
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
def test_a_query_of_graphql_passes_and_a_mutation_does_not(
    site, configure, is_read, query, passes, is_async
):
    configure(MAINT_IS_READ=is_read)
    site.on(read_only=True)
    asked = {"data": json.dumps({"query": query}), "content_type": "application/json"}
    if is_async:
        response = asyncio.run(AsyncClient().post("/graphql/", **asked))
    else:
        response = Client().post("/graphql/", **asked)
    assert response.headers["maint-decision"] == ("read-only" if passes else "block")
    assert (response.status_code == 503) is not passes


def test_a_login_passes_and_everything_else_does_not(visit, site, configure, is_read):
    configure(MAINT_IS_READ=is_read)
    site.on(read_only=True)
    assert visit("/accounts/login/", method="POST").headers["maint-decision"] == "read-only"
    assert visit("/", method="POST").headers["maint-decision"] == "block"
    response = visit("/")
    assert (response.status_code, response.headers["maint-decision"]) == (200, "read-only")
    site.on("all")
    assert visit("/accounts/login/", method="POST").headers["maint-decision"] == "block"


def test_a_function_that_fails_is_no_read_and_is_told(visit, site, configure, caplog):
    def fails(request):
        if request.method == "POST":
            raise LookupError("no schema")
        return False

    configure(MAINT_IS_READ=fails)
    site.on(read_only=True)
    with caplog.at_level(logging.ERROR, "maint"):
        assert visit("/", method="POST").status_code == 503
        assert visit("/", method="POST").status_code == 503
    told = [record for record in caplog.records if "`is_read`" in record.getMessage()]
    assert len(told) == 1
