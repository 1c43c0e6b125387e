"""MTConnect documents in XML of version 1.7 and in JSON of version 2."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from sandbox.mtconnect.model import UNAVAILABLE, Component, DataItem, Device, Said
from sandbox.world import MachineTool

VERSION: Final = "1.7.0.7"
JSON = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One observation as the buffer keeps it."""

    sequence: int
    device: Device
    component: Component
    item: DataItem
    said: Said
    at: datetime

    @property
    def element(self) -> str:
        if self.item.category != "CONDITION":
            return self.item.element
        return "Unavailable" if self.said.value == UNAVAILABLE else self.said.value

    @property
    def text(self) -> str | None:
        if self.item.category == "CONDITION":
            return self.said.text
        return self.said.value

    def attributes(self) -> dict[str, str | int]:
        found: dict[str, str | int | None] = {
            "dataItemId": self.item.id,
            "name": self.item.name,
            "nativeCode": self.said.code,
            "sequence": self.sequence,
            "subType": self.item.sub_type,
            "timestamp": stamp(self.at),
            "type": self.item.type if self.item.category == "CONDITION" else None,
        }
        return {name: value for name, value in found.items() if value is not None}


def stamp(at: datetime) -> str:
    """UTC with as many digits as are needed."""
    text = at.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{text}Z"


def _tag(name: str, attributes: JSON, inner: str | None = None) -> str:
    shown = "".join(f" {key}={quoteattr(str(value))}" for key, value in attributes.items() if value is not None)
    return f"<{name}{shown}/>" if inner is None else f"<{name}{shown}>{inner}</{name}>"


class Xml:
    media_type = "text/xml"

    @staticmethod
    def _document(kind: str, header: JSON, inner: str) -> bytes:
        root = f"MTConnect{kind}"
        space = f"urn:mtconnect.org:{root}:1.7"
        spaces = {"xmlns:m": space, "xmlns": space, "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance"}
        text = _tag(root, spaces, f"\n  {_tag('Header', header)}\n  {inner}\n")
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()

    def error(self, header: JSON, code: str, message: str) -> bytes:
        inner = _tag("Error", {"errorCode": code}, escape(message))
        return self._document("Error", header, _tag("Errors", {}, inner))

    def streams(self, header: JSON, rows: Sequence[Row]) -> bytes:
        devices = ""
        for one, of_device in groupby(_grouped(rows), lambda row: row.device.name):
            parts = ""
            kept = list(of_device)
            for _, of_component in groupby(kept, lambda row: row.component.id):
                own = list(of_component)
                groups = ""
                for group, of_group in groupby(own, lambda row: row.item.group):
                    inner = "".join(
                        _tag(row.element, row.attributes(), escape(row.text) if row.text is not None else None)
                        for row in of_group
                    )
                    groups += _tag(group, {}, inner)
                component = own[0].component
                named = {"component": component.kind, "name": component.name, "componentId": component.id}
                parts += _tag("ComponentStream", named, groups)
            devices += _tag("DeviceStream", {"name": one, "uuid": kept[0].device.uuid}, parts)
        return self._document("Streams", header, _tag("Streams", {}, devices) if devices else "<Streams/>")

    def devices(self, header: JSON, devices: Sequence[Device]) -> bytes:
        agent = _tag("Agent", {"id": "agent_1", "name": "Agent", "uuid": "sandbox-agent"}, _tag("DataItems", {}, ""))
        inner = agent + "".join(self.component(one.root, one) for one in devices)
        return self._document("Devices", header, _tag("Devices", {}, inner))

    def component(self, component: Component, device: Device | None = None) -> str:
        items = "".join(
            _tag(
                "DataItem",
                {"category": item.category, "id": item.id, "name": item.name, "subType": item.sub_type,
                 "type": item.type, "units": item.units, "nativeUnits": item.units},
            )
            for item in component.items
        )  # fmt: skip
        inner = ""
        named: JSON = {"id": component.id, "name": component.name}
        if device is not None:
            named["uuid"] = device.uuid
            machine = device.machine
            about = {"manufacturer": machine.manufacturer, "model": machine.model, "serialNumber": machine.serial}
            inner += _tag("Description", about)
        inner += _tag("DataItems", {}, items) if items else ""
        below = "".join(self.component(each) for each in component.components)
        inner += _tag("Components", {}, below) if below else ""
        return _tag(component.kind, named, inner)

    def assets(self, header: JSON, tools: Sequence[tuple[Device, MachineTool, datetime]]) -> bytes:
        inner = ""
        for device, tool, at in tools:
            life = {"type": "MINUTES", "countDirection": "UP", "limit": tool.life_minutes}
            cycle = (
                _tag("CutterStatus", {}, _tag("Status", {}, "USED"))
                + _tag("ToolLife", life, str(tool.used_minutes))
                + _tag("Location", {"type": "POT"}, str(tool.pot))
            )
            inner += _tag("CuttingTool", _tool(device, tool, at), _tag("CuttingToolLifeCycle", {}, cycle))
        return self._document("Assets", header, _tag("Assets", {}, inner))


class Json:
    media_type = "application/json"

    @staticmethod
    def _document(kind: str, header: JSON, **inner: Any) -> bytes:
        whole = {"jsonVersion": 2, "schemaVersion": "2.0", "Header": {**header, "testIndicator": False}, **inner}
        return json.dumps({f"MTConnect{kind}": whole}).encode()

    def error(self, header: JSON, code: str, message: str) -> bytes:
        return self._document("Error", header, Errors={"Error": [{"errorCode": code, "value": message}]})

    def streams(self, header: JSON, rows: Sequence[Row]) -> bytes:
        devices: list[JSON] = []
        for name, of_device in groupby(_grouped(rows), lambda row: row.device.name):
            kept = list(of_device)
            parts: list[JSON] = []
            for _, of_component in groupby(kept, lambda row: row.component.id):
                own = list(of_component)
                component = own[0].component
                part: JSON = {"component": component.kind, "componentId": component.id, "name": component.name}
                for row in own:
                    told: JSON = dict(row.attributes())
                    if row.text is not None:
                        told["value"] = _value(row)
                    part.setdefault(row.item.group, {}).setdefault(row.element, []).append(told)
                parts.append(part)
            devices.append({"name": name, "uuid": kept[0].device.uuid, "ComponentStream": parts})
        return self._document("Streams", header, Streams={"DeviceStream": devices} if devices else {})

    def devices(self, header: JSON, devices: Sequence[Device]) -> bytes:
        return self._document(
            "Devices", header, Devices={"Device": [self._component(one.root, one) for one in devices]}
        )

    def _component(self, component: Component, device: Device | None = None) -> JSON:
        found: JSON = {"id": component.id, "name": component.name}
        if device is not None:
            machine = device.machine
            found["uuid"] = device.uuid
            found["Description"] = {
                "manufacturer": machine.manufacturer, "model": machine.model, "serialNumber": machine.serial,
            }  # fmt: skip
        if component.items:
            rows = [
                {"category": item.category, "id": item.id, "name": item.name, "subType": item.sub_type,
                 "type": item.type, "units": item.units}
                for item in component.items
            ]  # fmt: skip
            found["DataItems"] = {
                "DataItem": [{name: value for name, value in row.items() if value is not None} for row in rows]
            }
        for each in component.components:
            found.setdefault("Components", {}).setdefault(each.kind, []).append(self._component(each))
        return found

    def assets(self, header: JSON, tools: Sequence[tuple[Device, MachineTool, datetime]]) -> bytes:
        rows = [
            {
                **_tool(device, tool, at),
                "CuttingToolLifeCycle": {
                    "CutterStatus": {"Status": [{"value": "USED"}]},
                    "ToolLife": [{"type": "MINUTES", "limit": tool.life_minutes, "value": tool.used_minutes}],
                    "Location": {"type": "POT", "value": tool.pot},
                },
            }
            for device, tool, at in tools
        ]
        return self._document("Assets", header, Assets={"CuttingTool": rows} if rows else {})


def _value(row: Row) -> Any:
    """Samples are numbers or vectors of them in JSON."""
    text = row.text
    if row.item.category != "SAMPLE" or text in (None, UNAVAILABLE):
        return text
    numbers = [float(each) for each in (text or "").split()]
    return numbers if len(numbers) > 1 else numbers[0]


def _tool(device: Device, tool: MachineTool, at: datetime) -> JSON:
    return {
        "serialNumber": tool.serial,
        "toolId": tool.id,
        "timestamp": stamp(at),
        "assetId": f"{tool.id}.{tool.serial}",
        "deviceUuid": device.uuid,
    }


def _grouped(rows: Iterable[Row]) -> list[Row]:
    """Grouped by device, component and kind, in that order, each by sequence: as agents write them."""
    order = {"Samples": 0, "Events": 1, "Condition": 2}
    return sorted(
        rows,
        key=lambda row: (row.device.name, row.component.id, order[row.item.group], row.element, row.sequence),
    )


Writer = Xml | Json
