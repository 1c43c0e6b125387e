"""Global ids: opaque outside, (kind, integration, vendor's id) inside."""

import base64
import binascii
from typing import NamedTuple

_SEPARATOR = "\x1f"  # ASCII unit separator: occurs in no kind, no integration key and no vendor's id that we met
MAX_LENGTH = 1_024


class GlobalId(NamedTuple):
    """What an id stands for. `external_id` is the vendor's own id, as the vendor spells it."""

    kind: str
    integration: str
    external_id: str


class InvalidId(ValueError):
    """The text is no id that Crossdock gave out."""


def encode(kind: str, integration: str, external_id: str) -> str:
    """The id that clients see: URL-safe, without padding, stable for the same three parts."""
    raw = f"{kind}{_SEPARATOR}{integration}{_SEPARATOR}{external_id}".encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> GlobalId:
    """The parts of an id. Raises `InvalidId` for anything that `encode` does not produce."""
    if not text or len(text) > MAX_LENGTH:
        raise InvalidId("an id is a text of 1 to 1,024 characters; take it from the `id` field of an object")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise InvalidId("not an id of this graph; take it from the `id` field of an object") from None
    parts = raw.split(_SEPARATOR)
    if len(parts) != 3 or not all(parts):
        raise InvalidId("not an id of this graph; take it from the `id` field of an object")
    return GlobalId(*parts)
