"""GT02 and GT06: GPS trackers that connect to us. There is no server of the vendor's, no API, no log-in but an IMEI.

Protocols: https://www.traccar.org/protocol/5022-gt02/ and https://www.traccar.org/protocol/5023-gt06/
Oddities: checksums and length fields may be wrong; times may be local; one type number means several things.
"""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import ClassVar, Final

import msgspec

from connectors.gt02 import decoders, deliveries, mapping
from connectors.gt02.calls import CALLS
from connectors.gt02.desk import NOTHING, Desk
from connectors.gt02.known import after, remembered
from connectors.gt02.listener import Listener
from connectors.gt02.port import Port
from connectors.gt02.settings import Settings, Tracker, register
from connectors.kit.errors import BadRequest
from connectors.kit.integration import Integration, Origin
from connectors.kit.manifest import Manifest
from connectors.kit.protocols import Connector, Identity, Raw
from connectors.kit.services import Services
from unified import queries
from unified.events import Changed, Event, Happened
from unified.keys import Subject
from unified.queries import ListQuery, SourcePage, sort_value
from unified.records import Kind, Record, Vehicle
from unified.values import System

LONGEST_PAUSE: Final = 60.0
_AT_A_TIME: Final = 1_000
"""Vehicles that are looked at before others may go on."""


class Trackers(Connector):
    manifest: ClassVar[Manifest] = Manifest(
        system=System.GT02,
        title="GT02/GT06 trackers",
        summary="Vehicles from GPS trackers that connect over TCP or UDP: positions, ignition, battery, alarms",
        documentation="https://www.traccar.org/protocol/5023-gt06/",
        settings=Settings,
        needs_base_url=False,
        batch_size=1_000,
        calls=CALLS,
        decoders=tuple(decoders.DECODERS),
        ground_truth=(
            "Vendor documents of both protocols, and 188 real frames with what another server's decoders read from "
            "them; no device of our own."
        ),
    )

    def __init__(self, integration: Integration, services: Services) -> None:
        super().__init__(integration, services)
        self.settings = msgspec.convert(integration.settings, Settings)
        self.devices = register(self.settings.devices)
        self.desk = Desk(self.devices, services, integration.key)
        self.port = Port(services.clock, lambda: self.desk.heard_at)
        services.vitals.track(integration.key, self.port)
        self.listener: Listener | None = None
        """Null while nothing listens."""
        self._confirms = False
        self._closed = False

    async def check(self) -> str:
        """What listens, or that it could. Raises `BadRequest` for an address that cannot be had."""
        settings = self.settings
        where = f"{settings.host} port {settings.port}, {len(self.devices)} registered"
        if self.listener is not None:
            figures = self.listener.figures
            return f"GT02/GT06 trackers: listens on {where}, {figures.connections} connected"
        try:
            _try_to_bind(settings.host, settings.port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"GT02/GT06 trackers: {where}; something listens there, as the running server does"
            raise BadRequest(
                f"{self.integration.key}: cannot listen on {settings.host} port {settings.port} ({error.strerror}); "
                "write another `host` or `port`",
                integration=self.integration.key,
            ) from None
        return f"GT02/GT06 trackers: can listen on {where}"

    async def aclose(self) -> None:
        self._closed = True
        if self.listener is not None:
            await self.listener.close()

    # --- what is known

    def _origin(self) -> Origin:
        return Origin(integration=self.integration.key, system=self.integration.system, as_of=self.services.clock.now())

    def _vehicle(self, device: Tracker, origin: Origin) -> Vehicle:
        return mapping.vehicle(device, self.desk.state.get(device.imei, NOTHING), origin)

    async def read_vehicles(self, ids: Sequence[str]) -> list[Vehicle]:
        """By IMEI; from what the trackers have said so far."""
        origin = self._origin()
        found = (self.devices.get(imei) for imei in dict.fromkeys(ids))
        return [self._vehicle(device, origin) for device in found if device is not None]

    async def list_vehicles(self, query: ListQuery[queries.VehicleFilter], cursor: str | None) -> SourcePage[Vehicle]:
        """All registered trackers, in the order of the settings or as asked; the whole filter is done here."""
        start = 0 if cursor is None else int(cursor) if cursor.isdecimal() and cursor.isascii() else -1
        if start < 0 or len(cursor or "") > 9:
            raise ValueError("not a cursor of this list")
        origin, limit = self._origin(), max(query.limit, 1)
        if query.filter.empty and not query.order_by:
            chosen = self.settings.devices[start : start + limit]
            total = len(self.settings.devices)
            page = [self._vehicle(device, origin) for device in chosen]
        else:
            found: list[Vehicle] = []
            for place, device in enumerate(self.settings.devices, 1):
                vehicle = self._vehicle(device, origin)
                if query.filter.matches(vehicle):
                    found.append(vehicle)
                if place % _AT_A_TIME == 0:
                    await asyncio.sleep(0)
            for order in reversed(query.order_by):
                found = _ordered(found, order)
            total, page = len(found), found[start : start + limit]
        more = start + len(page)
        return SourcePage(
            records=page, next=str(more) if page and more < total else None, total=total, sorted=bool(query.order_by)
        )

    async def identities(self) -> AsyncIterator[Identity]:
        """Plates and fleet numbers of the registered trackers."""
        for device in self.settings.devices:
            for number in dict.fromkeys(each for each in (device.fleet_number, device.plate) if each is not None):
                yield Identity(subject=Subject.VEHICLE, kind=Kind.VEHICLE, number=number, external_id=device.imei)

    remembers: ClassVar[Kind] = Kind.VEHICLE

    def remember(self, known: Iterable[Record]) -> None:
        """Vehicles as they were before the server was stopped: trackers that sleep do not tell it again for hours."""
        for vehicle in known:
            imei = vehicle.source.external_id
            if isinstance(vehicle, Vehicle) and imei in self.devices and imei not in self.desk.state:
                self.desk.state[imei] = remembered(vehicle)

    # --- live

    async def stream(self) -> AsyncIterator[Raw]:
        """Listens until it is closed. A port that cannot be had is tried again, with growing pauses."""
        failures = 0
        while not self._closed:
            listener = Listener(self.settings, self.devices, self.desk, self.services, self.integration.key)
            try:
                await listener.open(online=self.desk.online)
            except OSError as error:
                failures += 1
                reason = os.strerror(error.errno) if error.errno else type(error).__name__
                if self.port.failed(f"cannot listen on {self.settings.host} port {self.settings.port}: {reason}"):
                    self.services.log.error(
                        "vendor.cannot_listen",
                        integration=self.integration.key,
                        host=self.settings.host,
                        port=self.settings.port,
                        reason=reason,
                    )
                await self.services.clock.sleep(min(LONGEST_PAUSE, 2.0 ** min(failures, 6)))
                continue
            failures = 0
            if self._confirms:
                listener.kept(())
            self.listener = listener
            self.port.opened()
            self.services.log.info(
                "vendor.listening", integration=self.integration.key, host=self.settings.host, port=listener.port
            )
            try:
                async for raw in listener.raws():
                    yield raw
            finally:
                self.listener = None
                self.port.closed()
                await listener.close()

    def kept(self, raws: Sequence[Raw]) -> None:
        """These are safe. Whoever calls it once is waited for: trackers are answered only then."""
        self._confirms = True
        if self.listener is not None:
            self.listener.kept(raws)

    async def events(self, raw: Raw) -> Sequence[Event]:
        """Needs nothing but the delivery and the table of devices: order and place do not matter."""
        payload = raw.payload
        origin = self._origin()
        received = deliveries.received_of(payload, origin.as_of)
        sequence = deliveries.number_of(payload, deliveries.SEQUENCE) or 0
        before = deliveries.before_of(payload)
        if raw.decoder == deliveries.LINK:
            state = deliveries.link_of(payload)
            device = self.devices.get(state.imei)
            if device is None:
                return []
            vehicle = mapping.vehicle(device, mapping.linked(before, state, received), origin)
            return [Changed(record=vehicle, occurred_at=received, sequence=sequence)]
        device = self.devices.get(payload.headers.get(deliveries.IMEI, ""))
        if device is None:  # it was taken out of the table meanwhile
            return []
        frame = deliveries.frame_of(payload)
        report = deliveries.read(frame, device, deliveries.number_of(payload, deliveries.OFFSET))
        if report.unknown_alarm is not None:
            self.services.metrics.unknown_code(self.integration.system.value, "alarm", f"0x{report.unknown_alarm:02x}")
        now_known = after(before, report, received, good_crc=frame.good_crc)
        events: list[Event] = []
        if not report.buffered or now_known.at != before.at:
            # what comes from a buffer takes its place by its own time: it must not hide what is newer
            occurred = now_known.at if report.buffered and now_known.at is not None else received
            events.append(
                Changed(record=mapping.vehicle(device, now_known, origin), occurred_at=occurred, sequence=sequence)
            )
        events.extend(
            Happened(what=what, occurred_at=what.at) for what in mapping.happened(device.imei, before, report, received)
        )
        return events


def _ordered(found: list[Vehicle], order: queries.OrderBy) -> list[Vehicle]:
    """By one key; nulls last in both directions. Stable."""
    valued = [each for each in found if sort_value(each, order)[0] == 0]
    empty = [each for each in found if sort_value(each, order)[0] != 0]
    return sorted(valued, key=lambda each: sort_value(each, order), reverse=order.descending) + empty


def _try_to_bind(host: str, port: int) -> None:
    """Raises `OSError` when the port cannot be had; nothing listens on it afterwards."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


CONNECTOR = Trackers
