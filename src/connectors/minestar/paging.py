"""Pages by links. Hrefs are whole addresses, paths of another mount point, or relative; of each only what follows
`Fleet` counts, and is asked of the address that the settings give. So no link leads to another host.
"""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

from connectors.kit.errors import BadPayload
from connectors.minestar.settings import Settings
from connectors.minestar.wire import Link

LONGEST: Final = 480
_SAFE: Final = re.compile(r"^(?:/[A-Za-z0-9_.~:%@!$&'()*+,;=-]+)*(?:\?[A-Za-z0-9_.~:%@!$&'()*+,;=/?-]*)?$")
_SELF: Final = ("self", "current")


def first_page(settings: Settings) -> str:
    """Path of the fleet's first page below the base address."""
    match settings.page_form:
        case "query":
            return f"{settings.fleet}?page={settings.first_page}&limit={settings.page_size}"
        case "none":
            return settings.fleet
    return f"{settings.fleet}/{settings.first_page}"


def next_page(links: Sequence[Link], asked: str, settings: Settings) -> str | None:
    """Path of the page after `asked`; null at the end. On the last page some providers name that page itself as the
    next. Raises `BadPayload` for a link that cannot be followed."""
    found = next((each.href for each in links if each.rel == "next"), None)
    if found is None:
        return None
    following = _below_root(found, asked, settings)
    here = [_below_root(each.href, asked, settings) for each in links if each.rel in _SELF]
    if any(_same(following, each) for each in (*here, asked)):
        return None
    return following


def is_page(path: str, settings: Settings) -> bool:
    """Whether the text is a path that `next_page` gave."""
    root = settings.root
    return path.startswith(root) and len(path) <= LONGEST and _fits(path[len(root) :])


def _below_root(href: str, asked: str, settings: Settings) -> str:
    """The path that an href means: what follows `Fleet` in it, or for a number or a query alone the asked page's."""
    try:
        parts = urlsplit(href)
    except ValueError:
        raise _bad(href) from None
    path, root = parts.path, settings.root
    segments = path.split("/")
    wanted = root.rpartition("/")[2].lower()
    place = next((place for place in range(len(segments) - 1, -1, -1) if segments[place].lower() == wanted), None)
    before = asked[len(root) :].partition("?")[0]
    if place is not None:
        rest = "".join(f"/{each}" for each in segments[place + 1 :])
    elif _is_number(segments[-1]):
        rest = (before.rpartition("/")[0] if _is_number(before.rpartition("/")[2]) else before) + f"/{segments[-1]}"
    elif path in ("", "/") and parts.query:
        rest = before
    else:
        raise _bad(href)
    below = rest + (f"?{parts.query}" if parts.query else "")
    if len(root) + len(below) > LONGEST or not _fits(below):
        raise _bad(href)
    return root + below


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _fits(below: str) -> bool:
    return _SAFE.match(below) is not None and not any(
        unquote(each) in (".", "..") or "/" in unquote(each) for each in below.partition("?")[0].split("/")
    )


def _same(one: str, other: str) -> bool:
    return unquote(one).casefold() == unquote(other).casefold()


def _bad(href: str) -> BadPayload:
    return BadPayload(f"the link to the next page leads nowhere that is known: {href[:100]!r}", path="$.Links")
