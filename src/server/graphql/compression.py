"""Packs whole answers as the client likes them: zstd and brotli where their libraries are installed, gzip always."""

import importlib
import zlib
from collections.abc import Callable

from starlette.responses import Response

from server.graphql.accept import ranges

SMALLEST = 1_024
"""Bytes from which on packing is worth its time."""


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(4, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def _available() -> dict[str, Callable[[bytes], bytes]]:
    found: dict[str, Callable[[bytes], bytes]] = {}
    for coding, module, pack in (
        ("zstd", "zstandard", lambda library: library.ZstdCompressor(level=3).compress),
        ("br", "brotli", lambda library: lambda body: library.compress(body, quality=4)),
    ):
        try:
            found[coding] = pack(importlib.import_module(module))
        except ImportError:
            continue
    return found | {"gzip": _gzip}


CODINGS = _available()


def chosen(accept_encoding: str | None) -> str | None:
    """The coding that is wanted most; of equal ones ours first. Null for none."""
    if not accept_encoding:
        return None
    # the header is written as `Accept` is, with names instead of types
    wanted = {
        each.name.partition("/")[2]: each.quality
        for each in ranges(",".join(f"x/{part.strip()}" for part in accept_encoding.split(",")))
    }
    anything = wanted.get("*", 0.0)
    best = max(CODINGS, key=lambda coding: wanted.get(coding, anything))
    quality = wanted.get(best, anything)
    return best if quality > 0 and quality >= wanted.get("identity", 0.0) else None


def compressed(response: Response, accept_encoding: str | None) -> Response:
    """The response, packed where the client takes it and it is long enough."""
    vary = response.headers.get("vary")
    response.headers["vary"] = (
        f"{vary}, Accept-Encoding" if vary and "Accept-Encoding" not in vary else (vary or "Accept-Encoding")
    )
    coding = chosen(accept_encoding)
    body = bytes(response.body)
    if coding is None or len(body) < SMALLEST:
        return response
    packed = CODINGS[coding](body)
    response.body = packed
    response.headers["content-encoding"] = coding
    response.headers["content-length"] = str(len(packed))
    return response
