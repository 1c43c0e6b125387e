"""The crosswalk between restarts: which numbers of which integrations mean the same thing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.store.database import Database
from runtime.store.tables import crosswalk
from runtime.store.writer import Operation
from unified.keys import Subject
from unified.records import Kind


@dataclass(frozen=True, kw_only=True)
class CrosswalkRow:
    """One number of one integration and the key under which the systems' spellings meet."""

    subject: Subject
    integration: str
    kind: Kind | None = None
    external_id: str | None = None
    """Null where the integration only mentions the thing."""
    number: str
    key: str


class _Replacement(NamedTuple):
    organisation: str
    integration: str
    rows: Sequence[CrosswalkRow]


class CrosswalkStore:
    """Rows keep the order in which they were given."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._replace: Operation[_Replacement, None] = Operation("crosswalk.replace", self._write)

    async def replace(self, organisation: str, integration: str, rows: Sequence[CrosswalkRow]) -> None:
        """What an integration knows now, instead of what it knew: all or nothing."""
        if strangers := {row.integration for row in rows} - {integration}:
            raise ValueError(f"rows of {', '.join(sorted(strangers))} among those of {integration}")
        await self._database.writer.submit(self._replace, [_Replacement(organisation, integration, rows)])

    async def all(self, organisation: str) -> list[CrosswalkRow]:
        """Everything that the organisation's integrations know."""
        query = select(crosswalk).where(crosswalk.c.organisation == organisation).order_by(crosswalk.c.id)
        async with self._database.reading() as connection:
            return [
                CrosswalkRow(
                    subject=Subject(row.subject),
                    integration=row.integration,
                    kind=Kind(row.kind) if row.kind is not None else None,
                    external_id=row.external_id,
                    number=row.number,
                    key=row.key,
                )
                for row in await connection.execute(query)
            ]

    async def _write(self, connection: AsyncConnection, replacements: Sequence[_Replacement]) -> list[None]:
        for organisation, integration, rows in replacements:
            old = delete(crosswalk).where(
                crosswalk.c.organisation == organisation, crosswalk.c.integration == integration
            )
            await connection.execute(old)
            if rows:
                await connection.execute(insert(crosswalk), [_values(organisation, row) for row in rows])
        return [None for _ in replacements]


def _values(organisation: str, row: CrosswalkRow) -> dict[str, str | None]:
    return {
        "organisation": organisation,
        "subject": row.subject.value,
        "integration": row.integration,
        "kind": row.kind.value if row.kind is not None else None,
        "external_id": row.external_id,
        "number": row.number,
        "key": row.key,
    }
