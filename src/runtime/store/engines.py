"""Engines for a store's address, and how transactions begin on them."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

BUSY_SECONDS = 10


def dialect_of(url: str) -> str:
    """`sqlite` or `postgresql`. Raises `ValueError` for another address, without quoting it."""
    name = url.partition("://")[0]
    if name not in ("sqlite", "postgresql"):
        raise ValueError("a store's address starts with sqlite:/// or postgresql://")
    if name == "sqlite" and make_url(url).database in (None, "", ":memory:"):
        raise ValueError("a store in memory is shared by no two connections; write sqlite:///var/crossdock.db")
    return name


def create(url: str, *, durable: bool) -> AsyncEngine:
    """An engine; opens nothing yet. `durable`: what is committed survives a power cut (PostgreSQL always does)."""
    if dialect_of(url) == "postgresql":
        return create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"), pool_pre_ping=True)
    engine = create_async_engine(
        make_url(url).set(drivername="sqlite+aiosqlite"), connect_args={"timeout": BUSY_SECONDS}
    )
    _tune_sqlite(engine, synchronous="FULL" if durable else "NORMAL")
    return engine


def make_folder(url: str) -> None:
    """Makes the folder that a SQLite file is to lie in."""
    database = make_url(url).database
    if dialect_of(url) == "sqlite" and database is not None:
        Path(database).parent.mkdir(parents=True, exist_ok=True)


def _tune_sqlite(engine: AsyncEngine, *, synchronous: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        # the driver would begin late and commit around DDL; we say BEGIN ourselves
        # (https://docs.sqlalchemy.org/en/21/dialects/sqlite.html, "Enabling Non-Legacy SQLite Transactional Modes")
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={synchronous}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        # a transaction that reads first and writes later fails at once when another has written in between
        # (SQLITE_BUSY_SNAPSHOT, no timeout helps): who will write takes the lock first
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
