"""The blocks of `docs/jobs.md` for queues in Python, run as they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import maint

GUIDE = Path(__file__).parents[3] / "docs" / "jobs.md"


def block(name: str) -> str:
    """The block after `<!-- test: NAME -->`."""
    _, rest = GUIDE.read_text().split(f"<!-- test: {name} -->\n```python\n")
    return rest.split("\n```")[0]


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> maint.Site:
    """A site that the blocks find by themselves."""
    monkeypatch.setenv("MAINT_SITE", str(tmp_path))
    return maint.Site(tmp_path)


def run(text: str) -> dict[str, Any]:
    """The names of a block after it ran."""
    names: dict[str, Any] = {"__name__": "jobs"}
    exec(compile(text, str(GUIDE), "exec"), names)
    return names


def until(is_so: Callable[[], bool]) -> None:
    """Waits for a fact."""
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_task_of_celery_goes_back_to_the_queue_until_the_site_is_up(
    site: maint.Site,
) -> None:
    start_worker = pytest.importorskip("celery.contrib.testing.worker").start_worker
    text = block("celery").replace("PAUSE = 30", "PAUSE = 0.2")
    app = run(text.replace("redis://localhost", "memory://"))["app"]
    done: list[str] = []
    tried = threading.Event()

    def keep(name: str) -> None:
        done.append(name)

    order = app.task(keep)
    # The worker says when it has put a task back.
    task_retry = pytest.importorskip("celery.signals").task_retry
    task_retry.connect(lambda **_: tried.set(), weak=False)
    site.on()
    with start_worker(app, perform_ping_check=False, shutdown_timeout=60):
        order.delay("waits")
        assert tried.wait(60)
        assert done == []
        site.off()
        until(lambda: done == ["waits"])
    # A call in the same process is no task of the queue.
    site.on()
    order("at once")
    assert done == ["waits", "at once"]


def test_a_worker_waits_until_the_site_is_up(site: maint.Site) -> None:
    wait_until_up = run(block("wait"))["wait_until_up"]
    wait_until_up()
    site.on()
    worker = threading.Thread(target=wait_until_up)
    worker.start()
    worker.join(1.5)
    assert worker.is_alive()
    site.off()
    worker.join(60)
    assert not worker.is_alive()


def test_a_job_asks_for_the_part_that_it_touches(site: maint.Site) -> None:
    may_write_orders = run(block("part"))["may_write_orders"]
    site.on(paths=["/shop/**"])
    assert may_write_orders()
    site.on("stock", read_only=True)
    assert not may_write_orders()
