"""TAK protocol version 1: protobuf messages in frames, read into the same events as the XML.

The messages are described here in code and built by the protobuf runtime in a pool of their own, so that they
never clash with another library's copy of the same names.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from connectors.c4isr.cot import MAX_EVENT, Event, Node, finite, fragment, metres
from connectors.kit.errors import BadPayload, MappingFailed

MAGIC = 0xBF
PACKAGE = "atakmap.commoncommo.protobuf.v1"

_Type = descriptor_pb2.FieldDescriptorProto
_TEXT, _DOUBLE, _UINT32, _UINT64, _MESSAGE = (
    _Type.TYPE_STRING,
    _Type.TYPE_DOUBLE,
    _Type.TYPE_UINT32,
    _Type.TYPE_UINT64,
    _Type.TYPE_MESSAGE,
)
_MESSAGES: dict[str, tuple[tuple[str, Any], ...]] = {
    # fields in the order of their numbers, from 1; a text as type names a message
    "TakControl": (("minProtoVersion", _UINT32), ("maxProtoVersion", _UINT32), ("contactUid", _TEXT)),
    "Contact": (("endpoint", _TEXT), ("callsign", _TEXT)),
    "Group": (("name", _TEXT), ("role", _TEXT)),
    "PrecisionLocation": (("geopointsrc", _TEXT), ("altsrc", _TEXT)),
    "Status": (("battery", _UINT32),),
    "Takv": (("device", _TEXT), ("platform", _TEXT), ("os", _TEXT), ("version", _TEXT)),
    "Track": (("speed", _DOUBLE), ("course", _DOUBLE)),
    "Detail": (
        ("xmlDetail", _TEXT),
        ("contact", "Contact"),
        ("group", "Group"),
        ("precisionLocation", "PrecisionLocation"),
        ("status", "Status"),
        ("takv", "Takv"),
        ("track", "Track"),
    ),
    "CotEvent": (
        ("type", _TEXT),
        ("access", _TEXT),
        ("qos", _TEXT),
        ("opex", _TEXT),
        ("uid", _TEXT),
        ("sendTime", _UINT64),
        ("startTime", _UINT64),
        ("staleTime", _UINT64),
        ("how", _TEXT),
        ("lat", _DOUBLE),
        ("lon", _DOUBLE),
        ("hae", _DOUBLE),
        ("ce", _DOUBLE),
        ("le", _DOUBLE),
        ("detail", "Detail"),
    ),
    "TakMessage": (("takControl", "TakControl"), ("cotEvent", "CotEvent")),
}
_ELEMENTS = {
    "contact": "contact",
    "group": "__group",
    "precisionLocation": "precisionlocation",
    "status": "status",
    "takv": "takv",
    "track": "track",
}
"""Typed field of a detail → the XML element that it stands for."""


@cache
def message_class() -> type[Message]:
    """The class of `TakMessage`; built on first use."""
    file = descriptor_pb2.FileDescriptorProto(name="crossdock/tak.proto", package=PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields, start=1):
            made = message.field.add(name=field, number=number, label=_Type.LABEL_OPTIONAL)
            if isinstance(kind, str):
                made.type, made.type_name = _MESSAGE, f".{PACKAGE}.{kind}"
            else:
                made.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found: type[Message] = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.TakMessage"))
    return found


def read_message(payload: bytes) -> Event | None:
    """The event of a `TakMessage`; null when it only holds control data. Raises `BadPayload`."""
    if len(payload) > MAX_EVENT:
        raise BadPayload(f"the TAK message is longer than {MAX_EVENT} bytes", path="$")
    message: Any = message_class()()
    try:
        message.ParseFromString(payload)
    except DecodeError:
        raise BadPayload("the TAK message is no valid protobuf", path="$") from None
    if not message.HasField("cotEvent"):
        return None
    wire = message.cotEvent
    if not wire.uid or not wire.type:
        raise BadPayload("the TAK message lacks `uid` or `type`", path="$.cotEvent.uid")
    return Event(
        uid=wire.uid,
        type=wire.type,
        how=wire.how or None,
        access=wire.access or None,
        time=_moment(wire.sendTime, "$.cotEvent.sendTime"),
        start=_moment(wire.startTime, "$.cotEvent.startTime"),
        stale=_moment(wire.staleTime, "$.cotEvent.staleTime"),
        lat=finite(wire.lat),
        lon=finite(wire.lon),
        hae=metres(wire.hae),
        ce=metres(wire.ce),
        le=metres(wire.le),
        detail=_detail(wire.detail) if wire.HasField("detail") else Node("detail"),
    )


def _moment(milliseconds: int, path: str) -> datetime:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    except OverflowError:
        raise MappingFailed(f"`{path}` is no time", path=path) from None


def _detail(wire: Any) -> Node:
    """An element that is in both the typed fields and the XML is taken from the XML (detail.proto)."""
    loose = fragment(wire.xmlDetail)
    names = {child.name for child in loose}
    typed = [
        Node(
            element,
            {
                field.name: _text(getattr(getattr(wire, name), field.name))
                for field in getattr(wire, name).DESCRIPTOR.fields
            },
        )
        for name, element in _ELEMENTS.items()
        if wire.HasField(name) and element not in names
    ]
    return Node("detail", {}, None, (*typed, *loose))


def _text(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def write_message(event_type: str, uid: str, at: datetime, *, stale_seconds: float = 20.0) -> bytes:
    """The payload of one event of ours without detail (a ping)."""
    message: Any = message_class()()
    wire = message.cotEvent
    wire.type, wire.uid, wire.how = event_type, uid, "m-g"
    wire.sendTime = wire.startTime = int(at.timestamp() * 1000)
    wire.staleTime = int((at.timestamp() + stale_seconds) * 1000)
    wire.hae = wire.ce = wire.le = 9_999_999.0
    payload: bytes = message.SerializeToString()
    return payload


# --- frames


def varint(number: int) -> bytes:
    """An unsigned varint."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_varint(body: bytes, at: int) -> tuple[int, int] | None:
    """The varint at an offset and the offset after it; null when it is not whole yet. Raises `BadPayload`."""
    number = 0
    for place in range(10):
        if at + place >= len(body):
            return None
        byte = body[at + place]
        number |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            return number, at + place + 1
    raise BadPayload("a varint of the TAK protocol is longer than 10 bytes", path="$")


def frame(payload: bytes) -> bytes:
    """A message as the stream carries it: `bf`, its length, itself."""
    return bytes((MAGIC,)) + varint(len(payload)) + payload


def cut_frame(body: bytes) -> tuple[bytes, bytes] | None:
    """The first message of the stream's bytes and the rest; null when it is not whole yet.

    Raises `BadPayload` when the bytes are no frame, or one beyond the limit.
    """
    if not body:
        return None
    if body[0] != MAGIC:
        raise BadPayload("the TAK stream lost its framing", path="$")
    length = read_varint(body, 1)
    if length is None:
        return None
    size, start = length
    if size > MAX_EVENT:
        raise BadPayload(f"a TAK message of {size} bytes is longer than {MAX_EVENT}", path="$")
    if len(body) < start + size:
        return None
    return body[start : start + size], body[start + size :]


def read_datagram(body: bytes) -> Event | None:
    """One message alone: `bf 01 bf` as on the mesh, or with its length as on the stream. Raises `BadPayload`."""
    if len(body) > 2 and body[0] == MAGIC and body[2] == MAGIC and body[1] == 1:
        return read_message(body[3:])
    found = cut_frame(body)
    if found is None or found[1]:
        raise BadPayload("the bytes are no single TAK message", path="$")
    return read_message(found[0])
