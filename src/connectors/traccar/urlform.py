"""The URL form of position forwarding (`forward.type = url`): a GET whose parameters the customer names.

The parameters are known by the names of the server's placeholders: `deviceId={deviceId}`, `fixTime={fixTime}` and
so on. Times are Unix milliseconds, speeds knots; `gprmc` is an NMEA sentence that holds place, time and speed.
"""

import functools
import re
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from connectors.kit import decode
from connectors.kit.errors import BadPayload, MappingFailed
from connectors.traccar import mapping, wire

LONGEST: Final = 8192
_PARAMETERS_MOST: Final = 100
_SENTENCE: Final = re.compile(
    r"\$GPRMC,(?P<time>\d{6}(?:\.\d{1,3})?),(?P<valid>[AV]),"
    r"(?P<lat>\d{4}\.\d{1,8}),(?P<ns>[NS]),(?P<lon>\d{5}\.\d{1,8}),(?P<ew>[EW]),"
    r"(?P<speed>\d{0,6}\.?\d{0,4}),(?P<course>\d{0,3}\.?\d{0,4}),(?P<date>\d{6}),[^*]{0,40}\*(?P<sum>[0-9A-F]{2})"
)


class UrlForm(msgspec.Struct, frozen=True, kw_only=True):
    """`device_id` is null where the customer's address does not tell it; the position then holds -1."""

    device_id: int | None = None
    unique_id: str | None = None
    name: str | None = None
    status: str | None = None
    position: wire.Position


def is_url_form(body: bytes) -> bool:
    """Whether it looks like one: an address, or the part of it from `/` or `?` on, with a parameter we know."""
    return body[:1] in (b"h", b"/", b"?") and any(
        name in body[:LONGEST] for name in (b"fixTime=", b"gprmc=", b"latitude=")
    )


def read(body: bytes) -> UrlForm:
    """Raises `BadPayload` and `MappingFailed`; a wrong checksum in `gprmc` is one too."""
    if len(body) > LONGEST:
        raise BadPayload(f"the address is longer than {LONGEST} bytes", path="$")
    try:
        query = body.decode("ascii").strip().partition("?")[2].partition("#")[0]
        given = dict(parse_qsl(query, max_num_fields=_PARAMETERS_MOST))
    except ValueError:
        raise BadPayload("the payload is no address with parameters", path="$") from None
    told = _sentence(given["gprmc"]) if "gprmc" in given else None
    attributes: dict[str, object] = {}
    if given.get("attributes"):
        attributes |= decode.json(given["attributes"].encode(), dict[str, object])
    for name in ("batteryLevel", "charge"):
        if decode.none(given.get(name)) is not None:
            attributes.setdefault(name, given[name])
    device_id = _whole(given, "deviceId")
    latitude, longitude = _number(given, "latitude"), _number(given, "longitude")
    if latitude is None or longitude is None:
        if told is None:
            raise MappingFailed("the address tells no place: it needs latitude and longitude, or gprmc", path="$")
        latitude, longitude = told.latitude, told.longitude
    speed, course = _number(given, "speed"), _number(given, "course")
    position = wire.Position(
        id=_whole(given, "id") or 0,
        device_id=-1 if device_id is None else device_id,
        protocol=given.get("protocol"),
        device_time=_time(given, "deviceTime"),
        fix_time=_time(given, "fixTime") or (told.fix_time if told else None),
        valid=given["valid"] != "false" if "valid" in given else (told.valid if told else True),
        latitude=latitude,
        longitude=longitude,
        altitude=_number(given, "altitude"),
        speed=speed if speed is not None or told is None else told.speed,
        course=course if course is not None or told is None else told.course,
        accuracy=_number(given, "accuracy"),
        attributes=attributes,
    )
    return UrlForm(
        device_id=device_id,
        unique_id=decode.none(given.get("uniqueId")),
        name=decode.none(given.get("name")),
        status=decode.none(given.get("status")),
        position=position,
    )


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    fix_time: str
    valid: bool
    latitude: float
    longitude: float
    speed: float | None
    course: float | None


def _sentence(text: str) -> _Told:
    found = _SENTENCE.fullmatch(text)
    if found is None:
        raise BadPayload("`gprmc` is no GPRMC sentence", path="$.gprmc")
    inner = text[1 : text.rindex("*")]
    if functools.reduce(lambda total, letter: total ^ ord(letter), inner, 0) != int(found["sum"], 16):
        raise BadPayload("the checksum of `gprmc` does not hold", path="$.gprmc")
    try:
        at = datetime.strptime(found["date"] + found["time"][:6], "%d%m%y%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise BadPayload("`gprmc` tells a time that does not exist", path="$.gprmc") from None
    latitude = int(found["lat"][:2]) + float(found["lat"][2:]) / 60
    longitude = int(found["lon"][:3]) + float(found["lon"][3:]) / 60
    return _Told(
        fix_time=at.isoformat(),
        valid=found["valid"] == "A",
        latitude=-latitude if found["ns"] == "S" else latitude,
        longitude=-longitude if found["ew"] == "W" else longitude,
        speed=float(found["speed"]) if found["speed"].strip(".") else None,
        course=float(found["course"]) if found["course"].strip(".") else None,
    )


def _number(given: dict[str, str], name: str) -> float | None:
    if decode.none(given.get(name)) is None:
        return None
    found = mapping.number(given, name)
    if found is None:
        raise MappingFailed(f"`{name}` is no number", path=f"$.{name}")
    return found


def _whole(given: dict[str, str], name: str) -> int | None:
    text = decode.none(given.get(name))
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise MappingFailed(f"`{name}` is no id", path=f"$.{name}")
    return int(text)


def _time(given: dict[str, str], name: str) -> str | None:
    text = decode.none(given.get(name))
    return None if text is None else mapping.milliseconds(text, path=f"$.{name}")
