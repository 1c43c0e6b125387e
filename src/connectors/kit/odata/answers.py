"""What a SAP gateway's answers mean: HTML instead of data, the CSRF token, its own errors and the application's."""

import re
from typing import TYPE_CHECKING, Final

import msgspec

from connectors.kit import decode
from connectors.kit.errors import BadPayload
from connectors.kit.http import Outcome, OutcomeKind, by_status, looks_like_html

if TYPE_CHECKING:
    import httpx

CSRF_REQUIRED: Final = "x-csrf-token: Required"
"""Our code for a refused or missing CSRF token."""

_FRAMEWORK = re.compile(r"^(/IWBEP/|/IWFND/|/IWCOR/|CX_|SADL|SY/|005056A5)")
"""Codes of the gateway itself: it did not like the form of our call."""
_BUSINESS = re.compile(r"^(/[A-Z0-9_]+/[A-Z0-9_]+/\d{1,3}|[A-Z0-9_]+/\d{1,3})$")
"""Message class and number: the application said no."""


class ErrorText(msgspec.Struct):
    value: str | None = None


class ErrorBody(msgspec.Struct):
    code: str | int | None = None
    message: ErrorText | str | None = None


class ErrorAnswer(msgspec.Struct):
    error: ErrorBody


def explain(response: "httpx.Response") -> Outcome | None:
    """Null for what HTTP says well enough."""
    status = response.status_code
    if looks_like_html(response) and (status < 400 or status == 401):
        return Outcome(kind=OutcomeKind.AUTH_EXPIRED, message="the logon page came instead of data")
    if status < 400:
        return None
    if status == 403 and response.headers.get("x-csrf-token", "").lower() == "required":
        return Outcome(kind=OutcomeKind.DENIED, code=CSRF_REQUIRED, message="the CSRF token is missing or stale")
    code, message = said(response)
    plain = by_status(response)
    kind = plain.kind
    if status == 400:
        business = code is not None and _BUSINESS.match(code) and not _FRAMEWORK.match(code)
        kind = OutcomeKind.REJECTED if business else OutcomeKind.BAD_REQUEST
    elif status == 405:
        kind = OutcomeKind.REJECTED
    return Outcome(kind=kind, code=code, message=message, retry_after=plain.retry_after)


def said(response: "httpx.Response") -> tuple[str | None, str | None]:
    """The error's code and text; either may be missing, and the body may be anything."""
    if "json" not in response.headers.get("content-type", "json"):
        return None, None
    try:
        error = decode.json(response.content, ErrorAnswer).error
    except BadPayload:
        return None, None
    message = error.message if isinstance(error.message, str) or error.message is None else error.message.value
    code = None if error.code is None else str(error.code)
    return (code or None), (message[:500] if message else None)
