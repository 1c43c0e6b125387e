"""How far each poll and each stream of an integration has read."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.store.database import Database
from runtime.store.writer import Operation

_PUT = text(
    "INSERT INTO cursors (organisation, integration, name, value) VALUES (:organisation, :integration, :name, :value)"
    " ON CONFLICT (organisation, integration, name) DO UPDATE SET value = excluded.value"
)
_PLACE = "organisation = :organisation AND integration = :integration AND name = :name"
_GET = text(f"SELECT value FROM cursors WHERE {_PLACE}")  # noqa: S608  only constants are put together
_DELETE = text(f"DELETE FROM cursors WHERE {_PLACE}")  # noqa: S608


class _Cursor(NamedTuple):
    organisation: str
    integration: str
    name: str
    value: str | None


class CursorStore:
    """The texts are the vendors' own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._put: Operation[_Cursor, None] = Operation("cursors.put", self._write)

    async def get(self, organisation: str, integration: str, name: str) -> str | None:
        """Null before the first one is put."""
        place = {"organisation": organisation, "integration": integration, "name": name}
        async with self._database.reading() as connection:
            value: str | None = (await connection.execute(_GET, place)).scalar_one_or_none()
        return value

    async def put(self, organisation: str, integration: str, name: str, value: str | None) -> None:
        """Null forgets it: the next read starts from the beginning."""
        await self._database.writer.submit(self._put, [_Cursor(organisation, integration, name, value)])

    async def _write(self, connection: AsyncConnection, cursors: Sequence[_Cursor]) -> list[None]:
        for cursor in cursors:
            if cursor.value is None:
                place = {"organisation": cursor.organisation, "integration": cursor.integration, "name": cursor.name}
                await connection.execute(_DELETE, place)
            else:
                await connection.execute(_PUT, cursor._asdict())
        return [None for _ in cursors]
