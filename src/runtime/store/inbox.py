"""The inbox: what arrived is kept here until its events are out. Twice delivered is once kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from sqlalchemy import Row, bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.store.database import Database
from runtime.store.tables import inbox, to_micros
from runtime.store.writer import Operation

MAX_ATTEMPTS = 10
_FIRST_PAUSE = timedelta(seconds=1)
_LONGEST_PAUSE = timedelta(minutes=10)
_ERROR_LENGTH = 1_000

PENDING, DONE, DEAD = "pending", "done", "dead"

_COLUMNS = (
    "organisation, integration, delivery_id, decoder, headers, body, status, received_at, attempts, next_attempt_at"
)
_POSTGRESQL = f"""
INSERT INTO inbox ({_COLUMNS})
SELECT asked.*, '{PENDING}', $7::bigint, 0, $7::bigint
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[]) AS asked
ON CONFLICT (organisation, integration, delivery_id) DO NOTHING
RETURNING id, organisation, integration, delivery_id
"""  # noqa: S608  only constants are put together
_SQLITE = f"""
INSERT INTO inbox ({_COLUMNS}) VALUES (?,?,?,?,?,?,'{PENDING}',?,0,?)
ON CONFLICT (organisation, integration, delivery_id) DO NOTHING
"""  # noqa: S608
_SQLITE_HIGHEST = "SELECT coalesce(max(id), 0) FROM inbox"
_SQLITE_NEW = "SELECT id, organisation, integration, delivery_id FROM inbox WHERE id > ?"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Something that arrived. `delivery_id` is unique per integration; `decoder` names what reads the body."""

    organisation: str
    integration: str
    delivery_id: str
    decoder: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def key(self) -> tuple[str, str, str]:
        return self.organisation, self.integration, self.delivery_id


@dataclass(frozen=True, kw_only=True)
class InboxRow:
    """A delivery that waits. `error` is what went wrong the last time."""

    id: int
    organisation: str
    integration: str
    delivery_id: str
    decoder: str
    headers: dict[str, str]
    body: bytes
    received_at: datetime
    attempts: int
    error: str | None


class InboxCounts(NamedTuple):
    """How many deliveries wait, and how many were given up."""

    pending: int
    dead: int


class _Failure(NamedTuple):
    id: int
    error: str


class Inbox:
    """Every write is on the disk before its call returns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._clock = database.clock
        self._accept: Operation[Delivery, int | None] = Operation("inbox.accept", self._insert, durable=True)
        self._done: Operation[int, None] = Operation("inbox.done", self._finish, durable=True)
        self._failed: Operation[_Failure, bool] = Operation("inbox.failed", self._fail, durable=True)
        self._purge: Operation[datetime, int] = Operation("inbox.purge", self._delete, durable=True)

    async def accept(self, deliveries: Sequence[Delivery]) -> list[int]:
        """The ids of those that are new. What comes a second time is left out."""
        found = await self._database.writer.submit(self._accept, deliveries)
        return [each for each in found if each is not None]

    async def pending(self, limit: int = 100) -> list[InboxRow]:
        """What is to be worked on now, oldest first."""
        query = (
            select(inbox)
            .where(inbox.c.status == PENDING, inbox.c.next_attempt_at <= self._clock.now())
            .order_by(inbox.c.id)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            return [_row(row) for row in await connection.execute(query)]

    async def done(self, ids: Sequence[int]) -> None:
        """The events of these are out."""
        await self._database.writer.submit(self._done, ids)

    async def failed(self, id: int, error: str) -> bool:
        """Puts it off, longer each time; true when that was the last attempt and it is a dead letter now."""
        return (await self._database.writer.submit(self._failed, [_Failure(id, error[:_ERROR_LENGTH])]))[0]

    async def purge(self, *, hours: float) -> int:
        """Forgets what was done longer ago than that; gives how many. Dead letters stay."""
        before = self._clock.now() - timedelta(hours=hours)
        return (await self._database.writer.submit(self._purge, [before]))[0]

    async def counts(self) -> InboxCounts:
        """Of all organisations."""
        query = select(inbox.c.status, func.count()).where(inbox.c.status.in_([PENDING, DEAD])).group_by(inbox.c.status)
        async with self._database.reading() as connection:
            found = {row[0]: row[1] for row in await connection.execute(query)}
        return InboxCounts(pending=found.get(PENDING, 0), dead=found.get(DEAD, 0))

    async def _insert(self, connection: AsyncConnection, deliveries: Sequence[Delivery]) -> list[int | None]:
        now = to_micros(self._clock.now())
        rows = [(*each.key, each.decoder, _headers(each.headers), each.body) for each in deliveries]
        if self._database.dialect == "postgresql":
            columns = (*(list(column) for column in zip(*rows, strict=True)), now)
            new = await connection.exec_driver_sql(_POSTGRESQL, columns)
        else:
            # the transaction holds the only lock for writing: what is above the highest id is ours
            highest = (await connection.exec_driver_sql(_SQLITE_HIGHEST)).scalar_one()
            await connection.exec_driver_sql(_SQLITE, [(*row, now, now) for row in rows])
            new = await connection.exec_driver_sql(_SQLITE_NEW, (highest,))
        ids = {(row.organisation, row.integration, row.delivery_id): row.id for row in new}
        return [ids.pop(each.key, None) for each in deliveries]

    async def _finish(self, connection: AsyncConnection, ids: Sequence[int]) -> list[None]:
        query = (
            update(inbox)
            .where(inbox.c.id == bindparam("row"))
            .values(status=DONE, done_at=self._clock.now(), error=None)
        )
        await connection.execute(query, [{"row": each} for each in ids])
        return [None for _ in ids]

    async def _fail(self, connection: AsyncConnection, failures: Sequence[_Failure]) -> list[bool]:
        dead = []
        for failure in failures:
            mine = (inbox.c.id == failure.id, inbox.c.status == PENDING)
            count = update(inbox).where(*mine).values(attempts=inbox.c.attempts + 1).returning(inbox.c.attempts)
            attempts = (await connection.execute(count)).scalar_one_or_none()
            dead.append(attempts is not None and attempts >= MAX_ATTEMPTS)
            if attempts is not None:
                values = {
                    "status": DEAD if dead[-1] else PENDING,
                    "error": failure.error,
                    "next_attempt_at": self._clock.now() + pause_after(attempts),
                }
                await connection.execute(update(inbox).where(inbox.c.id == failure.id).values(values))
        return dead

    async def _delete(self, connection: AsyncConnection, befores: Sequence[datetime]) -> list[int]:
        return [
            (await connection.execute(delete(inbox).where(inbox.c.status == DONE, inbox.c.done_at < before))).rowcount
            for before in befores
        ]


def pause_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts: 1, 2, 4, … seconds, at most ten minutes."""
    return min(_FIRST_PAUSE * (1 << (attempts - 1)), _LONGEST_PAUSE)


def _headers(headers: Mapping[str, str]) -> str:
    return msgspec.json.encode(dict(headers)).decode()


def _row(row: Row[tuple[object, ...]]) -> InboxRow:
    return InboxRow(
        id=row.id,
        organisation=row.organisation,
        integration=row.integration,
        delivery_id=row.delivery_id,
        decoder=row.decoder,
        headers=msgspec.json.decode(row.headers, type=dict[str, str]),
        body=row.body,
        received_at=row.received_at,
        attempts=row.attempts,
        error=row.error,
    )
