"""Push notifications over FCM: read only, to tell whose fault a refused one is. Device tokens are left out."""

from collections.abc import Iterable
from typing import Any

import msgspec

from connectors.kit import decode
from connectors.kit.integration import Origin
from connectors.kit.manifest import Payload
from connectors.passenger_app.answers import scrubbed
from unified.values import Value


class PushRefused(Value, frozen=True, kw_only=True):
    """`forget_token`: the app is gone from the device; false means that the message or the sender is wrong."""

    status: int
    code: str | None = None
    message: str | None = None
    fields: tuple[str, ...] = ()
    forget_token: bool = False


class PushMessage(Value, frozen=True, kw_only=True):
    title: str | None = None
    body: str | None = None
    data: dict[str, str] = {}


class _Violation(msgspec.Struct, rename="camel"):
    field: str | None = None


class _Detail(msgspec.Struct, rename="camel"):
    type_url: str = msgspec.field(name="@type", default="")
    error_code: str | None = None
    field_violations: list[_Violation] | None = None


class _Error(msgspec.Struct):
    code: int
    message: str | None = None
    status: str | None = None
    details: list[_Detail] | None = None


class _Answer(msgspec.Struct):
    error: _Error


class _Notification(msgspec.Struct):
    title: str | None = None
    body: str | None = None


class _Message(msgspec.Struct):
    notification: _Notification | None = None
    data: dict[str, str] | None = None


class _Request(msgspec.Struct):
    message: _Message


def refused(payload: Payload, _origin: Origin) -> Iterable[PushRefused]:
    """INVALID_ARGUMENT blames the token in an `FcmError`, our message in a `BadRequest`."""
    error = decode.json(payload.body, _Answer).error
    details = error.details or []
    codes = [each.error_code for each in details if each.type_url.endswith("FcmError") and each.error_code]
    fields = [hit.field for each in details for hit in each.field_violations or () if hit.field]
    yield PushRefused(
        status=error.code,
        code=codes[0] if codes else error.status,
        message=scrubbed(error.message) if error.message else None,
        fields=tuple(fields),
        forget_token="UNREGISTERED" in codes or ("INVALID_ARGUMENT" in codes and not fields),
    )


def message(payload: Payload, _origin: Origin) -> Iterable[PushMessage]:
    given = _strict(payload.body).message
    shown = given.notification or _Notification()
    yield PushMessage(title=shown.title, body=shown.body, data=given.data or {})


def _strict(body: bytes) -> Any:
    return decode.json(body, _Request, strict=True)  # FCM refuses numbers in `data`
