"""An app that cannot read its site does not start, and its error says what to do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import servers
from servers import Server, ServerEnded

Start = Callable[..., AbstractContextManager[Server]]

CASES: dict[str, tuple[Start, str, tuple[str, ...]]] = {
    "flask, gunicorn": (servers.gunicorn, "flask_shop:app", ()),
    "flask, gunicorn, preloaded": (servers.gunicorn, "flask_shop:app", ("--preload",)),
    "fastapi, uvicorn": (servers.uvicorn, "fastapi_shop:app", ()),
    "starlette, uvicorn, made with the first event": (
        servers.uvicorn,
        "starlette_shop:app",
        (),
    ),
    "starlette, uvicorn, two workers": (
        *(servers.uvicorn, "starlette_shop:app"),
        ("--workers", "2"),
    ),
    "plain, uvicorn": (servers.uvicorn, "plain_shop:app", ()),
    "plain, uvicorn, two workers": (servers.uvicorn, "plain_shop:app", ("--workers", "2")),
    "starlette, gunicorn, made with the first event": (
        *(servers.gunicorn, "starlette_shop:app"),
        ("--worker-class", "asgi"),
    ),
}


@pytest.fixture(params=CASES.values(), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> tuple[Start, str, tuple[str, ...]]:
    found: tuple[Start, str, tuple[str, ...]] = request.param
    return found


def log_of_failure(
    case: tuple[Start, str, tuple[str, ...]], apps: Path, site: Path, **env: str
) -> str:
    start, app, arguments = case
    with (
        pytest.raises(ServerEnded) as ended,
        start(app, *arguments, directory=apps, env={"MAINT_SITE": str(site), **env}),
    ):
        pytest.fail("it answers")
    return str(ended.value)


def test_no_site(case: tuple[Start, str, tuple[str, ...]], apps: Path, tmp_path: Path) -> None:
    log = log_of_failure(case, apps, tmp_path / "nowhere")
    assert f"`{tmp_path}/nowhere` is not a site: there is no such directory" in log
    assert f"`{tmp_path}/nowhere` is not a site" in log and "`maint init`" in log


def test_a_state_that_cannot_be_read(
    case: tuple[Start, str, tuple[str, ...]], apps: Path, tmp_path: Path
) -> None:
    # Not even root reads a directory as a file.
    (tmp_path / "state.json").mkdir()
    log = log_of_failure(case, apps, tmp_path)
    assert f"{tmp_path}/state.json" in log
    assert "is a directory" in log


def test_a_broken_state(
    case: tuple[Start, str, tuple[str, ...]], apps: Path, tmp_path: Path
) -> None:
    (tmp_path / "state.json").write_text("{")
    log = log_of_failure(case, apps, tmp_path)
    assert f"{tmp_path}/state.json" in log
    assert "maint doctor" in log


def test_a_wrong_option(
    case: tuple[Start, str, tuple[str, ...]], apps: Path, tmp_path: Path
) -> None:
    log = log_of_failure(case, apps, tmp_path, WRONG_OPTION="1")
    assert "the office" in log
    assert "10.0.0.300" in log
