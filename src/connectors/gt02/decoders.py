"""The kinds of payload that trackers send, each with its reader."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from connectors.gt02 import answers, deliveries, gt06, mapping
from connectors.gt02.deliveries import GT02_FRAME, GT06_FRAME, LINK
from connectors.gt02.frames import Frame
from connectors.gt02.known import after
from connectors.gt02.report import AccessPoint, Cell, Extra, Report
from connectors.gt02.settings import Tracker
from connectors.kit.errors import BadPayload
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoded, Decoder, Payload
from unified.values import Value


class TrackerLogin(Value, frozen=True, kw_only=True):
    """A GT06 login: who is at the other end, and what it is answered (hexadecimal)."""

    imei: str
    device_type: int | None = None
    utc_offset_minutes: int | None = None
    serial: int
    crc_fits: bool
    answer: str


class TrackerFix(Value, frozen=True, kw_only=True):
    """A place as the device told it, located or not."""

    recorded_at: datetime
    latitude: float
    longitude: float
    altitude_m: float | None = None
    accuracy_m: float | None = None
    speed_kmh: float
    heading_deg: float
    valid: bool


class TrackerFrame(Value, frozen=True, kw_only=True):
    """All that a frame says, in the tracker's own terms. `type` and `answer` are hexadecimal, `crc_fits` is null for
    GT02."""

    protocol: str
    type: str
    serial: int
    crc_fits: bool | None = None
    length_fits: bool
    answer: str | None = None
    imei: str | None = None
    fix: TrackerFix | None = None
    device_time: datetime | None = None
    satellites: int | None = None
    status: int | None = None
    alarms: tuple[str, ...] = ()
    unknown_alarm: int | None = None
    ignition: bool | None = None
    charging: bool | None = None
    blocked: bool | None = None
    armed: bool | None = None
    battery_percent: int | None = None
    battery_volts: float | None = None
    voltage_level: int | None = None
    supply_volts: float | None = None
    gsm_level: int | None = None
    buffered: bool | None = None
    odometer_m: float | None = None
    engine_seconds: int | None = None
    driver: str | None = None
    result: str | None = None
    cells: tuple[Cell, ...] = ()
    access_points: tuple[AccessPoint, ...] = ()
    doubtful: str | None = None
    cut: bool = False
    extras: dict[str, Extra] = {}


def shown(frame: Frame, report: Report | None, now: datetime) -> TrackerFrame:
    """A frame and what it says; nothing more than that it came for one that is only an acknowledgement."""
    reply = answers.answer_to(frame, now)
    said = report or Report(type=frame.type)
    fix = said.fix
    return TrackerFrame(
        protocol=frame.family,
        type=f"0x{frame.type:02x}",
        serial=frame.serial,
        crc_fits=frame.good_crc if frame.family == "gt06" else None,
        length_fits=not frame.ragged,
        answer=reply.hex() if reply else None,
        imei=said.imei,
        fix=None
        if fix is None
        else TrackerFix(
            recorded_at=fix.at,
            latitude=fix.latitude,
            longitude=fix.longitude,
            altitude_m=fix.altitude_m,
            accuracy_m=fix.accuracy_m,
            speed_kmh=fix.speed_kmh,
            heading_deg=fix.course_deg,
            valid=fix.valid,
        ),
        device_time=said.device_time,
        satellites=said.satellites,
        status=said.status,
        alarms=said.alarms,
        unknown_alarm=said.unknown_alarm,
        ignition=said.ignition,
        charging=said.charging,
        blocked=said.blocked,
        armed=said.armed,
        battery_percent=said.battery_percent,
        battery_volts=said.battery_volts,
        voltage_level=said.voltage_level,
        supply_volts=said.supply_volts,
        gsm_level=said.gsm,
        buffered=said.buffered,
        odometer_m=said.odometer_m,
        engine_seconds=said.engine_seconds,
        driver=said.driver,
        result=said.result,
        cells=said.cells,
        access_points=said.access_points,
        doubtful=said.doubtful,
        cut=said.cut,
        extras=said.extras,
    )


def _frames(payload: Payload, origin: Origin) -> Iterable[Decoded]:
    """Each frame, and the vehicle as it is after it, once it is known whose frames they are: by a login among them, by
    a GT02 frame, or by the header `imei`."""
    now = deliveries.received_of(payload, origin.as_of)
    known = deliveries.before_of(payload)
    imei = payload.headers.get(deliveries.IMEI)
    offset = deliveries.number_of(payload, deliveries.OFFSET)
    model = payload.headers.get(deliveries.MODEL)
    for frame in deliveries.frames_of(payload):
        if frame.family == "gt06" and frame.type == gt06.LOGIN and not frame.empty:
            told = gt06.login(frame)
            imei, offset = told.imei, told.offset_minutes
            yield TrackerLogin(
                imei=told.imei,
                device_type=told.device_type,
                utc_offset_minutes=told.offset_minutes,
                serial=frame.serial,
                crc_fits=frame.good_crc,
                answer=answers.answer_to(frame, now).hex(),
            )
            continue
        if frame.empty and frame.family == "gt06":
            yield shown(frame, None, now)
            continue
        report = deliveries.read(frame, None, offset, model)
        imei = report.imei or imei
        yield shown(frame, report, now)
        if imei is not None:
            yield from mapping.happened(imei, known, report, now)
            known = after(known, report, now, good_crc=frame.good_crc)
            yield mapping.vehicle(_tracker(imei, model), known, origin)


def _link(payload: Payload, origin: Origin) -> Iterable[Decoded]:
    state = deliveries.link_of(payload)
    known = mapping.linked(deliveries.before_of(payload), state, deliveries.received_of(payload, origin.as_of))
    return [mapping.vehicle(_tracker(state.imei, None), known, origin)]


def _tracker(imei: str, model: str | None) -> Tracker:
    """What is known of a tracker without the table of them."""
    if not (len(imei) == 15 and imei.isdecimal() and imei.isascii()):
        raise BadPayload("the header `imei` is not 15 digits", path="$.headers.imei")
    return Tracker(imei=imei, model=model)


DECODERS: Final[Sequence[Decoder]] = (
    Decoder(
        name=GT06_FRAME,
        description="Frames that begin with 78 78 or 79 79, as bytes or hexadecimal (headers: imei, model)",
        read=_frames,
        recognises=lambda payload: deliveries.family_of(payload) == GT06_FRAME,
    ),
    Decoder(
        name=GT02_FRAME,
        description="Frames that begin with 68 68, as bytes or hexadecimal",
        read=_frames,
        recognises=lambda payload: deliveries.family_of(payload) == GT02_FRAME,
    ),
    Decoder(
        name=LINK,
        description="A tracker came or went, as the listener noted it",
        read=_link,
        recognises=lambda payload: payload.body.startswith(b'{"imei":'),
    ),
)
