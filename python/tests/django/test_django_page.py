"""A team's template that does not depend on the visitor is rendered once."""

from collections import Counter

import pytest
from django.conf import settings
from django.template.backends.django import Template
from django.test.utils import setup_test_environment, teardown_test_environment

from maint.django import page as pages


@pytest.fixture
def team(configure, tmp_path, monkeypatch):
    """Writes the team's template; returns a counter of Django's renderings."""
    folder = tmp_path / "team"
    folder.mkdir()
    (engine,) = settings.TEMPLATES
    rendered = Counter()

    class Counted(Template):
        def render(self, context=None, request=None):
            rendered[self.origin.template_name] += 1
            return super().render(context, request)

    def write(text, **more):
        (folder / "503.html").write_text(text)
        configure(TEMPLATES=[{**engine, "DIRS": [folder]}], **more)
        return rendered

    # The test runner watches every rendering, so no page would be kept under it.
    teardown_test_environment()
    monkeypatch.setattr("django.template.backends.django.Template", Counted)
    monkeypatch.setattr(settings, "ALLOWED_HOSTS", ["*"])
    yield write
    setup_test_environment()


PLAIN = (
    "{% load static %}{# why #}<h1>{{ title }}</h1>{% if reason %}<p>{{ reason }}</p>{% endif %}"
)


def test_a_plain_template_is_rendered_once_for_each_thing_that_it_is_told(visit, site, team):
    rendered = team(PLAIN)
    for reason in ("Bigger <disks>", "Back at noon"):
        site.on(reason=reason)
        for _ in range(5):
            response = visit("/")
            told = reason.replace("<", "&lt;").replace(">", "&gt;")
            assert response.content.decode() == f"<h1>Down for maintenance</h1><p>{told}</p>"
            assert response["content-length"] == str(len(response.content))
            assert not response.has_header("content-security-policy")
    site.on()
    assert visit("/").content == b"<h1>Down for maintenance</h1>"
    assert rendered["503.html"] == 3


def test_a_post_is_told_that_it_does_not_come_back_all_the_same(visit, site, team):
    team("{% if comes_back %}comes back{% else %}sent once{% endif %}")
    site.on()
    assert visit("/").content == b"comes back"
    assert visit("/", method="POST").content == b"sent once"
    assert visit("/").content == b"comes back"


@pytest.mark.parametrize(
    "text",
    [
        "{{ request.path }}",
        "{{ user }}",
        "{{ maintenance_mode }}",
        "{{ reason|upper }}",
        "{{ reason.upper }}",
        "{{ retry_after }}",
        "{{ status }}",
        "{{ _('Sorry') }}",
        "{{ 'text' }}",
        "{% now 'H:i' %}",
        "{% csrf_token %}",
        "{% url 'home' %}",
        "{% if request.path %}x{% endif %}",
        "{% if reason and user %}x{% endif %}",
        "{% if reason == 'x' %}x{% endif %}",
        "{% if reason %}{{ user }}{% endif %}",
        "{% if reason %}{% else %}{{ user }}{% endif %}",
        "{% for c in reason %}{{ c }}{% endfor %}",
        "{% with a=user %}{{ a }}{% endwith %}",
        "{% load i18n %}{% translate 'Sorry' %}",
        "{% include '503.txt' %}",
        "{% extends 'base.html' %}",
        "{% block a %}{{ reason }}{% endblock %}",
        "{% autoescape off %}{{ reason }}{% endautoescape %}",
    ],
)
def test_what_may_depend_on_the_visitor_is_rendered_for_each(visit, site, team, text, configure):
    rendered = team(text)
    site.on(reason="x")
    for _ in range(3):
        assert visit("/").status_code == 503
    assert rendered["503.html"] == 3


def context(request):
    return {"reason": request.path}


def test_what_the_team_adds_depends_on_the_visitor(visit, site, team):
    team("{{ reason }}", MAINTENANCE_MODE_GET_CONTEXT=context)
    site.on(reason="x")
    assert visit("/").content == b"/"
    assert visit("/shop/").content == b"/shop/"


def test_nothing_is_kept_while_templates_are_being_written(visit, site, team):
    rendered = team(PLAIN, DEBUG=True)
    site.on()
    visit("/")
    visit("/")
    assert rendered["503.html"] == 2


def test_no_more_than_some_are_kept(visit, site, team):
    team("{{ reason }}")
    for number in range(pages._MAX_KEPT + 10):
        site.on(reason=str(number))
        assert visit("/").content == str(number).encode()
