"""Which web pages may ask: keeps a page of another site from using a browser that can reach this server.

Answers carry no CORS headers unless an origin is allowed, bodies must be JSON (which a page of another site
cannot send without asking first), and what a browser sends on its own is refused by its `Origin` and
`Sec-Fetch-Site`. Programs send neither and are not concerned.
"""

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from server.graphql.body import Refused

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class Origins:
    """`allowed` are origins as browsers write them; `loopback_only`: the server is asked by this machine only,
    so that a host name which is not a loopback one is a rebound name."""

    def __init__(self, allowed: tuple[str, ...] = (), *, loopback_only: bool = False) -> None:
        self.allowed = frozenset(allowed)
        self._loopback_only = loopback_only

    def check(self, request: HTTPConnection) -> None:
        """Raises `Refused` (403, 421) for a page that may not ask."""
        host = request.headers.get("host", "")
        if self._loopback_only and host and _bare(host) not in _LOOPBACK:
            raise Refused(
                421,
                "MISDIRECTED_REQUEST",
                "this server answers to localhost only; configure [auth] to let others ask",
            )
        origin = request.headers.get("origin")
        if origin is not None and origin not in self.allowed and _netloc(origin) != host:
            raise Refused(
                403, "ORIGIN_NOT_ALLOWED", "pages of this origin may not ask; add it to `server.allowed_origins`"
            )
        site = request.headers.get("sec-fetch-site", "none")
        if origin is None and site not in ("none", "same-origin") and request.scope["type"] == "http":
            raise Refused(403, "ORIGIN_NOT_ALLOWED", "a page of another site may not ask without its origin")


def _netloc(origin: str) -> str | None:
    """Host and port of an origin; null for one that cannot be read."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _bare(host: str) -> str:
    """The host without its port."""
    name, colon, port = host.rpartition(":")
    return name.lower() if colon and port.isdigit() else host.lower()
