"""What a vendor's answer means: outcomes by content and by status, and the error that each stands for."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, Final

import httpx
import msgspec

from connectors.kit import redaction
from connectors.kit.errors import (
    AuthFailed,
    BadPayload,
    BadRequest,
    BatchTooLarge,
    Conflict,
    NotFound,
    PermissionDenied,
    RateLimited,
    Rejected,
    SessionExpired,
    TimedOut,
    VendorDown,
    VendorError,
)

LONGEST_RETRY_AFTER: Final = 86_400.0
"""Seconds; a vendor that asks for a longer pause is taken to mean a day."""
_CODE_LONGEST: Final = 100
_REQUEST_ID_NAMES: Final = (
    "x-request-id",
    "x-correlation-id",
    "x-correlationid",
    "sap-passport-transactionid",
    "x-uber-request-id",
    "x-trace-id",
    "request-id",
)


class OutcomeKind(Enum):
    OK = "ok"
    AUTH_EXPIRED = "auth expired"
    AUTH_FAILED = "auth failed"
    DENIED = "denied"
    ABSENT = "absent"
    CONFLICT = "conflict"
    REJECTED = "rejected"
    BAD_REQUEST = "bad request"
    THROTTLED = "throttled"
    DOWN = "down"
    NONSENSE = "nonsense"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a vendor's answer means. `message` is the vendor's own words, fit to show (no stack trace)."""

    kind: OutcomeKind
    message: str | None = None
    code: str | None = None
    """The vendor's error code, as text."""
    retry_after: float | None = None
    """Seconds."""
    ordinary: bool = False
    """The vendor's regular way to say how things are (a machine that is switched off has no values): whoever asked
    reckons with the error, and the call counts as `ok`."""

    @property
    def label(self) -> str:
        """What the call is counted as."""
        return OutcomeKind.OK.name.lower() if self.ordinary else self.kind.name.lower()


CANCELLED: Final = "cancelled"
"""What a call is counted as whose answer nobody waits for any more."""
OK = Outcome(kind=OutcomeKind.OK)
Explain = Callable[[httpx.Response], Outcome | None]
"""What this vendor's answers mean beyond HTTP; null leaves it to `by_status`."""


def by_status(response: httpx.Response, *, now: datetime | None = None) -> Outcome:
    """What the HTTP status says, for vendors that mean it. A redirect is not followed: credentials would go along."""
    status = response.status_code
    if status < 300:
        return OK
    if status < 400:
        return Outcome(
            kind=OutcomeKind.NONSENSE,
            message="it redirects, which is not followed; give the final address as the integration's base_url",
        )
    if status == 429:
        return Outcome(kind=OutcomeKind.THROTTLED, retry_after=retry_after(response, now=now))
    if status >= 500 or status in (408, 425):
        return Outcome(kind=OutcomeKind.DOWN, retry_after=retry_after(response, now=now))
    kinds = {
        401: OutcomeKind.AUTH_EXPIRED,
        403: OutcomeKind.DENIED,
        404: OutcomeKind.ABSENT,
        409: OutcomeKind.CONFLICT,
        410: OutcomeKind.ABSENT,
        412: OutcomeKind.CONFLICT,
        422: OutcomeKind.REJECTED,
    }
    return Outcome(kind=kinds.get(status, OutcomeKind.BAD_REQUEST))


def retry_after(response: httpx.Response, *, now: datetime | None = None) -> float | None:
    """Seconds from the `Retry-After` header, a number or a date (RFC 9110), at most a day; null when there is none or
    it cannot be read."""
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return min(float(value), LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max(0.0, (at - (now or datetime.now(UTC))).total_seconds()), LONGEST_RETRY_AFTER)


def request_id(response: httpx.Response) -> str | None:
    """The vendor's own id of the call, under the names that vendors use."""
    for name in _REQUEST_ID_NAMES:
        value: str | None = response.headers.get(name)
        if value:
            return value[:200]
    return None


def looks_like_html(response: httpx.Response) -> bool:
    """Whether a page for people came instead of data."""
    if "html" in response.headers.get("content-type", "").lower():
        return True
    start = response.content[:100].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html"))


def raise_for(outcome: Outcome, request: httpx.Request, response: httpx.Response, integration: str) -> None:
    """Raises the error that the outcome stands for; returns for OK."""
    if outcome.kind is OutcomeKind.OK:
        return
    status, call_id = response.status_code, request_id(response)
    said = f": {redaction.text(outcome.message)}" if outcome.message else ""
    if outcome.code:
        said = f" ({redaction.text(outcome.code)[:_CODE_LONGEST]}){said}"
    text = (
        f"{integration}: {request.method} {redaction.url(str(request.url))} answered {status}, "
        f"{outcome.kind.value}{said}"
    )
    facts: dict[str, Any] = {
        "integration": integration,
        "status": status,
        "request_id": call_id,
        "vendor_code": outcome.code,
    }
    match outcome.kind:
        case OutcomeKind.THROTTLED:
            raise RateLimited(text, retry_after=outcome.retry_after, **facts)
        case OutcomeKind.DOWN:
            raise VendorDown(text, retry_after=outcome.retry_after, **facts)
        case OutcomeKind.NONSENSE:
            raise BadPayload(text, path="$", **facts)
        case kind:
            raise _ERRORS[kind](text, **facts)


def label_of(error: VendorError) -> str:
    """What a call that ended so is counted as: the outcome that the error stands for, or `timeout`."""
    return next(label for kind, label in _LABELS if isinstance(error, kind))


_ERRORS: dict[OutcomeKind, type[VendorError]] = {
    OutcomeKind.AUTH_EXPIRED: SessionExpired,
    OutcomeKind.AUTH_FAILED: AuthFailed,
    OutcomeKind.DENIED: PermissionDenied,
    OutcomeKind.ABSENT: NotFound,
    OutcomeKind.CONFLICT: Conflict,
    OutcomeKind.REJECTED: Rejected,
    OutcomeKind.BAD_REQUEST: BadRequest,
}

_LABELS: Final[tuple[tuple[type[VendorError], str], ...]] = (
    (TimedOut, "timeout"),
    (RateLimited, OutcomeKind.THROTTLED.name.lower()),
    (VendorDown, OutcomeKind.DOWN.name.lower()),
    (BadPayload, OutcomeKind.NONSENSE.name.lower()),
    *((error, kind.name.lower()) for kind, error in _ERRORS.items()),
    (BatchTooLarge, OutcomeKind.REJECTED.name.lower()),
    (VendorError, OutcomeKind.DOWN.name.lower()),
)
"""The first that fits counts: subclasses stand before their bases."""
