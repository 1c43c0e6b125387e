"""A store: its engines, its writer, its revision."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from runtime.clock import Clock, SystemClock
from runtime.store import engines, schema
from runtime.store.errors import StoreDown
from runtime.store.writer import Operation, Writer


class Database:
    """SQLite (a file) or PostgreSQL. Opens nothing before `start`.

    SQLite has two engines, for what may be read again after a power cut and for what was acknowledged. All writes
    go through `writer`: SQLite has one lock for them anyway, and PostgreSQL likes few large ones.
    """

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        self.url = url
        self.dialect = engines.dialect_of(url)
        self.clock = clock or SystemClock()
        self.writer = Writer(self._transact, clock=self.clock)
        self._engine: AsyncEngine | None = None
        self._durable: AsyncEngine | None = None

    async def start(self) -> None:
        """Migrates to the newest revision and starts the writer. Raises `StoreDown` when the database is away."""
        try:
            await schema.upgrade(self.url)
        except (OperationalError, InterfaceError, OSError) as error:
            raise StoreDown("the database cannot be reached or is busy") from error
        self._engine = engines.create(self.url, durable=False)
        self._durable = engines.create(self.url, durable=True) if self.dialect == "sqlite" else self._engine
        self.writer.start()

    async def aclose(self) -> None:
        """Writes what is queued, then closes all connections. May be called twice."""
        await self.writer.aclose()
        opened = {self._engine, self._durable} - {None}
        self._engine = self._durable = None
        for engine in opened:
            if engine is not None:
                await engine.dispose()

    async def ping(self) -> None:
        """Raises `StoreDown` unless the database answers."""
        try:
            async with self.reading() as connection:
                await connection.execute(text("SELECT 1"))
        except (DBAPIError, OSError) as error:
            raise StoreDown("the database does not answer") from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read with; what it sees does not change while it is open on SQLite."""
        if self._engine is None:
            raise StoreDown("the store is not open")
        async with self._engine.connect() as connection:
            yield connection

    async def _transact(self, operation: Operation[Any, Any], rows: Sequence[Any]) -> Sequence[Any]:
        engine = self._durable if operation.durable else self._engine
        if engine is None:
            raise StoreDown("the store is not open")
        async with engine.connect() as connection:
            await connection.execution_options(writes=True)
            async with connection.begin():
                return await operation.write(connection, rows)
