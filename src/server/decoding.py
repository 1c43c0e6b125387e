"""`crossdock decode`: what Crossdock makes of a vendor's payload. Goes through the connector's own code.

Keys and enumeration values are those of the GraphQL schema, decimals are text, times UTC with `Z`. `kind` is the
name of the type; where a type has a field `kind` of its own, that one is called `orderKind` or `locationKind`.

A sample is a body, or head and body as `curl -i` writes them and vendors' support sends them, with the request before
the answer or without.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from xml.parsers import expat

import httpx
import msgspec
from strawberry.utils.str_converters import to_camel_case

from connectors.kit.errors import BadPayload, ConnectorError, Unreadable
from connectors.kit.http import OutcomeKind, by_status
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoder, Manifest, Payload
from connectors.kit.reading import top_names
from graph.scalars import write_decimal, write_moment
from unified.events import Changed, Happened, Removed
from unified.records import Record

_HIDDEN = frozenset({"integration"})


def decode(
    manifest: Manifest, body: bytes, *, as_kind: str | None, headers: Sequence[str], status: int
) -> tuple[list[str], bool]:
    """The lines to print, and whether the payload could be read. What is said of status and headers counts before the
    head of the sample."""
    for each in headers:
        if not each.partition(":")[0].strip() or ":" not in each:
            return [_fault(f"{each!r} is no header", hint="Write --header 'Content-Type: text/xml'.")], False
    payload = _payload(body, status, _named(headers))
    if not payload.body.strip():
        what = "the sample has a head and no body" if body.strip() else "the payload is empty"
        if payload.status < 400:
            return [_fault(what, path="$", hint="Save the body as it came, or head and body (`curl -i`).")], False
    origin = Origin(integration="decode", system=manifest.system, as_of=datetime.now(UTC))
    outcome = _outcome(manifest, payload)
    if outcome is not None:
        return [_line({"kind": "Outcome", **outcome})], True
    decoder = _decoder(manifest, payload, as_kind)
    if isinstance(decoder, str):
        return [_unrecognised(manifest, payload, decoder) if as_kind is None else _fault(decoder)], False
    lines: list[str] = []
    try:
        lines += [_line(_shown(each)) for each in decoder.read(payload, origin)]
    except ConnectorError as fault:
        path = fault.path if isinstance(fault, BadPayload | Unreadable) else None
        hint = "It is cut off or damaged there, or of another kind (see --list)."
        lines.append(_line({"kind": "Error", "code": fault.code, "message": fault.message, "path": path, "hint": hint}))
        return lines, False
    return lines, True


def _named(headers: Sequence[str]) -> dict[str, str]:
    """Without what is no longer true of a body that was saved."""
    pairs = ((name.strip().lower(), value.strip()) for name, _, value in (each.partition(":") for each in headers))
    return {name: value for name, value in pairs if name not in _OF_THE_WIRE}


def _payload(body: bytes, status: int, named: dict[str, str]) -> Payload:
    """The body apart from the head that may stand before it."""
    sample = body.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    if _REQUEST.match(sample) and (answer := _ANSWER.search(sample)):
        sample = sample[answer.start() :]
    told = _ANSWER.match(sample)
    if told is None and not _REQUEST.match(sample):
        return Payload(body=body, status=status, headers=named)
    head, _, content = _BLANK.sub(b"\n\n", sample, count=1).partition(b"\n\n")
    lines = head.decode("latin-1").splitlines()[1:]
    if told is not None and status == httpx.codes.OK:
        status = int(told[1])
    return Payload(body=content, status=status, headers=_named(lines) | named)


_OF_THE_WIRE: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
_ANSWER: Final = re.compile(rb"^HTTP/\d(?:\.\d)?[ \t]+([1-5]\d\d)\b", re.MULTILINE)
_REQUEST: Final = re.compile(rb"(?:GET|POST|PUT|PATCH|DELETE) \S+(?: HTTP/\d(?:\.\d)?)?[ \t]*\r?\n[A-Za-z-]+:")
_BLANK: Final = re.compile(rb"\r?\n[ \t]*\r?\n")


def _fault(message: str, *, path: str | None = None, hint: str | None = None) -> str:
    told = {"kind": "Error", "code": "BAD_USER_INPUT", "message": message, "path": path, "hint": hint}
    return _line({name: value for name, value in told.items() if value is not None})


def _unrecognised(manifest: Manifest, payload: Payload, message: str) -> str:
    """What can be said of a payload of no known kind: where it is damaged, or that it looks like an error answer."""
    bare = payload.body.removeprefix(b"\xef\xbb\xbf").lstrip()
    if bare.startswith(b"\x1f\x8b"):
        return _fault("the payload is packed (gzip)", path="$", hint="Unpack it first: gunzip -c FILE.")
    try:
        text = payload.body.decode()
    except UnicodeDecodeError as fault:
        place = f"byte {fault.start}"
        return _fault(f"the payload is no text: {message}", path=place, hint="See --list for what may be binary.")
    broken = _broken(text.lstrip("\ufeff"))
    if broken is not None:
        what, place = broken
        hint = "It was cut off or changed on the way: save it again, as it came (curl -o FILE)."
        return _fault(f"the payload is damaged: {what}", path=place, hint=hint)
    response = httpx.Response(400, headers=payload.headers, content=payload.body)
    meant = manifest.explain(response) if manifest.explain else None
    if top_names(payload.body) & _ERRORS or (meant is not None and (meant.message or meant.code)):
        hint = "It looks like an error answer: say its status, --status 404, or keep the head with it (curl -i)."
        return _fault(message, path="$", hint=hint)
    hint = "Say what it is with --as, and its media type with --header 'Content-Type: …' where that matters."
    return _fault(message, path="$", hint=hint)


_ERRORS: Final = frozenset({"error", "errors", "fault", "Fault", "exception", "odata.error", "error_description"})


def _broken(text: str) -> tuple[str, str] | None:
    """What is wrong with JSON or XML, and where; null for what is well-formed or neither."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            json.loads(text)
        except json.JSONDecodeError as fault:
            lines = [each for each in text.splitlines() if each.strip()]
            if fault.msg == "Extra data" and len(lines) > 1:
                return None  # a document a line
            return f"no JSON: {fault.msg}", f"line {fault.lineno}, column {fault.colno}"
        except RecursionError:
            return "it is nested too deeply", "$"
    elif text.lstrip().startswith("<"):
        try:
            expat.ParserCreate().Parse(text.encode(), True)
        except expat.ExpatError as fault:
            return f"no XML: {expat.ErrorString(fault.code)}", f"line {fault.lineno}, column {fault.offset + 1}"
    return None


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
