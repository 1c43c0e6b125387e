"""Webhooks that hold many documents: taken while they arrive, kept in groups, acknowledged when all are kept."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from connectors.kit.errors import BadPayload, SignatureInvalid
from connectors.kit.manifest import Payload
from connectors.kit.protocols import PackageReceiver, Raw
from runtime.store import BadRow, StoreDown
from runtime.telemetry import Log
from server.answers import refusal

LONGEST: Final = 256 << 20
"""Bytes of one package. Of its documents only a group is in memory; the connector bounds each of them."""
GROUP: Final = 100
"""Documents that are kept together."""
SILENCE_SECONDS: Final = 10.0
"""How long a vendor may pause within a body."""

Keep = Callable[[Sequence[Raw]], Awaitable[object]]


class _TooLong(Exception):
    """The package is longer than `LONGEST`."""


async def taken(request: Request, receiver: PackageReceiver, integration: str, keep: Keep, *, log: Log) -> Response:
    """The answer to one request. What was kept before a fault stays kept: its repetition is known by its ids."""
    head = Payload(body=b"", headers={name.lower(): value for name, value in request.headers.items()})
    try:
        receiver.verify(head)
    except SignatureInvalid as fault:
        log.warning("webhook.refused", integration=integration, reason=fault.message)
        return refusal(401, fault.code, fault.message, {"WWW-Authenticate": 'Basic realm="crossdock"'})
    try:
        return await _through(request, receiver, head, keep)
    except BadPayload as fault:
        log.warning("webhook.not_understood", integration=integration, reason=fault.message)
        return refusal(400, fault.code, fault.message)
    except _TooLong:
        return refusal(413, "PAYLOAD_TOO_LARGE", f"the package is longer than {LONGEST >> 20} MiB")
    except TimeoutError:
        return refusal(408, "BODY_TIMEOUT", f"nothing came for {SILENCE_SECONDS:g} s")
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is there to read it
    except StoreDown:  # not acknowledged: the vendor sends it again
        text = "the package cannot be kept now; send it again"
        return refusal(503, "ERR_DATABASE", text, {"Retry-After": "5"})
    except BadRow:
        return refusal(400, "ERR_DATABASE", "the package holds something that cannot be kept")


async def _through(request: Request, receiver: PackageReceiver, head: Payload, keep: Keep) -> Response:
    package = receiver.package(head)
    waiting: list[Raw] = []
    length = 0
    chunks = aiter(request.stream())
    while True:
        async with asyncio.timeout(SILENCE_SECONDS):
            chunk = await anext(chunks, None)
        if chunk is None:
            break
        length += len(chunk)
        if length > LONGEST:
            raise _TooLong
        waiting += package.feed(chunk)
        while len(waiting) >= GROUP:
            await keep(waiting[:GROUP])
            del waiting[:GROUP]
    waiting += package.close()
    if waiting:
        await keep(waiting)
    answer = package.answer()
    return Response(answer.body, answer.status, dict(answer.headers))
