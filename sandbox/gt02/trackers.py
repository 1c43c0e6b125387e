"""The trackers in the world's trucks: other devices than those that Traccar knows, with numbers of their own."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from sandbox.gt02 import frames
from sandbox.world import Vehicle, VehicleState, World

Speech = Literal["gt06", "gt06-udp", "gt02"]

MOVING_S, STANDING_S, HEARTBEAT_S = 10, 30, 60
ANSWER_S: Final = 5
"""How long a device waits for the answer to its login."""
LOGINS: Final = 3
"""Logins without an answer after which it starts anew."""
SPEED_LIMIT_KMH: Final = 80.0
LAGOS_MINUTES: Final = 60
OVERSPEED, POWER_CUT = 0x06, 0x02
_DEVICE_KIND: Final = 0x100F


def _imei(number: int) -> str:
    digits = f"35172605{number:06d}"
    total = 0
    for place, letter in enumerate(digits):
        value = int(letter) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return f"{digits}{-total % 10}"


@dataclass(frozen=True, slots=True)
class Tracker:
    """`fleet_number` or `plate` is what the operator wrote down when the device was built in; never both."""

    vehicle: Vehicle = field(repr=False)
    imei: str
    speech: Speech
    name: str
    fleet_number: str | None
    plate: str | None
    offset_minutes: int | None
    """Of its clock from UTC, where its clock is local and its login tells so."""


def build(world: World) -> tuple[Tracker, ...]:
    """One per truck. Every fourth speaks GT02, every fourth GT06 over UDP; every sixth has a local clock."""
    made = []
    for number, truck in enumerate(world.trucks, 1):
        speech: Speech = "gt02" if number % 4 == 2 else "gt06-udp" if number % 4 == 3 else "gt06"
        by_number = number % 2 == 1
        made.append(
            Tracker(
                vehicle=truck,
                imei=_imei(40_000 + number * 73),
                speech=speech,
                name=f"Tipper {number}",
                fleet_number=f"trk {number}" if by_number else None,
                plate=None if by_number else truck.plate.replace("-", " ").lower(),
                offset_minutes=LAGOS_MINUTES if number % 6 == 1 and speech != "gt02" else None,
            )
        )
    return tuple(made)


@dataclass(slots=True)
class Sent:
    """A frame to send; `kind` names it for the control page."""

    kind: str
    data: bytes


class Device:
    """One tracker's behaviour, without its socket: what it sends when, and what it makes of the answers."""

    def __init__(self, world: World, tracker: Tracker) -> None:
        self.world, self.tracker = world, tracker
        self.serial = 0
        """Counts frames since power-up, and wraps."""
        self.logged_in = False
        self.answered = 0
        self.wrong_answers = 0
        """Answers that repeat no serial of ours, or make no sense."""
        self._open: dict[int, int] = {}
        """Serial → protocol number of the frames that wait for an answer."""
        self._login_at: datetime | None = None
        self._tries = 0
        self._place_at: datetime | None = None
        self._beat_at: datetime | None = None
        self._fast = False
        self._pieces = b""

    @property
    def silent(self) -> bool:
        """Out of reach, as its truck."""
        return not self._state().online

    def connected(self) -> None:
        """A new connection: everything about the old one is forgotten."""
        self._open.clear()
        self._pieces = b""
        self.logged_in = self.tracker.speech == "gt02"
        self._login_at, self._tries = None, 0

    def due(self) -> list[Sent] | None:
        """What is to be sent now; null when the server does not answer and the device gives up."""
        now = self.world.now()
        if not self.logged_in:
            return self._log_in(now)
        state, found = self._state(), list[Sent]()
        if self._beat_at is None or now - self._beat_at >= timedelta(seconds=HEARTBEAT_S):
            self._beat_at = now
            found.append(self._heartbeat(state))
        fast = state.speed_kmh > SPEED_LIMIT_KMH
        if fast and not self._fast:
            found.append(self._alarm(state, OVERSPEED))
        self._fast = fast
        every = MOVING_S if state.motion else STANDING_S
        if self._place_at is None or now - self._place_at >= timedelta(seconds=every):
            self._place_at = now
            found.append(self._location(state))
        return found

    def heard(self, data: bytes) -> None:
        """The server's bytes, in whatever pieces they come."""
        self._pieces += data
        try:
            while self._pieces and (found := frames.answer(self._pieces)) is not None:
                number, serial, size = found
                self._pieces = self._pieces[size:]
                if number == 0x1A or self._open.pop(serial, None) == number:
                    self.answered += 1
                    self.logged_in = self.logged_in or number == 0x01
                else:
                    self.wrong_answers += 1
        except frames.Wrong:
            self.wrong_answers += 1
            self._pieces = b""

    # --- frames

    def _state(self) -> VehicleState:
        return self.tracker.vehicle.state_at(self.world.now())

    def _next(self, number: int) -> int:
        self.serial = self.serial % 0xFFFF + 1
        self._open[self.serial] = number
        while len(self._open) > 100:
            self._open.pop(next(iter(self._open)))
        return self.serial

    def _clock(self, at: datetime) -> datetime:
        return at + timedelta(minutes=self.tracker.offset_minutes or 0)

    def _log_in(self, now: datetime) -> list[Sent] | None:
        if self._login_at is not None and now - self._login_at < timedelta(seconds=ANSWER_S):
            return []
        if self._tries >= LOGINS:
            return None
        self._login_at, self._tries = now, self._tries + 1
        offset = self.tracker.offset_minutes
        kind = None if offset is None else _DEVICE_KIND
        return [
            Sent("LOGIN", frames.login(self.tracker.imei, self._next(0x01), kind=kind, offset_minutes=offset)),
        ]

    def _location(self, state: VehicleState) -> Sent:
        tracker = self.tracker
        if tracker.speech == "gt02":
            place = frames.place_02(state.at, state.latitude, state.longitude, state.speed_kmh, state.course_deg)
            return Sent("LOCATION", frames.gt02(0x10, tracker.imei, place, self._next(0x10)))
        content = (
            self._place_06(state) + frames.cell(20_000 + tracker.vehicle.traccar_id) + bytes((state.ignition, 0, 0))
        )
        return Sent("LOCATION", frames.gt06(0x22, content, self._next(0x22)))

    def _place_06(self, state: VehicleState) -> bytes:
        return frames.place_06(
            self._clock(state.at),
            state.latitude,
            state.longitude,
            state.speed_kmh,
            state.course_deg,
            satellites=9,
            ignition=state.ignition,
        )

    def _levels(self, state: VehicleState) -> tuple[int, int]:
        """Voltage from 0 to 6, GSM from 0 to 4."""
        return round(state.battery_pct * 6 / 100), 4 - self.tracker.vehicle.traccar_id % 2

    def _heartbeat(self, state: VehicleState) -> Sent:
        voltage, gsm = self._levels(state)
        if self.tracker.speech == "gt02":
            content = bytes((1, 6, 38, 35, 33, 27, 39, 34))
            return Sent(
                "HEARTBEAT",
                frames.gt02(0x1A, self.tracker.imei, content, self._next(0x1A), voltage=voltage, gsm=gsm),
            )
        told = frames.status(ignition=state.ignition, charging=state.ignition, alarm=0, voltage=voltage, gsm=gsm)
        return Sent("HEARTBEAT", frames.gt06(0x13, told + bytes((0, 2)), self._next(0x13)))

    def _alarm(self, state: VehicleState, code: int) -> Sent:
        """GT02 has no alarms: the place has to do."""
        if self.tracker.speech == "gt02":
            return self._location(state)
        voltage, gsm = self._levels(state)
        tower = frames.cell(20_000 + self.tracker.vehicle.traccar_id)
        told = frames.status(ignition=state.ignition, charging=state.ignition, alarm=0, voltage=voltage, gsm=gsm)
        content = self._place_06(state) + bytes((len(tower) + 1,)) + tower + told + bytes((code, 2))
        return Sent("ALARM", frames.gt06(0x16, content, self._next(0x16)))
