"""Finding items: saved queries, whose entries are localised, and the paged search of Active Workspace."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from connectors.kit.errors import Rejected
from connectors.kit.http import Answer
from connectors.teamcenter import soa, wire
from connectors.teamcenter.soa import Soa, reference
from unified.keys import item_key
from unified.queries import OrderBy

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SORTABLE = {"number": "item_id", "name": "object_name"}
"""Attributes of our record by which the server can sort, and their properties."""
LIKE_LIMIT = 200
"""Most items that one number in a foreign spelling may match."""


class SavedQuery(msgspec.Struct, frozen=True):
    name: str
    uid: str
    fields: tuple[wire.QueryField, ...]

    def entry(self, attribute: str, *, after: bool = False, named: str = "") -> str:
        """Localised name of the entry for an attribute; with `after` the one that bounds it from below.

        Raises `Rejected` where it cannot be told: the settings then name it.
        """
        if named:
            return named
        found = [each for each in self.fields if each.attribute.rpartition(".")[2] == attribute]
        if after:
            bounded = [each for each in found if each.operation.startswith(">")]
            found = bounded or (found if len(found) == 1 else [])
        if not found:
            raise Rejected(
                f"the saved query `{self.name}` has no {'lower bound' if after else 'entry'} for `{attribute}`; name "
                "the entry in the settings of the integration"
            )
        return found[0].entry


class Search:
    """Queries by name are looked up once per process; their entries depend on the session's locale."""

    def __init__(self, api: Soa) -> None:
        self._soa = api
        self._settings = api.settings
        self._known: dict[str, SavedQuery] = {}

    async def query(self, name: str) -> SavedQuery:
        """Raises `Rejected` when the server has no query of this name."""
        if name not in self._known:
            await self._look_up()
        if name not in self._known:
            raise Rejected(
                f"{self._soa.api.integration.key}: there is no saved query `{name}`; set `item_query` and "
                "`revision_query` to the names that this server has"
            )
        return self._known[name]

    async def _look_up(self) -> None:
        names = [self._settings.item_query, self._settings.revision_query]
        found = await self._soa.read(
            soa.FIND_QUERIES,
            {"inputCriteria": [{"queryNames": names, "queryDescs": [], "queryType": 0}]},
            wire.QueriesFound,
            policy=soa.QUERIES,
        )
        queries = found.value.queries
        if not queries:
            return
        described = await self._soa.read(
            soa.DESCRIBE_QUERIES, {"queries": [reference(each.uid, "ImanQuery") for each in queries]},
            wire.QueriesDescribed,
        )  # fmt: skip
        objects = found.value.data.objects
        for each, fields in zip(queries, described.value.lists, strict=False):
            name = wire.value(objects.get(each.uid, wire.ModelObject()), "query_name")
            if name is not None:
                self._known[name] = SavedQuery(name, each.uid, tuple(fields.fields))

    async def execute(
        self, runs: Sequence[tuple[SavedQuery, Mapping[str, str]]], *, limit: int = 0, fresh: bool = False
    ) -> list[list[str]]:
        """Uids found by each of the queries, in one call. `limit` 0 is none."""
        body = {
            "input": [
                {
                    "query": reference(query.uid, "ImanQuery"),
                    "entries": list(given),
                    "values": list(given.values()),
                    "limitList": [],
                    "maxNumToReturn": limit,
                    "resultsType": 0,
                    "requestId": "",
                    "clientId": str(place),
                }
                for place, (query, given) in enumerate(runs)
            ]
        }
        call = self._soa.fresh if fresh else self._soa.read
        answer = await call(soa.EXECUTE_QUERIES, body, wire.QueriesExecuted)
        results = answer.value.results
        named = {each.client_id: each.uids for each in results if each.client_id is not None}
        if len(named) == len(results):
            return [named.get(str(place), []) for place in range(len(runs))]
        return [results[place].uids if place < len(results) else [] for place in range(len(runs))]

    async def all_items(self) -> list[str]:
        """Uids of all items, sorted, so that pages of them are stable."""
        query = await self.query(self._settings.item_query)
        entry = query.entry("item_id", named=self._settings.item_id_entry)
        return sorted(set((await self.execute([(query, {entry: "*"})]))[0]))

    async def like(self, numbers: Sequence[str]) -> list[str]:
        """Uids of items whose number may equal one of these under the canonical rules: a superset."""
        query = await self.query(self._settings.item_query)
        entry = query.entry("item_id", named=self._settings.item_id_entry)
        patterns = [f"*{'*'.join(item_key(number))}*" for number in numbers if item_key(number)]
        found = await self.execute([(query, {entry: pattern}) for pattern in patterns], limit=LIKE_LIMIT)
        return sorted({uid for uids in found for uid in uids})

    async def changed_items(self, since: datetime, *, fresh: bool = False) -> list[str]:
        """Uids of items that changed at or after the minute of `since`, by themselves or by one of their revisions."""
        items = await self.query(self._settings.item_query)
        revisions = await self.query(self._settings.revision_query)
        value, named = self.date(since), self._settings.modified_after_entry
        runs = [(each, {each.entry("last_mod_date", after=True, named=named): value}) for each in (items, revisions)]
        changed, revised = await self.execute(runs, fresh=fresh)
        owners = await self._owners(sorted(set(revised)), fresh=fresh) if revised else set()
        return sorted({*changed, *owners})

    async def _owners(self, revisions: Sequence[str], *, fresh: bool) -> set[str]:
        call = self._soa.fresh if fresh else self._soa.read
        body = {"objects": [{"uid": uid} for uid in revisions], "attributes": ["items_tag"]}
        answer = await call(soa.GET_PROPERTIES, body, wire.BareData, policy=soa.OWNERS)
        return {owner for each in answer.value.objects.values() for owner in wire.references(each, "items_tag")}

    def date(self, moment: datetime) -> str:
        """A date as saved queries take it, to the minute, in the server's zone: `25-Nov-2026 09:30`."""
        local = moment.astimezone(ZoneInfo(self._settings.time_zone))
        return f"{local.day:02d}-{_MONTHS[local.month - 1]}-{local.year:04d} {local.hour:02d}:{local.minute:02d}"

    async def page(self, start: int, size: int, order_by: tuple[OrderBy, ...]) -> Answer[wire.Searched]:
        """One page of all items, with their properties, in one call."""
        query = await self.query(self._settings.item_query)
        entry = query.entry("item_id", named=self._settings.item_id_entry)
        keys = [(SORTABLE[each.field], each.descending) for each in order_by] if sortable(order_by) else []
        # The last key makes the order total, so that pages neither overlap nor leave gaps
        keys += [] if any(name == "item_id" for name, _ in keys) else [("item_id", False)]
        criteria: dict[str, Any] = {
            "queryUID": query.uid,
            "searchID": "",
            "typeOfSearch": "ADVANCED_SEARCH",
            "utcOffset": "0",
            "lastEndIndex": "" if start == 0 else str(start),
            "totalObjectsFoundReportedToClient": "",
            entry: "*",
        }
        body = {
            "searchInput": {
                "providerName": "Awp0SavedQuerySearchProvider",
                "searchCriteria": criteria,
                "startIndex": start,
                "maxToReturn": size,
                "maxToLoad": size,
                "searchFilterMap": {},
                "searchSortCriteria": [
                    {"fieldName": name, "sortDirection": "DESC" if descending else "ASC"} for name, descending in keys
                ],
                "searchFilterFieldSortType": "Alphabetical",
                "attributesToInflate": [],
                "internalPropertyName": "",
            }
        }
        return await self._soa.read(soa.PERFORM_SEARCH, body, wire.Searched, policy=soa.ITEMS)


def sortable(order_by: tuple[OrderBy, ...]) -> bool:
    """Whether the server can sort by all of these keys."""
    return bool(order_by) and all(each.field in SORTABLE for each in order_by)
