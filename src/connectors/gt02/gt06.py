"""GT06: what frames of `78 78` and `79 79` say. Pure: a frame in, a report out.

One type number means different things on different models: the length field and, where that does not tell either, the
configured model decide (`codes`). Types of location, cell and status are read here, all others in `gt06_other`.
"""

from datetime import UTC, tzinfo
from functools import cache
from typing import Final

import msgspec

from connectors.gt02 import gt06_extended, gt06_other
from connectors.gt02.codes import Model, Variant, model_of, variant_of
from connectors.gt02.frames import Frame
from connectors.gt02.gt06_common import COMMON
from connectors.gt02.gt06_reading import Reading
from connectors.gt02.report import CutShort, Login, Report, unreadable

LOGIN: Final = 0x01
_LOCATED: Final = frozenset(
    {0x10, 0x11, 0x12, 0x16, 0x17, 0x1A, 0x1E, 0x22, 0x25, 0x26, 0x27, 0x2D, 0x31, 0x32, 0x37, 0x39, 0xA0, 0xA2, 0xA3,
     0xA4}
)  # fmt: skip
_WITH_CELL: Final = (_LOCATED - {0x10, 0x1A, 0x1E}) | {0x19, 0xA5, 0xA7}
_WITH_STATUS: Final = frozenset({0x13, 0x16, 0x19, 0x26, 0x27, 0x32, 0x36, 0x39, 0xA2, 0xA4, 0xA5})
_UNCOUNTED: Final = frozenset({0x19, 0xA5, 0x39, 0xA2})
"""Types with a status whose cell has no count before it."""
_LANGUAGE: Final = frozenset({0x27, 0x36, 0x39, 0xA2, 0xA4})
_UPLOAD: Final = frozenset({0x22, 0x37, 0x2D, 0x31})
"""Types that end with ACC, reason of the upload, re-uploaded."""


class _Layout(msgspec.Struct, frozen=True, gc=False):
    located: bool
    cell: bool
    counted: bool
    status: bool
    nt: bool
    """The long form of 22 and 25 that the NT models send."""
    plain: bool
    """Nothing of it depends on model or variant, and nothing follows."""


@cache
def _layout(type_: int, variant: Variant, model: Model) -> _Layout:
    is_state = type_ == 0xA3 and variant is Variant.SEEWORLD
    nt = model is Model.NT and type_ in (0x22, 0x25)
    status = type_ in _WITH_STATUS or is_state or nt
    vxt = type_ == 0x16 and variant is Variant.VXT01
    return _Layout(
        located=type_ in _LOCATED and not is_state,
        cell=type_ in _WITH_CELL and not is_state,
        counted=status and type_ not in _UNCOUNTED and not vxt,
        status=status,
        nt=nt,
        plain=variant is Variant.STANDARD and model is Model.STANDARD and type_ in (0x10, 0x11, 0x12, 0x13, 0x16, 0x26),
    )


def speaks(frame: Frame) -> bool:
    """Whether a frame of this type has something to say that is read here."""
    if frame.extended:
        return frame.type in gt06_extended.EXTENDED
    if frame.type == 0x19:
        return variant_of(frame.raw) is not Variant.MANY_CELLS
    return frame.type in gt06_other.PLAIN or _general(frame.type)


@cache
def _general(type_: int) -> bool:
    return type_ in _LOCATED or type_ in _WITH_CELL or type_ in _WITH_STATUS


def login(frame: Frame) -> Login:
    """Raises `BadPayload`."""
    read = Reading(frame, UTC, Model.STANDARD, Variant.STANDARD)
    try:
        imei = read.hex(8)[1:]
        device_type = read.number(2) if read.left >= 2 else None
        offset = _offset(read.number(2)) if read.left >= 2 else None
    except CutShort:
        raise unreadable(frame.type, "a login without an IMEI") from None
    if not imei.isdecimal():
        raise unreadable(frame.type, "the IMEI holds more than digits")
    return Login(imei, device_type, offset)


def _offset(extension: int) -> int:
    """Upper 12 bits: hours and minutes as HHMM; bit 3: west of Greenwich."""
    hours, minutes = divmod(extension >> 4, 100)
    east = hours * 60 + minutes
    return -east if extension & 8 else east


def read(frame: Frame, zone: tzinfo = UTC, model: str | None = None) -> Report:
    """What the frame says, its times taken as those of `zone`. Raises `BadPayload` when it says nothing."""
    if model is None and not frame.ragged:
        raw = frame.raw
        common = COMMON.get(raw[:4])
        if common is not None and (report := common(raw, zone)) is not None:
            return report
    return read_any(frame, zone, model)


def read_any(frame: Frame, zone: tzinfo = UTC, model: str | None = None) -> Report:
    """As `read`, without its short cut."""
    family = model_of(model)
    variant = Variant.STANDARD if frame.extended else variant_of(frame.raw)
    reading = Reading(frame, zone, family, variant)
    reader = _reader(frame, variant)
    try:
        if reader is not None:
            reader(reading)
        elif not frame.extended and _general(frame.type):
            _standard(reading, _layout(frame.type, variant, family))
        else:
            raise unreadable(frame.type, "of no type that is read")
    except CutShort:
        if reading.nothing:
            raise unreadable(frame.type, "ends before its content") from None
        reading.said["cut"] = True
    return reading.report()


def _reader(frame: Frame, variant: Variant) -> gt06_other.Reader | None:
    """Who reads the frame; null for the standard family of location, cell and status."""
    if frame.extended:
        return gt06_extended.EXTENDED.get(frame.type)
    if variant is not Variant.STANDARD and (frame.type, variant) in gt06_other.BY_VARIANT:
        return gt06_other.BY_VARIANT[frame.type, variant]
    if frame.type == 0x13 and frame.end - frame.content == gt06_other.LONG_STATUS:
        return gt06_other.status_long
    return gt06_other.PLAIN.get(frame.type)


def _standard(read: Reading, layout: _Layout) -> None:
    type_ = read.type
    if type_ == 0x19 and read.variant is Variant.MANY_CELLS:
        raise unreadable(type_, "a list of cells that no document describes")
    if type_ == 0x12 and read.model is Model.QH302R:
        read.skip(8)  # its IMEI again
    if layout.nt:
        read.skip(9)  # where the location comes from, and its IMEI again
        read.device_time()
    if layout.located:
        read.location()
    if layout.cell and read.left > 0:
        read.cell(counted=layout.counted)
    if layout.status:
        _status(read, layout)
    if layout.plain and read.left <= 0:
        return
    if type_ in _LANGUAGE or layout.nt:
        read.skip(1)
    if type_ == 0x16 and read.variant is Variant.TRX16:
        read.skip(1)
        read.driver(8)
    _tail(read, layout)


def _status(read: Reading, layout: _Layout) -> None:
    """Terminal information, voltage, GSM level, alarm; other forms of it."""
    type_, said, variant = read.type, read.said, read.variant
    if type_ == 0xA2:
        read.skip(1)  # kind of network
    read.terminal()
    if variant is Variant.OBD:
        signal = read.number(2)
        said.update(satellites=(signal >> 10 & 31) + (signal >> 5 & 31), gsm=signal & 31)
        read.alarm(read.byte())
        read.skip(1)
        said["battery_percent"] = read.byte()
        mode = read.byte()
        said["supply_volts"] = read.number(2) / 100
        read.skip(3)
        if mode == 4:
            read.extras["temp1"] = read.signed(2) / 10
        return
    if variant is Variant.SEEWORLD and type_ == 0xA3 and read.length == 0x18:
        read.skip(3)
        said.update(gsm=read.byte(), supply_volts=float(read.byte()))
        read.skip(3)
        read.extras["steps"] = read.number(4)
        said.update(battery_percent=read.byte(), charging=read.byte() == 1)
        read.extras["motion"] = read.byte() == 1
        return
    if type_ == 0xA2 or layout.nt:
        said["supply_volts"] = read.number(2) / 100
    if type_ == 0x13 and read.model is Model.R11:
        said["supply_volts"] = read.number(2) / 100
    elif layout.nt:
        said["battery_volts"] = read.byte() / 10
    else:
        read.battery(read.byte())
    said["gsm"] = read.byte()
    if type_ == 0x13 and read.model is Model.LW:
        said["supply_volts"] = (read.number(2) & 0xFFF) / 10
        return
    code = read.byte()
    if type_ in (0x27, 0xA4, 0x39) and read.at < read.limit:
        code += (read.peek() >> 4) << 8  # the language byte holds the rest of long codes
    if type_ == 0x13 and read.model is Model.SEEWORLD:
        said["supply_volts"] = float(code)
    elif variant is not Variant.VXT01:
        read.alarm(code)
        if variant is Variant.TRX16:
            read.extras["event"] = code


def _tail(read: Reading, layout: _Layout) -> None:
    """What follows location, cell and status."""
    type_, said, extras, variant = read.type, read.said, read.extras, read.variant
    if type_ in (0x36, 0x39):
        read.modules()
    elif type_ == 0xA2:
        said.update(odometer_m=float(read.number(4)), engine_seconds=read.number(4))
        read.skip(8)  # its id again
        extras["input"] = read.number(2)
    elif type_ == 0x12:
        _tail_12(read)
    elif type_ == 0x22 and variant is Variant.SEEWORLD:
        said["ignition"] = read.byte() > 0
        read.skip(2)
        said["odometer_m"] = float(read.number(4))
        read.skip(4)
        raw = read.number(2)
        extras["temp1"] = (-(raw & 0x7FFF) if raw & 0x8000 else raw) / 100
        extras["humidity"] = read.number(2) / 100
    elif type_ == 0x32 and variant is Variant.SL4X:
        if read.left >= 3:
            read.skip(1)
            read.amend(altitude_m=float(read.signed(2)))
    elif type_ in _UPLOAD and read.left >= 3 and not layout.nt:
        said["ignition"] = read.byte() > 0
        extras["event"] = read.byte()
        said["buffered"] = read.byte() > 0
        if variant is Variant.SL4X:
            if read.left > 2:
                said["odometer_m"] = float(read.number(4))
            read.amend(altitude_m=float(read.signed(2)))
        if type_ == 0x37:
            read.modules()
    elif type_ == 0x17:
        read.said["driver"] = read.hex(8)
        read.skip(1)
    if layout.nt:
        said.update(odometer_m=float(read.number(3)), engine_seconds=read.number(3) * 60)
        if type_ == 0x25 and (size := read.byte()):
            read.skip(1)
            said["driver"] = read.hex(size - 1)
    if read.left in (3, 7):
        said["ignition"] = read.byte() > 0
        read.skip(1)
        said["buffered"] = True if read.byte() > 0 else None
    if read.left == 4:
        said["odometer_m"] = float(read.number(4))
    if type_ in (0x27, 0xA4) and read.left > 0:
        extras["geofence"] = read.byte()


def _tail_12(read: Reading) -> None:
    said, extras, variant = read.said, read.extras, read.variant
    if variant is Variant.CARD:
        said["odometer_m"] = float(read.number(4))
        card = read.text(read.byte())
        read.skip(2)
        extras["card"] = card.strip()
    elif variant is Variant.BENWAY:
        mask = read.number(2)
        said["ignition"] = bool(mask & 0x8000)
        extras["in2"] = bool(mask & 0x4000)
        if mask & 0x1000:
            value = mask & 0x1FF
            extras["temp1"] = -value if mask & 0x200 else value
        else:
            value = mask & 0x3FF
            extras["adc1"] = value if mask & 0x2000 else value / 10
    elif variant in (Variant.VXT01, Variant.S5):
        read.terminal()
        said.update(supply_volts=read.number(2) / 100, gsm=read.byte())
        code = read.byte()
        if variant is Variant.S5:
            read.alarm(code)
            extras["oil"] = read.number(2)
            value = read.byte()
            extras["temp1"] = -(value & 0x7F) if value & 0x80 else value
            said["odometer_m"] = read.number(4) * 10.0
    elif variant is Variant.WETRUST:
        said["odometer_m"] = float(read.number(4))
        extras["card"] = read.text(read.byte())
        if read.byte():
            read.alarms.append("general")
        extras["cardStatus"] = read.byte()
        extras["drivingTime"] = read.number(2)
