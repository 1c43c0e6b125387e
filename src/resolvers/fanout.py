"""A list over many sources: each asked at once under its own deadline, merged in the order that was asked for.

Without `order_by` rows come by integration (as configured), then in the vendor's order. With it, sources that
sort natively are merged as they are, small ones are read whole and sorted here; any other is UNSORTABLE.
"""

import asyncio
import heapq
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from connectors.kit.errors import BadPayload, ConnectorError
from connectors.kit.protocols import LISTINGS
from resolvers import cursors
from resolvers.context import Context
from resolvers.cursors import Place
from resolvers.errors import BadInput
from resolvers.sources import Asked, Handle, SourceError, SourceReport, SourceState, ask
from unified.queries import Filter, ListQuery, OrderBy, SourcePage, sort_value
from unified.records import Kind, Record

LARGEST_PAGE = 200
READ_WHOLE = 5_000
"""Rows of a source that are read to sort them here, or to find matches of a filter that the vendor lacks."""


class PageInfo(msgspec.Struct, frozen=True):
    """Relay's page information; `has_previous_page` is whether a cursor was given (lists go forwards only)."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


class Edge:
    """A row and its cursor, which is made only when it is asked for."""

    __slots__ = ("_page", "index", "node")

    def __init__(self, node: Record, index: int, page: "Page") -> None:
        self.node, self.index, self._page = node, index, page

    @property
    def cursor(self) -> str:
        return self._page.cursor_after(self.index)


class Page:
    """One page of a list over many sources."""

    def __init__(
        self,
        rows: list[tuple[str, Record, Place]],
        *,
        before: dict[str, Place],
        more: bool,
        reports: list[SourceReport],
        total: int | None,
        resumed: bool,
        key: bytes,
        digest: bytes,
    ) -> None:
        self._rows, self._before, self._key, self._digest = rows, before, key, digest
        self.sources, self.total_count = reports, total
        self._more, self._resumed = more, resumed
        self.edges = [Edge(record, index, self) for index, (_, record, _) in enumerate(rows)]

    @property
    def nodes(self) -> list[Record]:
        return [record for _, record, _ in self._rows]

    def cursor_after(self, index: int) -> str:
        """The cursor of the row at `index`: each source stands after its last row up to there."""
        places = self._before | {source: place for source, _, place in self._rows[: index + 1]}
        return cursors.write(self._key, self._digest, places)

    @property
    def page_info(self) -> PageInfo:
        last = len(self._rows) - 1
        return PageInfo(
            has_next_page=self._more,
            has_previous_page=self._resumed,
            start_cursor=self.cursor_after(0) if self._rows else None,
            end_cursor=self.cursor_after(last) if self._rows else None,
        )


class _Read(msgspec.Struct):
    """What one source gave: rows in order, each with the place after it."""

    rows: list[tuple[Record, Place]]
    more: bool
    total: int | None = None
    state: SourceState = SourceState.LIVE


async def list_records(
    context: Context,
    kind: Kind,
    query_filter: Filter,
    *,
    first: int = 50,
    after: str | None = None,
    order_by: Sequence[OrderBy] = (),
    sources: Sequence[str] | None = None,
    path: Sequence[str | int] | None = None,
) -> Page:
    """The page; failures of sources are noted on the context and in `sources`, never raised.

    Raises `BadInput` for arguments that cannot be answered.
    """
    if not 0 <= first <= LARGEST_PAGE:
        raise BadInput(f"`first` is {first}; ask for 0 to {LARGEST_PAGE} rows and page with `after`")
    handles = _chosen(context, kind, sources)
    order = tuple(order_by)
    digest = cursors.digest(kind.value, (query_filter, order, sorted(handle.key for handle in handles)))
    before = cursors.read(context.cursor_key, digest, after) if after else {}
    query = ListQuery(filter=query_filter, order_by=order, limit=first + 1)
    asked = await asyncio.gather(
        *(
            ask(handle, lambda connector, handle=handle: _read(connector, kind, query, before.get(handle.key)))  # type: ignore[misc]
            for handle in handles
        )
    )
    for each in asked:
        context.note(each, path)
    merged = _merge([each for each in asked if each.value is not None], order, first)
    reads = [each.value for each in asked if each.value is not None]
    totals = [read.total for read in reads]
    counts: dict[str, list[Record]] = {}
    for source, record, _ in merged:
        counts.setdefault(source, []).append(record)
    return Page(
        merged,
        before=before,
        more=sum(len(read.rows) for read in reads) > len(merged) or any(read.more for read in reads),
        reports=[_report(each, counts.get(each.handle.key, [])) for each in asked],
        total=None if len(reads) < len(asked) or None in totals else sum(t for t in totals if t is not None),
        resumed=bool(before),
        key=context.cursor_key,
        digest=digest,
    )


def _chosen(context: Context, kind: Kind, sources: Sequence[str] | None) -> list[Handle]:
    able = context.sources.listing(kind)
    if sources is None:
        return able
    unknown = [key for key in sources if key not in context.sources.handles]
    if unknown:
        known = ", ".join(context.sources.handles) or "none"
        raise BadInput(f"there is no integration {unknown[0]!r}; the integrations are: {known}")
    return [handle for handle in able if handle.key in sources]


async def _read(connector: Any, kind: Kind, query: ListQuery[Any], place: Place | None) -> _Read:
    method = getattr(connector, LISTINGS[kind].list_method)
    place = place or Place()
    if place.done or query.limit == 0:
        return _Read([], more=False)
    page: SourcePage[Any] = await method(query, place.page)
    if query.order_by and not page.sorted:
        return await _read_whole(method, query, page, place)
    return await _read_on(method, query, page, place)


async def _read_on(method: Any, query: ListQuery[Any], page: SourcePage[Any], place: Place) -> _Read:
    """Rows from `place` on in the vendor's order, until there are enough or the end is reached."""
    rows: list[tuple[Record, Place]] = []
    total, skip, at, scanned = page.total, place.offset, place.page, 0
    seen = {place.page}
    while True:
        for index, record in enumerate(page.records):
            if index >= skip and query.filter.matches(record):
                rows.append((record, Place(at, index + 1)))
        scanned += len(page.records)
        if page.next is None:
            if rows:
                rows[-1] = (rows[-1][0], Place(done=True))
            return _Read(rows, more=False, total=total)
        if rows:  # what follows the last row of this page is the next page, not an offset in this one
            rows[-1] = (rows[-1][0], Place(page.next))
        if len(rows) >= query.limit:
            return _Read(rows, more=True, total=total)
        if scanned >= READ_WHOLE:
            return _Read(rows, more=bool(rows), total=total, state=SourceState.TRUNCATED)
        if page.next in seen:
            raise BadPayload("the vendor's paging goes in a circle: it gave the same page twice", path="$")
        seen.add(page.next)
        at, skip = page.next, 0
        page = await method(query, at)


async def _read_whole(method: Any, query: ListQuery[Any], page: SourcePage[Any], place: Place) -> _Read:
    """All rows of a small source, sorted here. A source over the limit is not sorted wrongly but left out."""
    if place.page is not None:
        page = await method(query, None)
    records: list[Record] = list(page.records)
    seen: set[str] = set()
    while page.next is not None:
        if len(records) > READ_WHOLE or page.next in seen:
            return _Read([], more=False, state=SourceState.UNSORTABLE)
        seen.add(page.next)
        page = await method(query, page.next)
        records += page.records
    matching = sorted(
        (record for record in records if query.filter.matches(record)),
        key=lambda record: (_sort_key(record, query.order_by), record.source.external_id),
    )
    start = _resume(matching, place)
    rows = [(record, Place(None, index + 1, record.source.external_id)) for index, record in enumerate(matching)][
        start : start + query.limit
    ]
    return _Read(rows, more=start + len(rows) < len(matching), total=len(matching))


def _resume(records: list[Record], place: Place) -> int:
    """Where to go on when rows may have come or gone since: after the last row that was given, if it is there."""
    if place.last is None:
        return place.offset
    if 0 < place.offset <= len(records) and records[place.offset - 1].source.external_id == place.last:
        return place.offset
    for index, record in enumerate(records):
        if record.source.external_id == place.last:
            return index + 1
    return min(place.offset, len(records))


class _Descending:
    """Turns a comparison round."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: "_Descending") -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and self.value == other.value

    __hash__ = None  # type: ignore[assignment]


def _sort_key(record: Record, order: Sequence[OrderBy]) -> tuple[Any, ...]:
    parts: list[Any] = []
    for each in order:
        missing, value = sort_value(record, each)
        parts.append((missing, _Descending(value) if each.descending and not missing else value))
    return tuple(parts)


def _merge(asked: Sequence[Asked[_Read]], order: Sequence[OrderBy], first: int) -> list[tuple[str, Record, Place]]:
    streams = [
        [(each.handle.key, record, place) for record, place in each.value.rows]
        for each in asked
        if each.value is not None
    ]
    if not order:
        flat = [row for stream in streams for row in stream]
        return flat[:first]
    merged = heapq.merge(*streams, key=lambda row: _sort_key(row[1], order))
    return [row for row, _ in zip(merged, range(first), strict=False)]


def _report(asked: Asked[_Read], rows: Sequence[Record]) -> SourceReport:
    read, error = asked.value, asked.error
    state = SourceState.FAILED if read is None else read.state
    reason: Exception | None = error
    as_of: datetime | None = min((row.source.as_of for row in rows), default=None)
    if state is SourceState.LIVE and asked.reading.stale_as_of is not None:
        state, as_of, reason = SourceState.STALE, asked.reading.stale_as_of, asked.reading.stale_error
    told = None
    if isinstance(reason, ConnectorError):
        told = SourceError(reason.code, reason.message, reason.hint)
    elif state is SourceState.UNSORTABLE:
        told = SourceError(
            "UNSORTABLE",
            f"{asked.handle.key} cannot sort by this and has more than {READ_WHOLE} rows",
            "Narrow the filter, or leave `orderBy` out.",
        )
    elif state is SourceState.TRUNCATED:
        told = SourceError(
            "TRUNCATED",
            f"{asked.handle.key} was searched through {READ_WHOLE} rows without filling the page",
            "Narrow the filter, or go on with `after`.",
        )
    return SourceReport(
        integration=asked.handle.key,
        system=asked.handle.integration.system,
        state=state,
        count=len(rows),
        latency_ms=asked.latency_ms,
        as_of=as_of,
        calls=asked.reading.calls,
        error=told,
    )
