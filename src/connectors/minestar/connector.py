"""The connector: machines, what they reported and what they did, by ISO 15143-3; cycles and delays from exports."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Final, TypeVar

from connectors.kit.calls import NONE, Calls
from connectors.kit.errors import BatchTooLarge, MappingFailed, VendorDown
from connectors.kit.integration import Integration, Origin
from connectors.kit.manifest import Manifest
from connectors.kit.protocols import Connector, Identity, Polled, Raw
from connectors.kit.services import Services
from connectors.minestar import answers, decoders, mapping, paging, series, wire
from connectors.minestar.asking import Kept, Provider
from connectors.minestar.calls import calls_of
from connectors.minestar.exports import Exports
from connectors.minestar.mapping import Header
from connectors.minestar.polling import FLEET, RECEIVED, Changes
from connectors.minestar.series import Gain, Span
from connectors.minestar.settings import COUNTERS, CREDENTIALS, SeriesKind, Settings, settings_of
from unified import ids as global_ids
from unified import queries, records
from unified.events import Changed, Event
from unified.keys import Subject, equipment_key
from unified.queries import ListQuery, OrderBy, SourcePage, sort_value
from unified.values import System

R = TypeVar("R", records.HaulCycle, records.EquipmentDelay)

BATCH: Final = 50
MACHINES_A_PAGE: Final = 10
"""Machines whose faults make one page of alerts: a call each, and more where a series has pages."""
PRODUCERS_A_PAGE: Final = 4
"""Machines whose counters make one page of production: up to five calls each."""
SPAN_MOST: Final = 92
"""Days that may be asked for at once."""
_FAULTS_REMEMBERED: Final = 500


class MineStar(Connector):
    manifest: ClassVar[Manifest] = Manifest(
        system=System.MINESTAR,
        title="MineStar and ISO 15143-3 (AEMP 2.0)",
        summary="Mobile machines of Cat and every other maker with position, hours, fuel and faults; production per "
        "day; haul cycles and delays of Cat MineStar Fleet",
        documentation="https://digital.cat.com/knowledge-hub/articles/iso-15143-3-aemp-20-api-developer-guide",
        credentials=CREDENTIALS,
        settings=Settings,
        needs_base_url=False,
        batch_size=BATCH,
        rate_per_second=8,
        decoders=decoders.DECODERS,
        explain=answers.explain,
        ground_truth=(
            "Public samples of seven providers, Cat's developer guide and code lists, column names of public scripts "
            "for the exports; no live account, and the standard's schema is not public."
        ),
    )

    def __init__(self, integration: Integration, services: Services) -> None:
        super().__init__(integration, services)
        self.settings = settings_of(integration)
        self.rules = mapping.rules_of(self.settings)
        if not integration.base_url and self.settings.export_folder is None:
            raise ValueError("give base_url, the provider's address, or the setting `export_folder`, or both")
        self.provider = Provider(integration, services, self.settings, self.rules) if integration.base_url else None
        self.exports = (
            Exports(self.settings.export_folder, self.settings, integration, services)
            if self.settings.export_folder is not None
            else None
        )
        self._changes = Changes()
        self._polled_at: float | None = None
        self._told: set[str] = set()

    def calls(self, method: str) -> Calls:
        provider = self.provider
        if provider is None:
            return NONE
        counters = sum(self.settings.series_name(kind) is not None for kind in COUNTERS)
        facts = calls_of(provider.page_count, counters, alerts=MACHINES_A_PAGE, producers=PRODUCERS_A_PAGE)
        return facts.get(method) or super().calls(method)

    async def check(self) -> str:
        """One page of the fleet, and a look into the folder."""
        said: list[str] = []
        if self.provider is not None:
            page = await self.provider.fleet_page(paging.first_page(self.settings))
            version = f", version {page.value.version}" if page.value.version else ""
            said.append(f"ISO 15143-3{version}: {len(page.value.machines)} machines on the first page")
        if self.exports is not None:
            view = await self.exports.known()
            said.append(
                f"MineStar exports: {view.files} files, {len(view.cycles)} cycles of trucks, {len(view.delays)} delays"
            )
        return "; ".join(said)

    async def aclose(self) -> None:
        if self.provider is not None:
            await self.provider.aclose()
        if self.exports is not None:
            await self.exports.aclose()

    # --- machines

    def _machines(self, page: Kept[wire.Fleet]) -> list[records.Equipment]:
        bad: list[MappingFailed] = []
        found = list(mapping.fleet(page.value, self.rules, page.origin, bad))
        self._tell(bad)
        return found

    async def read_equipment(self, ids: Sequence[str]) -> list[records.Equipment]:
        """By machine where that costs fewer calls than the fleet's pages, else by these."""
        provider, wanted = self.provider, dict.fromkeys(ids)
        if provider is None or not wanted:
            return []
        found: dict[str, records.Equipment] = {}
        known = [who for who in map(provider.known, wanted) if who is not None]
        if len(known) == len(wanted) < (provider.page_count or 0):
            pages = await asyncio.gather(*(provider.machine(who) for who in known))
            for page in pages:
                found |= {each.source.external_id: each for each in self._machines(page)} if page is not None else {}
        else:
            async with contextlib.aclosing(provider.pages()) as every:
                async for page in every:
                    found |= {each.source.external_id: each for each in self._machines(page)}
                    if wanted.keys() <= found.keys():
                        break
        return [found[each] for each in wanted if each in found]

    async def list_equipment(
        self, query: ListQuery[queries.EquipmentFilter], cursor: str | None
    ) -> SourcePage[records.Equipment]:
        """The fleet's pages; of the filter only ids are narrowed by."""
        provider = self.provider
        if cursor is not None and not paging.is_page(cursor, self.settings):
            raise ValueError("not a cursor of this list")
        if provider is None:
            return SourcePage(records=[], total=0)
        own = self._own(records.Kind.EQUIPMENT, query.filter.ids)
        if own is not None and cursor is None:
            return SourcePage(records=await self.read_equipment(own))
        path = cursor or paging.first_page(self.settings)
        page = await provider.fleet_page(path)
        found, following = self._machines(page), provider.after(page.value, path)
        whole = cursor is None and following is None and query.filter.empty
        return SourcePage(records=found, next=following, total=len(found) if whole else None)

    async def identities(self) -> AsyncIterator[Identity]:
        """Names, fleet and serial numbers of the machines; fleet numbers also as those of vehicles, for machines that
        a tracker reports on, too."""
        if self.provider is None:
            return
        async for page in self.provider.pages():
            for machine in self._machines(page):
                external_id = machine.source.external_id
                fleet = machine.fleet_number
                for number in dict.fromkeys((fleet, machine.serial_number, machine.name)):
                    if number is not None:
                        yield Identity(
                            subject=Subject.EQUIPMENT,
                            kind=records.Kind.EQUIPMENT,
                            number=number,
                            external_id=external_id,
                        )
                if fleet is not None:
                    yield Identity(
                        subject=Subject.VEHICLE, kind=records.Kind.EQUIPMENT, number=fleet, external_id=external_id
                    )

    # --- what machines reported

    async def read_maintenance_alerts(self, ids: Sequence[str]) -> list[records.MaintenanceAlert]:
        """One call per machine."""
        times: dict[str, list[datetime]] = {}
        for each in ids:
            parts = mapping.read_alert_id(each)
            if parts is not None:
                times.setdefault(parts.machine, []).append(parts.at)
        wanted = set(ids)
        rows = await self._alerts_of(
            [(who, min(times[key]), max(times[key]) + timedelta(seconds=1)) for key, who in await self._whose(times)]
        )
        return [each for each in rows if each.source.external_id in wanted]

    async def list_maintenance_alerts(
        self, query: ListQuery[queries.MaintenanceAlertFilter], cursor: str | None
    ) -> SourcePage[records.MaintenanceAlert]:
        """By machine, ten at a time. Machines and times are narrowed by; without a time, the last `fault_days`."""
        told = query.filter
        own = self._own(records.Kind.MAINTENANCE_ALERT, told.ids)
        if own is not None:
            return SourcePage(records=await self.read_maintenance_alerts(own))
        now = self.services.clock.now()
        start = _latest(told.occurred_after, told.updated_after) or now - timedelta(days=self.settings.fault_days)
        end = told.occurred_before or now
        self._bounded(start, end)
        group, following = await self._group(told.equipment, cursor, MACHINES_A_PAGE)
        rows = await self._alerts_of([(who, start, end) for _, who in group])
        return SourcePage(records=rows, next=following)

    async def _alerts_of(self, wanted: Iterable[tuple[Header, datetime, datetime]]) -> list[records.MaintenanceAlert]:
        provider = self.provider
        if provider is None:
            return []
        bad: list[MappingFailed] = []
        found = await asyncio.gather(*(provider.faults(who, start, end, bad) for who, start, end in wanted))
        self._tell(bad)
        return [alert for alerts in found for alert in alerts]

    # --- what machines did

    async def read_production_records(self, ids: Sequence[str]) -> list[records.ProductionRecord]:
        """One call per machine and counter."""
        days: dict[str, list[date]] = {}
        for each in ids:
            parts = series.read_production_id(each)
            if parts is not None:
                days.setdefault(parts[0], []).append(parts[1])
        wanted = set(ids)
        rows = await self._production_of(
            [(key, who, Span(min(days[key]), max(days[key]))) for key, who in await self._whose(days)]
        )
        return [each for each in rows if each.source.external_id in wanted]

    async def list_production_records(
        self, query: ListQuery[queries.ProductionRecordFilter], cursor: str | None
    ) -> SourcePage[records.ProductionRecord]:
        """By machine, four at a time. Machines and times are narrowed by; without a time, the last
        `production_days`."""
        told, zone = query.filter, self.rules.day_zone
        own = self._own(records.Kind.PRODUCTION_RECORD, told.ids)
        if own is not None:
            return SourcePage(records=await self.read_production_records(own))
        last = min(self.services.clock.now(), told.started_before or self.services.clock.now())
        span = Span.until(last.astimezone(zone).date(), days=self.settings.production_days)
        after = _latest(told.started_after, told.updated_after)
        if after is not None:
            span = Span(after.astimezone(zone).date(), span.last)
        if span.days > SPAN_MOST:
            raise self._too_long(span.days)
        group, following = await self._group(told.equipment, cursor, PRODUCERS_A_PAGE)
        rows = await self._production_of([(key, who, span) for key, who in group])
        return SourcePage(records=rows, next=following)

    async def _production_of(self, wanted: Iterable[tuple[str, Header, Span]]) -> list[records.ProductionRecord]:
        provider, bad = self.provider, list[MappingFailed]()
        if provider is None:
            return []
        kinds: list[SeriesKind] = [kind for kind in COUNTERS if self.settings.series_name(kind) is not None]

        async def of(key: str, who: Header, span: Span) -> list[records.ProductionRecord]:
            if span.days < 1:
                return []
            told = await asyncio.gather(*(provider.gains(who, kind, span, bad) for kind in kinds))
            by_kind: dict[SeriesKind, dict[date, Gain]] = {
                kind: gained for kind, (gained, _) in zip(kinds, told, strict=True)
            }
            origin = min((each for _, each in told), key=lambda each: (not each.stale, each.as_of), default=None)
            return series.production(key, by_kind, span, self.rules, origin) if origin is not None else []

        found = await asyncio.gather(*(of(*each) for each in wanted))
        self._tell(bad)
        return [record for rows in found for record in rows]

    # --- machines by machines

    async def _whose(self, keys: Iterable[str]) -> list[tuple[str, Header]]:
        """Those of the machines that the provider has."""
        return list((await self.provider.whose(keys)).items()) if self.provider is not None else []

    async def _group(
        self, wanted: tuple[str, ...] | None, cursor: str | None, size: int
    ) -> tuple[list[tuple[str, Header]], str | None]:
        """The next machines by their keys, and the cursor of those after them: the last key given. Raises
        `ValueError` for a cursor that is none."""
        if cursor is not None and mapping.key_parts(cursor) is None:
            raise ValueError("not a cursor of this list")
        if self.provider is None:
            return [], None
        if wanted is not None:
            everybody = await self._whose(sorted(set(wanted)))
        else:
            everybody = [(who.key or "", who) for who in await self.provider.everybody()]
        rest = [each for each in everybody if cursor is None or each[0] > cursor]
        group = rest[:size]
        return group, group[-1][0] if len(rest) > size else None

    def _own(self, kind: records.Kind, wanted: Sequence[str] | None) -> list[str] | None:
        """The vendor's ids among global ids that are ours; null when none are asked for."""
        if wanted is None:
            return None
        found: list[str] = []
        for each in wanted:
            with contextlib.suppress(ValueError):
                name, key, external_id = global_ids.decode(each)
                if (name, key) == (kind.value, self.integration.key):
                    found.append(external_id)
        return found

    def _bounded(self, start: datetime, end: datetime) -> None:
        days = (end - start).days
        if days > SPAN_MOST:
            raise self._too_long(days)

    def _too_long(self, days: int) -> BatchTooLarge:
        key = self.integration.key
        return BatchTooLarge(f"{key}: {days} days are asked for; at most {SPAN_MOST} are read at once", integration=key)

    def _tell(self, bad: Sequence[MappingFailed]) -> None:
        """Values that could not be read, each kind of fault once."""
        for each in bad:
            place = re.sub(r"\[\d+\]", "[]", each.path or "$")
            self.services.metrics.unknown_code(self.integration.system.value, place, type(each).__name__)
            if place not in self._told and len(self._told) < _FAULTS_REMEMBERED:
                self._told.add(place)
                self.services.log.warning("vendor.bad_value", integration=self.integration.key, error=each.message)

    # --- cycles and delays

    async def read_haul_cycles(self, ids: Sequence[str]) -> list[records.HaulCycle]:
        """From what is known of the exports; no call."""
        known = (await self.exports.known()).cycle_by_id if self.exports is not None else {}
        return [known[each] for each in dict.fromkeys(ids) if each in known]

    async def list_haul_cycles(
        self, query: ListQuery[queries.HaulCycleFilter], cursor: str | None
    ) -> SourcePage[records.HaulCycle]:
        """In any order, the whole filter applied; without one the newest come first."""
        if self.exports is None:
            return _nothing(cursor)
        view = await self.exports.known()
        rows = _named(view.cycles, view.cycles_of, query.filter.trucks)
        return _page(rows, query, cursor)

    async def read_equipment_delays(self, ids: Sequence[str]) -> list[records.EquipmentDelay]:
        known = (await self.exports.known()).delay_by_id if self.exports is not None else {}
        return [known[each] for each in dict.fromkeys(ids) if each in known]

    async def list_equipment_delays(
        self, query: ListQuery[queries.EquipmentDelayFilter], cursor: str | None
    ) -> SourcePage[records.EquipmentDelay]:
        if self.exports is None:
            return _nothing(cursor)
        view = await self.exports.known()
        rows = _named(view.delays, view.delays_of, query.filter.equipment)
        return _page(rows, query, cursor)

    # --- live

    async def poll(self, cursor: str | None) -> Polled:
        """Machines that tell something new, every `live_seconds` at most; and a look into the folder."""
        if self.exports is not None:
            with contextlib.suppress(VendorDown):  # the folder has told of itself in the log
                await self.exports.known()
        now = self.services.clock.monotonic()
        if self.provider is None or (
            self._polled_at is not None and now - self._polled_at < self.settings.live_seconds
        ):
            return Polled(cursor=cursor)
        raws: list[Raw] = []
        async for page in self.provider.pages():
            if page.origin.stale:
                return Polled(cursor=cursor)  # the last good answer of a provider that is down: nothing new
            raws += self._changes.of(page.value, self.rules, page.origin.as_of)
        self._polled_at = now
        self._changes.remember(raws)
        return Polled(raws=tuple(raws), cursor=cursor)

    async def events(self, raw: Raw) -> Sequence[Event]:
        """Machines as a page told of them. What comes later at the same time of theirs wins."""
        if raw.decoder != FLEET:
            return await super().events(raw)
        told = answers.document(raw.payload.body)
        received = _received(raw, self.services.clock.now())
        origin = Origin(integration=self.integration.key, system=self.integration.system, as_of=received)
        bad: list[MappingFailed] = []
        found = list(mapping.fleet(told, self.rules, origin, bad)) if isinstance(told, wire.Fleet) else []
        self._tell(bad)
        return [
            Changed(record=each, occurred_at=each.updated_at or received, sequence=int(received.timestamp()))
            for each in found
        ]


def _received(raw: Raw, now: datetime) -> datetime:
    with contextlib.suppress(ValueError):
        found = datetime.fromisoformat(raw.payload.headers.get(RECEIVED, ""))
        if found.tzinfo is not None:
            return found
    return now


def _latest(*times: datetime | None) -> datetime | None:
    return max((each for each in times if each is not None), default=None)


def _nothing(cursor: str | None) -> SourcePage[Any]:
    if cursor is not None:
        raise ValueError("not a cursor of this list")
    return SourcePage(records=[], total=0, sorted=True)


def _named(every: Sequence[R], by_name: dict[str, list[R]], names: tuple[str, ...] | None) -> Sequence[R]:
    """The rows of the machines, without looking at all others."""
    if names is None:
        return every
    keys = dict.fromkeys(map(equipment_key, names))
    return [row for key in keys for row in by_name.get(key, ())]


def _page(rows: Sequence[R], query: ListQuery[Any], cursor: str | None) -> SourcePage[R]:
    """One page of rows that are all known. The cursor is the id of the last row given: rows may come in before it."""
    matches: Callable[[R], bool] = query.filter.matches
    found = [row for row in rows if matches(row)]
    for each in reversed(query.order_by):
        found = _sorted(found, each)
    start = 0
    if cursor is not None:
        start = next((place for place, row in enumerate(found, 1) if row.source.external_id == cursor), 0)
        if start == 0:
            raise ValueError("not a cursor of this list, or the row that it stands for is gone; begin anew")
    chosen = found[start : start + query.limit]
    more = start + query.limit < len(found)
    return SourcePage(
        records=chosen, next=chosen[-1].source.external_id if more else None, total=len(found), sorted=True
    )


def _sorted(rows: Sequence[R], by: OrderBy) -> list[R]:
    """Nulls last in both directions."""
    there = [row for row in rows if getattr(row, by.field) is not None]
    rest = [row for row in rows if getattr(row, by.field) is None]
    return sorted(there, key=lambda row: sort_value(row, by), reverse=by.descending) + rest
