"""What EWM's answers mean: HTML instead of data, CSRF, business errors under 400 and 404."""

import re
from typing import TYPE_CHECKING

from connectors.kit import decode
from connectors.kit.errors import BadPayload
from connectors.kit.http import Outcome, OutcomeKind, by_status, looks_like_html
from connectors.sap_ewm.wire import ErrorAnswer

if TYPE_CHECKING:
    import httpx

CSRF_REQUIRED = "x-csrf-token: Required"
"""Our code for a refused or missing CSRF token."""

_FRAMEWORK = re.compile(r"^(/IWBEP/|/IWFND/|/IWCOR/|CX_|SADL|SY/|005056A5)")
"""Codes of the gateway itself: it did not like the form of our call."""
_BUSINESS = re.compile(r"^(/[A-Z0-9_]+/[A-Z0-9_]+/\d{1,3}|[A-Z0-9_]+/\d{1,3})$")
"""Message class and number: the application said no."""

_ROBOT_ABSENT = frozenset({"NO_ORDER_FOUND"})
_ROBOT_CONFLICT = frozenset(
    {"WAREHOUSE_ORDER_LOCKED", "WAREHOUSE_ORDER_ASSIGNED", "WAREHOUSE_TASK_ASSIGNED", "FOREIGN_LOCK"}
)
"""Business answers of the robot service, under 404, that mean "nothing there" and "somebody else has it"."""
_ROBOT_CODE = re.compile(r"^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$")


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
    elif status == 404 and code is not None and _ROBOT_CODE.match(code) and code not in _ROBOT_ABSENT:
        # the route is there: ROBOT_NOT_FOUND is what the application answers
        kind = OutcomeKind.CONFLICT if code in _ROBOT_CONFLICT else OutcomeKind.REJECTED
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
