"""What Uber's answers mean beyond HTTP, and the faults in them. No phone number leaves this module."""

import re
from typing import Any

import msgspec

from connectors.kit.http import Outcome, OutcomeKind, by_status, looks_like_html

_PHONE = re.compile(r"\+?\d(?:[\s().-]{0,2}\d){7,}")
_MAIL = re.compile(r"[^\s@,;:\"'<>]+@[^\s@,;:\"'<>]+")
_SHORT = 4_000
"""Bytes; an answer with an error inside a 200 is a small one."""


class _Error(msgspec.Struct):
    status: int | None = None
    code: str | int | None = None
    title: str | None = None


class _Metadata(msgspec.Struct, rename="camel"):
    status_code: str | int | None = None


class Fault(msgspec.Struct):
    """Both forms: that of Guest Rides (`message`, `code`, `metadata`) and that of v1.2 (`errors`, `meta`)."""

    message: str | None = None
    code: str | int | None = None
    metadata: _Metadata | None = None
    errors: list[_Error] | None = None
    meta: dict[str, Any] | None = None
    error: str | None = None
    """The token endpoint's."""

    @property
    def first(self) -> _Error:
        return self.errors[0] if self.errors else _Error()

    @property
    def status(self) -> int | None:
        """The HTTP status that the body repeats, as number or text."""
        given = self.first.status or (self.metadata.status_code if self.metadata else None)
        return int(given) if given is not None and str(given).isdigit() else None

    @property
    def name(self) -> str | None:
        given = self.first.code if self.first.code is not None else self.code
        return str(given)[:80] if given is not None else (self.error or "")[:80] or None

    @property
    def words(self) -> str | None:
        given = self.first.title or self.message
        return scrubbed(given) if given else None


def scrubbed(text: str) -> str:
    """Without phone numbers and mail addresses, at most 300 characters."""
    return _MAIL.sub("***", _PHONE.sub("***", text[:300]))


def fault(body: bytes) -> Fault | None:
    """The fault in a body; null when it has none."""
    try:
        found = msgspec.json.decode(body, type=Fault, strict=False)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if found.name is not None or found.words is not None else None


def explain(response: Any) -> Outcome | None:
    """The status with Uber's code and words; surge is a refusal that the guest may confirm."""
    status = response.status_code
    if status < 400:
        if looks_like_html(response):
            return Outcome(kind=OutcomeKind.NONSENSE, message="a page in HTML instead of data")
        body: bytes = response.content
        if len(body) > _SHORT or b'"metadata"' not in body or b'"statusCode"' not in body:
            return None
    found = fault(response.content)
    if found is None:
        return None
    plain = by_status(response)
    if status < 400:
        if found.status is None or found.status < 400:
            return None
        plain = by_status(type(response)(found.status, headers=response.headers))
    kind = OutcomeKind.REJECTED if found.name in ("surge", "fare_expired") else plain.kind
    return Outcome(kind=kind, code=found.name, message=found.words, retry_after=plain.retry_after)
