"""Answers to requests that are not executed: JSON with a code, whatever went wrong."""

import math
from collections.abc import Mapping

from starlette.responses import JSONResponse, Response

from runtime.identity import Unauthenticated

_STATUS = {"invalid_request": 400, "insufficient_scope": 403, "unavailable": 503}
_CODES = {400: "BAD_REQUEST", 403: "FORBIDDEN", 503: "ERR_AUTH_UNAVAILABLE"}


def refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer to a request that was not executed."""
    return JSONResponse({"errors": [{"message": message, "extensions": {"code": code}}]}, status, headers)


def code_of(fault: Unauthenticated) -> str:
    """`extensions.code` of an error that says the same."""
    return _CODES.get(status_of(fault), "UNAUTHENTICATED")


def status_of(fault: Unauthenticated) -> int:
    """401, 403 for a lacking scope, 503 while the issuer cannot be asked."""
    return _STATUS.get(fault.code, 401)


def headers_of(fault: Unauthenticated) -> dict[str, str]:
    """`WWW-Authenticate`, and when it is worth asking again."""
    headers: dict[str, str] = {}
    if fault.challenge and status_of(fault) != 503:
        headers["WWW-Authenticate"] = fault.challenge
    if fault.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(fault.retry_after))
    return headers


def unauthenticated(fault: Unauthenticated) -> Response:
    """What who is not let in is answered."""
    return refusal(status_of(fault), code_of(fault), fault.message, headers_of(fault))
