"""The page: the team's template, found by Django's own loaders, or that of the site."""

import pytest
from django.conf import settings
from django.template.loader import get_template as load_template

from maint import Site
from maint.django import page as pages


def without_folders(configure):
    (engine,) = settings.TEMPLATES
    configure(TEMPLATES=[{**engine, "DIRS": []}])


def test_503_html_is_the_page_with_what_the_site_says(visit, site):
    site.on(reason="Back <at> noon")
    response = visit("/")
    assert response.status_code == 503
    page = response.content.decode()
    assert "The shop is closed" in page
    assert "<title>Down for maintenance</title>" in page
    assert "<p>Back &lt;at&gt; noon</p>" in page
    assert response["content-length"] == str(len(response.content))
    assert response["content-type"] == "text/html; charset=utf-8"
    assert response["cache-control"] == "no-store"
    assert response["maint-decision"] == "block"
    # The team decides what its page loads.
    assert not response.has_header("content-security-policy")
    assert not response.has_header("content-language")


def test_the_team_s_page_is_in_the_language_that_django_chooses(visit, site, configure):
    locale = "django.middleware.locale.LocaleMiddleware"
    configure(MIDDLEWARE=[locale, *settings.MIDDLEWARE], LANGUAGES=[("en", "E"), ("de", "D")])
    site.on()
    response = visit("/", headers={"accept-language": "fr, de"})
    assert b"The shop is closed" in response.content
    assert response["content-language"] == "de", "and not that of the page of the site"


def test_a_template_shows_the_message_in_the_visitor_s_language(visit, site, configure, tmp_path):
    (tmp_path / "503.html").write_text("{{ reason_language }}/{{ dir }}: {{ reason }}")
    (engine,) = settings.TEMPLATES
    configure(TEMPLATES=[{**engine, "DIRS": [tmp_path]}])
    site.on(reason="Back at noon", reasons={"de": "Bis gleich", "he": "מיד"})
    for language, page in [("de", "de/ltr: Bis gleich"), ("he", "he/rtl: מיד")] * 2:
        response = visit("/", headers={"accept-language": language})
        assert response.content.decode() == page


def test_another_name_is_another_page(visit, site, configure):
    configure(MAINTENANCE_MODE_TEMPLATE="errors/503.html")
    site.on()
    assert b"Another page" in visit("/").content


def test_without_one_the_site_s_own_page_is_shown(visit, site, configure):
    without_folders(configure)
    site.on(reason="Back at noon")
    response = visit("/")
    assert b"The shop is closed" not in response.content
    assert b"Back at noon" in response.content
    assert response.has_header("content-security-policy")


def test_none_means_the_site_s_own_page(visit, site, configure):
    configure(MAINTENANCE_MODE_TEMPLATE=None)
    site.on()
    assert b"The shop is closed" not in visit("/").content


@pytest.mark.parametrize("whose", ["site", "window"])
def test_a_template_that_an_operator_has_chosen_goes_before_it(visit, site, run, tmp_path, whose):
    (tmp_path / "sorry.html").write_text("<h1>Chosen: {{ reason }}</h1>")
    run("template", "add", "sorry", str(tmp_path / "sorry.html"))
    if whose == "site":
        run("template", "use", "sorry")
    site.on(reason="why", template="sorry" if whose == "window" else None)
    assert visit("/").content == b"<h1>Chosen: why</h1>"


def test_json_and_text_are_not_rendered(visit, site):
    site.on()
    for accept in ("application/json", "text/plain"):
        assert b"The shop is closed" not in visit("/", headers={"accept": accept}).content


def team(request):
    return {"team": f"team at {request.path}", "reason": "ours"}


@pytest.mark.parametrize("function", [team, "test_django_templates.team"])
def test_a_function_adds_to_what_it_is_told_and_wins(visit, site, configure, function):
    configure(MAINTENANCE_MODE_GET_CONTEXT=function)
    site.on(reason="theirs")
    page = visit("/").content.decode()
    assert "<p>Your team at /</p>" in page
    assert "<p>ours</p>" in page


def test_one_that_fails_later_is_logged_and_adds_nothing(visit, site, configure, log):
    calls = []

    def fails_later(request):
        calls.append(request)
        if len(calls) > 1:
            raise LookupError("no team")

    configure(MAINTENANCE_MODE_GET_CONTEXT=fails_later)
    site.on()
    response = visit("/")
    assert response.status_code == 503
    assert b"The shop is closed" in response.content
    assert "MAINTENANCE_MODE_GET_CONTEXT failed" in log.text


def test_context_processors_know_the_user_and_that_the_site_is_down(visit, site):
    site.on()
    assert b"Hello ann" in visit("/", user="ann").content
    response = visit("/")
    (context,) = {
        id(part): part for part in response.context or [] if "maintenance_mode" in part
    }.values()
    assert context["maintenance_mode"] is True


def test_a_template_that_cannot_be_rendered_is_logged(visit, site, configure, tmp_path, log):
    (tmp_path / "fails.html").write_text("{% url 'nowhere' %}")
    (engine,) = settings.TEMPLATES
    configure(TEMPLATES=[{**engine, "DIRS": [tmp_path]}], MAINTENANCE_MODE_TEMPLATE="fails.html")
    site.on(reason="Back at noon")
    response = visit("/")
    assert response.status_code == 503
    assert b"Back at noon" in response.content
    assert response.has_header("content-security-policy")
    assert "template `fails.html` cannot be rendered" in log.text


def test_one_that_breaks_after_the_start_is_logged(visit, site, configure, log, monkeypatch):
    def get_template(name):
        raise OSError("the disk is gone")

    visit("/")
    site.on()
    with monkeypatch.context() as patch:
        patch.setattr(pages, "get_template", get_template)
        assert b"The shop is closed" not in visit("/").content
    assert "template `503.html` cannot be loaded" in log.text
    # The failure is not kept.
    assert b"The shop is closed" in visit("/").content


def test_a_loader_may_ask_the_database(visit, site, monkeypatch, queries):
    from django.contrib.auth import get_user_model

    def get_template(name):
        assert get_user_model().objects.count() == 3
        return load_template(name)

    monkeypatch.setattr(pages, "get_template", get_template)
    site.on()
    assert b"The shop is closed" in visit("/").content
    assert len(queries) == 1


def test_a_forced_view_has_the_same_page(visit, site):
    page = visit("/always/function/").content.decode()
    assert "The shop is closed" in page
    site.on(reason="Back at noon")
    assert "Back at noon" in visit("/always/function/").content.decode()


def test_another_engine_renders_it_as_well(visit, site, configure, tmp_path):
    pytest.importorskip("jinja2")
    (tmp_path / "503.html").write_text("<h1>{{ title }} {{ request.path }} {{ 1 + 1 }}</h1>")
    (engine,) = settings.TEMPLATES
    jinja = {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [tmp_path],
        "APP_DIRS": False,
    }
    configure(TEMPLATES=[jinja, engine])
    site.on()
    assert visit("/").content == b"<h1>Down for maintenance / 2</h1>"


def test_the_site_of_another_project_has_its_own_page(visit, tmp_path, configure):
    other = Site.create(tmp_path / "other" / ".maint")
    configure(MAINT_SITE=other.directory)
    other.on(reason="Elsewhere")
    assert b"Elsewhere" in visit("/").content


def with_page(configure, tmp_path, text, **more):
    (tmp_path / "503.html").write_text(text)
    (engine,) = settings.TEMPLATES
    configure(TEMPLATES=[{**engine, "DIRS": [tmp_path]}], **more)


def test_a_template_that_is_the_built_in_page_is_sent_with_its_policy(
    visit, site, configure, tmp_path
):
    site.on(reason="Back <at> noon")
    without_folders(configure)
    built_in = visit("/")
    with_page(configure, tmp_path, "{{ built_in_page }}\n")
    response = visit("/")
    assert response.content == built_in.content
    assert response["content-security-policy"] == built_in["content-security-policy"]
    # So that tests of projects see which template was used, and with what.
    assert [template.name for template in response.templates] == ["503.html"]
    assert response.context["reason"] == "Back <at> noon"


def test_a_template_may_wrap_the_built_in_page(visit, site, configure, tmp_path):
    site.on()
    with_page(configure, tmp_path, "<!-- ours -->{{ built_in_page }}")
    response = visit("/")
    assert response.content.lower().startswith(b"<!-- ours --><!doctype html>")
    assert not response.has_header("content-security-policy")


def members(*, request):
    return {"phone": "555-0100", "path": request.path}


def unsayable(*, request):
    return {"phone": object()}


def test_json_has_what_the_function_of_the_team_returns(visit, site, configure):
    configure(MAINTENANCE_MODE_GET_CONTEXT=members)
    site.on(reason="why")
    response = visit("/shop", headers={"accept": "application/json"})
    said = response.json()
    assert (said["phone"], said["path"], said["detail"]) == ("555-0100", "/shop", "why")
    assert response["content-type"] == "application/problem+json"
    assert response["content-length"] == str(len(response.content))
    assert visit("/", method="HEAD", headers={"accept": "application/json"}).content == b""


def test_json_that_cannot_be_said_is_left_out_and_logged(visit, site, configure, log):
    configure(MAINTENANCE_MODE_GET_CONTEXT=unsayable)
    site.on(reason="why")
    said = visit("/", headers={"accept": "application/json"}).json()
    assert (said["detail"], "phone" in said) == ("why", False)
    assert "MAINTENANCE_MODE_GET_CONTEXT returns what JSON cannot say" in log.text
