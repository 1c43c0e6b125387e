"""What is kept of OPC UA machines, for the live plane and `crossdock decode`. The wire is binary and encrypted: what
can be decoded is what a poll or a browsing tool has written down.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from connectors.equipment.driver import MACHINE_HEADER, Describe, received_at
from connectors.equipment.opcua import values
from connectors.equipment.opcua.settings import NodePoint, node_name
from connectors.equipment.points import Taken, reading
from connectors.kit import decode
from connectors.kit.errors import BadPayload
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoded, Decoder, Payload

SNAPSHOT: Final = "opcua-snapshot"
Nodes = Callable[[str], Sequence[NodePoint]]
"""The node map with this name; empty when it is not known."""
_VALUES_MOST: Final = 10_000


class ReadValue(msgspec.Struct, frozen=True, rename="camel"):
    """One value that a client has read, written down. `statusCode` in hexadecimal; `value` as text."""

    node: str
    browse_name: str
    variant_type: str | None = None
    value: str | float | bool | None = None
    status_code: str | int | None = None
    source_timestamp: str | None = None


_NUMBERS: Final = frozenset(
    {"SByte", "Byte", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float", "Double"}
)


def taken(told: ReadValue, path: str) -> Taken:
    """The value with its quality. Raises `BadPayload`."""
    code = told.status_code
    try:
        status = int(code, 16) if isinstance(code, str) else code or 0
        value = told.value
        if isinstance(value, str) and told.variant_type in _NUMBERS:
            value = float(value)
    except ValueError:
        raise BadPayload(f"`{path}` has no status or number that can be read", path=path) from None
    if isinstance(value, str) and told.variant_type == "LocalizedText":
        value = _localized(value)
    at = told.source_timestamp
    return Taken(
        value=None if told.variant_type == "Null" else value,
        quality=values.quality(status),
        at=at.replace(" ", "T", 1) if at else None,
    )


def _localized(text: str) -> str:
    """The text in `LocalizedText(Locale=None, Text='…')`, as Python clients print it."""
    head, mark, rest = text.partition("Text=")
    return rest.rstrip(")").strip("'\"") if mark and head.startswith("LocalizedText(") else text


def decoders(describe: Describe, nodes: Nodes) -> tuple[Decoder, ...]:
    """All decoders, over the machines and node maps that are known."""

    def snapshot(payload: Payload, origin: Origin) -> Iterable[Decoded]:
        at = msgspec.structs.replace(origin, as_of=received_at(payload, origin.as_of))
        told = decode.json(payload.body, values.Snapshot)
        yield values.equipment(told, nodes(told.map), describe(payload.headers.get(MACHINE_HEADER)), at)

    def read(payload: Payload, _: Origin) -> Iterable[Decoded]:
        told = decode.json(payload.body, list[ReadValue])
        if len(told) > _VALUES_MOST:
            raise BadPayload(f"there are more than {_VALUES_MOST} values", path="$")
        for place, each in enumerate(told):
            path = f"$[{place}]"
            try:
                node_name(each.node)
            except ValueError as fault:
                raise BadPayload(f"`{path}.node`: {fault}", path=f"{path}.node") from None
            yield reading(each.browse_name, None, taken(each, path), f"{path}.sourceTimestamp")

    return (
        Decoder(
            name=SNAPSHOT,
            description="OPC UA: the values of a machine (what a poll or the subscription keeps)",
            read=snapshot,
            recognises=lambda payload: b'"type":"opcua-snapshot"' in payload.body[:200],
        ),
        Decoder(
            name="opcua-values",
            description="OPC UA: values that a client has read, as a list of JSON objects (node, browseName, value)",
            read=read,
            recognises=lambda payload: payload.body.lstrip()[:1] == b"[" and b'"browseName"' in payload.body[:2_000],
        ),
    )
