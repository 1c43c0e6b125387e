"""The store's tables: up, down, from several processes at once."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.store import CursorStore, Database, Delivery, Inbox, StoreDown, current, downgrade, engines, upgrade
from runtime.store.tables import metadata
from runtime.store.writer import Operation

TABLES = {"alembic_version", "crosswalk", "cursors", "inbox", "latest_state"}
SRC = Path(__file__).parents[2] / "src"


async def tables(url: str) -> set[str]:
    engine = engines.create(url, durable=False)
    async with engine.connect() as connection:
        found = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
    await engine.dispose()
    return found


async def test_migrations_go_up_and_down_and_up_again(url: str) -> None:
    await upgrade(url)
    assert await current(url) == "0002"
    assert await tables(url) == TABLES
    await downgrade(url, "0001")
    assert await current(url) == "0001"
    await upgrade(url)
    await downgrade(url)
    assert await current(url) is None
    assert await tables(url) == {"alembic_version"}
    await upgrade(url)
    await upgrade(url)
    assert await tables(url) == TABLES


async def test_the_migrations_make_what_the_tables_say(url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))

    await upgrade(url)
    engine = engines.create(url, durable=False)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_what_waits_in_the_inbox_outlives_a_step_down_and_up(url: str) -> None:
    await downgrade(url) if url.startswith("postgresql") else None
    database = Database(url)
    await database.start()
    delivery = Delivery(
        organisation="acme", integration="traccar", delivery_id="1", decoder="position", headers={}, body=b"x"
    )
    [id_] = await Inbox(database).accept([delivery])
    await Inbox(database).claim("acme", "traccar")
    await database.aclose()
    await downgrade(url, "0001")
    await database.start()
    [row] = await Inbox(database, worker="another").claim("acme", "traccar")
    assert (row.id, row.body) == (id_, b"x")
    await database.aclose()


async def test_updates_of_latest_state_have_room_in_their_page_on_postgresql(postgresql_url: str) -> None:
    await upgrade(postgresql_url)
    engine = engines.create(postgresql_url, durable=False)
    async with engine.connect() as connection:
        options = await connection.execute(text("SELECT reloptions FROM pg_class WHERE relname = 'latest_state'"))
        assert options.scalar_one() == ["fillfactor=50"]
    await engine.dispose()


async def test_processes_that_start_at_once_migrate_once(url: str) -> None:
    """Each would fail on "table exists" if two were inside."""
    await downgrade(url) if url.startswith("postgresql") else None
    code = "import asyncio, sys; from runtime.store import upgrade; asyncio.run(upgrade(sys.argv[1]))"
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, url, env={"PYTHONPATH": ":".join([str(SRC), *sys.path])},
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]  # fmt: skip
    ended = [(await each.communicate())[1].decode() for each in started]
    assert ended == ["", "", ""]
    assert [each.returncode for each in started] == [0, 0, 0]
    assert await tables(url) == TABLES


async def test_sqlite_keeps_what_was_acknowledged_through_a_power_cut(tmp_path: Path) -> None:
    found = {}
    for durable in (False, True):
        engine = engines.create(f"sqlite:///{tmp_path}/a.db", durable=durable)
        async with engine.connect() as connection:
            mode = (await connection.execute(text("PRAGMA journal_mode"))).scalar_one()
            found[durable] = (mode, (await connection.execute(text("PRAGMA synchronous"))).scalar_one())
        await engine.dispose()
    assert found == {False: ("wal", 1), True: ("wal", 2)}


async def test_durable_operations_are_written_through_the_durable_engine(tmp_path: Path) -> None:
    async def synchronous(connection: AsyncConnection, rows: Sequence[None]) -> list[int]:
        return [(await connection.execute(text("PRAGMA synchronous"))).scalar_one() for _ in rows]

    database = Database(f"sqlite:///{tmp_path}/a.db")
    await database.start()
    quick: Operation[None, int] = Operation("quick", synchronous)
    durable: Operation[None, int] = Operation("durable", synchronous, durable=True)
    assert await database.writer.submit(quick, [None]) == [1]
    assert await database.writer.submit(durable, [None]) == [2]
    await database.aclose()


async def test_a_database_that_is_away_says_so() -> None:
    database = Database("postgresql://postgres@127.0.0.1:1/none")
    with pytest.raises(
        StoreDown, match=r"^the database cannot be opened: .*Connect call failed \('127\.0\.0\.1', 1\)$"
    ):
        await database.start()


async def test_a_database_that_does_not_exist_is_named(postgresql_url: str) -> None:
    with pytest.raises(StoreDown, match=r'^the database cannot be opened: database "absent" does not exist$'):
        await Database(f"{postgresql_url.rsplit('/', 1)[0]}/absent").start()


async def test_a_database_that_goes_away_while_it_is_read_says_so_and_is_used_again_when_it_is_back(
    postgresql_url: str,
) -> None:
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
    database = Database(postgresql_url)
    await database.start()
    async with database.reading() as killer:
        own = (await killer.execute(text("SELECT pg_backend_pid()"))).scalar_one()

        async def read() -> None:
            async with database.reading() as victim:
                await victim.execute(text("SELECT 1"))
                await killer.execute(text(f"{others} {own}"))
                await victim.execute(text("SELECT 1"))

        with pytest.raises(StoreDown, match=r"^the database went away or is busy$"):
            await read()
    await database.ping()
    await database.aclose()


async def test_a_database_that_is_locked_for_too_long_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "BUSY_SECONDS", 0)
    told: list[str | None] = []
    database = Database(f"sqlite:///{tmp_path}/a.db", told=lambda down: told.append(str(down) if down else None))
    await database.start()
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreDown, match=r"^the database went away or is busy$"):
        await CursorStore(database).put("acme", "plm", "changes", "1")
    with pytest.raises(StoreDown):
        await CursorStore(database).put("acme", "plm", "changes", "1")
    assert await CursorStore(database).get("acme", "plm", "changes") is None
    assert told == ["the database went away or is busy"], "once, however often it is tried, and reading still works"
    other.execute("ROLLBACK")
    other.close()
    await CursorStore(database).put("acme", "plm", "changes", "2")
    assert await CursorStore(database).get("acme", "plm", "changes") == "2"
    assert told == ["the database went away or is busy", None]
    await database.aclose()


async def test_a_closed_store_takes_and_gives_nothing(database: Database) -> None:
    await database.ping()
    await database.aclose()
    with pytest.raises(StoreDown, match=r"^the store is not open$"):
        await database.ping()
    await database.aclose()


@pytest.mark.parametrize("url", ["mysql://host/x", "sqlite://", "sqlite:///:memory:"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite:///"):
        Database(url)
