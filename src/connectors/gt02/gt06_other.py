"""GT06 frames beside location, cell and status: Wi-Fi, neighbouring cells, texts, OBD, modules, peripherals."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Final

from connectors.gt02 import codes
from connectors.gt02.codes import Variant
from connectors.gt02.gt06_reading import Reading
from connectors.gt02.report import AccessPoint, Cell, Fix, moment

Reader = Callable[[Reading], None]

TEXT_MOST: Final = 1_000
_CURRENT: Final = re.compile(
    r"Current position!Lat:([NS])(\d{1,2}\.\d{1,8}),Lon:([EW])(\d{1,3}\.\d{1,8}),Course:(\d{1,3}\.\d{1,4}),"
    r"Speed:(\d{1,3}\.\d{1,4}),DateTime:(\d{4})-(\d\d)-(\d\d) {1,3}(\d\d):(\d\d):(\d\d)"
)


def _bcd_time(read: Reading) -> None:
    digits = read.hex(6)
    if digits.isdecimal():
        parts = [int(digits[place : place + 2]) for place in range(0, 12, 2)]
        read.said["device_time"] = moment(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], UTC)
    else:
        read.said["doubtful"] = "time"


def _mac(read: Reading) -> str:
    return read.take(6).hex(":")


def _wifi(read: Reading) -> None:
    """Types 17, 69 and f3. In the first two the length byte is the number of access points, and there is no CRC."""
    _bcd_time(read)
    if read.type == 0xF3:
        heard = []
        for _ in range(read.byte()):
            read.skip(2)
            heard.append(AccessPoint(_mac(read)))
        read.said["access_points"] = tuple(heard)
        return
    read.said["access_points"] = tuple(AccessPoint(_mac(read), -read.byte()) for _ in range(read.length))
    count, mcc, mnc = read.byte(), read.number(2), read.byte()
    cells = [Cell(mcc, mnc, read.number(2), read.number(2), -read.byte()) for _ in range(count)]
    read.said["cells"] = tuple(dict.fromkeys(cells))


def _neighbours(read: Reading) -> None:
    """Types 18, 24, 28, 2c, 2e, 33, 34, a1, a2, a9: the cells and access points that the device hears."""
    type_, variant = read.type, read.variant
    read.device_time()
    advance_first = variant in (Variant.WANWAY, Variant.SL4X)
    if advance_first:
        read.skip(1)  # timing advance
    mcc = read.number(2)
    mnc = read.number(2) if mcc & 0x8000 or variant is Variant.SL4X else read.byte()
    wide = type_ in (0xA1, 0xA2) or (type_ == 0xA9 and read.byte() > 0)
    told = variant is Variant.WANWAY or type_ == 0xA9
    count = read.byte() if told else 6 if type_ == 0x33 else 7
    lac_size, cid_size = (4, 8) if wide else (2, 4) if type_ in (0x33, 0x34) else (2, 3)
    cells: list[Cell] = []
    for _ in range(count):
        lac, cid, rssi = read.number(lac_size), read.number(cid_size), -read.byte()
        if lac:
            cells.append(Cell(mcc & 0x7FFF, mnc, lac, cid, rssi))
    read.said["cells"] = tuple(dict.fromkeys(cells))
    if not advance_first:
        read.skip(1)
    if type_ in (0x18, 0x2C, 0x33, 0xA2, 0xA9):
        heard = [AccessPoint(_mac(read), -read.byte()) for _ in range(read.byte())]
        read.said["access_points"] = tuple(dict.fromkeys(heard))
    if type_ == 0xA9:
        code, language = read.byte(), read.byte()
        read.alarm((language >> 4) << 8 | code)


def _heartbeat_23(read: Reading) -> None:
    status = read.byte()
    read.said.update(armed=status & 1 != 0, ignition=status & 2 != 0, charging=status & 4 != 0)
    if read.left >= 2:
        read.said["battery_volts"] = read.number(2) / 100
    if read.left >= 1:
        read.said["gsm"] = read.byte()


def status_long(read: Reading) -> None:
    """Type 13 of sixteen bytes."""
    read.skip(5)
    read.said["battery_percent"] = read.byte()
    read.skip(8)
    raw = read.number(2)
    read.extras["temp1"] = (raw & 0x7FFF) / 10 * (1 if raw & 0x8000 else -1)


def _x1(read: Reading) -> None:
    """Type 34."""
    said, extras = read.said, read.extras
    read.skip(4)
    read.location()
    read.skip(2)
    said["odometer_m"] = float(read.number(4))
    said["cells"] = (Cell(read.number(2), read.byte(), read.number(2), read.number(4)),)
    driver = read.number(4)
    if driver:
        said["driver"] = str(driver)
    said.update(battery_volts=read.number(2) / 100, supply_volts=read.number(2) / 100)
    ports = read.number(4)
    extras["input"], extras["output"] = read.byte(), read.byte()
    for port in range(1, (ports >> 20 & 15) + 1):
        extras[f"adc{port}"] = read.number(2) / 100


def _voltage_94(read: Reading) -> None:
    read.said["supply_volts"] = read.signed(2) / 100


def _sr411(read: Reading) -> None:
    read.location()
    read.cell(counted=False)
    read.said.update(ignition=read.byte() > 0, supply_volts=read.number(2) / 100, battery_volts=read.number(2) / 100)


def _clock(read: Reading) -> None:
    """Type b2: a Bluetooth tag was seen."""
    read.device_time()
    read.said["gsm"] = read.signed(1)
    extras = read.extras
    extras["tagMac"], extras["tagUuid"] = read.hex(6), read.hex(16)
    extras["tagMajor"], extras["tagMinor"] = read.number(2), read.number(2)
    extras["tagBattery"] = read.number(2) / 100
    extras["clock"] = read.byte() >> 2 & 15


def _text(read: Reading) -> None:
    """Type 15: four bytes that the server sent along, then text."""
    size = read.byte()
    if size <= 4:
        read.said["cells"] = ()  # an empty answer is one, too
        return
    read.skip(4)
    text = read.text(size - 4)
    if text.startswith("<ICCID:"):
        read.extras["iccid"] = text[7:27]
    else:
        read.said["result"] = text[:TEXT_MOST]


def long_text(read: Reading) -> None:
    """Type 21: encoding 1 is ASCII, others UTF-16. Some answer a question for their place."""
    read.skip(4)
    ascii_ = read.byte() == 1
    text = read.take(max(read.left, 0)).decode("ascii" if ascii_ else "utf-16-be", "replace")
    found = _CURRENT.fullmatch(text)
    if found is None:
        read.said["result"] = text[:TEXT_MOST]
        return
    year, month, day, hour, minute, second = (int(found[place]) for place in range(7, 13))
    at = moment(year - 2000, month, day, hour, minute, second, UTC) if year >= 2000 else None
    if at is None:
        read.said["doubtful"] = "time"
        return
    latitude, longitude = float(found[2]), float(found[4])
    if latitude > 90 or longitude > 180:
        read.said["doubtful"] = "latitude" if latitude > 90 else "longitude"
        return
    read.said["fix"] = Fix(
        at,
        latitude if found[1] == "N" else -latitude,
        longitude if found[3] == "E" else -longitude,
        float(found[6]),
        float(found[5]),
        True,
    )


def _bms(read: Reading) -> None:
    """Type 40: an electric vehicle's battery."""
    said, extras = read.said, read.extras
    read.skip(8)
    said["device_time"] = read.unix()
    extras["relativeCapacity"], extras["remainingCapacity"] = read.byte(), read.number(2)
    extras["absoluteCapacity"], extras["fullCapacity"] = read.byte(), read.number(2)
    extras["batteryHealth"] = read.byte()
    extras["batteryTemp"] = round(read.number(2) / 10 - 273.1, 1)
    extras["current"] = read.number(2)
    said["battery_volts"] = read.number(2) / 1000
    extras["cycleIndex"] = read.number(2)
    for cell in range(1, 15):
        extras[f"batteryCell{cell}"] = read.number(2) / 1000


def _button(read: Reading) -> None:
    """Type 61: a driver's iButton."""
    read.skip(8)
    read.location()
    read.cell(counted=False)
    read.said["driver"] = str(read.number(6))


def _card_reader(read: Reading) -> None:
    """Type 36 of the TRX16."""
    read.location()
    read.cell(counted=False)
    said = read.said
    said["ignition"] = read.byte() > 0
    read.extras["uploadMode"] = read.byte()
    said["buffered"] = read.byte() > 0
    said["odometer_m"] = float(read.number(4))
    said.update(supply_volts=read.number(2) / 100, battery_volts=read.byte() / 10)
    said["engine_seconds"] = read.number(3) * 60
    read.driver(8)


def _camera(read: Reading) -> None:
    """Type 95: an event of a dashboard camera, with the names of its recordings."""
    said, extras = read.said, read.extras
    located = read.left > 9
    if read.variant is Variant.JC400:
        read.skip(3)
        at, gps = read.moment(read.zone), read.byte()
        latitude, longitude, flags, speed = read.number(4), read.number(4), read.number(2), read.number(2)
        read.place(at, latitude, longitude, flags, speed=speed, satellites=gps & 15)
        said["supply_volts"] = read.number(2) / 10
    elif located:
        at = read.moment(read.zone)
        read.place(at, read.number(4), read.number(4), read.number(2))
    else:
        read.device_time()
    event = read.byte()
    extras["event"] = event
    if read.left >= 2:
        extras["eventData"] = read.number(2)
    name = codes.CAMERA_ALARMS.get(event)
    if event == 0x01 and not located:
        name = "general"
    if name is not None:
        read.alarms.append(name)
    if read.left > 0:
        extras["eventFiles"] = read.text(read.left)[:TEXT_MOST]


def gps_38(read: Reading) -> None:
    read.location()
    read.skip(1)
    if read.byte():
        read.said["buffered"] = True
    read.cell(counted=False)


def states_f1(read: Reading) -> None:
    """Type f1: states of two-byte number and one-byte length."""
    said, extras = read.said, read.extras
    said["device_time"] = read.unix()
    while read.left > 0:
        number, size = read.number(2), read.byte()
        end = read.at + size
        if number == 0x01:
            extras["motion"] = read.byte() in (0x02, 0x04)
        elif number == 0x02:
            said["armed"] = read.byte() > 0
        elif number == 0x04:
            said["ignition"] = read.byte() > 0
        elif number == 0x05:
            said["supply_volts"] = read.number(2) / 100
        elif number == 0x07:
            said["charging"] = read.byte() > 0
        elif number == 0x0A:
            extras["chargeVoltage"] = read.number(2)
        elif number == 0x0B:
            extras["batteryTemp"] = read.number(2) / 10
        read.at = max(end, read.at)


def peripherals(read: Reading) -> None:
    """Type f2: as f1, but three kinds of length."""
    extras = read.extras
    read.said["device_time"] = read.unix()
    while read.left > 0:
        number = read.number(2)
        if number == 0x0A:
            size = read.number(2)
            end = read.at + size
            read.skip(1)
            extras["mac"] = read.hex(6)
            event, data = read.byte(), read.byte()
            extras["event"] = event
            if event:
                extras["eventData"] = data
            extras["dataType"] = read.byte()
            extras["dataDetails"] = read.hex(max(size - 10, 0))
            read.at = max(end, read.at)
            continue
        size = read.byte() or read.byte()
        end = read.at + size
        if number == 0x0C:
            extras["externalBatteryLevel"] = read.byte()
            if read.byte():
                extras["externalBatteryCharge"] = True
            extras["externalBatteryCycles"] = read.number(2)
        read.at = max(end, read.at)


PLAIN: Final[Mapping[int, Reader]] = {
    0x15: _text,
    0x17: _wifi,
    0x18: _neighbours,
    0x21: long_text,
    0x23: _heartbeat_23,
    0x24: _neighbours,
    0x28: _neighbours,
    0x2C: _neighbours,
    0x2E: _neighbours,
    0x33: _neighbours,
    0x34: _x1,
    0x38: gps_38,
    0x40: _bms,
    0x61: _button,
    0x69: _wifi,
    0x94: _voltage_94,
    0x95: _camera,
    0xA1: _neighbours,
    0xA2: _neighbours,
    0xA9: _neighbours,
    0xB2: _clock,
    0xF1: states_f1,
    0xF2: peripherals,
    0xF3: _wifi,
}
BY_VARIANT: Final[Mapping[tuple[int, Variant], Reader | None]] = {
    (0x17, Variant.RFID): None,
    (0x24, Variant.SR411): _sr411,
    (0x34, Variant.SL4X): _neighbours,
    (0x36, Variant.TRX16): _card_reader,
    (0xA2, Variant.LW4G): None,
}
"""Null: it is one of the standard family after all."""
LONG_STATUS: Final = 16
