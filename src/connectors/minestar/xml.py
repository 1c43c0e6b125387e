"""The standard's XML, all editions: elements by their local names. Entities, DTDs and the network are off.

A page is read in one flat walk: what is a machine, an element or a value is told by its name, and for names that the
standard does not have by whether there are children. Walking level by level takes twice as long.
"""

from functools import cache
from typing import Final, NamedTuple

from lxml import etree

from connectors.kit.errors import BadPayload
from connectors.minestar import wire

_NAMES_MOST: Final = 5_000
_MESSAGES: Final = "messages"


@cache
def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        remove_blank_text=True,
        collect_ids=False,
    )


def _parse(body: bytes) -> etree._Element:
    """The root element. Raises `BadPayload` for what is no XML, or XML with a DTD."""
    if b"<!DOCTYPE" in body:
        raise BadPayload("the document has a DTD, which is refused", path="$")
    try:
        root = etree.fromstring(body, _parser())
    except (etree.XMLSyntaxError, ValueError) as fault:
        raise BadPayload(f"the answer is no XML: {str(fault)[:200]}", path="$") from None
    # the look above misses a DTD in an encoding like UTF-16
    if root.getroottree().docinfo.doctype:  # type: ignore[union-attr]
        raise BadPayload("the document has a DTD, which is refused", path="$")
    return root


class _Known(NamedTuple):
    """What a tag is: `value`, `element`, or to be found out."""

    kind: int
    name: str


_VALUE: Final = 0
_ELEMENT: Final = 1
_EQUIPMENT: Final = 2
_UNKNOWN: Final = 3


class _Tags(dict[str, _Known]):
    """By tag, remembered: there are few, and each page has them thousands of times."""

    def __missing__(self, tag: str) -> _Known:
        name = tag.rpartition("}")[2].lower()
        if name in wire.LEAVES:
            known = _Known(_VALUE, name)
        elif name in wire.SECTIONS:
            known = _Known(_ELEMENT, name)
        else:
            known = _Known(_EQUIPMENT if name == "equipment" else _UNKNOWN, name)
        if len(self) < _NAMES_MOST:
            self[tag] = known
        return known


_TAGS: Final = _Tags()


def document(body: bytes) -> wire.Document:
    """A fleet, a machine or a time series, by the root element. Raises `BadPayload`."""
    root = _parse(body)
    name = _TAGS[root.tag].name
    elements: list[wire.Element] = []
    machines: list[wire.Machine] = []
    links: list[wire.Link] = []
    if name in ("fleet", "equipment"):
        _walk(root, machines, elements, links)
        return wire.Fleet(
            version=root.get("version"),
            snapshot_time=root.get("snapshotTime") or root.get("snapshottime"),
            links=links,
            machines=machines,
        )
    header = _walk(root, machines, elements, links)
    if not name.endswith(_MESSAGES) and not elements:
        raise BadPayload(f"the root element is {name[:60]}, not one of ISO 15143-3", path="$")
    return wire.Series(links=links, header=header, elements=elements)


def _walk(
    root: etree._Element,
    machines: list[wire.Machine],
    elements: list[wire.Element],
    links: list[wire.Link],
) -> wire.Values:
    """Fills machines and links; what stands in no machine goes into `elements`, and its header is given."""
    tags, make = _TAGS, wire.Element
    loose: wire.Values = {}
    values: wire.Values = {}
    link_values: list[wire.Values] = []
    for each in root.iter():
        kind, name = tags[each.tag]
        if kind == _VALUE:
            values[name] = each.text
            continue
        if kind == _UNKNOWN:
            if each is root or name == "altitude":  # AEMP 1.2 puts the altitude's number one level lower
                values[name] = each.text
                continue
            if len(each) == 0:
                values[name] = each.text
                continue
        elif kind == _EQUIPMENT:
            elements = []
            machines.append(wire.Machine({}, elements))
            continue
        values = {}
        if name == "links":
            link_values.append(values if len(each) or not each.attrib else dict(each.attrib))
        elif name == wire.HEADER:
            if machines:
                values = machines[-1].header
            else:
                values = loose
        else:
            elements.append(make(name, each.get("datetime") or _time(each), values))
    links += [found for found in map(wire.link, link_values) if found is not None]
    return loose


def _time(element: etree._Element) -> str | None:
    """The time under another spelling of the attribute's name (`dateTime` at MiX)."""
    for name, value in element.attrib.items():
        if str(name).lower() == wire.AT:
            return str(value)
    return None
