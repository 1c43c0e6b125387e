"""What kind of answer a client wants (RFC 9110, section 12.5.1; GraphQL over HTTP)."""

from collections.abc import Sequence

import msgspec

GRAPHQL = "application/graphql-response+json"
JSON = "application/json"
SSE = "text/event-stream"
MULTIPART = "multipart/mixed"
LONGEST = 4_096
"""Characters of an `Accept` that are looked at."""


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """One media range. `specific`: 0 for `*/*`, 1 for `type/*`, 2 for a type, 3 for a type with parameters."""

    name: str
    quality: float
    specific: int
    parameters: dict[str, str] = {}

    def covers(self, offer: str) -> bool:
        if self.name in ("*/*", offer):
            return True
        return self.name.endswith("/*") and offer.startswith(self.name[:-1])


def ranges(accept: str) -> list[Range]:
    """The media ranges of an `Accept`; what cannot be read is left out."""
    found: list[Range] = []
    for part in _split(accept[:LONGEST], ","):
        name, *rest = (piece.strip() for piece in _split(part, ";"))
        name = name.lower()
        if name.count("/") != 1:
            continue
        quality, parameters = 1.0, {}
        for piece in rest:
            key, _, value = piece.partition("=")
            key, value = key.strip().lower(), value.strip().strip('"')
            if key == "q":
                quality = _quality(value)
            elif key:
                parameters[key] = value
        specific = 0 if name == "*/*" else 1 if name.endswith("/*") else 3 if parameters else 2
        found.append(Range(name=name, quality=quality, specific=specific, parameters=parameters))
    return found


def _split(text: str, at: str) -> list[str]:
    """Splits outside of quoted strings."""
    parts, start, quoted = [], 0, False
    for index, letter in enumerate(text):
        if letter == '"':
            quoted = not quoted
        elif letter == at and not quoted:
            parts.append(text[start:index])
            start = index + 1
    parts.append(text[start:])
    return parts


def _quality(value: str) -> float:
    """A q-value; what is none counts as 0, so that a broken wish is not fulfilled by chance."""
    if not value.isascii() or not value.replace(".", "", 1).isdigit():
        return 0.0
    return min(1.0, float(value))


def qualities(accept: str, offers: Sequence[str]) -> dict[str, float]:
    """How much each offer is wanted, by the most specific range that covers it; 0 for not at all."""
    wanted = ranges(accept)
    found: dict[str, float] = {}
    for offer in offers:
        covering = [each for each in wanted if each.covers(offer)]
        best = max(covering, key=lambda each: each.specific, default=None)
        found[offer] = best.quality if best else 0.0
    return found


def single(accept: str | None) -> str | None:
    """The media type of one whole answer; null when none is acceptable.

    Both JSON types and, where a stream ranks above them, server-sent events or multipart: a stream of one.
    Equal wishes: the type that is named first, JSON before any stream; without a wish, `application/json`.
    """
    if accept is None or not accept.strip():
        return JSON
    offers = (JSON, GRAPHQL, SSE, MULTIPART)
    rank = qualities(accept, offers)
    best = max(rank.values())
    if best <= 0:
        return None
    tied = [offer for offer in offers if rank[offer] == best]
    whole = [offer for offer in tied if offer in (JSON, GRAPHQL)]
    named = [each.name for each in ranges(accept)]
    return min(whole or tied, key=lambda offer: named.index(offer) if offer in named else len(named))


def stream(accept: str | None) -> str | None:
    """The media type of a stream of answers; null when the client takes none of ours."""
    if accept is None or not accept.strip():
        return None
    named = [each.name for each in ranges(accept)]
    rank = qualities(accept, (SSE, MULTIPART))
    best = max(rank.values())
    if best <= 0:
        return None
    tied = [offer for offer, quality in rank.items() if quality == best]
    return min(tied, key=lambda offer: named.index(offer) if offer in named else len(named))
