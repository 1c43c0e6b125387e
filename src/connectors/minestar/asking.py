"""What is asked of a provider, and how seldom: addresses, limits, and answers that still serve."""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Hashable, Iterable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from connectors.kit.auth import RenewingAuth
from connectors.kit.errors import BadPayload, BatchTooLarge, MappingFailed, NotFound, VendorDown
from connectors.kit.http import Api, Outcome, segment
from connectors.kit.integration import Integration, Origin
from connectors.kit.resilience import RateLimit
from connectors.kit.services import Services, current_reading
from connectors.minestar import answers, mapping, paging, series, wire
from connectors.minestar.mapping import Header, Rules
from connectors.minestar.quota import Metered, Quota
from connectors.minestar.series import Gain, Span
from connectors.minestar.settings import DIALECTS, SeriesKind, Settings
from unified import records

if TYPE_CHECKING:
    import httpx

V = TypeVar("V")

CAT_RATE: Final = 8.0
"""Calls a second; Cat allows 10 and recommends 7 to 8."""
CAT_FAST_RATE: Final = 80.0
"""Of snapshots and faults; Cat allows 100."""
ISO_RATE: Final = 20.0
"""Of other providers; politeness."""
WHOLE_SECONDS: Final = 6 * 3_600.0
"""How long the production of days that are over serves before they are read again: boxes may send late."""
FLEET_PAGES_MOST: Final = 1_000
_KNOWN_MOST: Final = 50_000
_SHELF_MOST: Final = 4_000
_PAGES_KEPT: Final = 128


class Kept(NamedTuple, Generic[V]):
    """A value that was read, when (by the monotonic clock), and its origin."""

    value: V
    origin: Origin
    read_at: float


class Shelf(Generic[V]):
    """Answers that still serve; the least recently used go first."""

    def __init__(self, most: int = _SHELF_MOST) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Kept[V]] = OrderedDict()

    def get(self, key: Hashable) -> Kept[V] | None:
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: Hashable, kept: Kept[V]) -> None:
        self._kept[key] = kept
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)


class FaultsOf(NamedTuple):
    """Alerts of one machine in a window."""

    start: datetime
    end: datetime
    alerts: tuple[records.MaintenanceAlert, ...]


class GainsOf(NamedTuple):
    """What one counter of one machine gained on the days of a span. `whole_at`: when all of them were read at once."""

    span: Span
    by_day: dict[date, Gain]
    whole_at: float
    known_on: date
    """The day on which they were read."""

    def reaches(self, span: Span) -> bool:
        """Whether all days of the span are known that were there then."""
        return self.span.first <= span.first and min(span.last, self.known_on) <= self.span.last


class Provider:
    """One account. All calls raise `VendorError`s."""

    def __init__(self, integration: Integration, services: Services, settings: Settings, rules: Rules) -> None:
        self._integration, self._services, self._settings, self._rules = integration, services, settings, rules
        self.quota = Quota(settings.daily_limit, name=integration.key, clock=services.clock)
        auth = answers.auth_of(integration, services, settings)
        base = _trimmed(integration.base_url)

        def api(url: str) -> Api:
            return Api(
                integration,
                services,
                base_url=url,
                auth=auth,
                explain=self._explain,
                headers={"Accept": settings.accept},
            )

        series_base = _trimmed(settings.series_url) if settings.series_url else base
        self.fleet_api, self.fault_api, self.series_api = api(base), api(series_base), api(series_base)
        self._set_rates()
        if isinstance(auth, answers.TextToken):
            auth.through(self.fleet_api)
        if isinstance(auth, RenewingAuth):
            auth.bind(self.fleet_api.exchange, services.clock)
        self._pages: Shelf[wire.Fleet] = Shelf(_PAGES_KEPT)
        self._faults: Shelf[FaultsOf] = Shelf()
        self._gains: Shelf[GainsOf] = Shelf()
        self._known: OrderedDict[str, Header] = OrderedDict()
        self.page_count: int | None = None
        """How many pages the fleet had when it was last read to its end."""

    def _set_rates(self) -> None:
        """One limit for all; at Cat snapshots and faults have another, unless the integration says how fast."""
        clock, quota = self._services.clock, self.quota
        given = self._integration.rate_per_second
        cat = self._settings.dialect == "cat" and given is None
        usual: RateLimit = Metered(given or (CAT_RATE if cat else ISO_RATE), quota, clock=clock)
        fast: RateLimit = Metered(CAT_FAST_RATE, quota, clock=clock) if cat else usual
        self.series_api.rate = usual
        self.fleet_api.rate = self.fault_api.rate = fast

    def _explain(self, response: "httpx.Response") -> Outcome | None:
        found = answers.outcome(response, self.quota.seconds_left)
        if found is not None and found.code == answers.QUOTA:
            self.quota.exhausted()
        return found

    async def aclose(self) -> None:
        for each in (self.fleet_api, self.fault_api, self.series_api):
            await each.aclose()

    # --- the fleet

    async def fleet_page(self, path: str) -> Kept[wire.Fleet]:
        """One page; one that was read less than `fresh_seconds` ago serves."""
        kept = self._pages.get(path)
        if kept is not None and self._is_fresh(kept):
            return kept
        answer = await self.fleet_api.read_as(self.fleet_api.build("GET", path), answers.document)
        page = self._fleet(answer.value, path)
        for machine in page.machines:
            self._learn(mapping.header(machine.header))
        kept = Kept(page, answer.origin, self._services.clock.monotonic())
        if not answer.origin.stale:
            self._pages.put(path, kept)
        return kept

    async def pages(self) -> AsyncGenerator[Kept[wire.Fleet], None]:
        """The whole fleet. Raises `BadPayload` for pages that go in a circle."""
        path: str | None = paging.first_page(self._settings)
        seen: set[str] = set()
        while path is not None:
            if path in seen or len(seen) >= FLEET_PAGES_MOST:
                raise BadPayload(
                    f"{self._integration.key}: the fleet's pages go in a circle, or are more than {FLEET_PAGES_MOST}",
                    path="$.Links",
                    integration=self._integration.key,
                )
            seen.add(path)
            page = await self.fleet_page(path)
            yield page
            path = self.after(page.value, path)
        self.page_count = len(seen)

    def after(self, page: wire.Fleet, path: str) -> str | None:
        """The path of the next page; null at the end. A page without machines is the end, whatever it links to."""
        return paging.next_page(page.links, path, self._settings) if page.machines else None

    async def machine(self, who: Header) -> Kept[wire.Fleet] | None:
        """A machine alone; null when the provider does not know it (any more)."""
        path = self._address(who, self._settings.root)
        if path is None:
            return None
        try:
            return await self.fleet_page(path)
        except NotFound:
            return None

    def _fleet(self, told: wire.Document, path: str) -> wire.Fleet:
        if isinstance(told, wire.Fleet):
            return told
        raise BadPayload(
            f"{self._integration.key}: {path}: a time series came instead of a fleet",
            path="$",
            integration=self._integration.key,
        )

    # --- who there is

    def _learn(self, who: Header) -> None:
        key = who.key
        if key is None:
            return
        self._known[key] = who
        self._known.move_to_end(key)
        if len(self._known) > _KNOWN_MOST:
            self._known.popitem(last=False)

    def known(self, key: str) -> Header | None:
        """Who the machine is, if a page told of it since the start."""
        return self._known.get(key)

    async def who(self, key: str) -> Header | None:
        """Who the machine is; reads the fleet when it is not known yet."""
        if key not in self._known:
            async for _ in self.pages():
                if key in self._known:
                    break
        return self._known.get(key)

    async def everybody(self) -> list[Header]:
        """All machines, by key; reads the fleet."""
        found: dict[str, Header] = {}
        async for page in self.pages():
            for machine in page.value.machines:
                who = mapping.header(machine.header)
                if who.key is not None:
                    found[who.key] = who
        return [found[key] for key in sorted(found)]

    def _address(self, who: Header, root: str) -> str | None:
        """The machine's path; null where what it is addressed by is missing."""
        dialect = DIALECTS[self._settings.dialect]
        parts: tuple[str | None, ...]
        match self._settings.machine_by:
            case "id":
                parts = (dialect.by_id, who.equipment_id)
            case "serial":
                parts = (who.serial or who.equipment_id,)
            case "pin":
                parts = (who.pin or who.serial,)
            case _:
                parts = (dialect.make_model_serial, who.make, who.model, who.serial or who.pin)
        if not all(parts):
            return None
        return "/".join((root, dialect.equipment, *(segment(part) for part in parts if part)))

    # --- time series

    async def _series(
        self, api: Api, who: Header, kind: SeriesKind, start: datetime, end: datetime
    ) -> tuple[list[wire.Element], Origin]:
        """All pages of a series; nothing where the provider has none. Raises `BatchTooLarge` for too long ones."""
        name, address = self._settings.series_name(kind), self._address(who, self._settings.root)
        if name is None or address is None:
            return [], api.origin()
        span = "/".join(quote(f"{each:%Y-%m-%dT%H:%M:%SZ}", safe=":") for each in (start, end))
        path: str | None = f"{address}/{name}/{span}/1"
        elements: list[wire.Element] = []
        origin: Origin | None = None
        seen: set[str] = set()
        while path is not None:
            if path in seen or len(seen) >= self._settings.series_pages:
                raise BatchTooLarge(
                    f"{self._integration.key}: the series {name} of {who.key} has more than "
                    f"{self._settings.series_pages} pages; ask for a shorter time, or raise `series_pages`",
                    integration=self._integration.key,
                )
            seen.add(path)
            try:
                answer = await api.read_as(api.build("GET", path), answers.document)
            except NotFound:
                return elements, origin or api.origin()  # this machine has no such series
            page = answer.value
            # one of a series' pages may be the last good answer of before: then all of them are as old
            if origin is None or answer.origin.stale or answer.origin.as_of < origin.as_of:
                origin = answer.origin
            found = page.elements if isinstance(page, wire.Series) else _elements(page)
            elements += found
            path = paging.next_page(page.links, path, self._settings) if found else None
        return elements, origin or api.origin()

    async def faults(
        self, who: Header, start: datetime, end: datetime, bad: list[MappingFailed]
    ) -> list[records.MaintenanceAlert]:
        """What the machine reported from `start` to `end`, both included, the oldest first."""
        now, key = self._services.clock.now(), who.key
        start, end = start.replace(microsecond=0), min(end, now)
        if start > end or key is None:
            return []
        kept = self._faults.get(key)
        if kept is not None and kept.value.start > start:
            kept = None  # it does not go back so far
        if kept is not None and self._serves(kept.read_at) and end <= kept.value.end:
            return _between(kept.value.alerts, start, end)
        usual = now - timedelta(days=self._settings.fault_days)
        asked, until = (usual, now) if usual <= start else (start, end)  # the usual window serves others, too
        try:
            found = await self._read_faults(who, key, asked, until, bad)
        except VendorDown as error:
            if kept is None:
                raise
            _note_stale(kept.origin, error)
            return [_stale(each) for each in _between(kept.value.alerts, start, end)]
        return _between(found, start, end)

    async def _read_faults(
        self, who: Header, key: str, start: datetime, end: datetime, bad: list[MappingFailed]
    ) -> tuple[records.MaintenanceAlert, ...]:
        elements, origin = await self._series(self.fault_api, who, "faults", start, end + timedelta(seconds=1))
        alerts: dict[str, records.MaintenanceAlert] = {}
        for place, element in enumerate(elements):
            if element.name in mapping.FAULTS:
                path = f"$.{wire.spelt(element.name)}[{place}]"
                alert = mapping.alert(key, element, self._rules, origin, path=path, bad=bad)
                if alert is not None:
                    alerts[alert.id] = alert
        found = tuple(sorted(alerts.values(), key=lambda each: each.occurred_at))
        if not origin.stale:
            # what is asked within `series_seconds` ends a little later, and is served all the same
            lasting = end + timedelta(seconds=self._settings.series_seconds)
            self._faults.put(key, Kept(FaultsOf(start, lasting, found), origin, self._services.clock.monotonic()))
        return found

    async def gains(
        self, who: Header, kind: SeriesKind, span: Span, bad: list[MappingFailed]
    ) -> tuple[dict[date, Gain], Origin]:
        """What a counter gained on each day of the span."""
        kept = self._gains.get((who.key, kind))
        if kept is not None and not kept.value.reaches(span):
            kept = None
        if kept is not None and self._serves(kept.read_at) and kept.value.span.covers(span):
            return kept.value.by_day, kept.origin
        try:
            return await self._read_gains(who, kind, span, kept, bad)
        except VendorDown as error:
            if kept is None:
                raise
            _note_stale(kept.origin, error)
            return kept.value.by_day, msgspec.structs.replace(kept.origin, stale=True)

    async def _read_gains(
        self, who: Header, kind: SeriesKind, span: Span, kept: Kept[GainsOf] | None, bad: list[MappingFailed]
    ) -> tuple[dict[date, Gain], Origin]:
        """Days that are over hardly change: they are read again a few times a day, today and yesterday each time. The
        day before the first is read, too, for its last value."""
        zone, now, monotonic = self._rules.day_zone, self._services.clock.now(), self._services.clock.monotonic()
        today = now.astimezone(zone).date()
        usual = Span.until(today, days=self._settings.production_days)
        asked = usual if usual.covers(span) else span
        since, whole_at, before = asked.first, monotonic, dict[date, Gain]()
        if (
            kept is not None
            and kept.value.reaches(asked)
            and asked.last >= today
            and monotonic - kept.value.whole_at < WHOLE_SECONDS
        ):
            since = max(asked.first, kept.value.known_on - timedelta(days=1))
            whole_at = kept.value.whole_at
            before = {day: gain for day, gain in kept.value.by_day.items() if day < since}
        start = series.start_of(since - timedelta(days=1), zone)
        end = min(series.start_of(asked.last + timedelta(days=1), zone), now)
        if start >= end:
            return {}, self.series_api.origin()
        elements, origin = await self._series(self.series_api, who, kind, start, end)
        named = [each for each in elements if each.name in series.ELEMENTS[kind]]
        found = series.gains(series.readings(named, self._rules, "$", bad), zone)
        by_day = before | {day: gain for day, gain in found.items() if day >= since}
        if not origin.stale:
            self._gains.put((who.key, kind), Kept(GainsOf(asked, by_day, whole_at, today), origin, monotonic))
        return by_day, origin

    def _is_fresh(self, kept: Kept[wire.Fleet]) -> bool:
        return self._services.clock.monotonic() - kept.read_at < self._settings.fresh_seconds

    def _serves(self, read_at: float) -> bool:
        return self._services.clock.monotonic() - read_at < self._settings.series_seconds


def _between(
    alerts: Iterable[records.MaintenanceAlert], start: datetime, end: datetime
) -> list[records.MaintenanceAlert]:
    return [each for each in alerts if start <= each.occurred_at <= end]


def _stale(alert: records.MaintenanceAlert) -> records.MaintenanceAlert:
    return msgspec.structs.replace(alert, source=msgspec.structs.replace(alert.source, stale=True))


def _note_stale(origin: Origin, error: VendorDown) -> None:
    """The window of a series moves on, so that the last good answer is none to the same address."""
    reading = current_reading.get()
    if reading is not None:
        reading.note_stale(origin.as_of, error)


def _elements(page: wire.Fleet) -> list[wire.Element]:
    """A series that came in the form of machines."""
    return [element for machine in page.machines for element in machine.elements]


def _trimmed(base_url: str) -> str:
    """Without the path of the fleet, which the settings add."""
    bare = base_url.rstrip("/")
    return bare[: -len("/fleet")] if bare.lower().endswith("/fleet") else bare
