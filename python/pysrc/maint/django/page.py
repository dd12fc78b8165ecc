"""The team's own page: a template for Django's loaders.

What a template shows may depend on the visitor, so it is rendered for each request. A template
that shows only variables of the window is rendered once: each further visitor then costs no more
than the bytes, as with the pages of a site.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cached_property
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest
from django.template import TemplateDoesNotExist, engines
from django.template.backends.django import DjangoTemplates
from django.template.base import FilterExpression, Template, TextNode, Variable, VariableNode
from django.template.defaulttags import CommentNode, IfNode, LoadNode, TemplateLiteral
from django.template.loader import get_template
from django.template.loaders.cached import Loader
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.safestring import mark_safe

from maint import Reply
from maint._asking import Asking, attempt

logger = logging.getLogger("maint.django")

#: The variables of a page that are text or a flag. The others, times and numbers, are written
#: in the visitor's language and time zone.
_PLAIN = frozenset(
    {
        *("title", "reason", "reason_language", "site", "contact", "contact_url", "status_url"),
        *("read_only", "comes_back", "is_late", "language", "dir"),
    }
)

#: The variable with the built-in page, whole.
BUILT_IN = "built_in_page"

#: The number of different renderings that are kept.
_MAX_KEPT = 64

#: Seconds between two reports of the same trouble, which each blocked request would report.
_REPORT_EVERY = 60.0


class Page:
    """The template that the settings name, and its renderings."""

    def __init__(self, name: str | None, get_context: Callable[..., Any] | None) -> None:
        self.name = name
        self._get_context = get_context
        self._kept: dict[tuple[Any, ...], bytes] = {}
        self._reported: dict[str, float] = {}
        self._asking = Asking(f"template `{name}`")
        self._asking_team = Asking("MAINTENANCE_MODE_GET_CONTEXT")

    def is_quick(self, reply: Reply) -> bool:
        """Whether `body` neither waits for a database nor renders for this visitor alone."""
        if not self._is_for(reply):
            return not self._has_json_for(reply)
        try:
            return self._are_templates_kept and (
                self._found is None
                or self.kept(reply) is not None
                or (_is_built_in(self._found) and not _are_renderings_watched())
            )
        except Exception:
            # `body` reports it. Some loaders query a database, which an event loop forbids.
            return False

    def json(self, reply: Reply, request: HttpRequest) -> bytes | None:
        """Returns the JSON for a reply with the variables of the team; `None` if it has none."""
        if not self._has_json_for(reply):
            return None
        variables = self._variables_of_the_team(request)
        try:
            members = {**json.loads(reply.body), **variables}
            return json.dumps(members, cls=DjangoJSONEncoder).encode() if variables else None
        except Exception:
            self._report("MAINTENANCE_MODE_GET_CONTEXT returns what JSON cannot say")
            return None

    def _has_json_for(self, reply: Reply) -> bool:
        return (
            reply.format == "json"
            and self._get_context is not None
            and reply.template is None
            and bool(reply.body)  # HEAD has none.
        )

    def body(self, reply: Reply, request: HttpRequest) -> bytes | None:
        """Returns the page for a reply; `None` for the built-in page, say because a database is
        down."""
        if not self._is_for(reply):
            return None
        # Loaders, context processors and tags may ask a database.
        try:
            template = self._find()
            page = None if template is None else self.kept(reply)
        except Exception:
            self._report(f"template `{self.name}` cannot be loaded; visitors get the built-in page")
            return None
        if template is None or page is not None:
            return page
        is_built_in = _is_built_in(template)
        if is_built_in and not _are_renderings_watched():
            return None
        context = self._context(reply, request)
        try:
            page = attempt(self._asking, self._render, template, context, request)
        except Exception:
            self._report(
                f"template `{self.name}` cannot be rendered; visitors get the built-in page"
            )
            _forget_messages_were_shown(request)
        # The bytes of the built-in page, with the policy that fits them.
        return None if is_built_in else page

    def _is_for(self, reply: Reply) -> bool:
        # A template of the site, which an operator has chosen, goes first.
        return self.name is not None and reply.format == "html" and reply.template is None

    def _find(self) -> Any:
        return self._found if self._are_templates_kept else attempt(self._asking, self._look)

    def kept(self, reply: Reply) -> bytes | None:
        """Returns the page for a reply, if it is the same for every request; else `None`."""
        if not self._are_templates_kept or self._shown is None or _are_renderings_watched():
            return None
        context = reply.context or {}
        shown = tuple(context.get(name) for name in self._shown)
        # Other threads may clear it at any moment.
        page = self._kept.get(shown)
        if page is None:
            page = self._render(self._found, context, None)
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            self._kept[shown] = page
        return page

    def _context(self, reply: Reply, request: HttpRequest) -> dict[str, Any]:
        context = dict(reply.context or {})
        # Marked as safe: the gate has escaped what comes from others.
        context[BUILT_IN] = mark_safe(reply.body.decode())
        for name in ("start", "end", "estimate"):
            # As times, so that a template can format them.
            context[name] = _time(context.get(name))
        if self._get_context is not None:
            context.update(self._variables_of_the_team(request))
        return context

    def _render(self, template: Any, context: dict[str, Any], request: HttpRequest | None) -> bytes:
        text: str = template.render(context, request)
        return text.encode()

    def _report(self, trouble: str) -> None:
        """Logs the exception being handled: at once, then at most once a minute."""
        now = time.monotonic()
        if now >= self._reported.get(trouble, now):
            self._reported[trouble] = now + _REPORT_EVERY
            logger.exception(trouble)

    def _variables_of_the_team(self, request: HttpRequest) -> dict[str, Any]:
        try:
            return dict(attempt(self._asking_team, self._ask_team, request) or {})
        except Exception:
            self._report("MAINTENANCE_MODE_GET_CONTEXT failed; the page lacks its variables")
            return {}

    def _ask_team(self, request: HttpRequest) -> Any:
        assert self._get_context is not None
        return self._get_context(request=request)

    def _look(self) -> Any:
        try:
            return get_template(self.name)
        except TemplateDoesNotExist:
            return None

    @cached_property
    def _are_templates_kept(self) -> bool:
        """Whether Django's loaders cache both what they find and what they miss."""
        return not settings.DEBUG and all(
            isinstance(backend, DjangoTemplates)
            and all(isinstance(loader, Loader) for loader in backend.engine.template_loaders)
            for backend in engines.all()
        )

    @cached_property
    def _found(self) -> Any:
        return self._look()

    @cached_property
    def _shown(self) -> tuple[str, ...] | None:
        """The variables that the template shows, if it does nothing else."""
        if self._found is None or self._get_context is not None:
            return None
        names: set[str] = set()
        is_plain = _is_plain(self._found.template.nodelist, names)
        return tuple(sorted(names)) if is_plain else None


def _is_built_in(template: Any) -> bool:
    """Whether a template is the built-in page and nothing else."""
    source = getattr(getattr(template, "template", None), "source", None)
    return isinstance(source, str) and source.split() == ["{{", BUILT_IN, "}}"]


def _forget_messages_were_shown(request: HttpRequest) -> None:
    """`MessageMiddleware` would otherwise look for them again to remove them."""
    messages = getattr(request, "_messages", None)
    if messages is not None:
        messages.used = False


def _are_renderings_watched() -> bool:
    """Whether Django's test runner records which templates are rendered."""
    return bool(Template._render.__module__ != Template.__module__)


def _time(text: str | None) -> datetime | None:
    """A time for Django's templates: aware, or naive in the current zone if `USE_TZ` is off."""
    parsed: datetime | None = parse_datetime(text) if text else None
    return parsed if parsed is None or settings.USE_TZ else timezone.make_naive(parsed)


def _is_plain(nodes: Iterable[Any], names: set[str]) -> bool:
    """Whether nodes show only plain variables of a page, and adds their names."""
    return all(_is_plain_node(node, names) for node in nodes)


def _is_plain_node(node: Any, names: set[str]) -> bool:
    # A subclass may do anything.
    kind = type(node)
    if kind in (TextNode, CommentNode, LoadNode):
        return True
    if kind is VariableNode:
        return _is_plain_value(node.filter_expression, names)
    if kind is IfNode:
        return all(
            # `else` has no condition; `and`, `not` and comparisons have other types.
            (
                condition is None
                or (type(condition) is TemplateLiteral and _is_plain_value(condition.value, names))
            )
            and _is_plain(inside, names)
            for condition, inside in node.conditions_nodelists
        )
    return False


def _is_plain_value(value: Any, names: set[str]) -> bool:
    if type(value) is not FilterExpression or value.filters or type(value.var) is not Variable:
        return False
    lookups = value.var.lookups
    if lookups is None or len(lookups) != 1 or value.var.translate or lookups[0] not in _PLAIN:
        return False
    names.add(lookups[0])
    return True
