"""Pages of V2 and V4 in one form: envelopes, `__next` and `@odata.nextLink`, `$top` and `$skip` where there is none."""

from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec
from msgspec import field

from connectors.kit.errors import BadPayload
from connectors.kit.http import Api
from connectors.kit.integration import Origin

T = TypeVar("T")
Params = list[tuple[str, str]]

MAX_PAGES: Final = 400
LONGEST_CURSOR: Final = 480
_PLAIN: Final = "$'(),:/*-._~@"


class Results(msgspec.Struct, Generic[T]):
    """A V2 page. `next` is absolute or relative to the service."""

    results: list[T]
    count: int | None = field(name="__count", default=None)
    next: str | None = field(name="__next", default=None)


class V2Page(msgspec.Struct, Generic[T]):
    """Older servers answer a bare list."""

    d: Results[T] | list[T]


class V2Entity(msgspec.Struct, Generic[T]):
    d: T


class V4Page(msgspec.Struct, Generic[T]):
    value: list[T]
    count: int | None = field(name="@odata.count", default=None)
    next: str | None = field(name="@odata.nextLink", default=None)


class Expanded(msgspec.Struct, Generic[T], omit_defaults=True):
    """A navigation property of V2: expanded (`results`), or deferred (a link, no data; `results` is null)."""

    results: list[T] | None = None


class Rows(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page. `next` holds the parameters that differ from this call's, for the call after it."""

    rows: list[T]
    next: str | None
    count: int | None
    origin: Origin


def encoded(params: Params) -> str:
    """The query string; only what must be is percent-encoded, since gateways differ on the rest."""
    return "&".join(f"{name}={quote(value, safe=_PLAIN)}" for name, value in params)


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


class _Asked(msgspec.Struct, frozen=True):
    """The parameters of one call, and which rows it is about. `$top` counts over all pages of the server's own
    paging: when those end, there may be more rows than were asked for."""

    params: Params
    top: int | None
    start: int
    """Rows before the first page of the server's paging."""
    before: int
    """Rows before this page."""

    def following(self, rows: int, link: str | None, count: int | None) -> str | None:
        """The cursor of the page after this one, which has so many rows; null at the end."""
        reached = self.before + rows
        if link:
            return f"{_changed(self.params, link)}&{urlencode({_START: self.start, _BEFORE: reached})}"
        if self.top is None or not rows or reached - self.start < self.top:
            return None
        # a server that counts tells whether there is more; otherwise a full page may have one after it
        return None if count is not None and reached >= count else urlencode({"$skip": reached})


_START: Final = "from"
_BEFORE: Final = "at"


def _applied(params: Params, cursor: str | None) -> _Asked:
    """Raises `ValueError` for a text that is no cursor of ours."""
    top = next((int(value) for name, value in params if name == "$top"), None)
    if cursor is None:
        return _Asked(params, top, 0, 0)
    over = dict(parse_qsl(cursor, keep_blank_values=True, strict_parsing=True))
    skip = over.get("$skip", "0")
    start, before = int(over.pop(_START, skip)), int(over.pop(_BEFORE, skip))
    if not all(_ours(name) for name in over):
        raise ValueError("not a cursor of this list")
    return _Asked([pair for pair in params if pair[0] not in over] + list(over.items()), top, start, before)


class OData:
    """Reads of one system. `common` goes with every call (`sap-client`, `sap-language`)."""

    def __init__(self, api: Api, common: Params) -> None:
        self._api = api
        self._common = common

    async def v2(self, path: str, row: type[T], params: Params, cursor: str | None = None) -> Rows[T]:
        """One page of an entity set of a V2 service."""
        asked = _applied([*params, ("$format", "json"), *self._common], cursor)
        answer = await self._api.get(path, V2Page[row], params=encoded(asked.params))  # type: ignore[valid-type]
        found = answer.value.d
        if isinstance(found, list):
            found = Results(results=found)
        return self._rows(asked, found.results, found.next, found.count, answer.origin)

    async def v4(self, path: str, row: type[T], params: Params, cursor: str | None = None) -> Rows[T]:
        """One page of an entity set of a V4 service."""
        asked = _applied([*params, *self._common], cursor)
        answer = await self._api.get(path, V4Page[row], params=encoded(asked.params))  # type: ignore[valid-type]
        page = answer.value
        return self._rows(asked, page.value, page.next, page.count, answer.origin)

    @staticmethod
    def _rows(asked: _Asked, rows: list[T], link: str | None, count: int | None, origin: Origin) -> Rows[T]:
        return Rows(rows=rows, next=asked.following(len(rows), link, count), count=count, origin=origin)

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
