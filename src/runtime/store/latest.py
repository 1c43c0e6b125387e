"""The newest state of every record that events speak of. Newer wins: the vendor's time, then the sequence."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.store.database import Database
from runtime.store.tables import latest_state, to_micros
from runtime.store.writer import Operation
from unified import ids
from unified.events import Changed, Event, Happened, Removed
from unified.records import BY_KIND, Kind, Record

_COLUMNS = "organisation, id, kind, integration, payload, occurred_at, sequence, received_at, removed"
_UPDATE = """
ON CONFLICT (organisation, id) DO UPDATE SET
  payload = excluded.payload, occurred_at = excluded.occurred_at, sequence = excluded.sequence,
  received_at = excluded.received_at, removed = excluded.removed
WHERE (excluded.occurred_at, excluded.sequence) > (latest_state.occurred_at, latest_state.sequence)
"""
# sorted keys: two writers that lock the same rows in different orders would wait for each other
_POSTGRESQL = f"""
INSERT INTO latest_state ({_COLUMNS})
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[],
                     $6::bigint[], $7::bigint[], $8::bigint[], $9::boolean[])
ORDER BY 1, 2
{_UPDATE} RETURNING organisation, id
"""  # noqa: S608  only constants are put together
_SQLITE = f"INSERT INTO latest_state ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?) {_UPDATE}"  # noqa: S608
_SQLITE_KNOWN = """
SELECT latest_state.organisation, latest_state.id, occurred_at, sequence
FROM json_each(?) AS asked JOIN latest_state
  ON latest_state.organisation = asked.value ->> 0 AND latest_state.id = asked.value ->> 1
"""
_READ_AT_ONCE = 1_000

_encode = msgspec.msgpack.Encoder().encode
_DECODERS = {kind: msgspec.msgpack.Decoder(record) for kind, record in BY_KIND.items()}


class _Row(NamedTuple):
    """In the order of the columns; times in microseconds."""

    organisation: str
    id: str
    kind: str
    integration: str
    payload: bytes
    occurred_at: int
    sequence: int
    received_at: int
    removed: bool

    @property
    def key(self) -> tuple[str, str]:
        return self.organisation, self.id

    @property
    def age(self) -> tuple[int, int]:
        return self.occurred_at, self.sequence


class LatestState:
    """Snapshots of subscriptions and what polls compare with. A removed thing leaves a tombstone with its time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._upsert: Operation[_Row, bool] = Operation("latest.upsert", self._write)

    async def upsert(self, organisation: str, events: Sequence[Event]) -> list[Event]:
        """Writes what is newer than what is known; gives those events in the order in which they came.

        Of several events of one record only the newest is kept. `Happened` changes no record and is always given.
        """
        received = to_micros(self._database.clock.now())
        rows = {
            position: _row(organisation, event, received)
            for position, event in enumerate(events)
            if not isinstance(event, Happened)
        }
        written = await self._database.writer.submit(self._upsert, list(rows.values()))
        accepted = dict(zip(rows, written, strict=True))
        return [event for position, event in enumerate(events) if accepted.get(position, True)]

    async def read(self, organisation: str, kind: Kind, ids: Sequence[str] | None = None) -> list[Record]:
        """The records that are not removed: those asked for in their order, without `ids` all by id."""
        table = latest_state
        query = select(table.c.id, table.c.payload).where(
            table.c.organisation == organisation, table.c.kind == kind.value, table.c.removed.is_(False)
        )
        decode = _DECODERS[kind].decode
        async with self._database.reading() as connection:
            if ids is None:
                return [decode(payload) for _, payload in await connection.execute(query.order_by(table.c.id))]
            wanted = list(dict.fromkeys(ids))
            found: dict[str, Record] = {}
            for start in range(0, len(wanted), _READ_AT_ONCE):
                chunk = wanted[start : start + _READ_AT_ONCE]
                rows = await connection.execute(query.where(table.c.id.in_(chunk)))
                found.update((id_, decode(payload)) for id_, payload in rows)
        return [found[each] for each in wanted if each in found]

    async def _write(self, connection: AsyncConnection, rows: Sequence[_Row]) -> list[bool]:
        newest: dict[tuple[str, str], _Row] = {}
        for row in rows:
            older = newest.get(row.key)
            if older is None or row.age > older.age:
                newest[row.key] = row
        ordered = sorted(newest.values(), key=lambda row: row.key)
        if self._database.dialect == "postgresql":
            columns = tuple(list(column) for column in zip(*ordered, strict=True))
            keys = {tuple(row) for row in await connection.exec_driver_sql(_POSTGRESQL, columns)}
            accepted = [row for row in ordered if row.key in keys]
        else:
            # the transaction holds the only lock for writing: what is read here is what is written over
            asked = msgspec.json.encode([row.key for row in ordered]).decode()
            known = await connection.exec_driver_sql(_SQLITE_KNOWN, (asked,))
            ages = {(row.organisation, row.id): (row.occurred_at, row.sequence) for row in known}
            accepted = [row for row in ordered if row.key not in ages or row.age > ages[row.key]]
            if accepted:
                await connection.exec_driver_sql(_SQLITE, list(accepted))
        given = {row.key: row for row in accepted}
        # by identity: an event that came twice in one batch is accepted once
        return [given.get(row.key) is row for row in rows]


def _row(organisation: str, event: Changed[Record] | Removed, received_at: int) -> _Row:
    if isinstance(event, Changed):
        record = event.record
        kind, id_, integration, payload = record.kind, record.id, record.source.integration, _encode(record)
    else:
        kind, id_, integration, payload = event.kind, event.id, ids.decode(event.id).integration, b""
    return _Row(
        organisation,
        id_,
        kind.value,
        integration,
        payload,
        to_micros(event.occurred_at),
        event.sequence,
        received_at,
        isinstance(event, Removed),
    )
