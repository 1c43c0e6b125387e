"""OData as SAP's gateway speaks it: conditions, queries, pages of V2 and V4 in one form."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Generic, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec

from connectors.kit.errors import BadPayload
from connectors.kit.http import Api
from connectors.kit.integration import Origin
from connectors.sap_ewm import wire

T = TypeVar("T")
Params = list[tuple[str, str]]

MAX_PAGES = 400
_PLAIN = "$'(),:/*-._~@"
LONGEST_CURSOR = 480
LONGEST_FILTER = 5_000
"""Encoded characters of a block's condition: gateways and proxies refuse lines of 8 KiB and more."""


class Rows(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page. `next` holds the parameters that differ from this call's, for the call after it."""

    rows: list[T]
    next: str | None
    count: int | None
    origin: Origin


def literal(text: str) -> str:
    """A string literal; quotes are doubled."""
    return "'" + text.replace("'", "''") + "'"


def any_of(name: str, values: Iterable[str]) -> str:
    """`name` is one of the values."""
    terms = [f"{name} eq {literal(value)}" for value in dict.fromkeys(values)]
    return terms[0] if len(terms) == 1 else f"({' or '.join(terms)})"


def all_of(conditions: Sequence[str]) -> str:
    return " and ".join(conditions)


def at_v2(moment: datetime) -> str:
    """A time of Edm.DateTimeOffset, rounded down to the second: EWM keeps no more."""
    return f"datetimeoffset'{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'"


def spellings(number: str, *widths: int) -> list[str]:
    """How a number that is all digits may be spelt: as given, bare, with leading zeros to each width."""
    bare = number.strip().lstrip("0")
    if not (bare.isascii() and bare.isdigit()):
        return [number]
    return list(dict.fromkeys([number, bare, *(bare.zfill(width) for width in widths)]))


def encoded(params: Params) -> str:
    """The query string; only what must be is percent-encoded, since gateways differ on the rest."""
    return "&".join(f"{name}={quote(value, safe=_PLAIN)}" for name, value in params)


def blocks(values: Sequence[str], longest: int = LONGEST_FILTER) -> Iterator[list[str]]:
    """The conditions in blocks that fit into one URL when joined by `or`."""
    block: list[str] = []
    length = 0
    for value in values:
        cost = len(quote(value, safe="'(),")) + len("%20or%20")
        if block and length + cost > longest:
            yield block
            block, length = [], 0
        block.append(value)
        length += cost
    if block:
        yield block


def _changed(params: Params, link: str) -> str:
    """What the server's link to the next page asks differently from this call."""
    sent = dict(params)
    found = parse_qsl(urlsplit(link).query, keep_blank_values=True)
    text = urlencode([(name, value) for name, value in found if _ours(name) and sent.get(name) != value])
    if not text:
        raise BadPayload("the vendor's paging goes in a circle: a page names itself as the next", path="$.__next")
    if len(text) > LONGEST_CURSOR:
        raise BadPayload("the link to the next page is too long to follow", path="$.__next")
    return text


def _ours(name: str) -> bool:
    return name in ("$skiptoken", "$skip", "$top") or name.startswith("sap-")


def _applied(params: Params, cursor: str | None) -> Params:
    """Raises `ValueError` for a text that is no cursor of ours."""
    if cursor is None:
        return params
    over = parse_qsl(cursor, keep_blank_values=True, strict_parsing=True)
    if not all(_ours(name) for name, _ in over):
        raise ValueError("not a cursor of this list")
    names = {name for name, _ in over}
    return [pair for pair in params if pair[0] not in names] + over


class OData:
    """Reads of one system. `common` goes with every call (`sap-client`)."""

    def __init__(self, api: Api, common: Params) -> None:
        self._api = api
        self._common = common

    async def v2(self, path: str, row: type[T], params: Params, cursor: str | None = None) -> Rows[T]:
        """One page of an entity set of a V2 service."""
        asked = _applied([*params, ("$format", "json"), *self._common], cursor)
        answer = await self._api.get(path, wire.V2Page[row], params=encoded(asked))  # type: ignore[valid-type]
        found = answer.value.d
        if isinstance(found, list):
            found = wire.Results(results=found)
        return self._rows(asked, found.results, found.next, found.count, answer.origin)

    async def v4(self, path: str, row: type[T], params: Params, cursor: str | None = None) -> Rows[T]:
        """One page of an entity set of a V4 service."""
        asked = _applied([*params, *self._common], cursor)
        answer = await self._api.get(path, wire.V4Page[row], params=encoded(asked))  # type: ignore[valid-type]
        page = answer.value
        return self._rows(asked, page.value, page.next, page.count, answer.origin)

    @staticmethod
    def _rows(asked: Params, rows: list[T], link: str | None, count: int | None, origin: Origin) -> Rows[T]:
        following: str | None = None
        sent = dict(asked)
        if link:
            following = _changed(asked, link)
        elif "$top" in sent and rows and len(rows) >= int(sent["$top"]):
            skipped = int(sent.get("$skip", "0")) + len(rows)
            # a server that counts tells whether there is more; otherwise a full page may have one after it
            following = None if count is not None and skipped >= count else urlencode([("$skip", str(skipped))])
        return Rows(rows=rows, next=following, count=count, origin=origin)

    async def v2_all(self, path: str, row: type[T], params: Params) -> list[tuple[T, Origin]]:
        """All pages."""
        return await self._all(lambda cursor: self.v2(path, row, params, cursor))

    async def v4_all(self, path: str, row: type[T], params: Params) -> list[tuple[T, Origin]]:
        return await self._all(lambda cursor: self.v4(path, row, params, cursor))

    @staticmethod
    async def _all(fetch: Callable[[str | None], Awaitable[Rows[T]]]) -> list[tuple[T, Origin]]:
        found: list[tuple[T, Origin]] = []
        cursor: str | None = None
        seen: set[str] = set()
        for _ in range(MAX_PAGES):
            page = await fetch(cursor)
            found += [(row, page.origin) for row in page.rows]
            cursor = page.next
            if cursor is None:
                return found
            if cursor in seen:
                raise BadPayload("the vendor's paging goes in a circle: it gave the same page twice", path="$")
            seen.add(cursor)
        raise BadPayload(f"the vendor's list has more than {MAX_PAGES} pages", path="$")
