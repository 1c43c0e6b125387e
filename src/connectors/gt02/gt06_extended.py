"""GT06 frames with a length field of two bytes (`79 79`): information, OBD, modules, the serial port."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from connectors.gt02 import codes
from connectors.gt02.gt06_other import TEXT_MOST, Reader, gps_38, long_text, peripherals, states_f1
from connectors.gt02.gt06_reading import Reading
from connectors.gt02.report import Cell, unreadable

_FUEL: Final = re.compile(
    r"!AIOIL,\d{1,3},\d{1,4}\.\d{1,4},(\d{1,4}\.\d{1,4}),[^,]{1,20},\d{3}\d,(\d{1,5}\.\d{1,4}),[01],\d{1,6},[0-9A-Fa-f]{2}"
)
"""Address, output, temperature, version, states, measured level, moving, waves, checksum of an ultrasonic sensor."""
_OBD: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x28: "odometer",
        0x2B: "fuel",
        0x2D: "coolantTemp",
        0x35: "obdSpeed",
        0x36: "rpm",
        0x47: "fuelUsed",
        0x49: "hours",
    }
)
"""Hundredths. Their units differ between cars; they are shown as they come."""


def _information(read: Reading) -> None:
    """Type 94, by sub-type."""
    kind = read.byte()
    said, extras = read.said, read.extras
    if kind == 0x00:
        extras["adc1"] = read.number(2) / 100
    elif kind == 0x04:
        _states(read)
    elif kind == 0x05:
        if read.left >= 7:
            read.device_time()
        flags = read.byte()
        extras["door"], extras["io1"] = flags & 1 != 0, flags & 4 != 0
    elif kind == 0x0A:
        read.skip(16)  # IMEI and IMSI
        extras["iccid"] = read.hex(10).rstrip("f")
    elif kind == 0x0B:
        if read.left == 1:
            extras["networkTechnology"] = "4G" if read.byte() else "2G"
        elif read.left == 2:
            said["supply_volts"] = read.number(2) / 100
    elif kind == 0x0D:
        if read.peek() != 0x21:
            read.skip(6)
        found = _FUEL.fullmatch(read.text(max(read.left, 0)))
        if found is not None:
            extras["temp1"], extras["fuel"] = float(found[1]), float(found[2])
    elif kind == 0x1B:
        if chr(read.peek()).isascii() and chr(read.peek()).isalpha():
            extras["serial"] = read.text(max(read.left, 0)).strip()[:TEXT_MOST]
        else:
            read.skip(2)
            said["driver"] = read.hex(4)
    elif kind == 0x1E:
        extras["temp1"], extras["humidity"] = read.signed(4) / 10, read.signed(4) / 10
    if read.nothing:
        raise unreadable(read.type, f"sub-type {kind:02x} says nothing that is read")


def _states(read: Reading) -> None:
    """`ALM1=45;…;STA1=40;DYD=01;…`, numbers in hexadecimal."""
    for pair in read.text(max(read.left, 0)).split(";"):
        name, _, value = pair.partition("=")
        if name in ("ALM1", "ALM2", "ALM3", "ALM4"):
            name = f"alarm{name[3]}Status"
        else:
            name = {"STA1": "otherStatus", "DYD": "engineStatus"}.get(name, "")
        if name and re.fullmatch(r"[0-9A-Fa-f]{1,8}", value):
            read.extras[name] = int(value, 16)


def _az735(read: Reading) -> None:
    """Types 32 and 33 in extended frames."""
    said = read.said
    at, size = read.moment(read.zone), read.byte()
    if size:
        gps = read.byte()
        latitude, longitude, speed, flags = read.number(4), read.number(4), read.byte(), read.number(2)
        read.place(at, latitude, longitude, flags, speed=speed, satellites=gps & 15)
    else:
        said["device_time"] = at
    read.cell(counted=True)
    if "cells" in said:
        said["gsm"] = read.byte()
    read.skip(read.byte())  # further cells
    read.skip(read.byte())  # access points
    status = read.byte()
    said["status"] = status
    if read.type == 0x33:
        if status in (0xA0, 0xA1):
            said["armed"] = status == 0xA0
        elif (name := {0xA2: "lowBattery", 0xA3: "lowBattery", 0xA4: "general", 0xA5: "door"}.get(status)) is not None:
            read.alarms.append(name)


def _obd(read: Reading) -> None:
    """Type 8c: `28=000000…,…`, numbers in hexadecimal."""
    read.device_time()
    read.said["ignition"] = read.byte() > 0
    for pair in read.text(max(read.left - 12, 0)).split(","):  # a location follows that Traccar does not read either
        name, _, value = pair.partition("=")
        if not re.fullmatch(r"[0-9A-Fa-f]{2,4}", name) or not value:
            continue
        number = int(name[:2], 16)
        if number == 0x4A:
            read.extras["vin"] = value[:32]
        elif number in _OBD and re.fullmatch(r"[0-9A-Fa-f]{1,8}", value):
            read.extras[_OBD[number]] = int(value, 16) / 100


def _modular(read: Reading) -> None:
    """Type 70: modules of two-byte number and two-byte length."""
    said, extras = read.said, read.extras
    while read.left > 0:
        module, size = read.number(2), read.number(2)
        end = read.at + size
        if module == 0x03:
            extras["iccid"] = read.hex(10)
        elif module == 0x09:
            said["satellites"] = read.byte()
        elif module == 0x0A:
            extras["satVisible"] = read.byte()
        elif module == 0x11:
            cell = Cell(read.number(2), read.number(2), read.number(2), read.number(3), -read.byte())
            if cell.cid:
                said["cells"] = (cell,)
        elif module == 0x18:
            said["battery_volts"] = read.number(2) / 100
        elif module == 0x28:
            extras["hdop"] = read.byte() / 10
        elif module == 0x29:
            extras["index"] = read.number(4)
        elif module == 0x2A:
            state = read.byte()
            extras["door"], extras["tamper"] = state & 15 > 0, state >> 4 > 0
        elif module == 0x2B:
            extras["bootReason"] = read.byte()
        elif module == 0x2E:
            said["odometer_m"] = float(read.number(4))
        elif module == 0x33:
            at, satellites, altitude = read.unix(), read.byte(), read.signed(2)
            latitude, longitude, speed, flags = read.number(4), read.number(4), read.byte(), read.number(2)
            read.place(at, latitude, longitude, flags & 0x3FFF, speed=speed, satellites=satellites, altitude=altitude)
        elif module == 0x34:
            event = read.byte()
            extras["event"] = event
            if (name := codes.MODULE_ALARMS.get(event)) is not None:
                read.alarms.append(name)
        elif module == 0x7F:
            extras["tag1Id"], extras["tag1Battery"] = read.hex(6), read.number(2) / 1000
            extras["tag1BatteryLevel"], extras["tag1Temp"] = read.byte(), read.signed(2) / 10
            extras["tag1Humidity"], extras["tag1Status"] = read.signed(2), read.byte()
        read.at = max(end, read.at)


def _serial(read: Reading) -> None:
    """Type 9b: what the device's serial port said."""
    read.skip(1)
    data = read.take(max(read.left, 0))
    text = data.decode("latin-1").strip("\r\n ")
    read.said["result"] = (text if text.isascii() and text.isprintable() else data.hex())[:TEXT_MOST]


EXTENDED: Final[Mapping[int, Reader]] = {
    0x21: long_text,
    0x32: _az735,
    0x33: _az735,
    0x38: gps_38,
    0x70: _modular,
    0x8C: _obd,
    0x94: _information,
    0x9B: _serial,
    0xF1: states_f1,
    0xF2: peripherals,
}
