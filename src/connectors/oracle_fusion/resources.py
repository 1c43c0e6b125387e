"""Fusion's resources: pages, the rest of an expanded child, and how many calls go out side by side.

Every page is asked for in the order of a unique key, as an unordered one may repeat rows. A page that is not the one
that was asked for, or that goes on without rows, is an error and not a loop. Of a link only the path is followed: a pod
answers under several names, and our credentials go to the configured one.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from connectors.kit.errors import BadPayload
from connectors.kit.http import Answer, Api
from connectors.kit.integration import Origin
from connectors.oracle_fusion import asking, wire
from connectors.oracle_fusion.settings import Settings

T = TypeVar("T")
ROWS: Final = 500
"""Most rows of a page: Fusion's own limit."""
SIDE_BY_SIDE: Final = 10
"""Calls at once. Fusion tells no limit; a pod has few sessions to spare."""
PAGES_MOST: Final = 10_000

Name = Literal["itemsV2", "itemStructures", "workOrders"]
ORDERS: Final[dict[Name, str]] = {
    "itemsV2": "ItemId:asc,OrganizationCode:asc",
    "itemStructures": "BillSequenceId:asc",
    "workOrders": "WorkOrderId:asc",
}
"""A unique key of each."""
HEADS: Final[dict[Name, tuple[str, type[wire.Head]]]] = {
    "itemStructures": ("BillSequenceId", wire.StructureHead),
    "workOrders": ("WorkOrderId", wire.WorkOrderHead),
}
"""Where `onlyData` leaves the links out: what they are asked for by, and what of a row comes with them."""
CHILD_KEYS: Final = {
    "Component": "ComponentSequenceId:asc",
    "ItemRevision": "RevisionCode:asc",
    "WorkOrderOperation": "OperationSequenceNumber:asc",
    "WorkOrderMaterial": "WorkOrderOperationMaterialId:asc",
}


class Resources:
    """The way to one account's resources."""

    def __init__(self, api: Api, settings: Settings) -> None:
        self.api = api
        self.root = settings.resources
        self._finders: dict[Name, str] = {**settings.finders}
        self.turn = asyncio.Semaphore(SIDE_BY_SIDE)

    async def page(
        self,
        name: Name,
        row: type[T],
        *,
        q: str | None,
        limit: int = ROWS,
        offset: int = 0,
        order: str | None = None,
        expand: str | None = None,
        fields: str | None = None,
        links: bool = False,
        total: bool = False,
    ) -> Answer[wire.Collection[T]]:
        """One page, which may be the last good one while Fusion is down. `fields` takes the place of `expand`."""
        path = self._path(name, q, limit, offset, order, expand=expand, fields=fields, links=links, total=total)
        async with self.turn:
            answer = await self.api.get(path, wire.Collection[row])  # type: ignore[valid-type]
        _check(answer.value, offset)
        return answer

    async def fresh(self, name: Name, into: type[T], *, q: str | None, order: str, offset: int, **more: Any) -> T:
        """A page as it is now, as `into`; raises while Fusion is down. For what must not be told twice."""
        request = self.api.build("GET", self._path(name, q, ROWS, offset, order, **more))
        async with self.turn:
            response = await self.api.send(request, repeatable=True)
        found = self.api.decoded(response.content, into, at=request.url.path)
        _check(found, offset)  # type: ignore[arg-type]
        return found

    async def everything(
        self, name: Name, row: type[T], *, q: str | None, **more: Any
    ) -> AsyncIterator[Answer[wire.Collection[T]]]:
        """All pages of a query."""
        offset = 0
        for _ in range(PAGES_MOST):
            answer = await self.page(name, row, q=q, offset=offset, **more)
            yield answer
            if not answer.value.has_more:
                return
            offset += len(answer.value.items)
        raise BadPayload(f"{name} has more than {PAGES_MOST} pages", path="$.hasMore")

    async def children(
        self, resource: Name, name: str, row_type: type[T], parents: Sequence[tuple[wire.Row, str, Any]]
    ) -> list[tuple[list[T], Origin | None]]:
        """All rows of each parent's child, and where they come from when they did not come along; null when they did.

        `parents`: each with its key and what of the child came along. What was cut short is read anew and whole, as
        its order is nobody's. Its address is that of the links; where they did not come along, one call asks for those
        of all, as the key in an address may be a hash that is not to be made by a client.
        """
        found: list[tuple[list[T], Origin | None]] = [(wire.rows(child), None) for _, _, child in parents]
        short = [(place, *parent) for place, parent in enumerate(parents) if not wire.is_whole(parent[2])]
        links = {place: link for place, row, _, child in short if (link := _to_child(row, name, child))}
        bare = list(dict.fromkeys(key for place, _, key, _ in short if place not in links))
        hrefs = await self._hrefs(resource, name, bare)
        anew = await self.together(
            self._child(self.followed(links[place].href if place in links else hrefs[key]), name, row_type)
            for place, _, key, _ in short
        )
        for (place, *_), whole in zip(short, anew, strict=True):
            found[place] = whole
        return found

    async def _hrefs(self, resource: Name, name: str, keys: Sequence[str]) -> dict[str, str]:
        """Addresses of the rows' child. Raises `BadPayload` where a row or its link does not come."""
        if not keys:
            return {}
        attribute, head = HEADS[resource]
        found: dict[str, str] = {}

        async def read(some: Sequence[str]) -> None:
            q = asking.one_of(attribute, [int(each) if each.isdigit() else each for each in some])
            async for answer in self.everything(resource, head, q=q, fields=attribute, links=True):
                found.update((str(row.key), told.href) for row in answer.value.items if (told := _to_child(row, name)))

        await self.together(map(read, asking.short(keys)))
        if set(keys) - found.keys():
            raise BadPayload(f"{resource} gives no link to the rest of {name}", path="$.items[*].links")
        return found

    async def _child(self, path: str, name: str, row: type[T]) -> tuple[list[T], Origin]:
        found, origins = list[T](), list[Origin]()
        for _ in range(PAGES_MOST):
            query = {"limit": ROWS, "offset": len(found), "onlyData": "true", "orderBy": CHILD_KEYS[name]}
            async with self.turn:
                answer = await self.api.get(f"{path}?{_encoded(query)}", wire.Collection[row])  # type: ignore[valid-type]
            _check(answer.value, len(found))
            found += answer.value.items
            origins.append(answer.origin)
            if not answer.value.has_more:
                return found, oldest(origins)
        raise BadPayload(f"{name} has more than {PAGES_MOST} pages", path="$.hasMore")

    async def together(self, calls: Iterable[Awaitable[T]]) -> list[T]:
        """Side by side; when one fails the others are given up."""
        tasks = [asyncio.ensure_future(each) for each in calls]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- inside

    def _path(
        self,
        name: Name,
        q: str | None,
        limit: int,
        offset: int,
        order: str | None,
        *,
        expand: str | None = None,
        fields: str | None = None,
        links: bool = False,
        total: bool = False,
    ) -> str:
        query = {
            "q": q,
            "finder": self._finders.get(name),
            "fields": fields,
            "expand": expand if fields is None else None,
            "limit": limit,
            "offset": offset,
            "orderBy": order or ORDERS[name],
            "onlyData": None if links else "true",
            "totalResults": "true" if total else None,
        }
        return f"{self.root}/{name}?{_encoded(query)}"

    def followed(self, href: str) -> str:
        """The path of a link, below our own address. Raises `BadPayload` for what leads elsewhere."""
        try:
            path = urlsplit(href).path
        except ValueError:
            path = ""
        start = path.find(f"{self.root}/")
        if start < 0 or "/../" in path:
            raise BadPayload("a link leads out of Fusion's resources; it is not followed", path="$.links")
        return path[start:]


def _encoded(query: dict[str, Any]) -> str:
    """Blanks as `%20`, as not everything in front of Fusion reads `+`."""
    given = {name: value for name, value in query.items() if value is not None}
    return urlencode(given, quote_via=quote, safe="")


def _to_child(row: wire.Row, name: str, child: Any = None) -> wire.Link | None:
    """The link to a row's child: of what of it came along, else of the row. Null where no links came."""
    own = child.links if isinstance(child, wire.Collection) else []
    return next((each for each in own if each.rel == "self"), None) or wire.link(row, "child", name)


def _check(page: "wire.Collection[Any] | wire.Slices", offset: int) -> None:
    if page.offset is not None and page.offset != offset:
        raise BadPayload(
            f"the page from row {offset} was asked for, the one from row {page.offset} came", path="$.offset"
        )
    if page.has_more and not page.items:
        raise BadPayload("the page has no rows and says that there are more", path="$.hasMore")


def oldest(origins: Sequence[Origin]) -> Origin:
    """The origin of what several answers make up: as old as the oldest of them."""
    first = min(origins, key=lambda each: each.as_of)
    return msgspec.structs.replace(first, stale=any(each.stale for each in origins))
