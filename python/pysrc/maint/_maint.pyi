"""The part in Rust: the same library that the command and Rust servers use."""

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from datetime import datetime
from os import PathLike
from typing import Any, Final, Literal, final

__all__ = [
    "PRIVATE",
    "Change",
    "Gate",
    "MaintError",
    "Pass",
    "Reply",
    "Request",
    "Site",
    "User",
    "__version__",
    "freeze",
    "is_overruling",
    "parse_rule",
]

__version__: Final[str]

#: A moment: an aware `datetime`, or text in RFC 3339.
_Time = datetime | str
_Path = str | PathLike[str]
_Kind = Literal["path", "ip", "method", "host", "user", "header"]

class MaintError(Exception):
    """Something failed: what, where and why. State and files are as they were,
    unless `code` is `unsynced`."""

    code: str
    """`usage`, `not_applied`, `busy`, `conflict`, `unsynced`, `unreadable` or `corrupt`,
    as `maint --json` has it."""
    path: str | None
    """The file or directory that it is about."""
    errno: int | None
    """The error number of the operating system, errno(3)."""
    hint: str | None
    """What to run or to read."""

@final
class User:
    """What a framework knows of the user of a request."""

    def __new__(
        cls,
        *,
        is_authenticated: bool = False,
        is_staff: bool = False,
        is_superuser: bool = False,
    ) -> User: ...
    @property
    def is_authenticated(self) -> bool: ...
    @property
    def is_staff(self) -> bool: ...
    @property
    def is_superuser(self) -> bool: ...

@final
class Request:
    """A request whose facts are all known beforehand, for tests and tools."""

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
    ) -> Request:
        """A request for a target: a path as it is sent, with or without a query.

        Raises `ValueError` if `peer` is no address.
        """

@final
class Pass:
    """The app answers."""

    @property
    def by(self) -> str | None:
        """The id of the rule or token that lets the request through, or the name of the
        app's own rule; `None` if nothing holds it up."""
    @property
    def is_private(self) -> bool:
        """Others would have been blocked, so the answer of the app must not be shared:
        set `Cache-Control` to `PRIVATE`, and take off what `is_overruling` names."""

@final
class Reply:
    """This is sent, and the app is not asked."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> list[tuple[str, str]]:
        """The header fields, with names in lower case and values in visible ASCII;
        `content-length` is that of GET, for HEAD too."""
    @property
    def body(self) -> bytes:
        """The body; empty for HEAD."""
    @property
    def window(self) -> str | None:
        """The window that blocks; `None` where a view or a setting does, and where a
        visitor is sent on."""
    @property
    def format(self) -> Literal["html", "json", "txt"] | None:
        """What the page is; `None` where there is none: a redirect, a bypass link, gRPC."""
    @property
    def template(self) -> str | None:
        """The site's own template that the page was made from; `None` if it is built in."""
    @property
    def context(self) -> dict[str, Any] | None:
        """What a template is told, see docs/page.md: `title`, `reason`, `site`, `start`,
        `end` (texts in RFC 3339, or `None`), `retry_after`, `status`, `read_only`,
        `comes_back`. `None` where there is no page."""
    @property
    def needs_asking(self) -> bool:
        """A function of the app could still change the answer, and was not called because
        the answer was asked for with `ask=False`."""
    def header_store(self) -> dict[str, tuple[str, str]]:
        """The header fields as `django.http.HttpResponse.headers` keeps them: name and
        value by the name in lower case."""

@final
class Gate:
    """What an app asks about every request. Looks at the state file before every answer,
    by one stat(2), so a request that starts after `maint on` has returned is blocked.

    May be used from any number of threads and after a fork(2). Never writes.
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
        format: Literal["html", "json"] | Callable[[Any], str | None] | None = None,
        user: Callable[[Any], User | None] | None = None,
        client: Callable[[Any], object] | None = None,
        plain_http: bool = False,
    ) -> Gate:
        """Opens the gate of a site; without one, of the site that the command would mean.

        `recheck`: look at the state file at most every so many seconds.
        `on_error`: what to do if there is no good state now.
        `on_problem`: told of trouble in words, at most once a minute and when it is over;
        else the logger `maint` is.

        What the app says by itself, whatever the site: `down`: `True`, every request is
        covered at all times; `False`, none ever is. `ignore`: rules in addition to those
        of the site, as (name, kind, value); `Pass.by` has the name. `status`,
        `retry_after`, `redirect`: of the page, where the site does not say. `format`: of
        every page, whatever `Accept` says.

        `format`, `user` and `client` may be functions. They are called with the request
        (the environ, the scope, the Django request), when they are needed and not before.
        One that raises knows nothing, and the logger `maint` is told. `client` gives the
        address of the client, if the app knows better than the site's trusted proxies.

        `plain_http`: visitors come without encryption, so the cookie of a bypass link is
        sent in the clear.

        Raises `MaintError` if the site or its state cannot be used, `ValueError` for a
        rule or setting that cannot be; its text begins with the name of the rule.
        """

    @property
    def site(self) -> Site: ...
    @property
    def revision(self) -> int:
        """The revision of the state that is in force."""
    def is_down(self) -> bool:
        """Whether any window is open now, or the app says that it is down."""
    def answer(
        self,
        request: Request,
        *,
        force: Literal["on", "off"] | None = None,
        at: _Time | None = None,
    ) -> Pass | Reply:
        """What to do with a request that is described."""
    def answer_environ(
        self,
        environ: dict[str, Any],
        *,
        force: Literal["on", "off"] | None = None,
    ) -> Pass | Reply:
        """What to do with a request of WSGI (PEP 3333)."""
    def answer_scope(
        self,
        scope: MutableMapping[str, Any],
        ask: bool = True,
        *,
        force: Literal["on", "off"] | None = None,
    ) -> Pass | Reply:
        """What to do with a request or WebSocket of ASGI. With `ask=False` no function of the
        app is called, see `Reply.needs_asking`."""
    def answer_django(
        self,
        request: Any,
        ask: bool = True,
        *,
        force: Literal["on", "off"] | None = None,
    ) -> Pass | Reply:
        """What to do with a `django.http.HttpRequest`. With `ask=False` no function of the
        app is called, see `Reply.needs_asking`."""

@final
class Change:
    """What a change of the state did."""

    @property
    def revision(self) -> int: ...
    @property
    def is_written(self) -> bool:
        """`False` if the state said so already."""
    @property
    def before(self) -> dict[str, Any] | None:
        """The window as it was, as state.json has it; `None` if there was none."""
    @property
    def after(self) -> dict[str, Any] | None:
        """The window as it is; `None` if it is gone."""
    @property
    def open(self) -> list[str]:
        """The names of the windows that are open after it."""
    @property
    def warnings(self) -> list[str]: ...

@final
class Site:
    """A site directory."""

    def __new__(cls, directory: _Path) -> Site:
        """The site in exactly this directory, whether or not it exists yet."""
    @staticmethod
    def discover(site: _Path | None = None, *, start: _Path | None = None) -> Site:
        """Chooses the site as the command does: the path given, then `MAINT_SITE`, then
        the nearest `.maint/` from `start` (else the working directory) up, then the
        user's own. Raises `MaintError`."""
    @staticmethod
    def create(directory: _Path) -> Site:
        """Makes a site directory with a state that says that nothing is down, unless it
        is there."""
    @property
    def directory(self) -> str: ...
    def __fspath__(self) -> str: ...
    @property
    def state_file(self) -> str: ...
    @property
    def found(self) -> Literal["given", "environment", "nearest", "user"]:
        """Which rule chose it."""
    def state(self) -> dict[str, Any]:
        """The state as docs/state-file.md has it. Raises `MaintError`."""
    def open_windows(self) -> list[str]:
        """The names of the windows that are open now."""
    def on(
        self,
        name: str = "default",
        *,
        reason: str | None = None,
        start: _Time | None = None,
        end: _Time | None = None,
        paths: Sequence[str] | None = None,
        methods: Sequence[str] | None = None,
        hosts: Sequence[str] | None = None,
        read_only: bool = False,
        status: int | None = None,
        retry_after: int | None = None,
        template: str | None = None,
        redirect: str | None = None,
        by: str | None = None,
        command: str | None = None,
    ) -> Change:
        """Opens a window, or replaces the settings of the open one with this name, as
        `maint on` does. `by` and `command` are for the history: else the user of the
        process, and its command line. Raises `MaintError`."""
    def off(
        self, name: str = "default", *, by: str | None = None, command: str | None = None
    ) -> Change:
        """Closes a window, as `maint off` does; one that is not there is closed already.
        Raises `MaintError`."""
    def replace_window(
        self,
        name: str,
        window: Mapping[str, Any] | None,
        *,
        expected: Mapping[str, Any] | None,
        by: str | None = None,
        command: str | None = None,
    ) -> Change:
        """Puts a window back as it was, `None` for none at all, if what is there is what
        is `expected`. Raises `MaintError`, with `code` `conflict` if it is not."""
    def add_rule(
        self,
        kind: _Kind,
        value: str,
        *,
        note: str | None = None,
        expires_at: _Time | None = None,
        by: str | None = None,
        command: str | None = None,
    ) -> str:
        """Adds an ignore rule and returns its id, as `maint ignore add` does."""
    def remove_rule(self, id: str, *, by: str | None = None, command: str | None = None) -> None:
        """Removes an ignore rule."""

def parse_rule(kind: _Kind, value: str) -> str:
    """The value of an ignore rule as it is written in the state. Raises `ValueError`, with
    what is wrong and what to write instead, for one that cannot be or that lets
    everybody in."""

def freeze(at: _Time | None) -> None:
    """Stops the clock of every gate and site of this process, for tests; `None` lets it
    run again."""

PRIVATE: Final = "private, no-store"

def is_overruling(name: str) -> bool:
    """Whether a header field, in lower case, is one that some caches believe before
    `Cache-Control`."""
