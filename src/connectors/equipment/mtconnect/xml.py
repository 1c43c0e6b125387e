"""MTConnect's XML, any version from 1.0 on: by local names, since the version stands in the namespace and vendors
add elements in namespaces of their own.
"""

from collections.abc import Iterator
from typing import Final

from lxml import etree

from connectors.equipment.mtconnect import wire
from connectors.kit.errors import BadPayload
from connectors.kit.xml import root_of

_DETAILS_MOST: Final = 40
_DETAIL_LONGEST: Final = 200
_TEXT_MOST: Final = 2_000
_TEXT_SHORT: Final = 200
"""Characters; a longer value is looked at more closely."""


def parse(body: bytes) -> etree._Element:
    """The root element. Raises `BadPayload` for what is no XML, or XML with a document type."""
    return root_of(body)


def local(element: etree._Element) -> str:
    """The name without its namespace."""
    return element.tag.rpartition("}")[2]


def document(body: bytes) -> wire.Document:
    """The document by its root element, whatever the status that it came with."""
    root = parse(body)
    match local(root):
        case "MTConnectStreams":
            return streams(root)
        case "MTConnectDevices":
            return devices(root)
        case "MTConnectAssets":
            return assets(root)
        case "MTConnectError":
            return errors(root)
        case name:
            raise BadPayload(f"the root element is {name[:60]}, not one of MTConnect", path="$")


def header(root: etree._Element) -> wire.Header:
    found = _child(root, "Header")
    if found is None:
        raise BadPayload("the document has no Header", path="$.Header")
    instance = found.get("instanceId")
    if not instance:
        raise BadPayload("the Header has no instanceId", path="$.Header.instanceId")
    return wire.Header(
        instance_id=instance,
        version=found.get("version"),
        buffer_size=_whole(found, "bufferSize"),
        first_sequence=_whole(found, "firstSequence") or 0,
        last_sequence=_whole(found, "lastSequence") or 0,
        next_sequence=_whole(found, "nextSequence") or 0,
        model_changed=found.get("deviceModelChangeTime"),
        asset_count=_whole(found, "assetCount"),
    )


def streams(root: etree._Element) -> wire.Streams:
    """The observations as they stand in the document."""
    head = header(root)
    if head.next_sequence == 0:
        raise BadPayload("the Header has no nextSequence", path="$.Header.nextSequence")
    found: list[wire.Observation] = []
    for device in _children(_child(root, "Streams"), "DeviceStream"):
        name, uuid = device.get("name"), device.get("uuid")
        for part in device:
            place = wire.Place(part.get("component"), part.get("name"), name, uuid)
            for group in part:
                match _LOCAL[group.tag]:
                    case "Condition":
                        _conditions(group, place, found)
                    case "Samples" | "Events" as category:
                        _observations(group, category, place, found)
    return wire.Streams(header=head, observations=found)


def _observations(
    group: etree._Element, category: wire.Category, place: wire.Place, found: list[wire.Observation]
) -> None:
    """Samples or events of a component. This is where the time goes: name, sub-type and element name belong to the
    data item, so they are read once for observations of the same one that follow each other."""
    last: str | None = None
    name = sub_type = None
    kind = ""
    add, make = found.append, wire.Observation
    for each in group:
        get = each.get
        item, at, text = get("dataItemId"), get("timestamp"), each.text
        if item is None or at is None:
            raise _incomplete(category, len(found))
        if item != last:
            last, name, sub_type, kind = item, get("name"), get("subType"), _LOCAL[each.tag]
        text = text.strip() if text is not None else text
        if not text or len(text) > _TEXT_SHORT:
            text = _text(each)
        try:
            sequence = int(get("sequence") or "")
        except ValueError:
            raise _incomplete(category, len(found)) from None
        code = get("nativeCode") if kind == "Message" else None
        add(make(item, category, kind, sequence, at, text, name, sub_type, place, code))


def _conditions(group: etree._Element, place: wire.Place, found: list[wire.Observation]) -> None:
    for each in group:
        get = each.get
        item, sequence, at = get("dataItemId"), get("sequence") or "", get("timestamp")
        if item is None or at is None or not sequence.isdecimal():
            raise _incomplete("Condition", len(found))
        found.append(
            wire.Observation(
                item, "Condition", _LOCAL[each.tag], int(sequence), at, _text(each), get("name"), get("subType"),
                place, get("nativeCode"), get("nativeSeverity"), get("qualifier"), get("conditionId"),
            )
        )  # fmt: skip


def _incomplete(category: str, place: int) -> BadPayload:
    return BadPayload(
        "an observation lacks dataItemId, timestamp or a whole sequence",
        path=f"$.Streams.DeviceStream.ComponentStream.{category}[{place}]",
    )


def _text(element: etree._Element) -> str | None:
    """The value: a text, or the entries of a data set or table."""
    text = _entries(element) if len(element) else element.text
    return text.strip()[:_TEXT_MOST] or None if text is not None else None


def devices(root: etree._Element) -> wire.Devices:
    """All devices with all their data items, those of their components too."""
    found = [_device(each) for each in _child(root, "Devices") if local(each) in ("Device", "Agent")]  # type: ignore[union-attr]
    return wire.Devices(header=header(root), devices=found)


def _device(element: etree._Element) -> wire.Device:
    items: dict[str, wire.DataItem] = {}
    for each in element.iter("{*}DataItem"):
        item = each.get("id")
        if item:
            items[item] = wire.DataItem(
                id=item,
                category=each.get("category"),
                type=each.get("type"),
                sub_type=each.get("subType"),
                name=each.get("name"),
                units=each.get("units"),
            )
    about = _child(element, "Description")

    def say(name: str) -> str | None:
        return about.get(name) if about is not None else None

    return wire.Device(
        id=element.get("id") or element.get("name") or "",
        name=element.get("name"),
        uuid=element.get("uuid"),
        agent=local(element) == "Agent",
        manufacturer=say("manufacturer"),
        model=say("model"),
        serial_number=say("serialNumber"),
        description=(about.text or "").strip()[:_DETAIL_LONGEST] or None if about is not None else None,
        items=items,
    )


def assets(root: etree._Element) -> wire.Assets:
    """Assets of all types. Of what an asset holds, attributes and simple elements are kept, by name."""
    holder = _child(root, "Assets")
    found: list[wire.Asset] = []
    for each in holder if holder is not None else ():
        asset_id = each.get("assetId")
        if not asset_id:
            raise BadPayload("an asset has no assetId", path=f"$.Assets[{len(found)}].assetId")
        details = {
            str(name): str(value)[:_DETAIL_LONGEST]
            for name, value in each.attrib.items()
            if name not in ("assetId", "timestamp", "deviceUuid", "serialNumber", "removed")
        }
        for part in each.iterdescendants():
            text = (part.text or "").strip()
            if len(part) == 0 and text and len(details) < _DETAILS_MOST:
                details.setdefault(local(part), text[:_DETAIL_LONGEST])
        found.append(
            wire.Asset(
                asset_id=asset_id,
                type=local(each),
                timestamp=each.get("timestamp"),
                device_uuid=each.get("deviceUuid"),
                serial_number=each.get("serialNumber"),
                removed=each.get("removed") == "true",
                details=details,
            )
        )
    return wire.Assets(header=header(root), assets=found)


def errors(root: etree._Element) -> wire.Errors:
    """Up to 2.5 `Error` with a text, from 2.6 on an element per kind with an `ErrorMessage`; 1.0 had one `Error`
    without a list around it."""
    holder = _child(root, "Errors")
    found: list[wire.Error] = []
    for each in holder if holder is not None else _children(root, "Error"):
        message = _child(each, "ErrorMessage")
        text = (message if message is not None else each).text
        found.append(wire.Error(code=each.get("errorCode") or local(each), message=(text or "").strip() or None))
    return wire.Errors(errors=found)


class _LocalNames(dict[str, str]):
    """Local names by tag, remembered: there are few, and each document has them hundreds of times."""

    def __missing__(self, tag: str) -> str:
        name = tag.rpartition("}")[2]
        if len(self) < 5_000:
            self[tag] = name
        return name


_LOCAL: Final = _LocalNames()


def _entries(element: etree._Element) -> str | None:
    """A data set or table: its entries as `key=value`."""
    rows = [f"{each.get('key')}={''.join(map(str, each.itertext())).strip()}" for each in element]
    return " ".join(rows)


def _children(element: etree._Element | None, name: str) -> Iterator[etree._Element]:
    return iter(()) if element is None else (each for each in element if local(each) == name)


def _child(element: etree._Element, name: str) -> etree._Element | None:
    return next(_children(element, name), None)


def _whole(element: etree._Element, name: str) -> int | None:
    text = element.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise BadPayload(f"Header.{name} is no whole number", path=f"$.Header.{name}")
    return int(text)
