"""The connector: items and structures of one Teamcenter server, and a poll for changed items."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from connectors.kit.integration import Integration
from connectors.kit.manifest import Manifest, Payload
from connectors.kit.paging import OffsetCursor, blocks
from connectors.kit.protocols import BomRequest, Connector, Identity, Polled, Raw
from connectors.kit.services import Services
from connectors.teamcenter import decoders, mapping, search, soa, wire
from connectors.teamcenter.calls import CALLS
from connectors.teamcenter.mapping import BomKey
from connectors.teamcenter.search import Search
from connectors.teamcenter.settings import CREDENTIALS, Settings, settings_of
from connectors.teamcenter.soa import Soa
from connectors.teamcenter.structure import Structures
from unified.events import Changed, Event
from unified.keys import Subject, canonical
from unified.queries import BomFilter, ItemFilter, ListQuery, SourcePage
from unified.records import Bom, Item, Kind, WhereUsed
from unified.values import System

PAGE = 200
"""Most items in one page of a list."""
BOMS = 10
"""Most structures in one page of a list."""
IDENTITIES = 500
"""Items per call of the crosswalk."""
POLLED = 1000
"""Most changed items that one poll brings; the next one goes on where it stopped."""


class Teamcenter(Connector):
    """Reads only; nothing is ever locked or written."""

    manifest = Manifest(
        system=System.TEAMCENTER,
        title="Siemens Teamcenter",
        summary="Items with revisions and release statuses, and their structures, over SOA as JSON.",
        documentation="https://github.com/wangxuasp/Teamcenter-REST-API",
        credentials=CREDENTIALS,
        settings=Settings,
        batch_size=500,
        calls=CALLS,
        rate_per_second=20.0,
        decoders=decoders.DECODERS,
        explain=soa.explain,
        ground_truth="Operations and members from the published templates of Teamcenter 2512 and from two independent "
        "clients; never run against a real server.",
    )

    def __init__(self, integration: Integration, services: Services) -> None:
        super().__init__(integration, services)
        self.settings = settings_of(integration)
        self._types = {**mapping.ITEM_TYPES, **self.settings.item_types}
        self.soa = Soa(integration, services, self.settings, self.manifest.rate_per_second)
        self.search = Search(self.soa)
        self.structures = Structures(self.soa)

    async def check(self) -> str:
        answer = await self.soa.fresh(soa.SESSION_INFO, {}, wire.SessionInfo)
        return f"Teamcenter {answer.value.server_version or 'of unknown version'}"

    async def aclose(self) -> None:
        await self.structures.aclose()
        await self.soa.aclose()

    # --- items

    async def read_items(self, ids: Sequence[str]) -> list[Item]:
        if not ids:
            return []
        wanted = list(dict.fromkeys(ids))
        answer = await self.soa.read(soa.GET_PROPERTIES, _properties(wanted), wire.BareData, policy=soa.ITEMS)
        self._note(answer.value.data)
        objects = answer.value.objects
        return [
            mapping.item(objects[uid], objects, answer.origin, types=self._types, at=answer.value.at)
            for uid in wanted
            if uid in objects and mapping.is_item(objects[uid])
        ]

    async def items_by_number(self, numbers: Sequence[str]) -> list[Item]:
        found: list[Item] = []
        for block in blocks(list(dict.fromkeys(numbers)), self.manifest.batch_size):
            body = {
                "infos": [{"itemId": number, "revIds": []} for number in block],
                "nRev": 1,
                "pref": {"prefs": []},
            }
            answer = await self.soa.read(soa.ITEM_FROM_ID, body, wire.ItemsFound, policy=soa.ITEMS)
            self._note(answer.value.data)
            objects, latest = answer.value.data.objects, mapping.latest_of(answer.value.output)
            found += [
                mapping.item(objects[uid], objects, answer.origin, types=self._types, at=answer.value.at, latest=newest)
                for uid, newest in _outputs(answer.value, latest).items()
                if uid in objects and mapping.is_item(objects[uid])
            ]
        return found

    async def list_items(self, query: ListQuery[ItemFilter], cursor: str | None) -> SourcePage[Item]:
        # what the caller filters himself is better read in large pages
        start, size = OffsetCursor.read(cursor), max(1, min(query.limit, PAGE)) if query.filter.empty else PAGE
        if query.filter.numbers is not None:
            return await self._listed_by_number(query.filter)
        if query.filter.updated_after is not None:
            uids = await self.search.changed_items(query.filter.updated_after)
            return await self._slice(uids, start, min(size, self.manifest.batch_size))
        if self.settings.search == "saved-query":
            uids = await self.search.all_items()
            total = len(uids) if query.filter.empty else None
            return await self._slice(uids, start, min(size, self.manifest.batch_size), total=total)
        answer = await self.search.page(start, size, query.order_by)
        page = answer.value
        self._note(page.data)
        objects = page.data.objects
        items = [
            mapping.item(objects[each.uid], objects, answer.origin, types=self._types, at=page.at)
            for each in page.found
            if each.uid in objects and mapping.is_item(objects[each.uid])
        ]
        end = start + (page.total_loaded or len(page.found))
        if page.cursor is not None and page.cursor.end_index is not None:
            end = page.cursor.end_index
        reached = end >= page.total_found or end <= start or not page.found
        return SourcePage(
            records=items,
            next=None if reached else str(end),
            total=page.total_found if query.filter.empty else None,
            sorted=search.sortable(query.order_by),
        )

    async def _listed_by_number(self, wanted: ItemFilter) -> SourcePage[Item]:
        """Exact spellings in one call; what is not found by them is looked for under the canonical rules."""
        numbers = list(dict.fromkeys(wanted.numbers or ()))
        found = await self.items_by_number(numbers) if numbers else []
        known = {canonical(Subject.ITEM, each.number) for each in found}
        foreign = [each for each in numbers if canonical(Subject.ITEM, each) not in known]
        if foreign:
            seen = {each.source.external_id for each in found}
            uids = [uid for uid in await self.search.like(foreign) if uid not in seen]
            keys = {canonical(Subject.ITEM, each) for each in foreign}
            for block in blocks(uids, self.manifest.batch_size):
                items = await self.read_items(block)
                found += [each for each in items if canonical(Subject.ITEM, each.number) in keys]
        return SourcePage(records=found)

    async def _slice(self, uids: Sequence[str], start: int, size: int, *, total: int | None = None) -> SourcePage[Item]:
        end = start + size
        items = await self.read_items(uids[start:end])
        return SourcePage(records=items, next=str(end) if end < len(uids) else None, total=total)

    async def identities(self) -> AsyncIterator[Identity]:
        for block in blocks(await self.search.all_items(), IDENTITIES):
            body = {"objects": [{"uid": uid} for uid in block], "attributes": ["item_id"]}
            answer = await self.soa.read(soa.GET_PROPERTIES, body, wire.BareData, policy=soa.NUMBERS)
            for uid in block:
                number = wire.value(answer.value.objects.get(uid, wire.ModelObject()), "item_id")
                if number is not None:
                    yield Identity(subject=Subject.ITEM, kind=Kind.ITEM, number=number, external_id=uid)

    # --- structures

    async def explode(self, requests: Sequence[BomRequest]) -> list[Bom | None]:
        return await self.structures.explode([self._key(each) for each in requests])

    async def read_boms(self, ids: Sequence[str]) -> list[Bom]:
        keys = [key for each in dict.fromkeys(ids) if (key := BomKey.read(each)) is not None]
        return [each for each in await self.structures.explode(keys) if each is not None]

    async def list_boms(self, query: ListQuery[BomFilter], cursor: str | None) -> SourcePage[Bom]:
        """The structures of the items that are named; without names an empty page: a server has far too many."""
        wanted, start = query.filter, OffsetCursor.read(cursor)
        numbers = list(dict.fromkeys(wanted.item_numbers or ()))
        end = start + max(1, min(query.limit, BOMS))
        block = numbers[start:end]
        if not block:
            return SourcePage(records=[])
        items = await self._listed_by_number(ItemFilter(numbers=tuple(block)))
        found = await self.explode(
            [
                BomRequest(
                    item=each.source.external_id,
                    view=wanted.view,
                    revision_rule=wanted.revision_rule,
                    revision=wanted.revision,
                    max_levels=wanted.max_levels,
                )
                for each in items.records
            ]
        )
        return SourcePage(
            records=[each for each in found if each is not None],
            next=str(end) if end < len(numbers) else None,
        )

    async def where_used(self, items: Sequence[str], max_levels: int = 1) -> list[tuple[WhereUsed, ...]]:
        if not items:
            return []
        rule = await self.structures.rule(self.settings.revision_rule)
        body = {
            "objects": [{"uid": uid} for uid in dict.fromkeys(items)],
            "numLevels": max_levels,
            "whereUsedPrecise": False,
            "rule": soa.reference(rule, "RevisionRule"),
        }
        answer = await self.soa.read(soa.WHERE_USED, body, wire.WhereUsed, policy=soa.USERS)
        self._note(answer.value.data)
        objects = answer.value.data.objects
        found = {
            each.used.uid: mapping.where_used(each, objects, answer.origin, at=answer.value.at)
            for each in answer.value.output
        }
        return [found.get(uid, ()) for uid in items]

    def _key(self, request: BomRequest) -> BomKey:
        return BomKey(
            item=request.item,
            rule=request.revision_rule or self.settings.revision_rule,
            view=request.view or self.settings.view,
            revision=request.revision or "",
            levels=request.max_levels,
        )

    # --- changes

    async def poll(self, cursor: str | None) -> Polled:
        """Items changed since the cursor, by themselves or by a revision; the first poll only begins.

        Saved queries know minutes: each poll looks back over the one before it, and what it meets again has the
        same delivery id. A cursor in the middle of many changes is `since~begun~last uid`.
        """
        now = self.services.clock.now()
        if cursor is None:
            return Polled(cursor=now.isoformat())
        since, _, rest = cursor.partition("~")
        begun, _, last = rest.partition("~")
        overlap = timedelta(minutes=self.settings.overlap_minutes)
        uids = await self.search.changed_items(datetime.fromisoformat(since) - overlap, fresh=True)
        left = [uid for uid in uids if uid > last]
        raws: list[Raw] = []
        for block in blocks(left[:POLLED], self.manifest.batch_size):
            answer = await self.soa.fresh(soa.GET_PROPERTIES, _properties(block), wire.Slices, policy=soa.ITEMS)
            raws += _cut(answer.value, block)
        begun = begun or now.isoformat()
        return Polled(raws=tuple(raws), cursor=f"{since}~{begun}~{left[POLLED - 1]}" if len(left) > POLLED else begun)

    async def events(self, raw: Raw) -> Sequence[Event]:
        """As the base has it, with the site's own object types."""
        if raw.decoder != decoders.ITEMS:
            return await super().events(raw)
        answer = self.soa.api.decoded(raw.payload.body, wire.BareData, at="poll")
        origin = self.soa.api.origin()
        return [
            Changed(record=each, occurred_at=each.updated_at or origin.as_of)
            for each in mapping.items(answer.objects, origin, types=self._types, at=answer.at)
        ]

    def _note(self, data: wire.ServiceData) -> None:
        """What failed of an answer whose rest is valid: usually an object that does not exist or is not ours to see."""
        if data.partial_errors:
            codes = sorted({value.code for each in data.partial_errors for value in each.values if value.code})
            self.services.log.info(
                "teamcenter.partial_errors",
                integration=self.integration.key,
                objects=len(data.partial_errors),
                codes=codes[:10],
            )


def _properties(uids: Sequence[str]) -> dict[str, object]:
    """Input of `getProperties`; what comes back beyond the attributes is the policy's matter."""
    return {
        "objects": [{"uid": uid} for uid in uids],
        "attributes": ["item_id", "object_name", "object_desc", "uom_tag", "object_type", "last_mod_date"],
    }


def _outputs(answer: wire.ItemsFound, latest: Mapping[str, str]) -> dict[str, str | None]:
    return {each.item.uid: latest.get(each.item.uid) for each in answer.output if each.item.uid}


def _cut(answer: wire.Slices, uids: Sequence[str]) -> list[Raw]:
    """One delivery per item: the answer's own bytes of the item and of what it refers to."""
    raws = []
    for uid in uids:
        if uid not in answer.objects:
            continue
        part = {uid: answer.objects[uid]}
        item = msgspec.json.decode(answer.objects[uid], type=wire.ModelObject)
        for revision in wire.references(item, "revision_list"):
            if revision in answer.objects:
                part[revision] = answer.objects[revision]
                known = msgspec.json.decode(answer.objects[revision], type=wire.ModelObject)
                for status in wire.references(known, "release_status_list"):
                    if status in answer.objects:
                        part[status] = answer.objects[status]
        body = msgspec.json.encode({".QName": answer.qname, "plain": [uid], "modelObjects": part})
        digest = hashlib.blake2b(body, digest_size=12).hexdigest()
        raws.append(Raw(delivery_id=f"{uid}-{digest}", decoder=decoders.ITEMS, payload=Payload(body=body)))
    return raws
