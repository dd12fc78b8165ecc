"""The proxies trusted for the client's address, under each server, as docs/proxy.md, docs/flask.md
and docs/fastapi.md say.

The proxy here is 127.0.0.1, a visitor who connects directly is 127.0.0.2, and 203.0.113.7 is
the address of the rule."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import servers
from servers import Server
from sites import Operator
from wire import Wire, ask_from

Start = Callable[..., AbstractContextManager[Server]]

ANN = "203.0.113.7"

#: Who connects, the claimed address, and whether the claim may be believed.
CLAIMS = [
    ("127.0.0.1", ANN, True),
    ("127.0.0.1", f"6.6.6.6, {ANN}", True),
    ("127.0.0.1", f"{ANN}, 198.51.100.9", False),
    ("127.0.0.1", f"{ANN}, unknown", False),
    ("127.0.0.1", "", False),
    ("127.0.0.2", ANN, False),
]

GTHREAD = ("--worker-class", "gthread", "--threads", "4")

#: Server, app, its arguments, and whether the site trusts the proxy.
SETUPS: dict[str, tuple[Start, str, tuple[str, ...], bool]] = {
    "gunicorn": (servers.gunicorn, "flask_shop:app", GTHREAD, True),
    "gunicorn that trusts everybody": (
        *(servers.gunicorn, "flask_shop:app"),
        *((*GTHREAD, "--forwarded-allow-ips", "*"), True),
    ),
    "gunicorn, asgi": (
        *(servers.gunicorn, "fastapi_shop:app"),
        *(("--worker-class", "asgi"), True),
    ),
    # uvicorn itself replaces the peer with the client.
    "uvicorn": (servers.uvicorn, "fastapi_shop:app", (), False),
    "uvicorn, and the site trusts the proxy too": (
        *(servers.uvicorn, "fastapi_shop:app"),
        *((), True),
    ),
    "uvicorn without proxy headers": (
        *(servers.uvicorn, "fastapi_shop:app"),
        *(("--no-proxy-headers",), True),
    ),
}


@pytest.mark.parametrize(
    ("start", "app", "arguments", "is_trusted"), SETUPS.values(), ids=list(SETUPS)
)
def test_requirement_39_the_address_is_what_the_proxy_says_and_no_client_can_claim_it(
    start: Start,
    app: str,
    arguments: tuple[str, ...],
    is_trusted: bool,
    operator: Operator,
    apps: Path,
) -> None:
    if is_trusted:
        operator.run("proxy", "add", "127.0.0.1")
    operator.run("ignore", "add", "ip", ANN)
    operator.on()
    with start(app, *arguments, directory=apps, env=operator.env) as server:
        for source, claim, passes in CLAIMS:
            answer = ask_from(server, source, X_Forwarded_For=claim)
            assert answer.status == (200 if passes else 503), (source, claim)
            # Software that turns `-` into `_` takes this for the same field.
            twin = {"X_Forwarded_For": ANN, "X-Forwarded-For": claim, "X_FORWARDED_FOR": ANN}
            with Wire(server, source) as wire:
                assert wire.ask(headers=twin).status == answer.status, (source, claim)


def test_requirement_39_without_a_trusted_proxy_nobody_is_believed(
    operator: Operator, apps: Path
) -> None:
    operator.run("ignore", "add", "ip", ANN)
    operator.on()
    arguments = (*GTHREAD, "--forwarded-allow-ips", "*")
    with servers.gunicorn("flask_shop:app", *arguments, directory=apps, env=operator.env) as server:
        assert ask_from(server, "127.0.0.1", X_Forwarded_For=ANN).status == 503
    with servers.uvicorn(
        "fastapi_shop:app", "--no-proxy-headers", directory=apps, env=operator.env
    ) as server:
        assert ask_from(server, "127.0.0.1", X_Forwarded_For=ANN).status == 503


def test_uvicorn_that_trusts_everybody_believes_the_client(operator: Operator, apps: Path) -> None:
    # The documentation warns of this: the left end of the field then counts.
    operator.run("ignore", "add", "ip", ANN)
    operator.on()
    with servers.uvicorn(
        "fastapi_shop:app", "--forwarded-allow-ips", "*", directory=apps, env=operator.env
    ) as server:
        spoofed = ask_from(server, "127.0.0.2", X_Forwarded_For=f"{ANN}, 198.51.100.9")
        assert spoofed.status == 200
