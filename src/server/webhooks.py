"""`/webhooks/{integration}`: believes nothing before the signature, answers before the work."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from connectors.kit.errors import BadPayload, SignatureInvalid
from connectors.kit.manifest import Payload
from connectors.kit.protocols import PackageReceiver, WebhookReceiver
from resolvers.sources import Handle
from runtime.store import BadRow, StoreDown
from runtime.telemetry import Log
from server import packages
from server.answers import refusal
from server.ingest import Ingest

UNKNOWN = (
    "no integration receives webhooks at this address: it is /webhooks/ and the `key` of an integration, as "
    "crossdock.toml has it, whose system sends webhooks (docs/systems)"
)
"""The same whether there is such an integration or not: nobody is told which there are."""
BODY_SECONDS = 10.0
"""How long a vendor may take to send a body."""


class BodyRefused(Exception):
    """The body is not taken; the answer says why."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


def receiver(
    handles: Iterable[tuple[str, Handle]], ingest: Ingest, *, max_bytes: int, log: Log
) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint. `handles`: each with its organisation.

    What is asked by GET is told by its address (Traccar's `forward.type = url`); everything else by its body.
    """
    known: dict[str, tuple[str, Handle]] = {handle.key: (organisation, handle) for organisation, handle in handles}

    async def receive(request: Request) -> Response:
        found = known.get(request.path_params["integration"])
        connector: object = found[1].connector if found is not None else None
        if found is None or not isinstance(connector, WebhookReceiver):
            return refusal(404, "ERR_NOT_FOUND", UNKNOWN)
        organisation, handle = found
        if request.method not in ("GET", "POST"):  # the router lets HEAD in with GET
            return refusal(405, "METHOD_NOT_ALLOWED", "webhooks come by POST or GET", {"Allow": "GET, POST"})
        if isinstance(connector, PackageReceiver):
            keep = partial(ingest.accept, organisation, handle.key)
            return await packages.taken(request, connector, handle.key, keep, log=log)
        try:
            body = await _body(request, max_bytes)
        except BodyRefused as refused:
            return refused.answer
        headers = {name.lower(): value for name, value in request.headers.items()}
        payload = Payload(body=body, headers=headers, target=_target(request))
        try:
            connector.verify(payload)
            raw = connector.received(payload)
        except SignatureInvalid as fault:
            log.warning("webhook.refused", integration=handle.key, reason=fault.message)
            return refusal(401, fault.code, fault.message)
        except BadPayload as fault:
            log.warning("webhook.not_understood", integration=handle.key, reason=fault.message)
            return refusal(400, fault.code, fault.message)
        try:
            if raw is not None:
                await ingest.accept(organisation, handle.key, [raw])
        except StoreDown:  # not acknowledged: the vendor sends it again
            text = "the delivery cannot be kept now; send it again"
            return refusal(503, "ERR_DATABASE", text, {"Retry-After": "5"})
        except BadRow:
            return refusal(400, "ERR_DATABASE", "the delivery holds something that cannot be kept")
        return Response(status_code=200)

    return receive


async def _body(request: Request, most: int) -> bytes:
    too_long = refusal(413, "PAYLOAD_TOO_LARGE", f"the body is longer than {most} bytes")
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > most:
        raise BodyRefused(too_long)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise BodyRefused(too_long)
    except TimeoutError:
        raise BodyRefused(refusal(408, "BODY_TIMEOUT", f"the body did not come within {BODY_SECONDS:g} s")) from None
    except ClientDisconnect:
        raise BodyRefused(Response(status_code=400)) from None  # nobody is there to read it
    return bytes(body)


def _target(request: Request) -> str:
    """Path and query as they came, still percent-encoded."""
    path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope["query_string"]
    return (path + (b"?" + query if query else b"")).decode("latin-1")
