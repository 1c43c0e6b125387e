"""What the tests of trackers share: a connector that is told frames without sockets, and frames."""

from datetime import datetime
from typing import Any

from connectors.gt02 import Trackers
from connectors.gt02.session import Session
from connectors.kit.integration import Integration
from connectors.kit.protocols import Raw
from connectors.kit.services import NoMetrics, Services
from sandbox import gt02 as standin
from sandbox.gt02 import frames as device
from sandbox.world import World
from tests.connectors.contract import NOW, FakeClock, Lines
from unified.events import Changed
from unified.records import Vehicle
from unified.values import System

IMEI, OTHER = "353419036066061", "358899058314017"


def integration(**settings: Any) -> Integration:
    facts = {"devices": [{"imei": IMEI, "plate": "kja 123 ab"}, {"imei": OTHER, "fleet_number": "trk 7"}]}
    return Integration(key="trackers", system=System.GT02, settings={**facts, **settings})


def registered(world: World) -> list[dict[str, str]]:
    """The device table of the sandbox's trackers."""
    return [
        {
            name: value
            for name, value in (
                ("imei", each.imei),
                ("name", each.name),
                ("fleet_number", each.fleet_number),
                ("plate", each.plate),
                ("category", "truck"),
            )
            if value is not None
        }
        for each in standin.build(world)
    ]


class Counting(NoMetrics):
    def __init__(self) -> None:
        self.unknown: list[tuple[str, str, str]] = []

    def unknown_code(self, system: str, field: str, value: str) -> None:
        self.unknown.append((system, field, value))


class Rig:
    """A connector that is told frames, without sockets; a second one reads the deliveries."""

    def __init__(self, **settings: Any) -> None:
        self.clock, self.log, self.metrics = FakeClock(), Lines(), Counting()
        self.services = Services(clock=self.clock, log=self.log, metrics=self.metrics)
        self.connector = Trackers(integration(**settings), self.services)
        self.elsewhere = Trackers(integration(**settings), self.services)
        self.sessions: dict[str, Session] = {}

    def session(self, imei: str = IMEI) -> Session:
        if imei not in self.sessions:
            self.sessions[imei] = Session(self.connector.devices, self.connector.settings.families)
            if imei == IMEI:
                self.hear(device.login(imei, 1), imei)
        return self.sessions[imei]

    def hear(self, data: bytes, imei: str = IMEI) -> list[Raw]:
        session = self.session(imei)
        session.feed(data)
        now = self.clock.now()
        made = [
            self.connector.desk.report(heard, session, now)
            for heard in session.heard(now)
            if heard.finding.value == "report"
        ]
        return [raw for raw in made if raw is not None]

    async def events(self, data: bytes, imei: str = IMEI) -> list[Any]:
        """By a connector that has heard nothing: a delivery needs nobody's memory."""
        (raw,) = self.hear(data, imei)
        return list(await self.elsewhere.events(raw))

    async def vehicle(self, imei: str = IMEI) -> Vehicle:
        (vehicle,) = await self.connector.read_vehicles([imei])
        return vehicle

    async def tell(self, data: bytes, imei: str = IMEI) -> Vehicle:
        """What the delivery says, which is what is listed, too."""
        changed = [each for each in await self.events(data, imei) if isinstance(each, Changed)]
        listed = await self.vehicle(imei)
        assert [each.record for each in changed] == [listed]
        return listed


def location(
    at: datetime = NOW, *, serial: int = 2, kmh: float = 50.0, ignition: bool = True, upload: bytes = b"\1\0\0"
) -> bytes:
    place = device.place_06(at, 6.4541, 3.3947, kmh, 91.0, satellites=9, ignition=ignition)
    return device.gt06(0x22, place + device.cell(4711) + upload, serial)


def unlocated(at: datetime = NOW, *, serial: int = 2) -> bytes:
    place = device.place_06(at, 6.4541, 3.3947, 0.0, 91.0, satellites=2, ignition=True)
    flags = int.from_bytes(place[-2:], "big") & ~0x1000
    return device.gt06(0x22, place[:-2] + flags.to_bytes(2, "big") + device.cell(4711) + b"\1\0\0", serial)


def heartbeat(*, serial: int = 3, ignition: bool = True, alarm: int = 0, code: int = 0) -> bytes:
    status = device.status(ignition=ignition, charging=True, alarm=alarm, voltage=4, gsm=3)
    return device.gt06(0x13, status + bytes((code, 2)), serial)


def alarm(code: int, *, at: datetime = NOW, serial: int = 4) -> bytes:
    place = device.place_06(at, 6.4541, 3.3947, 50.0, 91.0, satellites=9, ignition=True)
    status = device.status(ignition=True, charging=True, alarm=0, voltage=4, gsm=3)
    return device.gt06(0x16, place + b"\x09" + device.cell(4711) + status + bytes((code, 2)), serial)
