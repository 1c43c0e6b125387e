"""A list over many sources: each asked at once under its own deadline, merged in the order that was asked for.

Without `order_by` rows come by integration (as configured), then in the vendor's order. With it, sources that
sort natively are merged as they are, small ones are read whole and sorted here; any other is UNSORTABLE.
"""

import asyncio
import heapq
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from connectors.kit.errors import BadPayload, ConnectorError
from connectors.kit.protocols import LISTINGS
from resolvers import cursors
from resolvers.context import Context
from resolvers.cursors import Place
from resolvers.errors import BadInput
from resolvers.sources import Asked, Handle, SourceError, SourceReport, Sources, SourceState, ask
from unified.queries import Filter, ListQuery, OrderBy, SourcePage, sort_value
from unified.records import Kind, Record

LARGEST_PAGE = 200
READ_WHOLE = 5_000
"""Rows of a source that are read to sort them here, or to find matches of a filter that the vendor lacks."""
MOVING: dict[Kind, Callable[[Any], bool]] = {Kind.BOOKING: lambda booking: not booking.status.terminal}
"""Rows that their vendor may move to a later page while somebody pages: those are not given twice."""


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
        after: str | None,
        key: bytes,
        digest: bytes,
    ) -> None:
        self._rows, self._before, self._key, self._digest = rows, before, key, digest
        self.sources, self.total_count = reports, total
        self._more, self._after = more, after

    @property
    def edges(self) -> list[Edge]:
        """Made when they are asked for: they lead back to the page, and such circles wait for the collector."""
        return [Edge(record, index, self) for index, (_, record, _) in enumerate(self._rows)]

    @property
    def nodes(self) -> list[Record]:
        return [record for _, record, _ in self._rows]

    def cursor_after(self, index: int) -> str:
        """The cursor of the row at `index`: each source stands after its last row up to there."""
        given = self._rows[: index + 1]
        places = self._before | {source: place for source, _, place in given}
        moving = MOVING.get(given[0][1].kind) if given else None
        if moving is not None:
            rows: dict[str, list[Record]] = defaultdict(list)
            for source, record, _ in given:
                rows[source].append(record)
            for source, mine in rows.items():
                names = [record.source.external_id for record in mine]
                still = [record.source.external_id for record in mine if moving(record)]
                places[source] = places[source].after(still, names)
        return cursors.write(self._key, self._digest, places)

    @property
    def page_info(self) -> PageInfo:
        last = len(self._rows) - 1
        return PageInfo(
            has_next_page=self._more,
            has_previous_page=self._after is not None,
            start_cursor=self.cursor_after(0) if self._rows else None,
            # an empty page leads on where its sources stopped searching; one whose sources fail, to itself again
            end_cursor=self.cursor_after(last) if self._rows or self._before else None,
        )


class _Read(msgspec.Struct):
    """What one source gave: rows in order, each with the place after it."""

    rows: list[tuple[Record, Place]]
    more: bool
    total: int | None = None
    state: SourceState = SourceState.LIVE
    reached: Place | None = None
    """Where the search stopped when it found no row."""


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
    handles = chosen(context.sources, kind, sources)
    order = tuple(order_by)
    digest = cursors.digest(kind.value, (query_filter, order, sorted(handle.key for handle in handles)))
    before = cursors.read(context.cursor_key, digest, after) if after is not None else {}
    query = ListQuery(filter=query_filter, order_by=order, limit=first + 1)
    asked = await asyncio.gather(
        *(
            ask(
                handle,
                lambda connector, handle=handle: _read(connector, kind, query, before.get(handle.key)),  # type: ignore[misc]
                method=LISTINGS[kind].list_method,
                path=path,
            )
            for handle in handles
        )
    )
    for each in asked:
        if each.error is not None:
            context.note(each.error, path)
    merged = _merge([each for each in asked if each.value is not None], order, first)
    reads = [each.value for each in asked if each.value is not None]
    totals = [read.total for read in reads]
    reached = {each.handle.key: each.value.reached for each in asked if each.value and each.value.reached}
    context.loaders.saw([record for _, record, _ in merged])
    counts: dict[str, list[Record]] = {}
    for source, record, _ in merged:
        counts.setdefault(source, []).append(record)
    return Page(
        merged,
        before=before | reached,
        more=sum(len(read.rows) for read in reads) > len(merged) or any(read.more for read in reads),
        reports=[_report(each, counts.get(each.handle.key, [])) for each in asked],
        total=None if len(reads) < len(asked) or None in totals else sum(t for t in totals if t is not None),
        after=after,
        key=context.cursor_key,
        digest=digest,
    )


def chosen(sources: Sources, kind: Kind, keys: Sequence[str] | None) -> list[Handle]:
    """Who lists the kind, of those that are named. Raises `BadInput` for a name that there is not."""
    if keys is not None:
        sources.known(keys)
    return [handle for handle in sources.listing(kind) if keys is None or handle.key in keys]


async def _read(connector: Any, kind: Kind, query: ListQuery[Any], place: Place | None) -> _Read:
    method = getattr(connector, LISTINGS[kind].list_method)
    place = place or Place()
    if place.done or query.limit == 0:
        return _Read([], more=False)
    # a page that was begun comes again as it was: of another length it might take many calls to get beyond `offset`
    begun = msgspec.structs.replace(query, limit=place.limit) if place.limit else query
    page: SourcePage[Any] = await method(begun, place.page)
    if query.order_by and not page.sorted:
        return await _read_whole(method, query, page, place)
    return await _read_on(kind, method, query, page, place, begun.limit)


async def _read_on(
    kind: Kind, method: Any, query: ListQuery[Any], page: SourcePage[Any], place: Place, limit: int
) -> _Read:
    """Rows from `place` on in the vendor's order, until there are enough or the end is reached. `page` was asked for
    with `limit`."""
    rows: list[tuple[Record, Place]] = []
    total, skip, at, scanned = page.total, place.offset, place.page, 0
    seen = {place.page}
    given = place.marks() if kind in MOVING else None
    if given is not None and place.offset <= cursors.RECENT:
        skip = 0  # rows may have left the page since: what was given is told by its mark, not by its place
    told = Place(moving=place.moving, recent=place.recent)
    while True:
        for index, record in enumerate(page.records):
            if index >= skip and query.filter.matches(record) and _is_new(record, given):
                rows.append((record, msgspec.structs.replace(told, page=at, offset=index + 1, limit=limit)))
        skip = max(0, skip - len(page.records))  # rows may have gone since
        scanned += len(page.records)
        if page.next is None:
            if rows:
                rows[-1] = (rows[-1][0], msgspec.structs.replace(told, done=True))
            return _Read(rows, more=False, total=total)
        following = msgspec.structs.replace(told, page=page.next, offset=skip)
        if rows:  # what follows the last row of this page is the next page, not an offset in this one
            rows[-1] = (rows[-1][0], following)
        if len(rows) >= query.limit:
            return _Read(rows, more=True, total=total)
        if scanned >= READ_WHOLE:
            reached = None if rows else following
            return _Read(rows, more=True, total=total, state=SourceState.TRUNCATED, reached=reached)
        if page.next in seen:
            raise BadPayload("the vendor's paging goes in a circle: it gave the same page twice", path="$")
        seen.add(page.next)
        at, limit = page.next, query.limit
        page = await method(query, at)


def _is_new(record: Record, given: set[bytes] | None) -> bool:
    if given is None:
        return True
    mark = cursors.mark(record.source.external_id)
    if mark in given:
        return False
    given.add(mark)
    return True


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
        {record.id: record for record in records if query.filter.matches(record)}.values(),
        key=lambda record: (_sort_key(record, query.order_by), record.source.external_id),
    )
    start = _resume(matching, place)
    places = [Place(offset=index + 1, last=record.source.external_id) for index, record in enumerate(matching)]
    rows = list(zip(matching, places, strict=True))[start : start + query.limit]
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
