"""WebSockets and the lifespan of an app, under the servers that run it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import servers
from servers import Server
from sites import Operator
from wire import Wire, ask

client = pytest.importorskip("websockets.sync.client")
exceptions = pytest.importorskip("websockets.exceptions")

Start = Callable[..., AbstractContextManager[Server]]

#: Server, app, arguments, and the status with which a handshake is refused.
CASES: dict[str, tuple[Start, str, tuple[str, ...], int]] = {
    "uvicorn, websockets": (
        *(servers.uvicorn, "fastapi_shop:app"),
        *(("--ws", "websockets"), 503),
    ),
    "uvicorn, websockets-sansio": (
        *(servers.uvicorn, "fastapi_shop:app"),
        *(("--ws", "websockets-sansio"), 503),
    ),
    "uvicorn, no extension": (servers.uvicorn, "fastapi_shop:plain_sockets", (), 403),
    "gunicorn, asgi": (
        *(servers.gunicorn, "fastapi_shop:app"),
        *(("--worker-class", "asgi"), 403),
    ),
}


@pytest.fixture(params=CASES.values(), ids=list(CASES))
def refused(
    request: pytest.FixtureRequest, operator: Operator, apps: Path, tmp_path: Path
) -> Iterator[tuple[Server, int]]:
    start, app, arguments, status = request.param
    env = {**operator.env, "EVENTS_FILE": str(tmp_path / "events")}
    with start(app, *arguments, directory=apps, env=env) as server:
        yield server, status


def connect(server: Server, **headers: str) -> Any:
    return client.connect(
        f"ws://{server.host}:{server.port}/echo",
        additional_headers={name.replace("_", "-"): value for name, value in headers.items()},
        proxy=None,
        open_timeout=30,
    )


def echoes(socket: Any, text: str) -> bool:
    socket.send(text)
    return bool(socket.recv(timeout=30) == text)


def test_a_websocket_is_refused_and_an_open_one_stays_open(
    refused: tuple[Server, int], operator: Operator
) -> None:
    server, status = refused
    with connect(server) as socket:
        assert echoes(socket, "up")
        operator.on("-m", "Back at noon")
        for _ in range(3):
            with pytest.raises(exceptions.InvalidStatus) as caught:
                connect(server)
            response = caught.value.response
            assert response.status_code == status
            if status == 503:
                assert b"Back at noon" in response.body
                assert response.headers.get_all("Content-Length") == [str(len(response.body))]
                assert response.headers["Maint-Decision"] == "block"
        assert echoes(socket, "down")
        operator.off()
        assert echoes(socket, "up again")
    with connect(server) as socket:
        assert echoes(socket, "a new one")
    assert "Traceback" not in server.log()


def test_a_websocket_of_staff_is_opened(refused: tuple[Server, int], operator: Operator) -> None:
    server, _ = refused
    operator.run("ignore", "add", "user", "staff")
    operator.on()
    with connect(server, X_Login="ann") as socket:
        assert echoes(socket, "hello")


@pytest.mark.parametrize("status", ["200", "418", "599"])
def test_a_websocket_is_refused_whatever_the_status_of_the_page(
    refused: tuple[Server, int], operator: Operator, status: str
) -> None:
    server, _ = refused
    operator.on("--status", status)
    with pytest.raises(exceptions.InvalidStatus) as caught:
        connect(server)
    assert caught.value.response.status_code != 500
    assert "Traceback" not in server.log()


def test_requirement_55_nothing_that_has_begun_is_cut_off_by_twenty_toggles(
    operator: Operator, apps: Path, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    env = {**operator.env, "RELEASE_FILE": str(tmp_path / "release")}
    with (
        servers.uvicorn("fastapi_shop:app", directory=apps, env=env) as server,
        contextlib.ExitStack() as open_,
    ):
        sockets = [open_.enter_context(connect(server)) for _ in range(50)]
        downloads: list[Wire] = []
        for _ in range(10):
            for _ in range(20):
                wire = open_.enter_context(Wire(server))
                wire.begin("/download")
                downloads.append(wire)
            operator.on()
            assert all(echoes(socket, "down") for socket in sockets[::5])
            assert ask(server, "/download").status == 503
            operator.off()
        operator.on()
        (tmp_path / "release").touch()
        assert [wire.read().body for wire in downloads] == [b"first,last"] * 200
        assert all(echoes(socket, "still here") for socket in sockets)
    figure("200 downloads and 50 websockets across 20 toggles: 0 broken")


def test_the_app_starts_and_stops_while_the_site_is_down(
    operator: Operator, apps: Path, tmp_path: Path
) -> None:
    operator.on()
    events = tmp_path / "events"
    for start, arguments in [
        (servers.uvicorn, ()),
        (servers.gunicorn, ("--worker-class", "asgi")),
    ]:
        events.unlink(missing_ok=True)
        env = {**operator.env, "EVENTS_FILE": str(events)}
        with start("fastapi_shop:app", *arguments, directory=apps, env=env) as server:
            assert ask(server).status == 503
            assert events.read_text().split() == ["started"]
        assert events.read_text().split() == ["started", "stopped"]
