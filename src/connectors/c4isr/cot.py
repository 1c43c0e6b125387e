"""Cursor on Target as XML: cutting the stream, reading events safely, writing the few that we send.

An event is read into a plain tree, so that nothing of its detail is lost. DTDs, entities and external references
are refused, sizes and depth bounded: what comes over this socket is written by anybody's phone.
"""

import hashlib
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from xml.sax.saxutils import quoteattr

import msgspec
from lxml import etree

from connectors.kit import decode
from connectors.kit.errors import BadPayload, MappingFailed

MAX_EVENT = 1 << 20
"""Bytes of one event; the largest seen in the field are drawings of some 100 kB."""
MAX_DEPTH = 32
UNKNOWN = 999_999.0
"""Metres from which on a height or an error means "unknown": 9999999.0 in XML, 999999 in the protobuf notes."""
DECLARATION = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
END = b"</event>"

_START = re.compile(rb"<event(?=[\s>])")
_DTD = re.compile(rb"<!\s*(DOCTYPE|ENTITY|ELEMENT|ATTLIST)", re.IGNORECASE)


class Node(msgspec.Struct, frozen=True, gc=False):
    """An element: its name, attributes, text (of a leaf, trimmed; null when empty) and children."""

    name: str
    attributes: dict[str, str] = {}
    text: str | None = None
    children: tuple["Node", ...] = ()

    def all(self, name: str) -> list["Node"]:
        """Direct children of that name, in order."""
        return [child for child in self.children if child.name == name]

    def one(self, name: str) -> "Node | None":
        """The first direct child of that name."""
        for child in self.children:
            if child.name == name:
                return child
        return None

    def get(self, name: str) -> str | None:
        """An attribute; null where it is missing, empty or spells "no value"."""
        return decode.none(self.attributes.get(name))

    def number(self, name: str) -> float | None:
        """An attribute as a finite number; null where it is missing or none."""
        return finite(self.attributes.get(name))


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One CoT event in the vendor's words. `lat`, `lon` in degrees, `hae`, `ce`, `le` in metres, null = unknown."""

    uid: str
    type: str
    how: str | None = None
    access: str | None = None
    time: datetime
    start: datetime | None = None
    stale: datetime | None = None
    lat: float | None = None
    lon: float | None = None
    hae: float | None = None
    ce: float | None = None
    le: float | None = None
    detail: Node = Node("detail")

    def attribute(self, element: str, name: str) -> str | None:
        """An attribute of the first such element of the detail."""
        found = self.detail.one(element)
        return found.get(name) if found is not None else None

    def number(self, element: str, name: str) -> float | None:
        found = self.detail.one(element)
        return found.number(name) if found is not None else None

    @property
    def fingerprint(self) -> str:
        """The same for the same event, whatever the order of its attributes and the servers on its way."""
        facts = (self.type, self.start, self.stale, self.lat, self.lon, self.hae, self.ce, self.le)
        kept = tuple(child for child in self.detail.children if child.name != "_flow-tags_")
        text = msgspec.json.encode((facts, kept), order="sorted")
        return hashlib.blake2b(text, digest_size=8).hexdigest()

    @property
    def delivery_id(self) -> str:
        """Uid, time and hash: the same event delivered twice is one delivery."""
        return f"{self.uid[:120]}:{self.time.timestamp():.3f}:{self.fingerprint}"


def finite(text: str | float | None) -> float | None:
    """A number; null for none, NaN, infinity and what is no number (senders write `???`)."""
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def metres(text: str | float | None) -> float | None:
    """A height or an error in metres; null where it means "unknown"."""
    number = finite(text)
    return None if number is None or abs(number) >= UNKNOWN else number


def when(text: str | int | float | None, *, path: str = "$") -> datetime | None:
    """Any of the forms of time that TAK servers use: ISO with any fraction, HTTP date, epoch milliseconds."""
    if isinstance(text, int | float):
        return decode.epoch(text, path=path, per_second=1000)
    bare = decode.none(text)
    if bare is None:
        return None
    if bare[:3].isalpha():
        try:
            parsed = parsedate_to_datetime(bare)
        except ValueError:
            raise MappingFailed(f"`{path}` is no time", path=path) from None
        return parsed.replace(tzinfo=parsed.tzinfo or UTC).astimezone(UTC)
    return decode.moment(bare, path=path)


# --- reading


def parse(body: bytes, *, limit: int = MAX_EVENT) -> Event:
    """One `<event>`. Raises `BadPayload` with the path of the fault."""
    return event_of(node(body, limit=limit))


def fragment(text: str) -> tuple[Node, ...]:
    """Elements without a root, as protobuf messages carry them in `xmlDetail`."""
    return node(b"<detail>" + text.encode() + b"</detail>").children if text else ()


def node(body: bytes, *, limit: int = MAX_EVENT) -> Node:
    """An XML document as a tree, with everything dangerous refused."""
    if len(body) > limit:
        raise BadPayload(f"the XML is longer than {limit} bytes", path="$")
    marked = b"<!" in body  # a comment, CDATA or worse; the parser takes UTF-8 only, whatever the XML declares
    if b"\0" in body or (marked and _DTD.search(body)):
        raise BadPayload("the XML has a DTD or entities, which are refused", path="$")
    try:
        root = etree.fromstring(body.strip(), _parser())
    except etree.XMLSyntaxError as fault:
        line, column = fault.position
        raise BadPayload(f"the XML is not well-formed at line {line}, column {column}", path="$") from None
    if root is None or (marked and root.getroottree().docinfo.internalDTD is not None):
        raise BadPayload("the XML has a DTD or entities, which are refused", path="$")
    return _node(root, 0, b"xmlns" in body or b"xml:" in body)


@cache
def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _node(element: "etree._Element", depth: int, spaces: bool) -> Node:
    """With `spaces` names may have namespaces, which say nothing here: senders invent them."""
    name = element.tag
    if depth > MAX_DEPTH:
        raise BadPayload("the XML is nested too deeply", path="$")
    if not isinstance(name, str):
        raise BadPayload("the XML has entities, which are refused", path="$")
    text = element.text
    attributes: dict[str, str] = dict(element.items())  # type: ignore[arg-type] # text: the document was parsed
    if spaces:
        name = name.rpartition("}")[2]
        attributes = {key.rpartition("}")[2]: value for key, value in attributes.items()}
    return Node(
        name,
        attributes,
        text.strip() or None if text is not None else None,
        tuple([_node(child, depth + 1, spaces) for child in element]) if len(element) else (),
    )


def event_of(root: Node) -> Event:
    """The event in a tree. Raises `BadPayload`/`MappingFailed` with the path."""
    if root.name != "event":
        raise BadPayload("the XML is no CoT event", path="$")
    uid, kind = root.get("uid"), root.get("type")
    if uid is None or kind is None:
        raise BadPayload("the event lacks `uid` or `type`", path="$.event@uid" if uid is None else "$.event@type")
    begins, told = root.get("start"), root.get("time")
    start = when(begins, path="$.event@start")
    time = start if told is None or told == begins else when(told, path="$.event@time") or start
    if time is None:
        raise BadPayload("the event lacks `time`", path="$.event@time")
    point = root.one("point") or Node("point")
    return Event(
        uid=uid,
        type=kind,
        how=root.get("how"),
        access=root.get("access"),
        time=time,
        start=start,
        stale=when(root.get("stale"), path="$.event@stale"),
        lat=point.number("lat"),
        lon=point.number("lon"),
        hae=metres(point.attributes.get("hae")),
        ce=metres(point.attributes.get("ce")),
        le=metres(point.attributes.get("le")),
        detail=root.one("detail") or Node("detail"),
    )


def first(body: bytes, at: int) -> tuple[bytes, int] | None:
    """The first event from `at` on, and where it ends; null while its end is missing. Without a beginning it is empty:
    what is before an event is dropped."""
    end = body.find(END, at)
    if end < 0:
        return None
    stop = end + len(END)
    start = _START.search(body, at, stop)
    return (body[start.start() : stop] if start is not None else b""), stop


def cut(body: bytes) -> tuple[list[bytes], bytes]:
    """The events in the bytes, and what remains after the last. Anything before an event is dropped."""
    found: list[bytes] = []
    done = 0
    while (event := first(body, done)) is not None:
        done = event[1]
        if event[0]:
            found.append(event[0])
    return found, body[done:]


def events(body: bytes) -> Iterator[Event | BadPayload]:
    """The events of an answer (`<events>`, one event, or several in a row); a bad one spoils no other.

    Raises `BadPayload` when it is no such answer at all.
    """
    if _DTD.search(body):
        raise BadPayload("the XML has a DTD or entities, which are refused", path="$")
    found, rest = cut(body)
    if not found and body.strip() and b"<events" not in rest[:300]:
        raise BadPayload("the answer is no CoT", path="$")
    for chunk in found:
        try:
            yield parse(chunk)
        except BadPayload as fault:
            yield fault


# --- writing


def write(event_type: str, uid: str, at: datetime, *, stale_seconds: float = 20.0, detail: str = "") -> bytes:
    """One event of ours, to be sent as it is: the declaration first, no line feed after it."""
    time, stale = (
        each.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{each.microsecond // 1000:03d}Z"
        for each in (at, at + timedelta(seconds=stale_seconds))
    )
    return (
        DECLARATION
        + (
            f'<event version="2.0" uid={quoteattr(uid)} type={quoteattr(event_type)} how="m-g" '
            f'time="{time}" start="{time}" stale="{stale}">'
            f'<point lat="0.0" lon="0.0" hae="0.0" ce="9999999" le="9999999"/><detail>{detail}</detail></event>'
        ).encode()
    )


def sign_in(username: str, password: str, uid: str) -> bytes:
    """The first bytes to servers that want a password on the stream."""
    return (
        '<?xml version="1.0"?>\n'
        f"<auth><cot username={quoteattr(username)} password={quoteattr(password)} uid={quoteattr(uid)}/></auth>"
    ).encode()
