"""Webhook signatures: believe nothing before they hold."""

import hashlib
import hmac

from connectors.kit.errors import SignatureInvalid
from connectors.kit.integration import Secret


def verify_hex_sha256(body: bytes, given: str | None, keys: list[Secret], *, prefix: str = "") -> None:
    """The signature is the hex HMAC-SHA256 of the raw body under one of `keys` (two while a key is changed).

    Raises `SignatureInvalid`; an empty key never matches, since it would accept anyone's signature.
    """
    if not given or not given.startswith(prefix):
        raise SignatureInvalid("the webhook carries no signature; nothing of it was believed")
    text = given[len(prefix) :].strip().lower()
    matched = False
    for key in keys:
        if not key:
            continue
        expected = hmac.new(key.reveal().encode(), body, hashlib.sha256).hexdigest()
        # all keys are tried, and as bytes: a text with other characters than ASCII would raise
        matched |= hmac.compare_digest(expected.encode(), text.encode(errors="replace"))
    if not matched:
        raise SignatureInvalid("the webhook's signature does not hold; nothing of it was believed")
