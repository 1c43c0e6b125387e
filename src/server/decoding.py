"""`crossdock decode`: what Crossdock makes of a vendor's payload. Goes through the connector's own code.

Keys and enumeration values are those of the GraphQL schema, decimals are text, times UTC with `Z`. `kind` is the
name of the type; where a type has a field `kind` of its own, that one is called `orderKind` or `locationKind`.
"""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import httpx
import msgspec
from strawberry.utils.str_converters import to_camel_case

from connectors.kit.errors import BadPayload, Unreadable
from connectors.kit.http import OutcomeKind, by_status
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoder, Manifest, Payload
from graph.scalars import write_decimal, write_moment
from unified.events import Changed, Happened, Removed
from unified.records import Record

_HIDDEN = frozenset({"integration"})


def decode(
    manifest: Manifest, body: bytes, *, as_kind: str | None, headers: Sequence[str], status: int
) -> tuple[list[str], bool]:
    """The lines to print, and whether the payload could be read."""
    named = {name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in headers)}
    payload = Payload(body=body, status=status, headers=named)
    origin = Origin(integration="decode", system=manifest.system, as_of=datetime.now(UTC))
    outcome = _outcome(manifest, payload)
    if outcome is not None:
        return [_line({"kind": "Outcome", **outcome})], True
    decoder = _decoder(manifest, payload, as_kind)
    if isinstance(decoder, str):
        return [_line({"kind": "Error", "code": "BAD_USER_INPUT", "message": decoder})], False
    lines: list[str] = []
    try:
        lines += [_line(_shown(each)) for each in decoder.read(payload, origin)]
    except (BadPayload, Unreadable) as fault:
        lines.append(_line({"kind": "Error", "code": fault.code, "message": fault.message, "path": fault.path}))
        return lines, False
    return lines, True


def _outcome(manifest: Manifest, payload: Payload) -> dict[str, Any] | None:
    """What an error answer means; null for a good one."""
    response = httpx.Response(payload.status, headers=payload.headers, content=payload.body)
    outcome = (manifest.explain(response) if manifest.explain else None) or by_status(response)
    if outcome.kind is OutcomeKind.OK:
        return None
    return {
        "outcome": outcome.kind.name,
        "code": outcome.code,
        "message": outcome.message,
        "retryAfter": outcome.retry_after,
    }


def _decoder(manifest: Manifest, payload: Payload, as_kind: str | None) -> Decoder | str:
    names = ", ".join(each.name for each in manifest.decoders)
    if as_kind is not None:
        found = [each for each in manifest.decoders if each.name == as_kind]
        return found[0] if found else f"there is no kind {as_kind!r}; write one of {names}"
    found = [each for each in manifest.decoders if each.recognises(payload)]
    return found[0] if found else f"the payload is of no kind that is recognised; say it with --as, one of {names}"


def _shown(value: Any) -> dict[str, Any]:
    match value:
        case Changed():
            return {**_shown(value.record), "occurredAt": value.occurred_at}
        case Removed():
            return {"kind": "Removed", "of": value.kind.value, "id": value.id, "occurredAt": value.occurred_at}
        case Happened():
            return {**_shown(value.what), "occurredAt": value.occurred_at}
        case Record():
            return {"kind": value.kind.value, "id": value.id, **_fields(value)}
    return {"kind": type(value).__name__, **_fields(value)}


def _fields(value: msgspec.Struct) -> dict[str, Any]:
    return {
        to_camel_case(name): _plain(getattr(value, name))
        for name in value.__struct_fields__
        if name != "id" and not (name in _HIDDEN and not hasattr(value, "external_id"))
    }


def _plain(value: Any) -> Any:
    match value:
        case msgspec.Struct():
            return _fields(value)
        case list() | tuple():
            return [_plain(each) for each in value]
        case Enum():
            return value.name
    return value


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, default=_text)


def _text(value: object) -> str:
    match value:
        case datetime():
            return write_moment(value)
        case date():
            return value.isoformat()
        case Decimal():
            return write_decimal(value)
        case bytes():
            return value.hex()
    return str(value)
