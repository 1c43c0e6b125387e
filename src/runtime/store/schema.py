"""Brings a store to a revision of its tables, up or down. Safe when several processes start at once."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.store import engines

_LOCK = 0x63726F7373646F63  # any number of our own; PostgreSQL's advisory locks are numbers
_MIGRATIONS = Path(__file__).with_name("migrations")


async def upgrade(url: str, revision: str = "head") -> None:
    """Up to the revision; does nothing when it is there already."""
    engines.make_folder(url)
    await _locked(url, lambda connection: connection.run_sync(_command, command.upgrade, revision))


async def downgrade(url: str, revision: str = "base") -> None:
    """Down to the revision. `base` drops every table and what is in it."""
    await _locked(url, lambda connection: connection.run_sync(_command, command.downgrade, revision))


async def current(url: str) -> str | None:
    """The revision that the store is at; null for an empty one."""
    engine = engines.create(url, durable=True)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    finally:
        await engine.dispose()


def newest() -> str:
    """The revision that `upgrade` brings a store to."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


async def _locked(url: str, work: Callable[[AsyncConnection], Awaitable[None]]) -> None:
    """Does the work in one transaction that only one process at a time is in.

    On SQLite the transaction itself is that lock: it begins as a writing one.
    """
    engine = engines.create(url, durable=True)
    try:
        async with engine.connect() as connection:
            await connection.execution_options(writes=True)
            async with connection.begin():
                if engine.dialect.name == "postgresql":
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
                await work(connection)
    finally:
        await engine.dispose()


def _command(connection: Connection, run: Callable[[Config, str], None], revision: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    run(config, revision)
