"""What MTConnect agents send: how each document is recognised and read, and what their errors mean."""

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from connectors.equipment.driver import MACHINE_HEADER, Describe, received_at
from connectors.equipment.facts import Facts
from connectors.equipment.mtconnect import json, mapping, wire, xml
from connectors.kit import decode
from connectors.kit.errors import BadPayload
from connectors.kit.http import Outcome, OutcomeKind, looks_like_html
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoded, Decoder, Payload
from unified.records import EquipmentAsset
from unified.values import Value

if TYPE_CHECKING:
    import httpx

D = TypeVar("D", wire.Streams, wire.Devices, wire.Assets)

SNAPSHOT: Final = "mtconnect-snapshot"
OUT_OF_RANGE: Final = "OUT_OF_RANGE"
_LOOK: Final = 4_096
"""Bytes at a document's beginning that tell what it is."""
_KINDS: Final = {
    "OUT_OF_RANGE": OutcomeKind.CONFLICT,  # what we know is too old: read again
    "NO_DEVICE": OutcomeKind.ABSENT,
    "ASSET_NOT_FOUND": OutcomeKind.ABSENT,
    "UNAUTHORIZED": OutcomeKind.AUTH_FAILED,
    "INTERNAL_ERROR": OutcomeKind.DOWN,
}


class DeviceModel(Value, frozen=True, kw_only=True):
    """A device as /probe describes it, and how many data items it has."""

    name: str | None
    uuid: str | None
    manufacturer: str | None
    model: str | None
    serial_number: str | None
    data_items: int
    agent: bool


def document(body: bytes) -> wire.Document:
    """The document, XML or JSON by its first character. Raises `BadPayload`."""
    if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        return json.document(body)
    return xml.document(body)


def is_error(body: bytes) -> bool:
    """Whether the document is an error, whatever the status that it came with."""
    return b"MTConnectError" in body[:_LOOK]


def explain(response: "httpx.Response") -> Outcome | None:
    """An `MTConnectError` counts whatever the status: old agents send it with 200."""
    if not is_error(response.content):
        if response.status_code < 300 and looks_like_html(response):
            return Outcome(kind=OutcomeKind.NONSENSE, message="a page for people came instead of data")
        if 300 <= response.status_code < 400:
            return Outcome(
                kind=OutcomeKind.NONSENSE, message="it redirects; give the final address as the machine's url"
            )
        if response.status_code in (401, 403):
            return Outcome(kind=OutcomeKind.AUTH_FAILED, message="a proxy before the agent refuses the credential")
        return None
    try:
        told = document(response.content)
    except BadPayload:
        return None
    if not isinstance(told, wire.Errors) or not told.errors:
        return Outcome(kind=OutcomeKind.NONSENSE, message="an error without a code came")
    first = told.errors[0]
    return Outcome(
        kind=_KINDS.get(first.code, OutcomeKind.BAD_REQUEST),
        code=first.code,
        message="; ".join(each.message or each.code for each in told.errors)[:500],
    )


def _root(name: str) -> Callable[[Payload], bool]:
    word = name.encode()
    return lambda payload: word in payload.body[:_LOOK] and payload.body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in b"<{"


def decoders(describe: Describe) -> tuple[Decoder, ...]:
    """All decoders, over the machines that `describe` knows."""

    def facts(payload: Payload, device: str) -> Facts:
        return describe(payload.headers.get(MACHINE_HEADER) or device or None)

    def snapshot(payload: Payload, origin: Origin) -> Iterable[Decoded]:
        at = msgspec.structs.replace(origin, as_of=received_at(payload, origin.as_of))
        yield mapping.from_snapshot(decode.json(payload.body, wire.Snapshot), facts(payload, ""), at)

    def streams(payload: Payload, origin: Origin) -> Iterable[Decoded]:
        """The cursor, the observations by sequence, then each machine as they leave it."""
        told = expect(document(payload.body), wire.Streams)
        yield mapping.cursor(told.header)
        yield from sorted(told.observations, key=attrgetter("sequence"))
        machines = mapping.by_device(told.observations)
        own = {name: each for name, each in machines.items() if not mapping.is_agent(each)}
        agents = [each for name, group in machines.items() if name not in own for each in group]
        for name, observations in own.items():
            if len(own) == 1:  # the adapter's connection is this machine's
                observations = [*observations, *(each for each in agents if each.type == "ConnectionStatus")]
            yield mapping.equipment(
                mapping.settled(observations), facts(payload, name), origin, agent=told.header.version
            )

    def devices(payload: Payload, _: Origin) -> Iterable[Decoded]:
        for each in expect(document(payload.body), wire.Devices).devices:
            yield DeviceModel(
                name=each.name,
                uuid=each.uuid,
                manufacturer=each.manufacturer,
                model=each.model,
                serial_number=each.serial_number,
                data_items=len(each.items),
                agent=each.agent,
            )

    def assets(payload: Payload, _: Origin) -> Iterable[EquipmentAsset]:
        return (mapping.asset(each) for each in expect(document(payload.body), wire.Assets).assets)

    return (
        Decoder(
            name=SNAPSHOT,
            description="MTConnect: all that is known of a machine (what a poll or the stream keeps)",
            read=snapshot,
            recognises=lambda payload: b'"type":"mtconnect-snapshot"' in payload.body[:200],
        ),
        Decoder(
            name="mtconnect-streams",
            description="MTConnect: an answer of /current or /sample, XML or JSON",
            read=streams,
            recognises=_root("MTConnectStreams"),
        ),
        Decoder(
            name="mtconnect-devices",
            description="MTConnect: an answer of /probe, XML or JSON",
            read=devices,
            recognises=_root("MTConnectDevices"),
        ),
        Decoder(
            name="mtconnect-assets",
            description="MTConnect: an answer of /assets, XML or JSON",
            read=assets,
            recognises=_root("MTConnectAssets"),
        ),
    )


def expect(told: wire.Document, wanted: type[D]) -> D:
    """The document as the kind that was asked for. Raises `BadPayload`."""
    if isinstance(told, wire.Errors):
        text = "; ".join(f"{each.code}: {each.message or ''}" for each in told.errors)
        raise BadPayload(f"the agent answered with an error: {text[:300]}", path="$.Errors")
    if not isinstance(told, wanted):
        raise BadPayload(f"a document of {type(told).__name__} came instead of {wanted.__name__}", path="$")
    return told
