"""Databases: the same tests run on SQLite and on PostgreSQL."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy import text

from runtime.store import Database
from runtime.store.tables import metadata
from tests.runtime.fakes import FakeClock

POSTGRESQL = os.environ.get("CROSSDOCK_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/test")


async def _execute(statement: str) -> None:
    connection = await asyncpg.connect(POSTGRESQL, timeout=5)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A database of this session's own, empty."""
    name = f"crossdock_{uuid.uuid4().hex}"
    try:
        asyncio.run(_execute(f"CREATE DATABASE {name}"))
    except OSError as error:
        if os.environ.get("CROSSDOCK_REQUIRE_SERVICES") == "1":
            raise
        pytest.skip(f"no PostgreSQL at {POSTGRESQL}: {error}")
    yield f"{POSTGRESQL.rsplit('/', 1)[0]}/{name}"
    asyncio.run(_execute(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/var/crossdock.db"
    found: str = request.getfixturevalue("postgresql_url")
    return found


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def database(url: str, clock: FakeClock) -> AsyncIterator[Database]:
    """A store that is open and empty."""
    opened = Database(url, clock=clock)
    await opened.start()
    if opened.dialect == "postgresql":
        tables = ", ".join(metadata.tables)
        async with opened.reading() as connection:
            await connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
            await connection.commit()
    yield opened
    await opened.aclose()
