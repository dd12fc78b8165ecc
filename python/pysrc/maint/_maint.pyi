"""The part in Rust: the library that the command and Rust servers use."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from datetime import datetime, timedelta
from os import PathLike
from typing import Any, Final, Literal, TypeVar, final

from maint._asking import Awaited

__all__ = [
    "PRIVATE",
    "Busy",
    "Change",
    "Conflict",
    "Corrupt",
    "Gate",
    "MaintError",
    "NotApplied",
    "Pass",
    "Reply",
    "Request",
    "Site",
    "StoreError",
    "Unreadable",
    "Unsynced",
    "Upcoming",
    "UsageError",
    "User",
    "__version__",
    "overrides_cache_control",
    "parse_rule",
]

__version__: Final[str]

#: A time: an aware `datetime`, or text in RFC 3339.
_Time = datetime | str
_Path = str | PathLike[str]
_Kind = Literal["path", "ip", "method", "host", "user", "header"]
_Headers = TypeVar("_Headers", bound=MutableMapping[Any, Any] | list[tuple[Any, Any]])

class MaintError(Exception):
    """Something failed: what, where and why.

    Its subclasses are the kinds of failure. State and files are as they
    were, except after `Unsynced`.

    `code`: the kind in one word, the same as in the command's JSON.
    `path`: the file or directory concerned, as text, or `None`.
    `errno`: the operating system's error number, errno(3), or `None`.
    `hint`: what to run, read or write instead, or `None`; the message ends
    with it.
    """

    code: str
    path: str | None
    errno: int | None
    hint: str | None

class UsageError(MaintError):
    """A wrong value, an unknown name, or no usable site: code `usage`."""

class NotApplied(MaintError):
    """An operation failed, and the state is as it was: code `not_applied`."""

class Busy(MaintError):
    """Another writer held the lock for too long: code `busy`."""

class Conflict(MaintError):
    """The state was not as expected, and is as it was: code `conflict`.

    `losses`: what `Site.on` with `replace=False` would lose, a list of
    dicts with `setting`, `before` and `after`; `None` after other failures.
    """

    losses: list[dict[str, str | None]] | None

class Unsynced(MaintError):
    """The change holds, but a power cut could undo it: code `unsynced`."""

class Unreadable(MaintError):
    """The state exists but cannot be read: code `unreadable`."""

class Corrupt(MaintError):
    """The state makes no sense, or is of a newer version: code `corrupt`."""

class StoreError(MaintError):
    """The engine of a fleet is away, or did not confirm: code `store`."""

@final
class User:
    """What a framework knows of the user of a request; nothing else of them
    matters. Compares by value.
    """

    def __new__(
        cls,
        *,
        is_authenticated: bool = False,
        is_staff: bool = False,
        is_superuser: bool = False,
    ) -> User: ...
    @property
    def is_authenticated(self) -> bool:
        """Whether somebody is logged in."""
    @property
    def is_staff(self) -> bool:
        """Whether the framework knows them as staff."""
    @property
    def is_superuser(self) -> bool:
        """Whether the framework knows them as a superuser."""

@final
class Request:
    """A request that is described rather than received, for tests and tools.

    `target`: the path as it is sent, percent-encoded, with or without a
    query. `host`: the field `Host`, with or without a port. `peer`: the
    address that connects. `headers`: the fields as (name, value), in the
    order of sending; a value that is text is sent in UTF-8. `is_https`:
    whether the visitor's connection is encrypted, `None` if unknown.
    `is_read`: whether the app vouches that it changes nothing.

    Raises `ValueError` if `peer` is not an IP address.
    """

    def __new__(
        cls,
        method: str,
        target: str,
        *,
        host: str | None = None,
        peer: str | None = None,
        headers: Iterable[tuple[str, str | bytes]] | None = None,
        user: User | None = None,
        is_https: bool | None = None,
        is_read: bool = False,
    ) -> Request: ...

@final
class Pass:
    """The app answers."""

    @property
    def by(self) -> str | None:
        """The id of the rule or token that lets the request through, or the
        name of the app's own rule; `None` if nothing holds it up.
        """
    @property
    def is_private(self) -> bool:
        """Whether others would have been blocked, so that the app's answer
        must not be shared: see `keep_private`.
        """
    @property
    def read_only(self) -> str | None:
        """The open window that blocks others who change something there;
        `None` if nothing is read-only, and if a rule or token lets the
        request through.
        """
    @property
    def next(self) -> Upcoming | None:
        """The next maintenance to come where the request leads, for an
        announcement: see `Gate.next`.
        """
    @property
    def needs_finishing(self) -> bool:
        """Whether the app's answer has to be finished: see `finish`."""
    def finish(self, headers: _Headers, *, as_bytes: bool = False) -> _Headers:
        """Finishes the app's answer: does what `keep_private` does, and says by
        `Maint-Decision: read-only` that the site is read-only, unless the
        answer has that field already.

        `headers`: as for `keep_private`.
        `as_bytes`: whether the fields are bytes, where there may be none.
        """
    def keep_private(self, headers: _Headers) -> _Headers:
        """Keeps the app's answer out of shared caches if it is private: sets
        `Cache-Control` to `PRIVATE`, and removes the fields that
        `overrides_cache_control` names, whatever the case of a name.

        `headers`: a list of (name, value), of text or bytes, which gives a
        new list; or a mapping, which is changed and returned. Those of an
        answer that is not private are returned as they are.
        """

@final
class Upcoming:
    """A scheduled window that will cover what is asked for, with any method.

    `start`, `end` and the reason are what visitors may be told, as on the
    page later. `name` and `scope` are words of the operators: decide by
    them, and do not print them.
    """

    @property
    def name(self) -> str:
        """Its name."""
    @property
    def start(self) -> datetime:
        """When it begins, an aware `datetime` in UTC."""
    @property
    def end(self) -> datetime | None:
        """When it ends by itself, as far as visitors are told; an aware
        `datetime` in UTC.
        """
    @property
    def estimate(self) -> datetime | None:
        """When it is expected to be over, an aware `datetime` in UTC."""
    @property
    def reason(self) -> str | None:
        """The reason shown to visitors who read none of the languages in
        `reasons`.
        """
    @property
    def reasons(self) -> dict[str, str]:
        """The same in further languages, by BCP 47 tag in lower case."""
    @property
    def language(self) -> str:
        """The language of `reason`, which is that of the page: a BCP 47 tag in
        lower case.
        """
    def reason_in(self, languages: str) -> str | None:
        """Returns the reason for a visitor, as the page will choose it.

        `languages`: what the visitor reads, as `Accept-Language` has it, or
        the tag of the language that the app has chosen. What depends on that
        field needs `Vary: Accept-Language`.
        """
    @property
    def is_read_only(self) -> bool:
        """Whether only what changes something will be blocked."""
    @property
    def covers_everything(self) -> bool:
        """Whether it will cover every request, whatever its path, host and
        method.
        """
    @property
    def scope(self) -> dict[str, Any]:
        """Which requests it will cover, as in docs/state-file.md."""

@final
class Reply:
    """The answer to send; the app is not asked."""

    @property
    def status(self) -> int:
        """The status code (RFC 9110, 15): that of the page, 200 or 400 to 599;
        302 for a redirect, 303 for a bypass link.
        """
    @property
    def headers(self) -> list[tuple[str, str]]:
        """The header fields as (name, value): names in lower case, values in
        visible ASCII. `content-length` is that of GET, for HEAD too.
        """
    @property
    def body(self) -> bytes:
        """The body in UTF-8; empty for HEAD."""
    @property
    def window(self) -> str | None:
        """The name of the window that blocks; `None` where a view or a setting
        does, and where the visitor is sent elsewhere.
        """
    @property
    def format(self) -> Literal["html", "json", "txt"] | None:
        """The format of the page; `None` without a page: a redirect, a bypass
        link, gRPC.
        """
    @property
    def template(self) -> str | None:
        """The name of the site's template that the page was made from; `None`
        if the page is built in.
        """
    @property
    def context(self) -> dict[str, Any] | None:
        """What a template is given, see docs/page.md: `title`, `reason`,
        `reason_language`, `site`, `start`, `end`, `estimate` (text in
        RFC 3339, or `None`), `is_late`, `retry_after` (seconds), `status`,
        `read_only`, `comes_back`, `contact`, `contact_url`, `status_url`,
        `language`, `dir`, `texts` (a dict). `None` without a page.
        """
    @property
    def needs_asking(self) -> bool:
        """Whether a function of the app could still change the answer. It was
        not called because the answer was asked for with `ask=False`.
        """
    def header_store(self) -> dict[str, tuple[str, str]]:
        """The header fields as `django.http.HttpResponse.headers` keeps them:
        (name, value) by the name in lower case.
        """

@final
class Gate:
    """What an app asks about every request.

    Looks at the state file before every answer, by one stat(2), so a
    request that starts after `maint on` has returned is blocked. Any number
    of threads may use it, and it survives fork(2). Never writes.

    `site`: a `Site`, or the path of one; `None` for the site that the
    command would choose, see `Site.discover`.
    `recheck`: look at the state file at most every so many seconds, 0 to
    3600; `None` for every time.
    `on_error`: what to do if there is no good state now: `refuse` raises
    `MaintError`, `open` lets every request pass, `closed` blocks every
    request, both until there is one. A state that goes bad later leaves the
    last good one in force.
    `on_problem`: called with a text when the state or a template cannot be
    used, at most once a minute, and again on recovery; `None` for a warning
    of the logger `maint`.

    The application's own settings, which override the state:
    `down`: `True` covers every request at all times, `False` none ever.
    `ignore`: rules in addition to those of the site, as (name, kind,
    value); `Pass.by` has the name. At most 1000 regular expressions.

    Where neither a window nor the site has a setting of the page:
    `status`: 200, or 400 to 599 (RFC 9110, 15).
    `retry_after`: seconds, 1 to 604800 (RFC 9110, 10.2.3).
    `redirect`: an http or https URL, or a path of this site.
    `title`: in place of that of the page.
    `contact`: a mail address, a telephone number, or an http or https URL.
    `status_url`: where visitors read how it goes, an http or https URL.
    `language`: for visitors who ask for none that the page speaks, and that
    of a reason without one; a tag (BCP 47), like `de` or `pt-br`.

    `format`: the format of every page, whatever `Accept` says.
    `user`: returns the `User` of a request; `None` counts as nobody. It may
    be asynchronous where `maint.asgi` asks, and is refused elsewhere.
    `client`: returns the client's address, if the app knows better than the
    site's trusted proxies; its text is parsed.
    `plain_http`: visitors come without encryption, so the cookie of a
    bypass link is sent in the clear.
    `is_read`: returns whether a request only reads, although its method
    could change something: a login, or queries of GraphQL by POST. It is
    called if nothing but read-only windows block a request, which passes
    them if `True`. It may be asynchronous where `user` may.

    `format`, `user`, `client` and `is_read` may be functions. They are
    called with the request (the environ, the scope, the Django request),
    and only if their answer matters, one at a time. If one raises, its
    answer is unknown, and the logger `maint` gets an error, at most once a
    minute. One that cannot reach its database, or needs more than a second,
    is called once in 10 s until it works again; its answer is unknown
    meanwhile.

    Raises `MaintError` if the site or its state cannot be used, and
    `ValueError` for a rule or setting that cannot be; its text begins with
    the name of the rule or setting.
    """

    def __new__(
        cls,
        site: Site | _Path | None = None,
        *,
        recheck: float | None = None,
        on_error: Literal["refuse", "open", "closed"] = "refuse",
        on_problem: Callable[[str], object] | None = None,
        down: bool | None = None,
        ignore: Iterable[tuple[str, _Kind, str]] | None = None,
        status: int | None = None,
        retry_after: int | None = None,
        redirect: str | None = None,
        title: str | None = None,
        contact: str | None = None,
        status_url: str | None = None,
        language: str | None = None,
        format: Literal["html", "json", "txt"] | Callable[[Any], str | None] | None = None,
        user: Callable[[Any], User | Awaitable[User | None] | None] | None = None,
        client: Callable[[Any], object] | None = None,
        plain_http: bool = False,
        is_read: Callable[[Any], bool | Awaitable[bool | None] | None] | None = None,
    ) -> Gate: ...
    @property
    def site(self) -> Site:
        """The site whose gate it is."""
    @property
    def revision(self) -> int:
        """The revision of the state that is in force."""
    @property
    def _awaited(self) -> dict[str, Awaited] | None:
        """What awaits asynchronous functions: for the package alone."""
    def is_down(self) -> bool:
        """Whether any window is open now; the app's own `down` goes before."""
    def answer(
        self,
        request: Request,
        *,
        force: Literal["on", "off"] | None = None,
        at: _Time | None = None,
    ) -> Pass | Reply:
        """What to do with a request that is described.

        `force`: the answer of a view that is always down, `on`, or never
        down, `off`; no rule or token matters then.
        `at`: when, an aware `datetime` or text in RFC 3339; `None` for now.
        """
    def answer_environ(
        self,
        environ: dict[str, Any],
        *,
        force: Literal["on", "off"] | None = None,
    ) -> Pass | Reply:
        """What to do with a request of WSGI, described by its environ
        (PEP 3333).

        `force`: the answer of a view that is always down, `on`, or never
        down, `off`; no rule or token matters then.
        """
    def answer_scope(
        self,
        scope: MutableMapping[str, Any],
        ask: bool = True,
        *,
        force: Literal["on", "off"] | None = None,
    ) -> Pass | Reply:
        """What to do with a request or WebSocket of ASGI, described by its
        scope.

        `ask`: whether functions of the app may be called; if not, see
        `Reply.needs_asking`.
        `force`: the answer of a view that is always down, `on`, or never
        down, `off`; no rule or token matters then.
        """
    def answer_django(
        self,
        request: Any,
        ask: bool = True,
        *,
        force: Literal["on", "off"] | None = None,
    ) -> Pass | Reply:
        """What to do with a `django.http.HttpRequest`.

        `ask`: whether functions of the app may be called; if not, see
        `Reply.needs_asking`.
        `force`: the answer of a view that is always down, `on`, or never
        down, `off`; no rule or token matters then.
        """
    def next(self, request: Request, *, at: _Time | None = None) -> Upcoming | None:
        """The earliest scheduled window that would cover a request that is
        described, for an announcement; `None` if none is to come.

        It looks at path and host, not at the method, since a page that is
        read now may have a form. Where a rule for that path or host will let
        everyone through, nothing is announced. Rules by who asks and bypass
        tokens make no difference, so all get the same announcement, and caches
        may share it.

        `at`: when, an aware `datetime` or text in RFC 3339; `None` for now.
        """
    def next_environ(self, environ: dict[str, Any]) -> Upcoming | None:
        """The same as `next`, for a request of WSGI."""
    def next_scope(self, scope: MutableMapping[str, Any]) -> Upcoming | None:
        """The same as `next`, for a request or WebSocket of ASGI."""
    def next_django(self, request: Any) -> Upcoming | None:
        """The same as `next`, for a `django.http.HttpRequest`."""

@final
class Change:
    """What a change of a window did."""

    @property
    def revision(self) -> int:
        """The revision of the state that is in force after it."""
    @property
    def is_written(self) -> bool:
        """Whether a new state was written; `False` if it was the same already."""
    @property
    def before(self) -> dict[str, Any] | None:
        """The window before it, as state.json has it; `None` if there was
        none.
        """
    @property
    def after(self) -> dict[str, Any] | None:
        """The window after it, as state.json has it; `None` if there is none."""
    @property
    def open(self) -> list[str]:
        """The names of the windows that are open after it, in order."""
    @property
    def warnings(self) -> list[str]:
        """What the operator should know though the change is in force."""
    @property
    def made(self) -> str | None:
        """The path of the site directory, if this change made it."""
    @property
    def flags(self) -> list[dict[str, Any]]:
        """Where the flags of this host stand after it, as `Site.flags` has them."""

@final
class Site:
    """A site directory, whether or not it exists yet.

    Changes its state as the command `maint` does: one writer at a time, and
    every change in the history. A writer waits up to 10 seconds for
    another, and raises `Busy` then. Each method that reads or changes the
    state raises a subclass of `MaintError` if it fails. `open()` and
    `os.path` take a site for the path of its directory.
    """

    def __new__(cls, directory: _Path) -> Site: ...
    @staticmethod
    def discover(
        site: _Path | None = None,
        *,
        start: _Path | None = None,
        code: _Path | None = None,
        project: _Path | None = None,
    ) -> Site:
        """Chooses the site as the command does: the path given, then the
        variable `MAINT_SITE`, then the nearest `.maint/` from `start` (else
        the working directory) up, then that of the project around it, which
        the first change makes, then the user's own.

        `code`: a directory of the app's code; its `manage.py` is looked for
        from there, too.
        `project`: the directory of the project, if no file shows it.

        Raises `UsageError` if there is none, or if the nearest could have
        been planted by somebody else.
        """
    @staticmethod
    def create(directory: _Path) -> Site:
        """Makes a site directory whose state has no window, unless it is there."""
    @property
    def directory(self) -> str:
        """The path of the directory."""
    def __fspath__(self) -> str:
        """The path of the directory."""
    @property
    def state_file(self) -> str:
        """The path of its state file."""
    @property
    def found(
        self,
    ) -> Literal["given", "environment", "nearest", "project", "framework", "user"]:
        """How `discover` found it: the path was `given`, in the `environment`,
        the `nearest` above, that of the `project` around or of the one that
        the `framework` named, or the `user`'s own.
        """
    @property
    def is_awaited(self) -> bool:
        """Whether it was not there when it was chosen, though nobody named it:
        nothing is down then, and the first change makes it.
        """
    @property
    def passed_over(self) -> list[tuple[str, str]]:
        """The sites above the project that were passed over, since they may be
        planted: the path and the reason of each.
        """
    def current(self) -> Site:
        """The site as it would be chosen now, if it was not there before.

        Raises `UsageError` if what appeared could have been planted.
        """
    def state(self) -> dict[str, Any]:
        """The state, as docs/state-file.md has it.

        Raises `Unreadable` or `Corrupt` if it cannot be used.
        """
    def open_windows(self) -> list[str]:
        """The names of the windows that are open now, in order.

        Raises `Unreadable` or `Corrupt` if the state cannot be used.
        """
    def on(
        self,
        name: str = "default",
        *,
        reason: str | None = None,
        reasons: Mapping[str, str] | None = None,
        start: _Time | None = None,
        end: _Time | None = None,
        estimate: _Time | None = None,
        paths: Sequence[str] | None = None,
        methods: Sequence[str] | None = None,
        hosts: Sequence[str] | None = None,
        read_only: bool = False,
        status: int | None = None,
        retry_after: int | None = None,
        template: str | None = None,
        redirect: str | None = None,
        format: Literal["html", "json", "txt"] | None = None,
        title: str | None = None,
        contact: str | None = None,
        status_url: str | None = None,
        language: str | None = None,
        replace: bool = True,
        by: str | None = None,
        command: str | None = None,
    ) -> Change:
        """Opens a window, or replaces all settings of the one with this name,
        as `maint on` does.

        `reason`: text for visitors. `reasons`: the same for visitors who
        prefer a language, by its tag: `{"de": "Bis gleich"}`.
        `start`, `end`: aware `datetime`s, or text in RFC 3339; `None` for
        now, and for no end. A start that has passed opens it at once, and
        says since when it is down.
        `estimate`: the same, when it is expected to be over; visitors are
        told, and it opens nothing.
        `paths`, `methods`, `hosts`: which requests it covers; `None` for
        all. `read_only`: only those that change something.
        `status`, `retry_after`, `redirect`, `title`, `contact`, `status_url`,
        `language`: of the page, as for `Gate`.
        `template`: the name of a template of the site.
        `format`: what is answered where the request does not say: `html`,
        `json` or `txt`.
        `replace`: whether an open window loses what it has and is not given
        here, its message or scope for example.
        `by`, `command`: for the history, the name of the person (`None` for
        the user of the process) and what was run (`None` for the
        program's name); everyone may read it, so it must hold no secret.

        Raises `UsageError` for a setting that cannot be, `ValueError` for a
        time without an offset, a number out of range and an unknown format;
        with `replace=False`, `Conflict` with its `losses`.
        """
    def set(
        self,
        name: str = "default",
        *,
        reason: str | None = ...,
        reasons: Mapping[str, str] | None = ...,
        start: _Time | None = ...,
        end: _Time | None = ...,
        estimate: _Time | None = ...,
        paths: Sequence[str] | None = ...,
        methods: Sequence[str] | None = ...,
        hosts: Sequence[str] | None = ...,
        read_only: bool = ...,
        status: int | None = ...,
        retry_after: int | None = ...,
        template: str | None = ...,
        redirect: str | None = ...,
        format: Literal["html", "json", "txt"] | None = ...,
        title: str | None = ...,
        contact: str | None = ...,
        status_url: str | None = ...,
        language: str | None = ...,
        by: str | None = None,
        command: str | None = None,
    ) -> Change:
        """Changes settings of a window that is open or scheduled, as `maint set`
        does: those that are given, by the names that `on` has for them.
        `None` takes one away, and so does an empty list. The rest stays, and
        so does who opened it, and the `maint run` that holds it. `reasons`
        takes the place of those in all languages.

        `by`, `command`: for the history, the name of the person (`None` for
        the user of the process) and what was run (`None` for the
        program's name); everyone may read it, so it must hold no secret.

        Raises `UsageError` if there is no window of that name, and for a
        setting that cannot be; `Conflict` if the window has ended, for
        another start of an open one, and for another end of one that a run
        holds by a lease.
        """
    def extend(
        self,
        name: str = "default",
        *,
        longer: timedelta | None = None,
        until: _Time | None = None,
        by: str | None = None,
        command: str | None = None,
    ) -> Change:
        """Moves the end of a window, as `maint extend` does: by a `timedelta`,
        which moves the estimate as well and counts from now where that has
        passed, or until an aware `datetime` or text in RFC 3339. A window
        without an end has its estimate moved.

        `longer`, `until`: one of them.
        `by`, `command`: for the history, the name of the person (`None` for
        the user of the process) and what was run (`None` for the
        program's name); everyone may read it, so it must hold no secret.

        Raises `UsageError` if there is no window of that name, and for what
        would not be longer; `Conflict` if it has ended, or has neither an
        end nor an estimate.
        """
    def off(
        self, name: str = "default", *, by: str | None = None, command: str | None = None
    ) -> Change:
        """Closes a window, as `maint off` does. Does not fail if there is no
        window of that name.

        `by`, `command`: for the history, the name of the person (`None` for
        the user of the process) and what was run (`None` for the
        program's name); everyone may read it, so it must hold no secret.
        """
    def replace_window(
        self,
        name: str,
        window: Mapping[str, Any] | None,
        *,
        expected: Mapping[str, Any] | None,
        by: str | None = None,
        command: str | None = None,
    ) -> Change:
        """Puts a window back as it was: `window` and `expected` are windows as
        `Change.before` and `Change.after` have them, `None` for none.

        `by`, `command`: for the history, the name of the person (`None` for
        the user of the process) and what was run (`None` for the
        program's name); everyone may read it, so it must hold no secret.

        Raises `Conflict` if the window is not as `expected`, and
        `UsageError` for a window that makes no sense.
        """
    def add_rule(
        self,
        kind: _Kind,
        value: str,
        *,
        note: str | None = None,
        expires_at: _Time | None = None,
        everything: bool = False,
        by: str | None = None,
        command: str | None = None,
    ) -> str:
        """Adds an ignore rule and returns its id, as `maint ignore add` does.
        The same rule again keeps its id, and gets the new note and expiry.

        `note`: text for operators. `expires_at`: an aware `datetime` or text
        in RFC 3339; `None` for never.
        `everything`: confirms a rule that lets everyone in, or the home page
        alone.
        `by`, `command`: for the history, the name of the person (`None` for
        the user of the process) and what was run (`None` for the
        program's name); everyone may read it, so it must hold no secret.

        Raises `UsageError` for a rule that cannot be or is not confirmed, and
        for an expiry in the past.
        """
    def remove_rule(self, id: str, *, by: str | None = None, command: str | None = None) -> None:
        """Removes an ignore rule by its id.

        `by`, `command`: for the history, the name of the person (`None` for
        the user of the process) and what was run (`None` for the
        program's name); everyone may read it, so it must hold no secret.

        Raises `UsageError` if there is no rule with that id.
        """
    def add_template(
        self,
        name: str,
        text: str,
        *,
        format: Literal["html", "json", "txt"] = "html",
        replace: bool = False,
        by: str | None = None,
        command: str | None = None,
    ) -> None:
        """Adds a template, as `maint template add` does. It is tried out first.

        `name`: up to 64 letters, digits, `_` and `-`, without the extension.
        `format`: `html`, `json` or `txt`.
        `replace`: whether one that exists is replaced.
        `by`, `command`: for the history, the name of the person (`None` for
        the user of the process) and what was run (`None` for the
        program's name); everyone may read it, so it must hold no secret.

        Raises `UsageError` for a name or format that cannot be, for a
        template with a mistake, and for one that exists.
        """
    def set_page(
        self,
        *,
        title: str | None = ...,
        contact: str | None = ...,
        status_url: str | None = ...,
        language: str | None = ...,
        by: str | None = None,
        command: str | None = None,
    ) -> None:
        """Changes what every page of the site says, as `maint page set` does:
        the settings that are given, which are those of `Gate`. `None` takes
        one away. Those of a window go before them, those of an app after.

        `by`, `command`: for the history, the name of the person (`None` for
        the user of the process) and what was run (`None` for the
        program's name); everyone may read it, so it must hold no secret.

        Raises `UsageError` for a setting that cannot be.
        """
    def flags(self) -> list[dict[str, Any]]:
        """Where the flags of this host stand: files that other software obeys.

        Each is a dictionary as `maint flag list --json` has it: `id`, `kind`,
        `path`, `wanted` (the window that sets it, or `None`), `found`,
        `in_step`, `problem`, `hint` and `lacks`, what it cannot carry.
        """
    def sync_flags(self, *ids: str) -> list[dict[str, Any]]:
        """Brings the flags of this host in step with the state, and returns where
        they stand, as `flags` does.

        `ids`: those to bring in step; all if there are none. One that does not
        follow is no error: its `in_step` is not `True`.

        Raises `UsageError` for an id that no flag has.
        """

def parse_rule(kind: _Kind, value: str) -> str:
    """The value of an ignore rule as the state has it: `method`, `purge` gives
    `PURGE`.

    Raises `ValueError`, with what is wrong and what to write instead, for a
    rule that cannot be or that lets everyone in.
    """

# For the package alone, so these three are not in `__all__`.

def freeze(at: _Time | None) -> None:
    """Stops the clock of every gate and site of this process, for tests;
    `None` lets it run again.

    `at`: an aware `datetime`, or text in RFC 3339 with an offset. Raises
    `ValueError` for a time without one.
    """

def keep_private(headers: _Headers, *, as_bytes: bool = False) -> _Headers:
    """The header fields of an answer that no shared cache may keep, whatever
    the case of their names. A list of (name, value) gives a new list; a
    mapping is changed, and returned.

    `as_bytes`: whether the fields are bytes, where there may be none.
    """

def known_language(text: str) -> str | None:
    """The tag of a language as the state has it; `None` for what is no
    language that is known.
    """

def validate_options(
    *,
    recheck: float | None = None,
    status: int | None = None,
    retry_after: int | None = None,
    redirect: str | None = None,
    title: str | None = None,
    contact: str | None = None,
    status_url: str | None = None,
    language: str | None = None,
) -> None:
    """Refuses what cannot be an option of `Gate` with this name.

    Raises `ValueError`: the name, what is wrong, and what to write instead.
    """

PRIVATE: Final = "private, no-store"

def overrides_cache_control(name: str) -> bool:
    """Whether some caches obey a header field rather than `Cache-Control`.

    `name`: the name of the field in lower case.
    """
