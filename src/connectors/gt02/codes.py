"""Codes of GT06 frames: alarms, and which layout a frame has where one type number means several things.

Alarm names are those that Traccar gives them: a fleet that came from there finds its words again.
"""

from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Final

STATUS_ALARMS: Final[Mapping[int, str]] = {
    1: "vibration",
    2: "powerCut",
    3: "lowBattery",
    4: "sos",
    6: "geofence",
    7: "removing",
}
"""Bits 3 to 5 of the terminal information."""

ALARMS: Final[Mapping[int, str]] = {
    0x01: "sos",
    0x02: "powerCut",
    0x03: "vibration",
    0x04: "geofenceEnter",
    0x05: "geofenceExit",
    0x06: "overspeed",
    0x09: "vibration",
    0x0C: "tampering",
    0x0E: "lowBattery",
    0x0F: "lowBattery",
    0x11: "powerOff",
    0x13: "tampering",
    0x14: "door",
    0x18: "removing",
    0x19: "lowBattery",
    0x1A: "hardBraking",
    0x1B: "hardCornering",
    0x23: "fallDown",
    0x25: "tampering",
    0x26: "hardAcceleration",
    0x27: "hardBraking",
    0x28: "hardBraking",
    0x29: "hardAcceleration",
    0x2A: "hardCornering",
    0x2B: "hardCornering",
    0x2C: "accident",
    0x2E: "hardCornering",
    0x30: "jamming",
    0x32: "tampering",
    0x33: "lock",
    0x34: "unlock",
    0x53: "fuelLeak",
    0x5B: "temperature",
    0x5C: "temperature",
    0xC9: "idle",
    0xF0: "hardAcceleration",
    0xF1: "hardBraking",
    0xF2: "accident",
    0x0107: "jamming",
    0x010B: "jamming",
}
"""The alarm byte of alarm frames and heartbeats. Two-byte codes are of the 4G models."""

CAMERA_ALARMS: Final[Mapping[int, str]] = {
    0x01: "sos",
    0x0E: "lowPower",
    0x76: "temperature",
    0x80: "vibration",
    0x87: "overspeed",
    0x88: "powerCut",
    0x90: "hardAcceleration",
    0x91: "hardBraking",
    0x92: "hardCornering",
    0x93: "accident",
}
"""Events of dashboard cameras (type 95)."""

MODULE_ALARMS: Final[Mapping[int, str]] = {
    0x10: "door",
    0x12: "removing",
    0x14: "geofenceEnter",
    0x15: "geofenceExit",
    0x16: "temperature",
    0x1A: "lowBattery",
    0x1B: "overspeed",
    0x1C: "powerOn",
    0x1D: "powerOff",
    0x20: "vibration",
    0x21: "powerCut",
    0x23: "tampering",
}
"""Events of modular frames (type 70)."""


class Model(Enum):
    """Families of models whose frames differ although their types and lengths do not."""

    STANDARD = "standard"
    LW = "LW"
    SEEWORLD = "SEEWORLD"
    NT = "NT"
    VL = "VL"
    R11 = "R11"
    QH302R = "QH302R"


_NT: Final = frozenset({"NT11", "NT20", "NT26", "NT40", "NT46", "VL100", "XT40"})
_VL: Final = frozenset({"VL103", "LL303", "VL512", "G18"})


@cache
def _model(name: str) -> Model:
    if name.startswith("LW"):
        return Model.LW
    if name in _NT:
        return Model.NT
    if name in _VL:
        return Model.VL
    return Model.__members__.get(name, Model.STANDARD) if name in ("SEEWORLD", "R11", "QH302R") else Model.STANDARD


def model_of(name: str | None) -> Model:
    """The family of a configured model name; standard for all that are not special."""
    return _model(name[:20].strip().upper()) if name else Model.STANDARD


MODEL_ALARMS: Final[Mapping[Model, Mapping[int, str]]] = {
    Model.LW: {0x18: "accident", 0x19: "hardAcceleration"},
    Model.SEEWORLD: {0x28: "hardCornering", 0x29: "accident"},
    Model.VL: {0x09: "tow", 0x28: "powerOff", 0x30: "hardBraking"},
}


class Variant(Enum):
    """Layouts that are told by a frame's length (the first of the types that have it is in the comment)."""

    STANDARD = "standard"
    VXT01 = "VXT01"  # 12
    WANWAY = "Wanway S20"  # 24
    SR411 = "SR411 mini"  # 24
    CARD = "GT06E with card reader"  # 12
    BENWAY = "Benway"  # 12
    S5 = "S5"  # 12
    MANY_CELLS = "Space10X"  # 19
    OBD = "OBD6"  # 13
    WETRUST = "WeTrust"  # 12
    JC400 = "JC400"  # 95
    SL4X = "SL4X"  # 31
    SEEWORLD = "SEEWORLD"  # 16
    RFID = "RFID reader"  # 17
    LW4G = "LW 4G"  # a2
    TRX16 = "TRX16i"  # 36


_BY_LENGTH: Final[Mapping[tuple[int, int], Variant]] = {
    (0x12, 0x24): Variant.VXT01,
    (0x16, 0x24): Variant.VXT01,
    (0x24, 0x31): Variant.WANWAY,
    (0x24, 0x2E): Variant.SR411,
    (0x12, 0x21): Variant.BENWAY,
    (0x12, 0x2B): Variant.S5,
    (0x13, 0x13): Variant.OBD,
    (0x12, 0x29): Variant.WETRUST,
    (0x34, 0x37): Variant.SL4X,
    (0x31, 0x2A): Variant.SL4X,
    (0x32, 0x27): Variant.SL4X,
    (0x32, 0x29): Variant.SL4X,
    (0x22, 0x2F): Variant.SEEWORLD,
    (0x16, 0x26): Variant.SEEWORLD,
    (0xA3, 0x0C): Variant.SEEWORLD,
    (0xA3, 0x18): Variant.SEEWORLD,
    (0x17, 0x28): Variant.RFID,
    (0xA2, 0x40): Variant.LW4G,
    (0x36, 0x35): Variant.TRX16,
    (0x16, 0x2D): Variant.TRX16,
}
_LONG: Final[Mapping[int, tuple[int, Variant]]] = {0x12: (0x71, Variant.CARD), 0x19: (0x17, Variant.MANY_CELLS)}
_CAMERA: Final = b"\xff\xff"


def variant_of(raw: bytes) -> Variant:
    """The layout of a frame with a one-byte length field; extended frames have one layout per type."""
    type_, length = raw[3], raw[2]
    found = _BY_LENGTH.get((type_, length))
    if found is not None:
        return found
    if type_ == 0x95 and raw[4:6] == _CAMERA:
        return Variant.JC400
    long = _LONG.get(type_)
    return long[1] if long is not None and length >= long[0] else Variant.STANDARD


VARIANT_ALARMS: Final[Mapping[Variant, Mapping[int, str]]] = {
    Variant.TRX16: {0x09: "geofence", 0x0E: "lowPower"},
}


def alarm(code: int, model: Model, variant: Variant) -> str | None:
    """The name of an alarm code; null for "normal" and for what is unknown."""
    if variant is Variant.TRX16 and (found := VARIANT_ALARMS[variant].get(code)) is not None:
        return found
    if model is not Model.STANDARD and (found := MODEL_ALARMS.get(model, {}).get(code)) is not None:
        return found
    return ALARMS.get(code)
