"""The shop, served by real servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from visitors import Database, Shop, make_database


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    return make_database(tmp_path_factory.mktemp("database"))


@pytest.fixture
def shop(tmp_path: Path, maint_binary: str, database: Database) -> Shop:
    return Shop(tmp_path, maint_binary, database)


@pytest.fixture(params=["gunicorn", "gunicorn-gthread", "uvicorn"])
def kind(request: pytest.FixtureRequest) -> str:
    """The way it is served."""
    return str(request.param)


@pytest.fixture(params=["gunicorn", "uvicorn"])
def sync_or_async(request: pytest.FixtureRequest) -> str:
    """One server for WSGI and one for ASGI."""
    return str(request.param)


@pytest.fixture(params=["gunicorn", "uvicorn-alone"])
def failing(request: pytest.FixtureRequest) -> str:
    """The same, for a server that must not start."""
    return str(request.param)
