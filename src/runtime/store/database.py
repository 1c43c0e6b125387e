"""A store: its engines, its writer, its revision."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted
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

    def __init__(
        self, url: str, *, clock: Clock | None = None, told: Callable[[StoreDown | None], None] = lambda _: None
    ) -> None:
        """`told` hears once that the database went away, and with null once that it is back."""
        self.url = url
        self._told = told
        self._away: set[str] = set()
        """What does not work now, `read` or `write`: a database that is locked can still be read."""
        self.dialect = engines.dialect_of(url)
        self.clock = clock or SystemClock()
        self.writer = Writer(self._transact, clock=self.clock)
        self._engine: AsyncEngine | None = None
        self._durable: AsyncEngine | None = None

    async def start(self) -> None:
        """Migrates to the newest revision and starts the writer. Raises `StoreDown` when the database is away."""
        try:
            await schema.upgrade(self.url)
        except (DBAPIError, OSError) as error:
            # what the driver says (no such database, no such role) is what the operator needs
            raise StoreDown(f"the database cannot be opened: {getattr(error, 'orig', error)}") from error
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
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read with. Raises `StoreDown` when the database is away, also while it is in use."""
        async with self._noting("read", self._engine) as connection:
            yield connection

    @asynccontextmanager
    async def _noting(self, what: str, engine: AsyncEngine | None) -> AsyncIterator[AsyncConnection]:
        try:
            async with _connection(engine) as connection:
                yield connection
        except StoreDown as down:
            if engine is not None:
                if not self._away:
                    self._told(down)
                self._away.add(what)
            raise
        if what in self._away:
            self._away.remove(what)
            if not self._away:
                self._told(None)

    async def _transact(self, operation: Operation[Any, Any], rows: Sequence[Any]) -> Sequence[Any]:
        async with self._noting("write", self._durable if operation.durable else self._engine) as connection:
            await connection.execution_options(writes=True)
            async with connection.begin():
                return await operation.write(connection, rows)


@asynccontextmanager
async def _connection(engine: AsyncEngine | None) -> AsyncIterator[AsyncConnection]:
    if engine is None:
        raise StoreDown("the store is not open")
    async with AsyncExitStack() as stack:
        try:
            connection = await stack.enter_async_context(engine.connect())
        except (DBAPIError, PoolExhausted, OSError) as error:
            raise StoreDown("the database cannot be reached") from error
        try:
            yield connection
        except (DBAPIError, OSError) as error:
            if not _away(error):
                raise
            raise StoreDown("the database went away or is busy") from error


def _away(error: DBAPIError | OSError) -> bool:
    """Whether it is the database's state and not what was written: a lost connection has many names in asyncpg."""
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return lost or isinstance(error, OSError | OperationalError | InterfaceError | InternalError)
