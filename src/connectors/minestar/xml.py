"""The standard's XML, all editions: elements by their local names.

A page is read in one flat walk: what is a machine, an element or a value is told by its name, and for names that the
standard does not have by whether there are children. Walking level by level takes twice as long.
"""

import re
from typing import Final

from lxml import etree

from connectors.kit.errors import BadPayload
from connectors.kit.xml import parser, root_of
from connectors.minestar import wire

_NAMES_MOST: Final = 5_000
_HEAD: Final = 4_096
_DEFAULT_NAMESPACE: Final = re.compile(rb"""\sxmlns\s*=\s*(?:"[^"<]*"|'[^'<]*')""")
_MESSAGES: Final = "messages"


def _parse(body: bytes) -> etree._Element:
    """The root element. Raises `BadPayload` for what is no XML, or XML with a document type."""
    # Namespaces mean nothing here, and lxml writes them out anew for each element: a fifth of the time
    bare = _DEFAULT_NAMESPACE.sub(b"", body[:_HEAD], count=1) + body[_HEAD:]
    return root_of(bare, reader=parser(remove_blank_text=True, collect_ids=False))


_VALUES: Final[dict[str, str]] = {}
_ELEMENTS: Final[dict[str, str]] = {}
"""Lower-case local names by tag, remembered: there are few, and each page has them thousands of times."""


def document(body: bytes) -> wire.Document:
    """A fleet, a machine or a time series, by the root element. Raises `BadPayload`."""
    root = _parse(body)
    name = root.tag.rpartition("}")[2].lower()
    found = _Walk()
    found.through(root)
    if name in ("fleet", "equipment"):
        return wire.Fleet(
            version=root.get("version"),
            snapshot_time=root.get("snapshotTime") or root.get("snapshottime"),
            links=found.links,
            machines=found.machines,
        )
    if not name.endswith(_MESSAGES) and not found.loose:
        raise BadPayload(f"the root element is {name[:60]}, not one of ISO 15143-3", path="$")
    return wire.Series(links=found.links, header=found.header, elements=found.loose)


class _Walk:
    """What a document holds. `loose` and `header` are what stands in no machine."""

    def __init__(self) -> None:
        self.machines: list[wire.Machine] = []
        self.links: list[wire.Link] = []
        self.loose: list[wire.Element] = []
        self.header: wire.Values = {}

    def through(self, root: etree._Element) -> None:
        known_values, known_elements, make = _VALUES, _ELEMENTS, wire.Element
        values: wire.Values = {}
        add = self.loose.append
        header, links = self.header, list[wire.Values]()
        for each in root.iter():
            tag = each.tag
            if tag in known_values:
                values[known_values[tag]] = each.text
                continue
            if tag in known_elements:
                values = {}
                add(make(known_elements[tag], each.get("datetime") or _time(each), values))
                continue
            name = tag.rpartition("}")[2].lower()
            if name == "equipment":
                machine = wire.Machine({}, [])
                self.machines.append(machine)
                add, header = machine.elements.append, machine.header
            elif name == wire.HEADER:
                values = header
            elif name == "links":
                values = {str(key): value for key, value in each.attrib.items()}
                links.append(values)
            elif name in wire.LEAVES:
                _learn(known_values, tag, name)
                values[name] = each.text
            elif name in wire.SECTIONS:
                _learn(known_elements, tag, name)
                values = {}
                add(make(name, each.get("datetime") or _time(each), values))
            elif len(each) == 0 or name == "altitude" or each is root:
                # a value that is not known; AEMP 1.2 puts the altitude's number one level below its name
                values[name] = each.text
            else:
                values = {}
                add(make(name, each.get("datetime") or _time(each), values))
        self.links += [found for found in map(wire.link, links) if found is not None]


def _learn(names: dict[str, str], tag: str, name: str) -> None:
    if len(names) < _NAMES_MOST:
        names[tag] = name


def _time(element: etree._Element) -> str | None:
    """The time under another spelling of the attribute's name (`dateTime` at MiX)."""
    for name, value in element.attrib.items():
        if str(name).lower() == wire.AT:
            return str(value)
    return None
