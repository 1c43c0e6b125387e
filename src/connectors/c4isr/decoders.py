"""The kinds of payload that TAK servers send, each with its reader; the live path uses the same."""

import json
from collections.abc import Iterable, Sequence

from connectors.c4isr import cot, mapping, symbols, takproto, wire
from connectors.c4isr.cot import Event
from connectors.kit import decode
from connectors.kit.errors import BadPayload
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoded, Decoder, Payload

XML, FRAME, MISSION, GONE = "cot-xml", "tak-protocol", "tak-mission", "tak-mission-gone"
"""Names of the decoders that the live path uses."""


def concerns(event: Event) -> bool:
    """Whether the event says something of a record; the rest of the stream is not kept."""
    return event.type.startswith(("a-", "b-a-o")) or event.type in ("t-x-d-d", "t-x-m-c", "t-x-m-n", "t-x-m-d")


def told(event: Event, origin: Origin) -> Iterable[Decoded]:
    """What one event means."""
    if symbols.is_unit(event.type):
        return [mapping.unit(event, origin)]
    if event.type == "b-a-o" or event.type.startswith("b-a-o-"):
        return [mapping.alert(event)]
    if event.type == "t-x-d-d":
        return mapping.removal(event, origin)
    if event.type.startswith("t-x-m-"):
        return [mapping.notice(event)]
    found = mapping.signal(event)
    return [found if found is not None else mapping.map_object(event)]


def read_event(payload: Payload) -> Event | None:
    """The event of a delivery from the stream, in either of its two forms. Raises `BadPayload`."""
    if payload.body[:1] == bytes((takproto.MAGIC,)):
        return takproto.read_datagram(payload.body)
    found, _ = cot.cut(payload.body)
    return cot.parse(found[0] if len(found) == 1 else payload.body)


def _xml(payload: Payload, origin: Origin) -> Iterable[Decoded]:
    found = list(cot.events(payload.body))
    faults = [each for each in found if isinstance(each, BadPayload)]
    if faults and len(faults) == len(found):
        raise faults[0]
    for each in found:
        if isinstance(each, Event):
            yield from told(each, origin)


def _frame(payload: Payload, origin: Origin) -> Iterable[Decoded]:
    event = takproto.read_datagram(payload.body)
    return told(event, origin) if event is not None else ()


def _json_event(payload: Payload, origin: Origin) -> Iterable[Decoded]:
    try:
        given = json.loads(payload.body)
    except (ValueError, RecursionError):
        raise BadPayload("the payload is no JSON", path="$") from None
    if not isinstance(given, dict) or not isinstance(given.get("event"), dict):
        raise BadPayload("the payload is no CoT event as JSON", path="$.event")
    return told(cot.event_of(wire.tree(given["event"], "event")), origin)


def _missions(payload: Payload, origin: Origin) -> Iterable[Decoded]:
    return [mapping.mission(each, origin) for each in wire.missions(payload.body)]


def _changes(payload: Payload, _origin: Origin) -> Iterable[Decoded]:
    return [mapping.change(each) for each in wire.changes(payload.body)]


def _subscriptions(payload: Payload, _origin: Origin) -> Iterable[Decoded]:
    return [mapping.subscription(each) for each in wire.subscriptions(payload.body)]


def _contacts(payload: Payload, origin: Origin) -> Iterable[Decoded]:
    found = decode.json(payload.body, list[wire.Contact])
    return [mapping.contact_unit(each, origin) for each in found if each.uid]


def _gone(payload: Payload, origin: Origin) -> Iterable[Decoded]:
    try:
        name = payload.body.decode()
    except UnicodeDecodeError:
        raise BadPayload("the name of a mission is no UTF-8", path="$") from None
    return [mapping.mission_removed(name, origin.integration, origin.as_of)]


def _starts(payload: Payload, *starts: bytes) -> bool:
    return payload.body.lstrip()[:20].startswith(starts)


def _typed(payload: Payload, *types: bytes) -> bool:
    body = payload.body
    return _starts(payload, b"{") and any(
        b'"type":"' + each + b'"' in body or b'"type": "' + each + b'"' in body for each in types
    )


DECODERS: Sequence[Decoder] = (
    Decoder(
        name=FRAME,
        description="One message of the TAK protocol, version 1: mesh datagram or frame of the stream (protobuf)",
        read=_frame,
        recognises=lambda payload: payload.body[:1] == b"\xbf",
    ),
    Decoder(
        name=XML,
        description="Cursor on Target as XML: one event, or a list in <events>",
        read=_xml,
        recognises=lambda payload: (
            b"<event" in payload.body[:2000] and _starts(payload, b"<?xml", b"<event", b"\xef\xbb\xbf")
        ),
    ),
    Decoder(
        name="cot-json",
        description="One Cursor on Target event, its XML written as a JSON object (_attributes, _text)",
        read=_json_event,
        recognises=lambda payload: _starts(payload, b"{") and b'"event"' in payload.body[:200],
    ),
    Decoder(
        name="tak-mission-changes",
        description="Answer of /Marti/api/missions/{name}/changes",
        read=_changes,
        recognises=lambda payload: _typed(payload, b"MissionChange"),
    ),
    Decoder(
        name="tak-subscription",
        description="Answer of /Marti/api/missions/{name}/subscription; its token is left out",
        read=_subscriptions,
        recognises=lambda payload: _typed(payload, b"com.bbn.marti.sync.model.MissionSubscription"),
    ),
    Decoder(
        name=MISSION,
        description="Answer of /Marti/api/missions, /pagedmissions, /missions/{name}",
        read=_missions,
        recognises=lambda payload: _typed(payload, b"Mission"),
    ),
    Decoder(
        name="tak-contacts",
        description="Answer of /Marti/api/contacts/all",
        read=_contacts,
        recognises=lambda payload: _starts(payload, b"[") and b'"callsign"' in payload.body[:2000],
    ),
    Decoder(
        name=GONE,
        description="Note of our own poller: the mission with this id is no longer listed",
        read=_gone,
    ),
)
