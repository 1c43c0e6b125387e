"""What OctoPrint sends: how each payload is recognised and read, and what its error answers mean."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from connectors.equipment.driver import MACHINE_HEADER, Describe, received_at
from connectors.equipment.octoprint import mapping, wire
from connectors.equipment.octoprint.merge import Merged, event_value
from connectors.kit import decode
from connectors.kit.errors import BadPayload
from connectors.kit.http import Outcome, OutcomeKind, looks_like_html
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoded, Decoder, Payload
from connectors.kit.reading import having, top_names

if TYPE_CHECKING:
    import httpx

SNAPSHOT: Final = "octoprint-snapshot"
PUSH: Final = "octoprint-push"
_MESSAGES: Final = frozenset(wire.Message.__struct_encode_fields__) | {
    "slicingProgress",
    "renderProgress",
    "plugin",
    "timelapse",
}
_LINES_MOST: Final = 10_000
_ERRORS: Final = {
    400: OutcomeKind.BAD_REQUEST,
    404: OutcomeKind.ABSENT,
    409: OutcomeKind.CONFLICT,
    415: OutcomeKind.BAD_REQUEST,
}


class _Error(msgspec.Struct):
    error: str | None = None


def explain(response: "httpx.Response") -> Outcome | None:
    """OctoPrint has no 401. A key that it does not know answers 403, and 400 `CSRF validation failed` to a
    POST, which it takes for a browser's."""
    status = response.status_code
    if status < 300:
        if looks_like_html(response):
            return Outcome(kind=OutcomeKind.NONSENSE, message="a page for people came instead of data")
        return None
    if status < 400:
        return Outcome(kind=OutcomeKind.NONSENSE, message="it redirects; give the final address as the machine's url")
    said = _said(response.content)
    if status in (401, 403) or (status == 400 and said is not None and "CSRF" in said):
        return Outcome(kind=OutcomeKind.AUTH_FAILED, message=said)
    kind = _ERRORS.get(status)
    if kind is None:
        return None
    # "Printer is not operational": how OctoPrint says of each printer that is switched off that it has no values
    return Outcome(kind=kind, message=said, ordinary=status == 409)


def _said(content: bytes) -> str | None:
    try:
        return decode.none(decode.json(content, _Error).error)
    except BadPayload:
        return None


def _is_push(payload: Payload) -> bool:
    names = top_names(payload.body)
    return bool(names) and names <= _MESSAGES


def _is_snapshot(payload: Payload) -> bool:
    return b'"type":"octoprint-snapshot"' in payload.body[:200]


def messages(body: bytes) -> Iterable[wire.Message]:
    """The messages of a recording, one a line; one frame is a recording of one line."""
    lines = body.splitlines()
    if len(lines) > _LINES_MOST:
        raise BadPayload(f"the recording has more than {_LINES_MOST} messages", path="$")
    for line in lines:
        if line.strip():
            yield decode.json(line, wire.Message)


def decoders(describe: Describe) -> tuple[Decoder, ...]:
    """All decoders, over the machines that `describe` knows: the manifest's knows none, a connector's its own."""

    def of(payload: Payload) -> Any:
        return describe(payload.headers.get(MACHINE_HEADER))

    def snapshot(payload: Payload, origin: Origin) -> Iterable[Decoded]:
        at = msgspec.structs.replace(origin, as_of=received_at(payload, origin.as_of))
        yield mapping.from_snapshot(decode.json(payload.body, wire.Snapshot), of(payload), at)

    def push(payload: Payload, origin: Origin) -> Iterable[Decoded]:
        at = msgspec.structs.replace(origin, as_of=received_at(payload, origin.as_of))
        merged = Merged()
        for message in messages(payload.body):
            changed = merged.apply(message)
            if message.event is not None:
                yield event_value(message.event)
            if changed:
                yield merged.record(of(payload), at)

    def printer(payload: Payload, origin: Origin) -> Iterable[Decoded]:
        yield mapping.from_printer(decode.json(payload.body, wire.Printer), of(payload), origin)

    def job(payload: Payload, origin: Origin) -> Iterable[Decoded]:
        yield mapping.from_job(decode.json(payload.body, wire.JobAnswer), of(payload), origin)

    def connection(payload: Payload, origin: Origin) -> Iterable[Decoded]:
        yield mapping.from_connection(decode.json(payload.body, wire.Connection), of(payload), origin)

    def version(payload: Payload, _: Origin) -> Iterable[Decoded]:
        answer = decode.json(payload.body, wire.Version)
        yield mapping.ServerVersion(api=answer.api, server=answer.server, text=answer.text)

    def uploaded(payload: Payload, _: Origin) -> Iterable[Decoded]:
        answer = decode.json(payload.body, wire.Uploaded)
        yield mapping.Upload(done=answer.done, selected=answer.effective_select, printing=answer.effective_print)
        yield from mapping.print_files(wire.Files(files=list(answer.files.values())), of(payload))

    def files(payload: Payload, _: Origin) -> Iterable[Decoded]:
        answer = decode.json(payload.body, wire.Files)
        yield from mapping.print_files(answer, of(payload))
        yield mapping.Storage(free_bytes=answer.free, total_bytes=answer.total)

    return (
        Decoder(
            name=SNAPSHOT,
            description="OctoPrint: what one poll of a machine brought (/api/printer and /api/job side by side)",
            read=snapshot,
            recognises=_is_snapshot,
        ),
        Decoder(
            name=PUSH,
            description="OctoPrint: messages of the push socket, one a line",
            read=push,
            recognises=_is_push,
        ),
        Decoder(
            name="octoprint-printer",
            description="OctoPrint: GET /api/printer, state and temperatures",
            read=printer,
            recognises=having("state", "temperature"),
        ),
        Decoder(
            name="octoprint-job",
            description="OctoPrint: GET /api/job, the job and its progress",
            read=job,
            recognises=having("job", "progress"),
        ),
        Decoder(
            name="octoprint-connection",
            description="OctoPrint: GET /api/connection, the connection to the printer",
            read=connection,
            recognises=having("current", "options"),
        ),
        Decoder(
            name="octoprint-version",
            description="OctoPrint: GET /api/version",
            read=version,
            recognises=having("api", "server", "text"),
        ),
        Decoder(
            name="octoprint-upload",
            description="OctoPrint: answer to an upload",
            read=uploaded,
            recognises=having("done", "files"),
        ),
        Decoder(
            name="octoprint-files",
            description="OctoPrint: GET /api/files, the files of a printer",
            read=files,
            recognises=having("files", "free"),
        ),
    )
