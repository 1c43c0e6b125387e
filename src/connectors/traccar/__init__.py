"""Traccar: vehicles with their positions, geofences, and what happens to them.

API: https://www.traccar.org/api-reference/ (no paging needed, no rate limits, no ETag)
Oddities: speeds are knots; geofences put the latitude first; every fault is HTTP 400 with a Java stack trace.
"""

import asyncio
import contextlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import quote

import msgspec

from connectors.kit import decode
from connectors.kit.errors import BadPayload, MappingFailed, NotFound, PermissionDenied, SignatureInvalid, VendorError
from connectors.kit.gaps import once_back
from connectors.kit.http import Api
from connectors.kit.integration import Integration, Origin
from connectors.kit.manifest import Credential, Manifest, Payload
from connectors.kit.paging import blocks
from connectors.kit.protocols import Connector, Identity, Polled, Raw
from connectors.kit.services import Services
from connectors.kit.sockets import Opened, Target, listen
from connectors.traccar import decoders, live, mapping, wire
from connectors.traccar.answers import Access, explain
from connectors.traccar.calls import CALLS
from connectors.traccar.fleet import Fleet
from connectors.traccar.settings import Naming, Settings
from unified import ids as global_ids
from unified import queries, records
from unified.events import Changed, Event, Happened
from unified.keys import Subject
from unified.queries import ListQuery, SourcePage
from unified.values import System

T = TypeVar("T")

BATCH: Final = 100
OVERLAP: Final = timedelta(minutes=1)
"""How much earlier than the last seen time a gap is filled: positions are stored some time after their fix."""
REPORTED_MOST: Final = 5_000
"""Devices whose gap is filled, for each of which reports are asked for."""


class Traccar(Connector):
    manifest: ClassVar[Manifest] = Manifest(
        system=System.TRACCAR,
        title="Traccar",
        summary="Vehicles with live positions, ignition, fuel and alarms; geofences; what happens to vehicles",
        documentation="https://www.traccar.org/api-reference/",
        credentials=(
            Credential(name="token", description="Token of the account (or of the service account)", required=False),
            Credential(name="email", description="Account, for a session", required=False),
            Credential(name="username", description="Account, for HTTP Basic", required=False),
            Credential(name="password", description="Password of `email` or `username`", required=False),
            Credential(
                name="webhook_secret",
                description="Value of the header of forwarded messages; without it none is believed",
                required=False,
            ),
        ),
        settings=Settings,
        batch_size=BATCH,
        calls=CALLS,
        rate_per_second=20,
        decoders=tuple(decoders.DECODERS),
        explain=explain,
        ground_truth=(
            "Server source and OpenAPI definition 6.14.5, test fixtures of two independent clients; no live server."
        ),
    )

    def __init__(self, integration: Integration, services: Services) -> None:
        super().__init__(integration, services)
        self.settings = msgspec.convert(integration.settings, Settings)
        self.naming = Naming(self.settings)
        self.access = Access(integration)
        base = integration.base_url.rstrip("/")
        self.api = Api(
            integration,
            services,
            base_url=base if base.endswith("/api") else base + "/api",
            auth=self.access.auth,
            explain=explain,
            rate=self.manifest.rate_per_second,
        )
        self.access.session.through(self.api)
        self.fleet = Fleet(self, services.clock)
        self._socket_open = False
        self._socket_tries = 0

    async def check(self) -> str:
        """The version is told to anybody; that the credentials hold is seen from the devices."""
        server, _ = await asyncio.gather(
            self.api.get("/server", wire.Server),
            self.api.get("/devices", list[wire.Device], params={"limit": 1, "excludeAttributes": "true"}),
        )
        return f"Traccar {decode.none(server.value.version) or '(version unknown)'}"

    async def aclose(self) -> None:
        await self.api.aclose()

    # --- what is asked of the server

    async def devices(self, ids: Iterable[int] | None) -> list[wire.Device]:
        """The devices with the ids, or all; those that the account may not see are absent."""
        if ids is None:
            return (await self._devices(None))[0]
        found: list[wire.Device] = []
        for block in blocks(list(ids), BATCH):
            found += (await self._devices(block))[0]
        return found

    async def positions(self) -> list[wire.Position]:
        """The last position of each device."""
        return (await self._positions())[0]

    async def _devices(self, ids: Sequence[int] | None) -> tuple[list[wire.Device], Origin]:
        if ids is None:
            every = await self.api.get("/devices", list[wire.Device])
            return every.value, every.origin
        wanted = set(ids)
        try:
            some = await self.api.get("/devices", list[wire.Device], params=[("id", each) for each in ids])
        except NotFound:
            if len(ids) == 1:
                return [], self.api.origin()
        except PermissionDenied:
            if len(ids) == 1:
                raise
        else:
            return [each for each in some.value if each.id in wanted], some.origin
        # One id that this server refuses must not hide the others: those that may be seen are in the whole list
        found, origin = await self._devices(None)
        return [each for each in found if each.id in wanted], origin

    async def _positions(self) -> tuple[list[wire.Position], Origin]:
        answer = await self.api.get("/positions", list[wire.Position])
        return answer.value, answer.origin

    async def _vehicles(self, ids: Sequence[int] | None) -> list[records.Vehicle]:
        (devices, told), (positions, placed) = await asyncio.gather(self._devices(ids), self._positions())
        origin = min(told, placed, key=lambda each: (not each.stale, each.as_of))
        last = {each.device_id: each for each in positions}
        found = sorted(devices, key=lambda each: each.id)
        return [
            mapping.vehicle(each, last.get(each.id), origin, self.naming, path=f"$[{index}]")
            for index, each in enumerate(found)
        ]

    # --- vehicles and geofences

    async def read_vehicles(self, ids: Sequence[str]) -> list[records.Vehicle]:
        """Two calls side by side, however many ids."""
        numbers = _numbers(ids)
        return await self._vehicles(numbers) if numbers else []

    async def list_vehicles(
        self, query: ListQuery[queries.VehicleFilter], cursor: str | None
    ) -> SourcePage[records.Vehicle]:
        """All at once, in two calls, by id; of the filter the server can do the ids."""
        if cursor is not None:
            raise ValueError("not a cursor of this list")
        wanted = query.filter.ids
        numbers = None if wanted is None else self._own(records.Kind.VEHICLE, wanted)
        found = [] if numbers == [] else await self._vehicles(numbers)
        return SourcePage(records=found, total=len(found) if query.filter.empty else None)

    def _own(self, kind: records.Kind, wanted: Iterable[str]) -> list[int] | None:
        """The numbers among global ids that are ours; null when they are too many for one call."""
        found: list[str] = []
        for each in wanted:
            with contextlib.suppress(ValueError):
                name, key, external_id = global_ids.decode(each)
                if (name, key) == (kind.value, self.integration.key):
                    found.append(external_id)
        numbers = _numbers(found)
        return numbers if len(numbers) <= BATCH else None

    async def read_geofences(self, ids: Sequence[str]) -> list[records.Geofence]:
        """One call: the server gives single ones only by one call each, and says "denied" for unknown ones."""
        wanted = {str(each) for each in _numbers(ids)}
        if not wanted:
            return []
        return [each for each in await self._geofences() if each.source.external_id in wanted]

    async def list_geofences(
        self, query: ListQuery[queries.GeofenceFilter], cursor: str | None
    ) -> SourcePage[records.Geofence]:
        if cursor is not None:
            raise ValueError("not a cursor of this list")
        found = await self._geofences()
        return SourcePage(records=found, total=len(found) if query.filter.empty else None)

    async def _geofences(self) -> list[records.Geofence]:
        """By id; one whose area is no shape that we know is logged and left out."""
        answer = await self.api.get("/geofences", list[wire.Geofence])
        found: list[records.Geofence] = []
        bad: list[MappingFailed] = []
        for index, each in enumerate(answer.value):
            try:
                found.append(mapping.geofence(each, answer.origin, path=f"$[{index}]"))
            except MappingFailed as fault:
                bad.append(fault)
        if bad:
            self.services.log.warning(
                "vendor.bad_geofence", integration=self.integration.key, count=len(bad), error=bad[0].message
            )
        return sorted(found, key=lambda each: int(each.source.external_id))

    async def identities(self) -> AsyncIterator[Identity]:
        """Fleet numbers and plates, in one call."""
        for device in await self.devices(None):
            name, attributes = decode.none(device.name), device.attributes or {}
            numbers = (self.naming.fleet_number(name, attributes), self.naming.plate(name, attributes))
            for number in dict.fromkeys(each for each in numbers if each is not None):
                yield Identity(
                    subject=Subject.VEHICLE, kind=records.Kind.VEHICLE, number=number, external_id=str(device.id)
                )

    # --- live

    async def stream(self) -> AsyncIterator[Raw]:
        """Ends at once when the settings say `socket = false`."""
        if not self.settings.socket:
            return
        cutter = live.Cutter(self.services.clock.now())
        incoming = listen(
            self._target,
            integration=self.integration,
            services=self.services,
            silence_seconds=self.settings.silence_seconds,
            way=self.api.breaker,
            ask=self.check,
            max_size=32 << 20,
        )
        try:
            async with contextlib.aclosing(incoming):  # type: ignore[type-var]
                async for message in incoming:
                    if isinstance(message, Opened):
                        self._socket_open, self._socket_tries = True, 0
                        if message.again:
                            async for raw in self._missed(cutter.heard_at):
                                yield raw
                        continue
                    body = message.encode() if isinstance(message, str) else message
                    try:
                        for raw in cutter.cut(body, self.services.clock.now()):
                            yield raw
                    except BadPayload as fault:
                        self.services.log.warning(
                            "vendor.bad_frame", integration=self.integration.key, error=fault.message
                        )
        finally:
            self._socket_open = False

    async def _target(self) -> Target:
        """Asked for at each attempt. After one that did not open the credentials are fresh, or, where a token is
        all there is, its other way is tried: in the address (6.x), and by a session made from it (older)."""
        self._socket_open = False
        tries, self._socket_tries = self._socket_tries, self._socket_tries + 1
        scheme, _, rest = self.api.base_url.partition("://")
        url = f"{'wss' if scheme == 'https' else 'ws'}://{rest}/socket"
        session = self.access.session
        if self.access.token is not None:
            if tries % 2 == 0:
                return Target(f"{url}?token={quote(self.access.token.reveal(), safe='')}")
            session.forget()
        elif tries:
            session.forget()
        return Target(url, {"Cookie": f"JSESSIONID={await session.current()}"})

    async def _missed(self, heard_at: datetime) -> AsyncIterator[Raw]:
        """Events and positions since the last ones, as far as the server tells them and the settings allow."""
        now = self.services.clock.now()
        since = max(heard_at - OVERLAP, now - timedelta(minutes=self.settings.gap_minutes))
        until = now + OVERLAP
        try:
            await self._once_back(self.fleet.know)
        except VendorError as error:
            self._gap_not_filled(error)
            return
        for block in blocks(self.fleet.ids[:REPORTED_MOST], BATCH):
            for path in ("/reports/route", "/reports/events"):
                try:
                    rows = await self._once_back(partial(self._report, path, block, since, until))
                except VendorError as error:
                    self._gap_not_filled(error)
                    continue
                make = live.raw_position if path == "/reports/route" else live.raw_event
                for row in rows:
                    yield make(bytes(row), now)

    async def _once_back(self, call: Callable[[], Awaitable[T]]) -> T:
        return await once_back(call, breaker=self.api.breaker, clock=self.services.clock)

    async def _report(self, path: str, ids: Sequence[int], since: datetime, until: datetime) -> list[msgspec.Raw]:
        params: list[tuple[str, Any]] = [("deviceId", each) for each in ids]
        if path == "/reports/events":
            params.append(("type", "allEvents"))
        params += [("from", _iso(since)), ("to", _iso(until))]
        answer = await self.api.get(path, list[msgspec.Raw], params=params)
        return [] if answer.origin.stale else answer.value

    def _gap_not_filled(self, error: VendorError) -> None:
        self.services.log.warning("vendor.gap_not_filled", integration=self.integration.key, error=error.message)

    async def poll(self, cursor: str | None) -> Polled:
        """What is new since `cursor`; asks nothing while the socket is open."""
        if self._socket_open:
            return Polled(cursor=cursor)
        now = self.services.clock.now()
        before = live.Seen.read(cursor)
        devices, positions = await asyncio.gather(
            self.api.get("/devices", list[msgspec.Raw]), self.api.get("/positions", list[msgspec.Raw])
        )
        if devices.origin.stale or positions.origin.stale:
            return Polled(cursor=cursor)  # the last good answer of a server that is down: nothing new
        raws: list[Raw] = []
        after = live.Seen(position=before.position, until=now)
        for each in positions.value:
            named = decode.json(bytes(each), wire.Ids)
            after.position = max(after.position, named.id)
            if named.id > before.position or cursor is None:
                raws.append(live.raw_position(bytes(each), now))
        for each in devices.value:
            device = decode.json(bytes(each), wire.Device)
            told = after.devices[str(device.id)] = live.signature(device)
            self.fleet.put_device(device)
            if before.devices.get(str(device.id)) != told:
                raws.insert(0, live.raw_device(bytes(each), now))
        if before.until is not None:
            since = max(before.until - OVERLAP, now - timedelta(minutes=self.settings.gap_minutes))
            known = sorted(int(each) for each in after.devices)[:REPORTED_MOST]
            for block in blocks(known, BATCH):
                for row in await self._report("/reports/events", block, since, now + OVERLAP):
                    raws.append(live.raw_event(bytes(row), now))  # noqa: PERF401
        return Polled(raws=tuple(raws), cursor=after.text())

    async def events(self, raw: Raw) -> Sequence[Event]:
        """Full vehicles: what a message lacks is taken from what is known of the fleet."""
        if raw.decoder not in (decoders.FRAME, decoders.FORWARDED, decoders.FORWARDED_URL):
            return await super().events(raw)
        news = decoders.news(raw.decoder, raw.payload)
        origin = self.api.origin()
        found: list[Event] = []
        for device in news.devices:
            self.fleet.put_device(device)
            if device.position_id and self.fleet.position(device.id) is None:
                await self.fleet.know(positions=True)
            found.append(self._changed_device(device, origin, raw))
        positions = list(news.positions)
        if news.unnamed is not None:
            await self.fleet.know()
            named = self.fleet.by_words(news.unnamed.unique_id, news.unnamed.name)
            if named is None:
                self._unknown_devices(1)
            else:
                positions.append(msgspec.structs.replace(news.unnamed.position, device_id=named.id))
        if positions:
            self._unknown_devices(await self.fleet.know(each.device_id for each in positions))
        for index, position in enumerate(positions):
            known = self._device_of(position, news.forwarded)
            if known is None:
                continue
            self.fleet.put_position(position)
            found.append(
                Changed(
                    record=mapping.vehicle(known, position, origin, self.naming, path=f"$.positions[{index}]"),
                    occurred_at=mapping.recorded_at(position),
                    sequence=position.id,
                )
            )
        for index, event in enumerate(news.events):
            what = mapping.happened(event, path=f"$.events[{index}]")
            found.append(Happened(what=what, occurred_at=what.at))
        return found

    def _changed_device(self, device: wire.Device, origin: Origin, raw: Raw) -> Changed[Any]:
        """A change of the device is placed after its last position and before its next one: the server's own time
        of it may be later than the fix that follows. Among changes the later received wins, by the sequence."""
        last = self.fleet.position(device.id)
        record = mapping.vehicle(device, last, origin, self.naming, path="$.devices[0]")
        received = decode.moment(raw.payload.headers.get(live.RECEIVED)) or origin.as_of
        if last is None:
            return Changed(record=record, occurred_at=record.updated_at or received, sequence=0)
        return Changed(
            record=record, occurred_at=mapping.recorded_at(last), sequence=int(received.timestamp() * 1_000_000)
        )

    def _device_of(self, position: wire.Position, forwarded: wire.Device | None) -> wire.Device | None:
        known = self.fleet.device(position.device_id)
        if known is None or forwarded is None:
            return known or forwarded
        if forwarded.status is not None and forwarded.status != known.status:
            known = msgspec.structs.replace(known, status=forwarded.status)
            self.fleet.put_device(known)
        return known

    def _unknown_devices(self, count: int) -> None:
        if count:
            self.services.log.info("vendor.unknown_devices", integration=self.integration.key, count=count)

    # --- forwarded messages

    def verify(self, payload: Payload) -> None:
        """The server can only send a fixed header with what it forwards: its value is the secret."""
        secret = self.integration.credentials.get("webhook_secret")
        if not secret:
            raise SignatureInvalid(
                f"{self.integration.key}: no `webhook_secret` is configured; nothing forwarded is believed"
            )
        given = _header(payload.headers, self.settings.webhook_header)
        if not hmac.compare_digest(secret.reveal().encode(), given.encode()):
            raise SignatureInvalid(
                f"{self.integration.key}: the header {self.settings.webhook_header} does not hold the secret"
            )

    def received(self, payload: Payload) -> Raw | None:
        """A position or an event; null for an empty call. The URL form is a GET: what it tells is its address."""
        if payload.body.strip():
            return live.forwarded(payload)
        if "?" not in payload.target:
            return None
        return live.forwarded(Payload(body=payload.target.encode(), headers=payload.headers))


def _header(headers: Mapping[str, str], name: str) -> str:
    return headers.get(name.lower(), "")


def _numbers(ids: Iterable[str]) -> list[int]:
    """What can be an id at all, each once; 0 can, `007` cannot."""
    digits = (each for each in ids if each.isascii() and each.isdigit() and len(each) <= 18)
    return list(dict.fromkeys(int(each) for each in digits if str(int(each)) == each))


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


CONNECTOR = Traccar
