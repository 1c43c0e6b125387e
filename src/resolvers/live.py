"""Subscriptions: what is, at once; then what becomes."""

from collections.abc import AsyncIterator
from typing import Any

from resolvers.context import Context
from resolvers.fanout import LARGEST_PAGE, list_records
from unified.events import Changed
from unified.queries import Filter
from unified.records import Kind


async def changes(context: Context, kind: Kind, wanted: Filter, sources: list[str] | None) -> AsyncIterator[Any]:
    """The records as they are now, then each as it changes. Loaders are renewed before each.

    Listening begins before the snapshot is read, so that nothing between the two is missed.
    """
    async with context.live.subscribe([kind]) as events:
        snapshot = await context.live.snapshot(kind, wanted.ids)
        if not snapshot:
            snapshot = (await list_records(context, kind, wanted, first=LARGEST_PAGE, sources=sources)).nodes
        for record in snapshot:
            if _is_wanted(record, wanted, sources):
                context.renew()
                yield record
        async for event in events:
            if isinstance(event, Changed) and _is_wanted(event.record, wanted, sources):
                context.renew()
                yield event.record


def _is_wanted(record: Any, wanted: Filter, sources: list[str] | None) -> bool:
    return (sources is None or record.source.integration in sources) and wanted.matches(record)
