"""Reads bookings, prices and cars from Uber Guest Rides, and turns its webhooks into changes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import msgspec

from connectors.kit.auth import OAuth2ClientCredentials
from connectors.kit.errors import BadRequest, MappingFailed, NotFound, RateLimited
from connectors.kit.http import Api, each_or_absent, segment
from connectors.kit.integration import Integration, Origin, Secret
from connectors.kit.manifest import Manifest, Payload
from connectors.kit.paging import MAX_PAGES
from connectors.kit.protocols import Connector, Identity, Polled, Raw
from connectors.kit.services import Services
from connectors.kit.webhooks import verify_hex_sha256
from connectors.passenger_app import decoders, mapping, webhook, wire
from connectors.passenger_app.answers import explain
from connectors.passenger_app.budget import HourlyBudget
from connectors.passenger_app.calls import CALLS
from connectors.passenger_app.settings import CREDENTIALS, SCOPE, Settings, settings_of, token_key, token_url
from unified import queries, records
from unified.events import Changed, Event
from unified.keys import Subject
from unified.queries import ListQuery, SourcePage
from unified.records import BookingStatus
from unified.values import Place, System

TRIPS = "/v1/guests/trips"
ESTIMATES = "/v1/guests/trips/estimates"
ACTIVE, PAST, EXPIRED = "ACTIVE", "PAST", "EXPIRED"
PAGE_MAX = 50
SIDE_BY_SIDE = 8
"""Trips read at once: there is no batch endpoint."""
CAR_PAGES = 20
"""Pages of active trips walked for the list of cars and for a poll: 1,000 trips."""
ENDED_PER_POLL = 20
"""Trips read one by one per poll because they are active no more."""
REMEMBERED = 1_000
NO_SECRET = Secret("")

_ENDED = frozenset({BookingStatus.COMPLETED, BookingStatus.CANCELLED, BookingStatus.FAILED})


class _Cursor(msgspec.Struct):
    """Of the poller: when it last asked, which trips were active."""

    at: datetime
    ids: list[str] = []


class PassengerApp(Connector):
    """Reads; the only thing it posts is the question for prices."""

    manifest = Manifest(
        system=System.PASSENGER_APP,
        title="Passenger app (Uber Guest Rides)",
        summary="Bookings with driver, car and fare, price estimates, cars on active trips; live over signed webhooks.",
        documentation="https://developer.uber.com/docs/guest-rides/introduction",
        credentials=CREDENTIALS,
        settings=Settings,
        batch_size=PAGE_MAX,
        calls=CALLS,
        rate_per_second=None,  # the limit is per hour and endpoint: see `requests_per_hour`
        decoders=tuple(decoders.DECODERS),
        explain=explain,
        ground_truth=(
            "Uber's public Guest Rides pages, whose response tables were only partly readable, and recorded exchanges "
            "of the older v1.2; no account with Guest Rides access has been used."
        ),
    )

    def __init__(self, integration: Integration, services: Services) -> None:
        super().__init__(integration, services)
        self.settings = settings_of(integration)
        url = token_url(integration, self.settings)
        client_id = integration.credentials.get("client_id", NO_SECRET).reveal()
        self.auth = OAuth2ClientCredentials(
            url,
            client_id=client_id,
            client_secret=integration.credentials.get("client_secret", NO_SECRET),
            scope=SCOPE,
            in_body=True,
            tokens=services.tokens,
            store_key=token_key(url, client_id),
            clock=services.clock,
        )
        # One way out per endpoint, since Uber limits each by itself
        self.lists, self.reads, self.prices = (self._api(name) for name in ("list of trips", "trip", "estimates"))
        self._reading = asyncio.Semaphore(SIDE_BY_SIDE)

    def _api(self, name: str) -> Api:
        organisation = self.settings.organization_uuid
        made = Api(
            self.integration,
            self.services,
            auth=self.auth,
            explain=explain,
            headers={"x-uber-organizationuuid": organisation} if organisation else None,
        )
        made.rate = HourlyBudget(
            self.settings.requests_per_hour,
            name=f"{self.integration.key}: {name}",
            clock=self.services.clock,
            rate=self.integration.rate_per_second,
        )
        return made

    async def check(self) -> str:
        await self.lists.get(TRIPS, wire.TripPage, params={"trip_status": ACTIVE, "limit": 1})
        return "Uber Guest Rides v1"

    async def aclose(self) -> None:
        for api in (self.lists, self.reads, self.prices):
            await api.aclose()

    # --- bookings

    async def read_bookings(self, ids: Sequence[str]) -> list[records.Booking]:
        """One call each, at most 8 at a time."""
        wanted = [each for each in dict.fromkeys(ids) if webhook.is_trip_id(each)]
        found = await each_or_absent([self._read(each) for each in wanted])
        return [each for each in found if each is not None]

    async def _read(self, trip_id: str) -> records.Booking:
        async with self._reading:
            answer = await self.reads.get(f"{TRIPS}/{segment(trip_id)}", wire.Trip)
        return mapping.booking(answer.value, answer.origin)

    async def list_bookings(
        self, query: ListQuery[queries.BookingFilter], cursor: str | None
    ) -> SourcePage[records.Booking]:
        """Active trips, then past, then expired ones, each in Uber's own order; only what the filter may match.

        A trip that ends while somebody pages may come twice."""
        statuses = _statuses(query.filter)
        if not statuses:
            return SourcePage(records=[])
        status, start = _place(cursor, statuses)
        answer = await self._page(status, start, min(max(query.limit, 1), PAGE_MAX))
        following = _next(answer.value)
        if following is not None:
            after: str | None = f"{status}:{following}"
        else:
            later = statuses[statuses.index(status) + 1 :]
            after = f"{later[0]}:" if later else None
        found = [mapping.booking(each, answer.origin) for each in answer.value.trips]
        return SourcePage(records=found, next=after)

    async def _page(self, status: str, start: str | None, limit: int = PAGE_MAX) -> Any:
        return await self.lists.get(TRIPS, wire.TripPage, params=_params(status, start, limit))

    # --- prices

    async def list_price_estimates(
        self, query: ListQuery[queries.PriceEstimateFilter], cursor: str | None
    ) -> SourcePage[records.PriceEstimate]:
        """Empty where Uber does not drive. Estimates that stand in for an outage are left out once expired."""
        if cursor is not None:
            raise ValueError("not a cursor of this list")
        wanted = query.filter
        body: dict[str, Any] = {
            "pickup": self._point(wanted.pickup, "pickup"),
            "dropoff": self._point(wanted.dropoff, "dropoff"),
        }
        if wanted.pickup_at is not None:
            body["scheduling"] = {"pickup_time": round(wanted.pickup_at.timestamp() * 1000)}
        answer = await self.prices.post_to_read(ESTIMATES, wire.Estimates, json=body)
        found = [mapping.price_estimate(each, answer.origin) for each in answer.value.product_estimates]
        if answer.origin.stale:
            now = self.services.clock.now()
            found = [each for each in found if each.expires_at is None or each.expires_at > now]
        return SourcePage(records=found)

    def _point(self, place: Place | None, name: str) -> dict[str, float]:
        if place is None or place.latitude is None or place.longitude is None:
            raise BadRequest(
                f"{self.integration.key}: price estimates need latitude and longitude of pickup and dropoff; "
                f"{name} has none (an address alone is not enough)",
                integration=self.integration.key,
            )
        if not (-90 <= place.latitude <= 90 and -180 <= place.longitude <= 180):
            raise BadRequest(f"{self.integration.key}: {name} is not on the earth", integration=self.integration.key)
        return {"latitude": place.latitude, "longitude": place.longitude}

    # --- cars

    async def read_vehicles(self, ids: Sequence[str]) -> list[records.Vehicle]:
        """By plate, as Uber spells it; only cars that drive an active trip are known. One call per 50 trips."""
        wanted = set(ids)
        found: dict[str, records.Vehicle] = {}
        async for cars, _ in self._cars():
            found |= {plate: car for plate, car in cars.items() if plate in wanted}
        return [found[each] for each in dict.fromkeys(ids) if each in found]

    async def list_vehicles(
        self, query: ListQuery[queries.VehicleFilter], cursor: str | None
    ) -> SourcePage[records.Vehicle]:
        """All cars on active trips in one page; a cursor only beyond 1,000 trips."""
        del query
        found: dict[str, records.Vehicle] = {}
        after: str | None = None
        async for cars, after in self._cars(cursor, CAR_PAGES):  # noqa: B007
            found |= {plate: car for plate, car in cars.items() if plate not in found}
        return SourcePage(records=[found[plate] for plate in sorted(found)], next=after)

    async def identities(self) -> AsyncIterator[Identity]:
        """Cars by plate: those on active trips, since Uber knows no fleet."""
        async for cars, _ in self._cars():
            for plate in cars:
                yield Identity(subject=Subject.VEHICLE, kind=records.Kind.VEHICLE, number=plate, external_id=plate)

    async def _cars(
        self, start: str | None = None, most: int = MAX_PAGES
    ) -> AsyncIterator[tuple[dict[str, records.Vehicle], str | None]]:
        """Cars page by page, with the key of the page after; a key that comes again ends the walk."""
        seen: set[str] = set()
        for _ in range(most):
            answer = await self._page(ACTIVE, start)
            start = _next(answer.value)
            yield mapping.vehicles(answer.value.trips, answer.origin), start
            if start is None or start in seen:
                return
            seen.add(start)

    # --- live: webhooks

    def verify(self, payload: Payload) -> None:
        keys = [self.integration.credentials.get(name, NO_SECRET) for name in ("signing_key", "signing_key_next")]
        verify_hex_sha256(payload.body, payload.headers.get(webhook.SIGNATURE), keys)

    def received(self, payload: Payload) -> Raw | None:
        given = webhook.notice(payload)
        if not webhook.concerns(given):
            if given.event_type not in webhook.UNINTERESTING:
                self.services.metrics.unknown_code(self.integration.system.value, "event_type", given.event_type[:80])
            return None
        webhook.trip_id(given)
        return Raw(delivery_id=given.event_id, decoder=decoders.WEBHOOK, payload=payload)

    async def events(self, raw: Raw) -> Sequence[Event]:
        """Always from the trip itself, read after the notice came: notices repeat and overtake each other."""
        if raw.decoder == decoders.WEBHOOK:
            return await self._noticed(webhook.notice(raw.payload))
        if raw.decoder in (decoders.TRIPS, decoders.TRIP):
            return self._polled(raw.payload)
        return await super().events(raw)

    async def _noticed(self, given: wire.Notice) -> list[Event]:
        if not webhook.concerns(given):
            return []
        try:
            body, _ = await self._fresh(self.reads, f"{TRIPS}/{segment(webhook.trip_id(given))}")
        except NotFound:
            return []
        trip, origin = decoders.read_trips(Payload(body=body))[0], self.reads.origin()
        noticed_at = mapping.instant(given.event_time, path="$.event_time")
        booking = mapping.booking(trip, origin, noticed_at=noticed_at)
        # Sequence 1: within one second a notice says more than a poll
        found: list[Event] = [Changed(record=booking, occurred_at=booking.updated_at or origin.as_of, sequence=1)]
        car = mapping.vehicle(trip, origin)
        if car is not None and car.position is not None:
            found.append(Changed(record=car, occurred_at=origin.as_of, sequence=1))
        return found

    async def _fresh(self, api: Api, path: str, params: Any = None) -> tuple[bytes, str | None]:
        """The body and Uber's own time of the answer; never the last good one: an old state is no event."""
        response = await api.send(api.build("GET", path, params=params), repeatable=True)
        return response.content, response.headers.get("date")

    # --- live: the safety net

    async def poll(self, cursor: str | None) -> Polled:
        """Active trips every `active_poll_seconds`, however often it is called, and those that ended since.

        A call that is too early costs nothing and brings nothing."""
        now = self.services.clock.now()
        before = _cursor(cursor)
        if before is not None and now < before.at + timedelta(seconds=self.settings.active_poll_seconds):
            return Polled(cursor=cursor)
        raws: list[Raw] = []
        active: dict[str, None] = {}
        start: str | None = None
        for _ in range(CAR_PAGES):
            body, date = await self._fresh(self.lists, TRIPS, _params(ACTIVE, start, PAGE_MAX))
            page = self.lists.decoded(body, wire.TripPage, at=TRIPS)
            active |= dict.fromkeys(each.request_id for each in page.trips)
            raws.append(self._raw(decoders.TRIPS, body, date, now))
            following = _next(page)
            if following is None or following == start:
                start = None
                break
            start = following
        whole = start is None
        missing = [each for each in before.ids if each not in active] if before is not None and whole else []
        ended, left = await self._ended(missing, now)
        kept = [*left, *active][:REMEMBERED]
        after = msgspec.json.encode(_Cursor(at=now, ids=kept)).decode()
        return Polled(raws=(*raws, *ended), cursor=after)

    async def _ended(self, ids: list[str], now: datetime) -> tuple[list[Raw], list[str]]:
        """What became of trips that are active no more, and those left for the next poll."""
        raws: list[Raw] = []
        for place, trip_id in enumerate(ids[:ENDED_PER_POLL]):
            try:
                body, date = await self._fresh(self.reads, f"{TRIPS}/{segment(trip_id)}")
            except NotFound:
                continue
            except RateLimited:
                return raws, ids[place:]
            raws.append(self._raw(decoders.TRIP, body, date, now))
        return raws, ids[ENDED_PER_POLL:]

    def _raw(self, decoder: str, body: bytes, date: str | None, now: datetime) -> Raw:
        digest = hashlib.blake2b(body, digest_size=12).hexdigest()
        headers = {"content-type": "application/json", "date": date or format_datetime(now, usegmt=True)}
        return Raw(
            delivery_id=f"poll-{now:%Y%m%dT%H%M%S}-{digest}",
            decoder=decoder,
            payload=Payload(body=body, headers=headers),
        )

    def _polled(self, payload: Payload) -> list[Event]:
        now = self.services.clock.now()
        read_at = _http_date(payload.headers.get("date")) or now
        origin = Origin(integration=self.integration.key, system=self.integration.system, as_of=min(read_at, now))
        found: list[Event] = []
        for each in decoders.records_of(decoders.read_trips(payload), origin):
            if isinstance(each, records.Booking):
                found.append(Changed(record=each, occurred_at=max(read_at, each.updated_at or read_at)))
            elif isinstance(each, records.Vehicle):
                found.append(Changed(record=each, occurred_at=origin.as_of))
        return found


def _params(status: str, start: str | None, limit: int) -> dict[str, Any]:
    params: dict[str, Any] = {"trip_status": status, "limit": limit}
    return params | {"start_key": start} if start else params


def _next(page: wire.TripPage) -> str | None:
    key = (page.next_key or "").strip()
    if len(key) > 400:
        raise MappingFailed("the key of the next page is longer than a cursor may be", path="$.next_key")
    return key or None


def _statuses(wanted: queries.BookingFilter) -> tuple[str, ...]:
    """Which of Uber's lists may hold what is wanted, in our fixed order."""
    chosen = {ACTIVE, PAST, EXPIRED}
    if wanted.active is not None:
        chosen &= {ACTIVE} if wanted.active else {PAST, EXPIRED}
    if wanted.statuses is not None:
        ended = _ENDED.intersection(wanted.statuses)
        other = set(wanted.statuses) - _ENDED
        if BookingStatus.UNKNOWN not in other:  # an unknown word may stand in any list
            chosen &= ({ACTIVE} if other else set()) | ({PAST, EXPIRED} if ended else set())
    return tuple(each for each in (ACTIVE, PAST, EXPIRED) if each in chosen)


def _place(cursor: str | None, statuses: tuple[str, ...]) -> tuple[str, str | None]:
    """Uber's list and the key in it that a cursor of ours stands for. Raises `ValueError` for any other text."""
    if cursor is None:
        return statuses[0], None
    status, colon, start = cursor.partition(":")
    if not colon or status not in statuses:
        raise ValueError("not a cursor of this list")
    return status, start or None


def _cursor(text: str | None) -> _Cursor | None:
    """A cursor of another version is as good as none."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=_Cursor)
    except msgspec.DecodeError:
        return None


def _http_date(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
