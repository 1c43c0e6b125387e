"""What clients are told. Each has a code; the text is fit to show. One table of all codes is in docs/errors.md."""

from typing import Any

from connectors.kit.errors import BadPayload, ConnectorError, VendorDown, VendorError
from unified.records import Kind


class ClientError(Exception):
    """The caller did something that the caller can change."""

    code = "BAD_USER_INPUT"

    def __init__(self, message: str, **extensions: Any) -> None:
        super().__init__(message)
        self.message = message
        self.extensions: dict[str, Any] = {"code": self.code, **extensions}


class BadInput(ClientError):
    """An argument that cannot be answered; the message says what to write instead."""

    code = "BAD_USER_INPUT"


class BadCursor(BadInput):
    """A cursor that this list did not give out."""

    code = "INVALID_CURSOR"


class Forbidden(ClientError):
    """The principal lacks a scope."""

    code = "FORBIDDEN"


class Truncated(VendorError):
    """A join had to read through more rows than it may: what it gives is not all."""

    code = "TRUNCATED"
    hint = "Ask the list itself with a filter instead of the join."

    def __init__(self, kind: Kind, integration: str, limit: int) -> None:
        super().__init__(
            f"{integration} has more than {limit} rows of {kind.value} to be searched; what lies beyond is missing",
            integration=integration,
        )


class CallsUsedUp(VendorError):
    """An operation has made as many calls to vendors as it may: whatever else it needs of them is missing."""

    code = "VENDOR_CALL_LIMIT"
    hint = "Ask for fewer rows or joins at once; some lists are longer than was assumed."

    def __init__(self, integration: str, limit: int) -> None:
        super().__init__(
            f"{integration} was not asked: the operation has made its {limit} calls to vendors", integration=integration
        )


def extensions_of(error: ConnectorError) -> dict[str, Any]:
    """What a client may know of a vendor's failure: no payload, no address beyond the message."""
    told: dict[str, Any] = {"code": error.code, "hint": error.hint}
    if isinstance(error, VendorError):
        if error.integration:
            told["integration"] = error.integration
        if error.status is not None:
            told["vendorStatus"] = error.status
        if error.request_id:
            told["vendorRequestId"] = error.request_id
        if error.vendor_code:
            told["vendorCode"] = error.vendor_code
    if isinstance(error, VendorDown) and error.retry_after is not None:
        told["retryAfter"] = round(error.retry_after, 1)
    if isinstance(error, BadPayload) and error.path:
        told["path"] = error.path
    return told
