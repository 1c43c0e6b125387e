"""Cursors over many sources: one opaque, signed text that says where each source's next row is.

The signature keeps clients from making up vendor cursors that end in a vendor's URL; the digest ties a cursor
to its list, filter and order.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Any

import msgspec

from resolvers.errors import BadCursor

LIMIT = 2_048
MARK = 4
MOVING, RECENT = 200, 50
"""Rows that a cursor remembers of a list whose vendor moves them about: those that may still move, and the last
ones that were given. Together 1,000 bytes."""
_SIGNATURE = 12


class Place(msgspec.Struct, array_like=True, frozen=True, omit_defaults=True):
    """The next row of one source: the vendor's page (null = first) and how many of its rows are behind us.

    `limit` is how many rows that page was asked for, so that it comes again as it was; 0 where no row is behind us.
    `last` is the external id of the row before, for sources that are read whole and may have shifted.
    `done`: there is nothing more. `moving` and `recent` mark rows behind us that may come again (see `marks`).
    """

    page: str | None = None
    offset: int = 0
    limit: int = 0
    last: str | None = None
    done: bool = False
    moving: bytes = b""
    recent: bytes = b""

    def after(self, moving: list[str], given: list[str]) -> "Place":
        """The same place with more rows behind it, by their external ids; the oldest are forgotten."""
        return msgspec.structs.replace(
            self,
            moving=(self.moving + b"".join(map(mark, moving)))[-MOVING * MARK :],
            recent=(self.recent + b"".join(map(mark, given[-RECENT:])))[-RECENT * MARK :],
        )

    def marks(self) -> set[bytes]:
        """Of the rows that were given and may come again."""
        told = self.moving + self.recent
        return {told[start : start + MARK] for start in range(0, len(told), MARK)}


def mark(external_id: str) -> bytes:
    """Four bytes that stand for a row: short, since they travel in the cursor."""
    return hashlib.blake2b(external_id.encode(), digest_size=MARK).digest()


class _Body(msgspec.Struct, array_like=True, frozen=True):
    digest: bytes
    places: dict[str, Place]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Body).decode


def digest(kind: str, query: Any) -> bytes:
    """Eight bytes that name a list with its filter and order."""
    return hashlib.blake2b(kind.encode() + msgspec.json.encode(query), digest_size=8).digest()


def write(key: bytes, of: bytes, places: dict[str, Place]) -> str:
    """The cursor. Raises `BadCursor` when the vendors' own cursors are too long to carry."""
    body = _encode(_Body(of, places))
    text = base64.urlsafe_b64encode(hmac.digest(key, body, "sha256")[:_SIGNATURE] + body).rstrip(b"=").decode()
    if len(text) > LIMIT:
        raise BadCursor("the cursor of this list is too long; ask fewer integrations at once (`sources`)")
    return text


def read(key: bytes, of: bytes, cursor: str) -> dict[str, Place]:
    """The places of a cursor of the same list. Raises `BadCursor` for any other text."""
    fault = BadCursor("`after` is not a cursor of this list; use `pageInfo.endCursor` or an edge's `cursor`")
    if len(cursor) > LIMIT:
        raise fault
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise fault from None
    signature, body = raw[:_SIGNATURE], raw[_SIGNATURE:]
    if not hmac.compare_digest(signature, hmac.digest(key, body, "sha256")[:_SIGNATURE]):
        raise fault
    try:
        found = _decode(body)
    except msgspec.MsgspecError:
        raise fault from None
    if found.digest != of:
        raise BadCursor("the cursor belongs to another list, filter or order; start again without `after`")
    return found.places
