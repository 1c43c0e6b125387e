"""MTConnect's JSON, as agents from version 2 on write it: version 2 groups by name, version 1 wraps each thing in an
object of one key.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import msgspec

from connectors.equipment.mtconnect import wire
from connectors.kit.errors import BadPayload

_ROOTS: Final = ("MTConnectStreams", "MTConnectDevices", "MTConnectAssets", "MTConnectError")
_CATEGORIES: Final = ("Samples", "Events", "Condition")
_TEXT_MOST: Final = 2_000
_DETAILS_MOST: Final = 40
_DETAIL_LONGEST: Final = 200
_DEEPEST: Final = 60
JSON = Mapping[str, Any]


def document(body: bytes) -> wire.Document:
    """The document by its outermost key. Raises `BadPayload`."""
    try:
        top = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise BadPayload(f"the answer is no JSON: {type(fault).__name__}", path="$") from None
    name = next((each for each in _ROOTS if isinstance(top, dict) and each in top), None)
    if name is None:
        raise BadPayload("the JSON is none of MTConnect's documents", path="$")
    root = top[name]
    if not isinstance(root, dict):
        raise BadPayload(f"{name} is no object", path=f"$.{name}")
    match name:
        case "MTConnectStreams":
            return _streams(root)
        case "MTConnectDevices":
            return _devices(root)
        case "MTConnectAssets":
            return _assets(root)
    return wire.Errors(
        errors=[
            wire.Error(code=_text(each.get("errorCode")) or kind, message=_message(each))
            for kind, each in _things(root.get("Errors") or [])
        ]
    )


def _message(error: JSON) -> str | None:
    return _text(error.get("ErrorMessage")) or _text(error.get("value"))


def _header(root: JSON) -> wire.Header:
    found = root.get("Header")
    if not isinstance(found, dict) or _text(found.get("instanceId")) is None:
        raise BadPayload("the document has no Header with an instanceId", path="$.Header.instanceId")
    return wire.Header(
        instance_id=str(found["instanceId"]),
        version=_text(found.get("version")),
        buffer_size=_whole(found, "bufferSize"),
        first_sequence=_whole(found, "firstSequence") or 0,
        last_sequence=_whole(found, "lastSequence") or 0,
        next_sequence=_whole(found, "nextSequence") or 0,
        model_changed=_text(found.get("deviceModelChangeTime")),
        asset_count=_whole(found, "assetCount"),
    )


def _streams(root: JSON) -> wire.Streams:
    header = _header(root)
    if header.next_sequence == 0:
        raise BadPayload("the Header has no nextSequence", path="$.Header.nextSequence")
    found: list[wire.Observation] = []
    for _, device in _things(root.get("Streams") or [], only="DeviceStream"):
        parts = device.get("ComponentStreams") or {"ComponentStream": device.get("ComponentStream") or []}
        for _, part in _things(parts, only="ComponentStream"):
            for category in _CATEGORIES:
                for name, each in _things(part.get(category) or []):
                    found.append(_observation(category, name, each, part, device, len(found)))
    return wire.Streams(header=header, observations=found)


def _observation(category: str, name: str, each: JSON, part: JSON, device: JSON, place: int) -> wire.Observation:
    item, at, sequence = _text(each.get("dataItemId")), _text(each.get("timestamp")), each.get("sequence")
    if item is None or at is None or not isinstance(sequence, int):
        raise BadPayload(
            "an observation lacks dataItemId, timestamp or a whole sequence",
            path=f"$.Streams.DeviceStream.ComponentStream.{category}[{place}]",
        )
    return wire.Observation(
        data_item=item,
        category=cast(wire.Category, category),
        type=name,
        sequence=sequence,
        timestamp=at,
        value=_value(each.get("value")),
        name=_text(each.get("name")),
        sub_type=_text(each.get("subType")),
        native_code=_text(each.get("nativeCode")),
        native_severity=_text(each.get("nativeSeverity")),
        qualifier=_text(each.get("qualifier")),
        condition_id=_text(each.get("conditionId")),
        place=wire.Place(
            _text(part.get("component")), _text(part.get("name")), _text(device.get("name")), _text(device.get("uuid"))
        ),
    )


def _devices(root: JSON) -> wire.Devices:
    found: list[wire.Device] = []
    for kind, device in _things(root.get("Devices") or []):
        if kind not in ("Device", "Agent"):
            continue
        items: dict[str, wire.DataItem] = {}
        for each in _data_items(device, 0):
            item = _text(each.get("id"))
            if item is not None:
                items[item] = wire.DataItem(
                    id=item,
                    category=_text(each.get("category")),
                    type=_text(each.get("type")),
                    sub_type=_text(each.get("subType")),
                    name=_text(each.get("name")),
                    units=_text(each.get("units")),
                )
        about = device.get("Description")
        say = about if isinstance(about, dict) else {}
        found.append(
            wire.Device(
                id=_text(device.get("id")) or "",
                name=_text(device.get("name")),
                uuid=_text(device.get("uuid")),
                agent=kind == "Agent",
                manufacturer=_text(say.get("manufacturer")),
                model=_text(say.get("model")),
                serial_number=_text(say.get("serialNumber")),
                description=_text(say.get("value")),
                items=items,
            )
        )
    return wire.Devices(header=_header(root), devices=found)


def _data_items(component: JSON, depth: int) -> Iterator[JSON]:
    if depth > _DEEPEST:
        raise BadPayload("the components are nested too deeply", path="$.Devices")
    yield from (each for _, each in _things(component.get("DataItems") or [], only="DataItem"))
    for _, each in _things(component.get("Components") or []):
        yield from _data_items(each, depth + 1)


def _assets(root: JSON) -> wire.Assets:
    found: list[wire.Asset] = []
    for kind, each in _things(root.get("Assets") or []):
        asset_id = _text(each.get("assetId"))
        if asset_id is None:
            raise BadPayload("an asset has no assetId", path=f"$.Assets[{len(found)}].assetId")
        details: dict[str, str] = {}
        _flatten(each, details, 0)
        for name in ("assetId", "timestamp", "deviceUuid", "serialNumber", "removed"):
            details.pop(name, None)
        found.append(
            wire.Asset(
                asset_id=asset_id,
                type=kind,
                timestamp=_text(each.get("timestamp")),
                device_uuid=_text(each.get("deviceUuid")),
                serial_number=_text(each.get("serialNumber")),
                removed=each.get("removed") in (True, "true"),
                details=details,
            )
        )
    return wire.Assets(header=_header(root), assets=found)


def _flatten(thing: JSON, into: dict[str, str], depth: int) -> None:
    """Simple values by name; of a thing with a `value` that one, under the thing's name."""
    for name, value in thing.items():
        inner = value.get("value", value) if isinstance(value, dict) else value
        if isinstance(inner, list):
            inner = inner[0] if inner else None
            inner = inner.get("value", inner) if isinstance(inner, dict) else inner
        if isinstance(inner, dict) and depth < _DEEPEST:
            _flatten(inner, into, depth + 1)
        elif (text := _value(inner)) is not None and len(into) < _DETAILS_MOST:
            into.setdefault(name, text[:_DETAIL_LONGEST])


def _things(holder: Any, only: str | None = None) -> Iterator[tuple[str, JSON]]:
    """(name, object) of both versions: `{"Name": [{…}, {…}]}` and `[{"Name": {…}}, {"Name": {…}}]`."""
    for group in holder if isinstance(holder, list) else [holder]:
        if not isinstance(group, dict):
            raise BadPayload("a list of MTConnect holds something that is no object", path="$")
        for name, value in group.items():
            if only is not None and name != only:
                continue
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, dict):
                    yield name, each


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or value is None:
        return None
    return str(value).strip() or None if isinstance(value, str | int | float) else None


def _value(value: Any) -> str | None:
    """An observation's value as XML would spell it: vectors with blanks between, data sets as `key=value`."""
    if isinstance(value, list):
        return " ".join(str(each) for each in value)[:_TEXT_MOST] or None
    if isinstance(value, dict):
        return " ".join(f"{key}={each}" for key, each in value.items())[:_TEXT_MOST] or None
    text = _text(value)
    return text[:_TEXT_MOST] if text is not None else None


def _whole(header: JSON, name: str) -> int | None:
    value = header.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).isdecimal():
        raise BadPayload(f"Header.{name} is no whole number", path=f"$.Header.{name}")
    return int(value)
