"""What changed: items and work orders by the time of their last update.

Many rows may have the same time (an import stamps thousands), and rows move to the end while they are read, so that
neither the time alone nor an offset alone finds all. A walk goes by time, and within one time by offset: the next page
begins with the last time of the page before it. What is met twice has the same delivery id.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from connectors.kit import decode
from connectors.kit.errors import MappingFailed
from connectors.kit.manifest import Payload
from connectors.kit.protocols import Polled, Raw
from connectors.oracle_fusion import asking, wire
from connectors.oracle_fusion.resources import Name, Resources
from connectors.oracle_fusion.settings import Settings

POLLED: Final = 1_000
"""After so many changed rows of a kind a poll stops; the next one goes on there."""
ITEMS, WORK_ORDERS = "items", "work-orders"
"""Names of the decoders, and of what is polled."""


class Kind(NamedTuple):
    """How changes of one kind are read. `key` gives the row's id and the text of its time."""

    resource: Name
    stamp: type[Any]
    time: str
    order: str
    key: Callable[[Any], tuple[str, str | None]]


KINDS: Final = {
    ITEMS: Kind(
        "itemsV2",
        wire.ItemStamp,
        "LastUpdateDateTime",
        "LastUpdateDateTime:asc,ItemId:asc,OrganizationCode:asc",
        lambda row: (f"{row.organization_code}:{row.item_id}", row.last_update_date_time),
    ),
    WORK_ORDERS: Kind(
        "workOrders",
        wire.WorkOrderStamp,
        "LastUpdateDate",
        "LastUpdateDate:asc,WorkOrderId:asc",
        lambda row: (str(row.work_order_id), row.last_update_date),
    ),
}


class Walk(msgspec.Struct, frozen=True, array_like=True):
    """Where one kind stands: changes since `since` are read, and of these `offset` already. `begun` is when a walk
    began that one poll could not end."""

    since: datetime
    begun: datetime | None = None
    offset: int = 0


async def poll(
    resources: Resources, settings: Settings, now: datetime, cursor: str | None, asked: dict[str, dict[str, Any]]
) -> Polled:
    """Changes since the cursor; the first poll only begins, as nothing of an ERP is live. `asked` says for each kind
    which attributes and children come along. Raises `ValueError` for what is no cursor of ours."""
    try:
        walks = msgspec.json.decode(cursor, type=dict[str, Walk]) if cursor is not None else {}
    except msgspec.DecodeError:
        raise ValueError("not a cursor of this poll") from None
    raws: list[Raw] = []
    for name in settings.polled:
        if name not in walks:
            walks[name] = Walk(now)
            continue
        walk = walks[name]
        overlap = timedelta(0) if walk.begun else timedelta(seconds=settings.overlap_seconds)
        last: Walk | None = None
        found: dict[str, Raw] = {}
        read = 0  # also what comes twice, or a server that repeats a page would be asked for ever
        async with aclosing(_walked(resources, settings, name, walk, overlap, asked[name])) as pages:
            async for going_on, some in pages:
                last = going_on
                found |= some
                read += len(some)
                if read >= POLLED:
                    break
        raws += found.values()
        begun = walk.begun or now
        walks[name] = Walk(begun) if last is None else msgspec.structs.replace(last, begun=begun)
    return Polled(raws=tuple(raws), cursor=msgspec.json.encode(walks).decode())


async def _walked(
    resources: Resources,
    settings: Settings,
    name: str,
    walk: Walk,
    overlap: timedelta,
    asked: dict[str, Any],
) -> AsyncGenerator[tuple[Walk | None, dict[str, Raw]], None]:
    """Deliveries page by page, each with where to go on; null at the end."""
    kind = KINDS[name]
    since, offset = walk.since - overlap, walk.offset
    while True:
        conditions = [*asking.in_organizations(settings.organizations), f"{kind.time} >= {asking.moment(since)}"]
        page = await resources.fresh(
            kind.resource, wire.Slices, q=" and ".join(conditions), order=kind.order, offset=offset, **asked
        )
        found: dict[str, Raw] = {}
        latest = since
        for place, body in enumerate(page.items):
            stamp = decode.json(bytes(body), kind.stamp)
            key, time = kind.key(stamp)
            at = decode.moment(time, path=f"$.items[{place}].{kind.time}")
            if at is None:
                path = f"$.items[{place}].{kind.time}"
                raise MappingFailed(f"a changed row has no time at `{path}`", path=path)
            latest = max(latest, at.replace(microsecond=at.microsecond // 1000 * 1000))
            raw = Raw(
                delivery_id=f"{name}/{key}/{at.isoformat()}",
                decoder=name,
                payload=Payload(body=b'{"items":[' + bytes(body) + b"]}", headers={"content-type": "application/json"}),
            )
            found[raw.delivery_id] = raw
        if not page.has_more:
            yield None, found
            return
        offset = offset + len(page.items) if latest == since else 0
        since = latest
        yield Walk(since, offset=offset), found
