"""The inbox: what arrived is kept here until its events are out. Twice delivered is once kept.

Who works on rows claims them first, all of one integration at a time: two workers, in one process or in several, never
hold rows of the same integration, so that they are worked on once and in the order of their arrival. A claim is a
lease: it ends by itself when its worker shows no sign of life.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Boolean, ColumnElement, Row, bindparam, delete, func, literal_column, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.store.database import Database
from runtime.store.tables import inbox, to_micros
from runtime.store.writer import Operation

MAX_ATTEMPTS = 10
_FIRST_PAUSE = timedelta(seconds=1)
_LONGEST_PAUSE = timedelta(minutes=10)
_ERROR_LENGTH = 1_000

CLAIM_SECONDS = 30.0
"""How long a claim is believed after the worker's last sign of life (`keep`)."""
CLAIM_BYTES = 16 << 20
"""Most bytes of bodies that are claimed at once; a single body may be larger."""
PURGE_ROWS = 1_000
"""Most rows that one purge deletes: it must not hold the lock for long."""

_CLAIM_LOCK = 0x696E626F78  # any number of our own; PostgreSQL's advisory locks are numbers

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

# as the partial index says it: a bound parameter would keep PostgreSQL from using it
_PENDING = literal_column("inbox.status = 'pending'", Boolean)
_OPEN = inbox.c.status.in_([PENDING, DEAD])
_FREE: dict[str, Any] = {"claimed_by": None, "claimed_until": None}


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


class _PutOff(NamedTuple):
    id: int
    error: str
    seconds: float


class _Claim(NamedTuple):
    organisation: str
    integration: str
    limit: int


class _Purge(NamedTuple):
    before: datetime
    limit: int


class Inbox:
    """What is accepted, done or given up is on the disk before its call returns; claims need not survive a power cut.

    `worker` is the name under which this process claims rows, its own by default.
    """

    def __init__(self, database: Database, *, worker: str | None = None) -> None:
        self._database = database
        self._clock = database.clock
        self._worker = worker or uuid.uuid4().hex
        self._accept: Operation[Delivery, int | None] = Operation("inbox.accept", self._insert, durable=True)
        self._done: Operation[int, None] = Operation("inbox.done", self._finish, durable=True)
        self._failed: Operation[_Failure, bool] = Operation("inbox.failed", self._fail, durable=True)
        self._put_off: Operation[_PutOff, None] = Operation("inbox.put_off", self._postpone)
        self._claim: Operation[_Claim, list[InboxRow]] = Operation("inbox.claim", self._take)
        self._keep: Operation[int, None] = Operation("inbox.keep", self._prolong)
        self._release: Operation[None, int] = Operation("inbox.release", self._free)
        self._purge: Operation[_Purge, int] = Operation("inbox.purge", self._delete)

    async def accept(self, deliveries: Sequence[Delivery]) -> list[int]:
        """The ids of those that are new. What comes a second time is left out."""
        found = await self._database.writer.submit(self._accept, deliveries)
        return [each for each in found if each is not None]

    async def claim(self, organisation: str, integration: str, limit: int = 100) -> list[InboxRow]:
        """What is to be worked on now for an integration, oldest first, and from now on this worker's.

        Empty while another worker holds rows of the integration. Rows that this worker holds already come again.
        """
        asked = _Claim(organisation, integration, limit)
        return (await self._database.writer.submit(self._claim, [asked]))[0]

    async def keep(self, ids: Sequence[int]) -> None:
        """A sign of life: the worker is still at these."""
        await self._database.writer.submit(self._keep, ids)

    async def release(self) -> int:
        """Ends all claims, of every worker; gives how many. For who knows to be the only one, at the start."""
        return (await self._database.writer.submit(self._release, [None]))[0]

    async def due(self) -> set[tuple[str, str]]:
        """The integrations, as (organisation, key), for which there is something that this worker may claim now."""
        now = self._clock.now()
        mine_or_free = or_(inbox.c.claimed_until.is_(None), inbox.c.claimed_until <= now, self._mine)
        query = (
            select(inbox.c.organisation, inbox.c.integration)
            .where(_PENDING, inbox.c.next_attempt_at <= now, mine_or_free)
            .distinct()
        )
        async with self._database.reading() as connection:
            return {(row[0], row[1]) for row in await connection.execute(query)}

    async def done(self, ids: Sequence[int]) -> None:
        """The events of these are out."""
        await self._database.writer.submit(self._done, ids)

    async def failed(self, id: int, error: str) -> bool:
        """Puts it off, longer each time; true when that was the last attempt and it is a dead letter now."""
        return (await self._database.writer.submit(self._failed, [_Failure(id, error[:_ERROR_LENGTH])]))[0]

    async def put_off(self, ids: Sequence[int], error: str, *, seconds: float) -> None:
        """Not now: the vendor is away. It is no fault of theirs and counts as no attempt, however long it lasts."""
        rows = [_PutOff(each, error[:_ERROR_LENGTH], seconds) for each in ids]
        await self._database.writer.submit(self._put_off, rows)

    async def purge(self, *, hours: float, limit: int = PURGE_ROWS) -> int:
        """Forgets what was done longer ago than that, at most `limit` rows; gives how many. Dead letters stay."""
        asked = _Purge(self._clock.now() - timedelta(hours=hours), limit)
        return (await self._database.writer.submit(self._purge, [asked]))[0]

    async def counts(self) -> InboxCounts:
        """Of all organisations."""
        query = select(inbox.c.status, func.count()).where(_OPEN).group_by(inbox.c.status)
        async with self._database.reading() as connection:
            found = {row[0]: row[1] for row in await connection.execute(query)}
        return InboxCounts(pending=found.get(PENDING, 0), dead=found.get(DEAD, 0))

    async def counts_by_integration(self, organisation: str) -> dict[str, InboxCounts]:
        """Of one organisation; integrations of which nothing waits and nothing was given up are absent."""
        pending = func.count().filter(_PENDING)
        dead = func.count().filter(inbox.c.status == DEAD)
        # as an expression: by its index SQLite would go through all that was ever delivered, and most of it is done
        of_it = func.coalesce(inbox.c.organisation, "") == organisation
        query = select(inbox.c.integration, pending, dead).where(of_it, _OPEN).group_by(inbox.c.integration)
        async with self._database.reading() as connection:
            return {row[0]: InboxCounts(pending=row[1], dead=row[2]) for row in await connection.execute(query)}

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

    @property
    def _mine(self) -> ColumnElement[bool]:
        return inbox.c.claimed_by == self._worker

    async def _take(self, connection: AsyncConnection, claims: Sequence[_Claim]) -> list[list[InboxRow]]:
        if self._database.dialect == "postgresql":
            # look and take must be one step for all processes; on SQLite the transaction holds the only lock
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CLAIM_LOCK})
        return [await self._take_one(connection, claim) for claim in claims]

    async def _take_one(self, connection: AsyncConnection, claim: _Claim) -> list[InboxRow]:
        now = self._clock.now()
        lane = (inbox.c.organisation == claim.organisation, inbox.c.integration == claim.integration, _PENDING)
        held = select(inbox.c.id).where(*lane, inbox.c.claimed_until > now, ~self._mine).limit(1)
        if (await connection.execute(held)).first() is not None:
            return []
        sizes = select(inbox.c.id, func.length(inbox.c.body))
        waiting = sizes.where(*lane, inbox.c.next_attempt_at <= now).order_by(inbox.c.id).limit(claim.limit)
        ids = _fitting([(row[0], row[1]) for row in await connection.execute(waiting)])
        if not ids:
            return []
        await self._hold(connection, ids)
        query = select(inbox).where(inbox.c.id.in_(ids)).order_by(inbox.c.id)
        return [_row(row) for row in await connection.execute(query)]

    async def _prolong(self, connection: AsyncConnection, ids: Sequence[int]) -> list[None]:
        await self._hold(connection, ids, self._mine)
        return [None for _ in ids]

    async def _hold(self, connection: AsyncConnection, ids: Sequence[int], *also: ColumnElement[bool]) -> None:
        until = self._clock.now() + timedelta(seconds=CLAIM_SECONDS)
        mine = update(inbox).where(inbox.c.id == bindparam("row"), _PENDING, *also)
        query = mine.values(claimed_by=self._worker, claimed_until=until)
        await connection.execute(query, [{"row": each} for each in ids])

    async def _free(self, connection: AsyncConnection, asked: Sequence[None]) -> list[int]:
        query = update(inbox).where(_PENDING, inbox.c.claimed_by.is_not(None)).values(_FREE)
        count = (await connection.execute(query)).rowcount
        return [count for _ in asked]

    async def _finish(self, connection: AsyncConnection, ids: Sequence[int]) -> list[None]:
        query = (
            update(inbox)
            .where(inbox.c.id == bindparam("row"))
            .values(status=DONE, done_at=self._clock.now(), error=None, **_FREE)
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
                    **_FREE,
                }
                await connection.execute(update(inbox).where(inbox.c.id == failure.id).values(values))
        return dead

    async def _postpone(self, connection: AsyncConnection, rows: Sequence[_PutOff]) -> list[None]:
        now = self._clock.now()
        query = (
            update(inbox)
            .where(inbox.c.id == bindparam("row"), _PENDING)
            .values(error=bindparam("why"), next_attempt_at=bindparam("at"), **_FREE)
        )
        values = [{"row": row.id, "why": row.error, "at": now + timedelta(seconds=row.seconds)} for row in rows]
        await connection.execute(query, values)
        return [None for _ in rows]

    async def _delete(self, connection: AsyncConnection, purges: Sequence[_Purge]) -> list[int]:
        counts = []
        for before, limit in purges:
            old = (inbox.c.status == DONE, inbox.c.done_at < before)
            oldest = select(inbox.c.id).where(*old).order_by(inbox.c.done_at).limit(limit)
            counts.append((await connection.execute(delete(inbox).where(inbox.c.id.in_(oldest)))).rowcount)
        return counts


def _fitting(sizes: Sequence[tuple[int, int]]) -> list[int]:
    """The first ids whose bodies are not too much together, at least one."""
    total = 0
    ids: list[int] = []
    for id_, size in sizes:
        total += size
        if ids and total > CLAIM_BYTES:
            break
        ids.append(id_)
    return ids


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
