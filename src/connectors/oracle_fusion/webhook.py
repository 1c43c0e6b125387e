"""Business events that Oracle Integration forwards: signed, thin, repeated, out of order. What has changed is read
again; of the event only its id, its type and the number of the thing are taken."""

import hashlib
from collections.abc import Mapping
from typing import Final

from connectors.kit import decode
from connectors.kit.errors import BadPayload, MappingFailed
from connectors.kit.integration import Integration, Secret
from connectors.kit.manifest import Payload
from connectors.kit.webhooks import verify_hex_sha256
from connectors.oracle_fusion import wire
from connectors.oracle_fusion.settings import Subject

SIGNATURE: Final = "x-hub-signature-256"
PREFIX: Final = "sha256="
NO_SECRET: Final = Secret("")
_LONGEST: Final = 200


def verify(integration: Integration, payload: Payload) -> None:
    """HMAC-SHA256 over the raw bytes, with the prefix `sha256=` or without. Raises `SignatureInvalid`."""
    given = payload.headers.get(SIGNATURE, "").strip()
    if given[: len(PREFIX)].lower() == PREFIX:
        given = given[len(PREFIX) :]
    keys = [integration.credentials.get(name, NO_SECRET) for name in ("webhook_secret", "webhook_secret_next")]
    verify_hex_sha256(payload.body, given, keys)


def notice(payload: Payload) -> wire.Notice:
    """Raises `BadPayload` with the path."""
    found = decode.json(payload.body, wire.Notice)
    if len(found.event_id or "") > _LONGEST or len(found.event_type) > _LONGEST:
        raise BadPayload(f"`eventId` and `eventType` have at most {_LONGEST} characters", path="$.eventId")
    return found


def delivery_id(given: wire.Notice, payload: Payload) -> str:
    """The event's own id; without one the same bytes are the same event."""
    return f"event/{given.event_id or hashlib.sha256(payload.body).hexdigest()}"


def number(given: wire.Notice, subject: Subject) -> str:
    """Of the item, or of the work order. Raises `MappingFailed` for an event that names none."""
    told = given.payload or wire.NoticePayload()
    names: Mapping[Subject, tuple[str, str | None]] = {
        "item": ("ItemNumber", told.item_number),
        "structure": ("ItemNumber", told.item_number or told.assembly_item_number),
        "work-order": ("WorkOrderNumber", told.work_order_number),
    }
    name, found = names[subject]
    bare = decode.none(found)
    if bare is None or len(bare) > _LONGEST:
        path = f"$.payload.{name}"
        raise MappingFailed(f"the event names no usable number at `{path}`", path=path)
    return bare


def organization(given: wire.Notice) -> str | None:
    return decode.none(given.payload.organization_code) if given.payload else None
