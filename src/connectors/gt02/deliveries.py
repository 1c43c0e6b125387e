"""What is kept of each frame until its events are out, and how it is read again: by whoever, whenever."""

import hashlib
from datetime import datetime
from typing import Final

import msgspec

from connectors.gt02 import gt02, gt06
from connectors.gt02.frames import Frame, frames, whole
from connectors.gt02.known import Known
from connectors.gt02.report import Report
from connectors.gt02.session import zone_of
from connectors.gt02.settings import Tracker
from connectors.kit.errors import BadPayload
from connectors.kit.manifest import Payload
from connectors.kit.protocols import Raw

GT02_FRAME: Final = "gt02-frame"
GT06_FRAME: Final = "gt06-frame"
LINK: Final = "tracker-link"
"""Names of the decoders."""
IMEI, RECEIVED, SEQUENCE, OFFSET, BEFORE, MODEL = "imei", "received", "sequence", "offset-minutes", "before", "model"
"""Headers: whose it is, when it came, its place among those that came together, how far the device's clock is ahead of
UTC, what was known before it, and the tracker's model where no device table tells it."""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Known).decode


class LinkState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tracker came or went without a frame that says so."""

    imei: str
    online: bool


def read(frame: Frame, device: Tracker | None, offset_minutes: int | None, model: str | None = None) -> Report:
    """What the frame says. Raises `BadPayload`."""
    if frame.raw[0] == 0x68:
        return gt02.read(frame)
    return gt06.read(frame, zone_of(device, offset_minutes), device.model if device is not None else model)


def of_frame(
    frame: Frame, report: Report, imei: str, *, received: datetime, sequence: int, offset: int | None, before: Known
) -> Raw:
    """A frame that holds a time is the same delivery when it comes again: a tracker repeats what was not answered."""
    digest = hashlib.blake2b(frame.raw, digest_size=9).hexdigest()
    delivery_id = f"{imei}:{digest}"
    if report.fix is None and report.device_time is None:
        delivery_id += f":{received.timestamp():.6f}"
    headers = {
        IMEI: imei,
        RECEIVED: received.isoformat(),
        SEQUENCE: str(sequence),
        BEFORE: _encode(before).decode(),
    }
    if offset:
        headers[OFFSET] = str(offset)
    decoder = GT02_FRAME if frame.raw[0] == 0x68 else GT06_FRAME
    return Raw(delivery_id=delivery_id, decoder=decoder, payload=Payload(body=frame.raw, headers=headers))


def of_link(imei: str, *, online: bool, received: datetime, sequence: int, before: Known) -> Raw:
    headers = {
        "content-type": "application/json",
        RECEIVED: received.isoformat(),
        SEQUENCE: str(sequence),
        BEFORE: _encode(before).decode(),
    }
    body = msgspec.json.encode(LinkState(imei, online))
    return Raw(
        delivery_id=f"{imei}:link:{received.timestamp():.6f}",
        decoder=LINK,
        payload=Payload(body=body, headers=headers),
    )


def link_of(payload: Payload) -> LinkState:
    """Raises `BadPayload`."""
    try:
        return msgspec.json.decode(payload.body, type=LinkState)
    except msgspec.DecodeError as fault:
        raise BadPayload(f"no state of a tracker's connection: {fault}", path="$") from None


def frame_of(payload: Payload) -> Frame:
    """The one frame of a delivery. Raises `BadPayload`."""
    try:
        return whole(payload.body)
    except ValueError as fault:
        raise BadPayload(f"the delivery is no frame: {fault}", path="$") from None


def frames_of(payload: Payload) -> list[Frame]:
    """The frames of a payload, as bytes or as hexadecimal text. Raises `BadPayload` when there is none."""
    found = frames(_bytes(payload.body))
    if not found:
        raise BadPayload("there is no whole GT02 or GT06 frame in it", path="$")
    return found


def _bytes(body: bytes) -> bytes:
    text = body.strip()
    if text[:4].lower() in _HEX_STARTS:
        try:
            return bytes.fromhex(text.decode("ascii"))
        except ValueError:
            return body
    return body


_HEX_STARTS: Final = (b"7878", b"7979", b"6868")


def family_of(payload: Payload) -> str:
    """The decoder for what the payload begins with; empty for none."""
    start = _bytes(payload.body[:2_000])[:2]
    return {b"xx": GT06_FRAME, b"yy": GT06_FRAME, b"hh": GT02_FRAME}.get(start, "")


def received_of(payload: Payload, otherwise: datetime) -> datetime:
    """When it came. Raises `BadPayload` for what is no time."""
    text = payload.headers.get(RECEIVED)
    if text is None:
        return otherwise
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadPayload(f"the header `{RECEIVED}` is no ISO 8601 time", path=f"$.headers.{RECEIVED}") from None
    if found.tzinfo is None:
        raise BadPayload(f"the time in the header `{RECEIVED}` has no zone", path=f"$.headers.{RECEIVED}")
    return found


def number_of(payload: Payload, header: str) -> int | None:
    """Raises `BadPayload` for what is no number."""
    text = payload.headers.get(header)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise BadPayload(f"the header `{header}` is no number", path=f"$.headers.{header}") from None


def before_of(payload: Payload) -> Known:
    """Raises `BadPayload`."""
    text = payload.headers.get(BEFORE)
    if not text:
        return Known()
    try:
        return _decode(text.encode())
    except msgspec.DecodeError as fault:
        raise BadPayload(f"the header `{BEFORE}`: {fault}", path=f"$.headers.{BEFORE}") from None
