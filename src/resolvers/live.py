"""Subscriptions: what is, at once; then what becomes.

Every value is an object as it is now. The last one of an object that its vendor no longer has, or that no longer
matches the filter, is its last known state, while `Context.gone` names it.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

from resolvers.context import Context
from resolvers.fanout import LARGEST_PAGE, READ_WHOLE, chosen, list_records
from resolvers.tally import asking
from unified import ids
from unified.events import Changed, Event, Removed
from unified.queries import Filter
from unified.records import Kind, Record

SHOWN_MOST = 10_000
"""Objects whose leaving one subscription can notice; beyond it the one shown longest ago is forgotten."""


async def changes(
    context: Context, kind: Kind, wanted: Filter, sources: Sequence[str] | None, path: Sequence[str | int] | None = None
) -> AsyncGenerator[Record, None]:
    """The records as they are now, then each as it changes. Loaders are renewed before each.

    Listening begins before the snapshot is read, so that nothing between the two is missed; what happened to a
    record before its snapshot is not told again. Raises `BadInput` for a source that there is not.
    """
    chosen(context.sources, kind, sources)
    watch = _Watch(kind, wanted, sources)
    async with context.live.subscribe([kind]) as events:
        now = await _now(context, watch, path)
        lost = context.problems  # of vendors that the snapshot misses: told with the first value
        for record in watch.begin(now):
            _ready(context, record.id, gone=False)
            context.problems, lost = lost, []
            yield record
        async for event in events:
            record_, gone = watch.told(event)
            if record_ is not None:
                context.sources.crosswalk.meet(record_)
                _ready(context, record_.id, gone=gone)
                context.problems, lost = lost, []
                yield record_


class _Watch:
    """What one reader wants and has been shown."""

    def __init__(self, kind: Kind, wanted: Filter, sources: Sequence[str] | None) -> None:
        self.kind, self.filter, self.sources = kind, wanted, sources
        self._shown: dict[str, Record] = {}
        self._unchanged: set[str] = set()
        """Of the snapshot, those that no event has followed yet."""

    def begin(self, records: Sequence[Record]) -> list[Record]:
        """Those of the snapshot that are wanted."""
        found = [record for record in records if self._wants(record)][:SHOWN_MOST]
        self._shown = {record.id: record for record in found}
        self._unchanged = set(self._shown)
        return found

    def told(self, event: Event) -> tuple[Record | None, bool]:
        """What the reader is told of an event: a record or nothing, and whether it is its last value."""
        if isinstance(event, Removed):
            self._unchanged.discard(event.id)
            return self._shown.pop(event.id, None), True
        if not isinstance(event, Changed) or event.record.kind is not self.kind:
            return None, False
        record, before = event.record, self._shown.get(event.record.id)
        if before is not None and (before == record or self._precedes(record, before)):
            return None, False
        self._unchanged.discard(record.id)
        self._shown.pop(record.id, None)
        if not self._wants(record):
            return (record, True) if before is not None else (None, False)
        self._shown[record.id] = record  # at the end: the one that was shown longest ago comes first
        if len(self._shown) > SHOWN_MOST:
            del self._shown[next(iter(self._shown))]
        return record, False

    def _precedes(self, record: Record, before: Record) -> bool:
        """Whether the event came while the snapshot was read, which knows later things. By our own clock."""
        return record.id in self._unchanged and record.source.as_of < before.source.as_of

    def _wants(self, record: Record) -> bool:
        from_here = self.sources is None or record.source.integration in self.sources
        return from_here and self.filter.matches(record)


def _ready(context: Context, id: str, *, gone: bool) -> None:
    context.renew()
    context.gone = id if gone else None


async def _now(context: Context, watch: _Watch, path: Sequence[str | int] | None) -> list[Record]:
    """What the live plane knows; what it does not know yet is asked of the vendors."""
    wanted, kind = watch.filter, watch.kind
    found = await context.live.snapshot(kind, wanted.ids)
    if wanted.ids is not None:
        known = {record.id for record in found}
        return found + await _read(context, kind, [each for each in wanted.ids if each not in known], path)
    heard = {record.source.integration for record in found}
    silent = [handle.key for handle in chosen(context.sources, kind, watch.sources) if handle.key not in heard]
    after: str | None = None
    while silent and len(found) < READ_WHOLE:
        page = await list_records(context, kind, wanted, first=LARGEST_PAGE, after=after, sources=silent, path=path)
        found += page.nodes
        told = page.page_info
        if not told.has_next_page or told.end_cursor is None:
            break
        after = told.end_cursor
    return found


async def _read(context: Context, kind: Kind, wanted: Sequence[str], path: Sequence[str | int] | None) -> list[Record]:
    places = []
    for each in dict.fromkeys(wanted):
        with suppress(ids.InvalidId):  # as in a list: what is no id of the kind matches nothing
            place = ids.decode(each)
            if place.kind == kind.value:
                places.append(place)
    with asking(path):
        values = await context.loaders.records.load_each(places)
    for value in values:
        if isinstance(value, Exception):
            context.note(value, path)
    return [value for value in values if value is not None and not isinstance(value, Exception)]
