"""Vendor errors, grouped by what the caller should do.

VendorError
├── AuthFailed            a person has to act: credentials are refused      ERR_OAUTH_INVALID
│   └── SessionExpired    renewed once and refused again                    ERR_SESSION_EXPIRED
├── PermissionDenied      the account lacks a right at the vendor           ERR_PERMISSION_DENIED
├── NotFound              answer "absent"                                   ERR_NOT_FOUND
├── Rejected              the vendor's business rule says no                ERR_VENDOR_REJECTED
├── Conflict              somebody else changed it: read again              ERR_CONFLICT
├── BadRequest            our bug: the vendor refuses the form of the call  ERR_VENDOR_REQUEST
├── BadPayload            the vendor changed something; says where          ERR_INVALID_RESPONSE
│   └── MappingFailed     well-formed, but its meaning is not ours          ERR_DATA_MAPPING
├── BatchTooLarge         split the batch                                   ERR_BATCH_SIZE
└── VendorDown            retry, serve the last good answer                 ERR_VENDOR_UNAVAILABLE
    ├── TimedOut          no answer within the deadline                     ERR_NETWORK_TIMEOUT
    ├── RateLimited       retry after this many seconds                     ERR_RATE_LIMITED
    │   └── Busy          our own limit: too many calls wait already        ERR_RATE_LIMITED
    └── CircuitOpen       left alone for a while after many failures        ERR_VENDOR_UNAVAILABLE

SignatureInvalid          a webhook that we must not believe                ERR_WEBHOOK_SIGNATURE

A message says what was tried, what came back and what to do. Secrets and payloads stay out of it.
"""

from typing import ClassVar


class ConnectorError(Exception):
    """Base of all that a connector raises on purpose. `str(error)` is fit for clients."""

    code: ClassVar[str] = "ERR_VENDOR_UNAVAILABLE"
    hint: ClassVar[str] = "Try again later."

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class VendorError(ConnectorError):
    """Something between us and a vendor. `request_id` is the vendor's own id of the call, for its support."""

    def __init__(
        self,
        message: str,
        *,
        integration: str = "",
        status: int | None = None,
        request_id: str | None = None,
        vendor_code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.integration = integration
        self.status = status
        self.request_id = request_id
        self.vendor_code = vendor_code


class AuthFailed(VendorError):
    code = "ERR_OAUTH_INVALID"
    hint = "Check the credentials of the integration in crossdock.toml."


class SessionExpired(AuthFailed):
    code = "ERR_SESSION_EXPIRED"
    hint = "The session was renewed once and refused again; check that the account may log in."


class PermissionDenied(VendorError):
    code = "ERR_PERMISSION_DENIED"
    hint = "Grant the integration's account the right at the vendor."


class NotFound(VendorError):
    code = "ERR_NOT_FOUND"
    hint = "The vendor does not know it."


class Rejected(VendorError):
    code = "ERR_VENDOR_REJECTED"
    hint = "The vendor's business rule refuses it; its message says why."


class Conflict(VendorError):
    code = "ERR_CONFLICT"
    hint = "Read it again, then decide."


class BadRequest(VendorError):
    code = "ERR_VENDOR_REQUEST"
    hint = "The vendor does not accept the form of our call; report it with the vendor's request id."


class BadPayload(VendorError):
    """`path` is the place in the payload (`$.positions[3].speed`)."""

    code = "ERR_INVALID_RESPONSE"
    hint = "The vendor may have changed its interface: save the answer and run `crossdock decode` on it."

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        integration: str = "",
        status: int | None = None,
        request_id: str | None = None,
        vendor_code: str | None = None,
    ) -> None:
        super().__init__(
            message, integration=integration, status=status, request_id=request_id, vendor_code=vendor_code
        )
        self.path = path


class MappingFailed(BadPayload):
    code = "ERR_DATA_MAPPING"


class BatchTooLarge(VendorError):
    code = "ERR_BATCH_SIZE"
    hint = "Ask for fewer at once."


class VendorDown(VendorError):
    code = "ERR_VENDOR_UNAVAILABLE"
    hint = "The vendor does not answer properly; its rows are missing, or old, until it is back."

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        integration: str = "",
        status: int | None = None,
        request_id: str | None = None,
        vendor_code: str | None = None,
    ) -> None:
        super().__init__(
            message, integration=integration, status=status, request_id=request_id, vendor_code=vendor_code
        )
        self.retry_after = retry_after


class TimedOut(VendorDown):
    code = "ERR_NETWORK_TIMEOUT"
    hint = "The vendor is slow; raise `deadline_seconds` of the integration if it always is."


class RateLimited(VendorDown):
    code = "ERR_RATE_LIMITED"
    hint = "Wait as long as `retryAfter` says; lower `rate_per_second` of the integration."


class Busy(RateLimited):
    """The vendor was not asked: the call could not have gone out within its deadline."""

    hint = "Ask for less at once, or raise `rate_per_second` of the integration if the vendor allows more."


class CircuitOpen(VendorDown):
    hint = "After many failures the vendor is left alone for a while; it is tried again by itself."


class SignatureInvalid(ConnectorError):
    """A webhook without a valid signature. Nothing of it is believed or stored."""

    code = "ERR_WEBHOOK_SIGNATURE"
    hint = "Check that both sides have the same signing key."


class Unreadable(ConnectorError):
    """`crossdock decode` cannot read the payload. `path` says where."""

    code = "ERR_INVALID_RESPONSE"

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path
