"""One sorted list out of several services' lists, each paged by `$skip`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import cmp_to_key
from typing import Generic, TypeVar
from urllib.parse import parse_qs, urlencode

import msgspec

from unified import queries
from unified.queries import OrderBy, SourcePage
from unified.records import Record

R = TypeVar("R", bound=Record)


class Part(msgspec.Struct, Generic[R], frozen=True):
    """One service's list in the order asked for. `slice(skip)` gives rows and whether there are more after them."""

    prefix: str
    slice: Callable[[int], Awaitable[tuple[list[R], bool]]]


async def merged(parts: Sequence[Part[R]], order_by: Sequence[OrderBy], cursor: str | None) -> SourcePage[R]:
    """A page of all: rows are taken while it is sure that no other service has one before them."""
    skips = {name: int(value[0]) for name, value in parse_qs(cursor or "", strict_parsing=bool(cursor)).items()}
    pages = await asyncio.gather(*(part.slice(skips.get(part.prefix, 0)) for part in parts))
    rank = cmp_to_key(_comparison(order_by))
    heads = [list(rows) for rows, _ in pages]
    taken = [0] * len(parts)
    found: list[R] = []
    while True:
        open_ = [n for n, rows in enumerate(heads) if taken[n] < len(rows)]
        blocked = any(taken[n] >= len(rows) and pages[n][1] for n, rows in enumerate(heads))
        if not open_ or blocked:
            break
        best = min(open_, key=lambda n: rank(heads[n][taken[n]]))
        found.append(heads[best][taken[best]])
        taken[best] += 1
    more = any(taken[n] < len(heads[n]) or pages[n][1] for n in range(len(parts)))
    after = {part.prefix: skips.get(part.prefix, 0) + taken[n] for n, part in enumerate(parts)}
    return SourcePage(records=found, next=urlencode(after) if more else None, sorted=True)


def _comparison(order_by: Sequence[OrderBy]) -> Callable[[Record, Record], int]:
    def compare(one: Record, other: Record) -> int:
        for each in order_by:
            (none_a, a), (none_b, b) = queries.sort_value(one, each), queries.sort_value(other, each)
            if none_a != none_b:
                return int(none_a) - int(none_b)  # nulls last, in both directions
            if a != b:
                less = bool(a < b)
                return (1 if less else -1) if each.descending else (-1 if less else 1)
        return (one.source.external_id > other.source.external_id) - (one.source.external_id < other.source.external_id)

    return compare
