"""What arrives: frames cut into deliveries, each with the id that makes it the same delivery when it comes again."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import msgspec

from connectors.kit import decode
from connectors.kit.errors import BadPayload
from connectors.kit.manifest import Payload
from connectors.kit.protocols import Raw
from connectors.traccar import decoders, wire

RECEIVED: Final = "date"
"""Header under which a delivery tells when it was received."""
_DEVICES_MOST: Final = 50_000


def raw_position(body: bytes, now: datetime) -> Raw:
    return _raw("position", "positions", body, now)


def raw_event(body: bytes, now: datetime) -> Raw:
    return _raw("event", "events", body, now)


def raw_device(body: bytes, now: datetime) -> Raw:
    """A device tells no id of its change: the same again later is another change."""
    named = decode.json(body, wire.Ids)
    delivery_id = f"device:{named.id}:{_hash(body)}:{now.isoformat()}"
    return _frame(delivery_id, "devices", body, now)


def _raw(what: str, key: str, body: bytes, now: datetime) -> Raw:
    return _frame(delivery_id(what, body), key, body, now)


def delivery_id(what: str, body: bytes) -> str:
    """By the object's id, however it came. Without one (positions are forwarded before they are stored) by content."""
    named = decode.json(body, wire.Ids)
    return f"{what}:{named.id}" if named.id else f"{what}:of:{named.device_id}:{_hash(body)}"


def _frame(delivery_id: str, key: str, body: bytes, now: datetime) -> Raw:
    payload = Payload(
        body=b'{"' + key.encode() + b'":[' + body + b"]}",
        headers={"content-type": "application/json", RECEIVED: now.isoformat()},
    )
    return Raw(delivery_id=delivery_id, decoder=decoders.FRAME, payload=payload)


def _hash(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=12).hexdigest()


def signature(device: wire.Device) -> str:
    """Of all that matters in a device: its two fields that change with each message do not count."""
    facts = (
        device.id,
        device.name,
        device.unique_id,
        device.status,
        device.disabled,
        device.group_id,
        device.model,
        device.category,
        device.attributes,
    )
    return hashlib.blake2b(msgspec.json.encode(facts, order="deterministic"), digest_size=6).hexdigest()


class Cutter:
    """Cuts the socket's frames, and remembers what the last ones said.

    Servers send the device with every message of it; those that say nothing new are left out.
    """

    def __init__(self, now: datetime) -> None:
        self.heard_at = now
        """The newest time that the server told."""
        self._told: OrderedDict[int, str] = OrderedDict()

    def cut(self, frame: bytes, now: datetime) -> Iterator[Raw]:
        """Raises `BadPayload`. Nothing for a keep-alive."""
        parts = decode.json(frame, wire.Parts)
        for each in parts.devices:
            device = decode.json(bytes(each), wire.Device)
            told = signature(device)
            if self._told.get(device.id) == told:
                continue
            self._told[device.id] = told
            self._told.move_to_end(device.id)
            while len(self._told) > _DEVICES_MOST:
                self._told.popitem(last=False)
            yield raw_device(bytes(each), now)
        for each in parts.positions:
            self._hear(bytes(each), now)
            yield raw_position(bytes(each), now)
        for each in parts.events:
            self._hear(bytes(each), now)
            yield raw_event(bytes(each), now)

    def _hear(self, body: bytes, now: datetime) -> None:
        named = decode.json(body, wire.Ids)
        told = decode.moment(named.server_time or named.event_time)
        if told is not None:
            self.heard_at = max(self.heard_at, min(told, now + timedelta(minutes=5)))


class Seen(msgspec.Struct, kw_only=True):
    """A poll's cursor: the newest position, until when events were asked for, and what each device said."""

    position: int = 0
    until: datetime | None = None
    devices: dict[str, str] = {}

    @classmethod
    def read(cls, cursor: str | None) -> "Seen":
        """A fresh one for null, and for what is none of ours: everything is told again."""
        try:
            return msgspec.json.decode(cursor or "{}", type=cls)
        except msgspec.DecodeError:
            return cls()

    def text(self) -> str:
        return msgspec.json.encode(self).decode()


def forwarded(payload: Payload) -> Raw:
    """A message that the server forwarded, in either form. Raises `BadPayload`."""
    body = payload.body
    if body.lstrip()[:1] != b"{":
        decoders.news(decoders.FORWARDED_URL, payload)
        return Raw(delivery_id=f"position:of:{_hash(body)}", decoder=decoders.FORWARDED_URL, payload=_bare(payload))
    parts = decode.json(body, dict[str, msgspec.Raw])
    for what in ("event", "position"):
        if what in parts and bytes(parts[what]).strip() != b"null":
            decoders.news(decoders.FORWARDED, payload)
            return Raw(
                delivery_id=delivery_id(what, bytes(parts[what])), decoder=decoders.FORWARDED, payload=_bare(payload)
            )
    raise BadPayload("the message holds neither a position nor an event", path="$")


def _bare(payload: Payload) -> Payload:
    """Without its headers, which hold the secret: a delivery is kept."""
    return Payload(body=payload.body, headers={"content-type": payload.content_type or "application/json"})
