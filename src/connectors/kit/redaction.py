"""Keeps secrets and personal data out of logs and messages."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

_SECRET_NAME = re.compile(
    r"pass(word|wd)?|secret|token|api[-_]?key|apikey|authorization|cookie|session|signature|credential|jwt",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"(?i)\b(bearer|basic|apikey)\s+[a-z0-9+/=._~-]{6,}|([?&](?:[a-z_]*(?:token|key|password|secret|code))=)[^&\s]+"
)
MASK = "***"


def text(value: str) -> str:
    """The text with credentials in URLs and headers masked, at most 500 characters."""
    short = value if len(value) <= 500 else value[:497] + "..."
    return _SECRET_TEXT.sub(lambda hit: f"{hit[2]}{MASK}" if hit[2] else f"{hit[1]} {MASK}", short)


def mapping(values: Mapping[str, object]) -> dict[str, object]:
    """The mapping with the values of secret-sounding names masked, in nested mappings too."""
    return {
        name: MASK
        if _SECRET_NAME.search(name)
        else mapping(value)
        if isinstance(value, Mapping)
        else text(value)
        if isinstance(value, str)
        else value
        for name, value in values.items()
    }


def url(value: str) -> str:
    """Scheme, host and path: the query may hold tokens, ids and personal data."""
    parts = urlsplit(value)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"
