"""Less common servers and frameworks, where they are installed."""

from __future__ import annotations

import importlib.util
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import servers
from servers import Server
from sites import Operator
from test_real_servers import LARGE, is_open, parts
from traffic import flowing
from wire import Wire, ask

TOGGLES = 20

#: The modules needed, the command, and the pattern of the address in its log.
CASES: dict[str, tuple[list[str], list[str], str]] = {
    "flask, waitress": (
        ["flask", "waitress"],
        ["waitress", "--listen=127.0.0.1:0", "flask_shop:app"],
        r"Serving on http://([\d.]+):(\d+)",
    ),
    "pyramid, waitress": (
        ["pyramid", "waitress"],
        ["waitress", "--listen=127.0.0.1:0", "pyramid_shop:app"],
        r"Serving on http://([\d.]+):(\d+)",
    ),
    "fastapi, hypercorn": (
        ["fastapi", "hypercorn"],
        ["hypercorn", "--bind", "127.0.0.1:0", "fastapi_shop:app"],
        r"Running on http://([\d.]+):(\d+)",
    ),
    "fastapi, daphne": (
        ["fastapi", "daphne"],
        ["daphne", "--bind", "127.0.0.1", "--port", "0", "fastapi_shop:app"],
        r"Listening on TCP address ([\d.]+):(\d+)",
    ),
}


@pytest.fixture(params=CASES.values(), ids=list(CASES))
def server(request: pytest.FixtureRequest, operator: Operator, apps: Path) -> Iterator[Server]:
    modules, command, address = request.param
    if missing := [module for module in modules if importlib.util.find_spec(module) is None]:
        pytest.skip(f"SKIPPED: no {', '.join(missing)}")
    with servers.start_server(
        [sys.executable, "-m", *command],
        re.compile(address),
        directory=apps,
        env=operator.env,
    ) as server:
        yield server


def test_requirement_20_no_request_is_answered_by_what_was_in_force_before(
    server: Server, operator: Operator
) -> None:
    with flowing(server, clients=3) as traffic:
        for toggle in range(TOGGLES):
            switch, status = (operator.on, 503) if toggle % 2 == 0 else (operator.off, 200)
            switch()
            since = time.monotonic()
            traffic.wait_for_answers(2, since)
            until = time.monotonic()
            within = [e for e in traffic.all() if since <= e.started and e.ended <= until]
            assert {exchange.status for exchange in within} == {status}
    assert [exchange.fault for exchange in traffic.all() if exchange.fault] == []


def test_a_large_form_is_answered_and_the_connection_left_in_order(
    server: Server, operator: Operator
) -> None:
    operator.on()
    for _ in range(3):
        with Wire(server) as wire:
            fields = {"Content-Length": str(LARGE)}
            assert wire.ask("/orders", "POST", fields, parts()).status == 503
            if is_open(wire):
                assert wire.ask().status == 503
    with Wire(server) as wire:
        head = wire.ask(method="HEAD", headers={"Connection": "close"})
        assert (head.status, head.body, wire.rest()) == (503, b"", b"")


def test_a_websocket_is_refused_and_an_open_one_stays_open(
    server: Server, operator: Operator
) -> None:
    client = pytest.importorskip("websockets.sync.client")
    exceptions = pytest.importorskip("websockets.exceptions")
    address = f"ws://{server.host}:{server.port}/echo"
    try:
        socket = client.connect(address, proxy=None)
    except exceptions.InvalidStatus:
        pytest.skip("the app has no WebSocket")
    with socket:
        operator.on()
        with pytest.raises(exceptions.InvalidStatus) as caught:
            client.connect(address, proxy=None)
        assert caught.value.response.status_code in (503, 403)
        socket.send("still here")
        assert socket.recv(timeout=30) == "still here"
    assert ask(server).status == 503
    assert "Traceback" not in server.log()
