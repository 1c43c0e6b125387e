"""The REST side: TLS with the client certificate, and what a TAK server's answers mean."""

import asyncio
from typing import TYPE_CHECKING

from connectors.c4isr import wire
from connectors.c4isr.settings import Tls, refusal
from connectors.kit import decode
from connectors.kit.errors import AuthFailed, BadPayload, VendorDown
from connectors.kit.http import Api, Outcome, OutcomeKind, looks_like_html
from connectors.kit.integration import Integration
from connectors.kit.services import Services

if TYPE_CHECKING:
    import httpx

_NEEDS_CERTIFICATE = "only supported on SSL connections"


def explain(response: "httpx.Response") -> Outcome | None:
    """Authentication trouble comes as 401 with an empty body or as 400; errors as JSON of two kinds, or HTML."""
    status = response.status_code
    if looks_like_html(response):
        if status >= 500:
            return Outcome(kind=OutcomeKind.DOWN, message="an error page in HTML")
        if status < 400:
            return Outcome(
                kind=OutcomeKind.NONSENSE,
                message="a page in HTML instead of data: is `base_url` the API port, not the log-in port?",
            )
    if status == 401:
        return Outcome(kind=OutcomeKind.AUTH_FAILED, message="the server does not know the client certificate's user")
    if status < 400:
        return None
    try:
        fault = decode.json(response.content, wire.Fault) if response.content else wire.Fault()
    except BadPayload:
        return None
    message = (fault.message or fault.error or "")[:300] or None
    if message is None:
        return None
    if status == 400 and _NEEDS_CERTIFICATE in message:
        return Outcome(kind=OutcomeKind.AUTH_FAILED, message=message, code=fault.status)
    kinds = {
        400: OutcomeKind.BAD_REQUEST,
        403: OutcomeKind.DENIED,
        404: OutcomeKind.ABSENT,
        409: OutcomeKind.CONFLICT,
        410: OutcomeKind.ABSENT,
    }
    kind = OutcomeKind.DOWN if status >= 500 else kinds.get(status)
    return None if kind is None else Outcome(kind=kind, message=message, code=fault.status)


class TakApi(Api):
    """`Api` whose TLS context is made at the first call, and that knows a refused certificate from an outage."""

    def __init__(self, integration: Integration, services: Services, tls: Tls) -> None:
        super().__init__(integration, services, explain=explain)
        self._files = tls

    async def exchange(self, request: "httpx.Request") -> "httpx.Response":
        if self._owns_transport and request.url.scheme == "https":
            self._tls = await asyncio.to_thread(self._files.context)
        try:
            return await super().exchange(request)
        except VendorDown as error:
            reason = refusal(error)
            if reason is None:
                raise
            key = self.integration.key
            raise AuthFailed(f"{key}: {reason}", integration=key) from error
