"""Payloads of OData told apart by the fields of their first row: `crossdock decode`, and the events of a poller."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from connectors.kit import decode
from connectors.kit.errors import BadPayload
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoded, Decoder, Payload
from unified.records import Record

Rules = TypeVar("Rules")


class _Envelope(msgspec.Struct):
    """As far as one must look: `d` with one or many rows, or `value` with many."""

    d: dict[str, msgspec.Raw] | list[msgspec.Raw] | None = None
    value: list[msgspec.Raw] | None = None


class Shape(msgspec.Struct, Generic[Rules], frozen=True):
    """How a payload is told from others: these fields are in its first row. `record` maps a row by the rules."""

    name: str
    description: str
    fields: frozenset[str]
    row: type[Any]
    record: Callable[[Any, Origin, Rules], Record]


def decoders_of(shapes: Sequence[Shape[Rules]], rules: Rules) -> tuple[Decoder, ...]:
    """The decoders of a system with these rules."""
    return tuple(
        Decoder(
            name=shape.name, description=shape.description, read=_reads(shape, rules), recognises=_recognises(shape)
        )
        for shape in shapes
    )


def _rows(body: bytes) -> tuple[list[msgspec.Raw], str] | None:
    """The rows and the path of their list; null for what is no OData answer."""
    try:
        envelope = decode.json(body, _Envelope)
    except BadPayload:
        return None
    if envelope.value is not None:
        return envelope.value, "$.value[{}]"
    if isinstance(envelope.d, list):
        return envelope.d, "$.d[{}]"
    if envelope.d is None:
        return None
    if "results" not in envelope.d:
        return [msgspec.Raw(msgspec.json.encode(envelope.d))], "$.d"
    try:
        return msgspec.json.decode(envelope.d["results"], type=list[msgspec.Raw]), "$.d.results[{}]"
    except msgspec.ValidationError:
        return None


def _recognises(shape: Shape[Any]) -> Callable[[Payload], bool]:
    def recognised(payload: Payload) -> bool:
        found = _rows(payload.body)
        if not found or not found[0]:
            return False
        try:
            names = msgspec.json.decode(found[0][0], type=dict[str, msgspec.Raw])
        except msgspec.ValidationError:
            return False
        return shape.fields <= names.keys()

    return recognised


def _reads(shape: Shape[Rules], rules: Rules) -> Callable[[Payload, Origin], Iterable[Decoded]]:
    def read(payload: Payload, origin: Origin) -> Iterable[Decoded]:
        found = _rows(payload.body)
        if found is None:
            raise BadPayload("neither a V2 (`d`) nor a V4 (`value`) answer", path="$")
        rows, place = found
        records: list[Decoded] = []
        for number, raw in enumerate(rows):
            try:
                records.append(shape.record(decode.json(bytes(raw), shape.row), origin, rules))
            except BadPayload as fault:
                path = place.format(number) + (fault.path or "$").removeprefix("$")
                text = fault.message.replace(f"`{fault.path}`", f"`{path}`")
                raise type(fault)(text, path=path) from None
        return records

    return read
