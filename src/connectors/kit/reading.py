"""Parts that decoder tables are made of: payloads told by the names in them, JSON read into a struct."""

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import msgspec

from connectors.kit import decode
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoded, Payload

T = TypeVar("T")

_TOP: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def top_names(body: bytes) -> frozenset[str]:
    """The names at the top of a JSON object; of the first line where there are several. Empty for all else."""
    for text in (body, body.lstrip().split(b"\n", 1)[0]):
        if text.lstrip()[:1] != b"{":
            break
        try:
            return frozenset(_TOP.decode(text))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            continue
    return frozenset()


def having(*names: str) -> Callable[[Payload], bool]:
    """Recognises JSON objects with all of these names at the top."""
    return lambda payload: top_names(payload.body).issuperset(names)


def reading(
    into: type[T], make: Callable[[T, Origin], Iterable[Decoded]]
) -> Callable[[Payload, Origin], Iterable[Decoded]]:
    """Reads the JSON into `into`, of which `make` makes what is shown."""

    def read(payload: Payload, origin: Origin) -> Iterable[Decoded]:
        return make(decode.json(payload.body, into), origin)

    return read
