"""Requirement 20: a change reaches every worker with the next request, and breaks none."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import servers
from sites import Operator
from sizes import amount
from traffic import Exchange, flowing

TOGGLES = amount(30, 100)

Start = Callable[..., AbstractContextManager[servers.Server]]

CASES = {
    "flask, gunicorn, sync, preloaded": (
        *(servers.gunicorn, "flask_shop:marked", 3),
        ("--preload", "--workers", "3"),
    ),
    "flask, gunicorn, gthread": (
        *(servers.gunicorn, "flask_shop:marked", 2),
        ("--worker-class", "gthread", "--workers", "2", "--threads", "4"),
    ),
    "fastapi, uvicorn": (servers.uvicorn, "fastapi_shop:marked", 1, ()),
    "fastapi, uvicorn, two workers": (
        *(servers.uvicorn, "fastapi_shop:marked", 2),
        ("--workers", "2"),
    ),
    "starlette, uvicorn": (servers.uvicorn, "starlette_shop:marked", 1, ()),
    "fastapi, gunicorn, asgi, preloaded": (
        *(servers.gunicorn, "fastapi_shop:marked", 2),
        ("--worker-class", "asgi", "--preload", "--workers", "2"),
    ),
}


@pytest.mark.parametrize(("start", "app", "workers", "arguments"), CASES.values(), ids=CASES)
def test_requirement_20_no_request_is_answered_by_what_was_in_force_before(
    start: Start,
    app: str,
    workers: int,
    arguments: tuple[str, ...],
    operator: Operator,
    apps: Path,
    figure: Callable[[str], None],
) -> None:
    #: Start, end and status of each phase. In between, while a command runs, both statuses
    #: are right.
    phases: list[tuple[float, float, int]] = []
    with (
        start(app, *arguments, directory=apps, env=operator.env) as server,
        flowing(server, clients=2 * workers) as traffic,
    ):
        for toggle in range(TOGGLES):
            switch, status = (operator.on, 503) if toggle % 2 == 0 else (operator.off, 200)
            switch()
            since = time.monotonic()
            traffic.wait_for_answers(2, since)
            phases.append((since, time.monotonic(), status))
    seen = traffic.all()

    assert [exchange.fault for exchange in seen if exchange.fault] == []
    judged = Counter[tuple[str, int]]()
    for since, until, status in phases:
        within = [each for each in seen if since <= each.started and each.ended <= until]
        assert len(within) >= 2 * 2 * workers
        assert {each.status for each in within} == {status}, wrong(within, status)
        judged.update((each.worker, status) for each in within)
    by_worker = Counter(worker for worker, _ in judged.elements())
    figure(
        f"{TOGGLES} toggles, {workers} workers, {judged.total()} of {len(seen)} requests while no "
        "command ran: 0 stale, 0 broken"
    )
    # Every worker was asked in both states.
    assert len(by_worker) == workers, by_worker
    assert all(judged[worker, status] for worker in by_worker for status in (200, 503)), judged


def wrong(exchanges: list[Exchange], status: int) -> list[Exchange]:
    return [each for each in exchanges if each.status != status]
