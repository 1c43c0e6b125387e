"""The baseline: the two measured answers by code that can do nothing else.

No GraphQL, no loaders, no records, no crosswalk, no retries: the same vendor calls over the same transport, wire
structs that hold no more than the answer needs, decoded by msgspec, and one dictionary that is written as JSON.
"""

import argparse
import asyncio
import base64
import gc
import json
import re
import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote, quote_plus

import httpx
import msgspec
import uvicorn
import uvloop
from msgspec import field

from connectors.kit.http import real_transport
from unified import ids

T = TypeVar("T")

HEADS: Final = "/sap/opu/odata/sap/API_WHSE_OUTB_DLV_ORDER/WhseOutboundDeliveryOrderHead"
ITEMS: Final = "to_WhseOutboundDeliveryOrderItem"
STOCK: Final = (
    "/sap/opu/odata4/sap/api_whse_availablestock/srvd_a2x/sap/warehouseavailablestock/0001/WarehouseAvailableStock"
)
PROPERTIES: Final = "/tc/JsonRestServices/Core-2006-03-DataManagement/getProperties"
LOGIN: Final = "/tc/JsonRestServices/Core-2011-06-Session/login"
_PLAIN: Final = "$'(),:/*-._~@"
_UNITS: Final = {"ST": "PCE", "PC": "PCE", "KG": "KGM", "TO": "TNE", "M": "MTR", "L": "LTR", "M2": "MTK", "M3": "MTQ"}
_STATUSES: Final = {"F1": "UNRESTRICTED", "F2": "UNRESTRICTED", "Q4": "QUALITY_INSPECTION", "B6": "BLOCKED"}
_NAME: Final = re.compile(r"^(?P<fleet>[A-Za-z]{1,12} ?\d{1,4})\s+(?P<plate>.+)$")


# --- what the vendors send, as far as it is asked for


class Line(msgspec.Struct, rename="pascal"):
    outbound_delivery_order_item: str
    product: str
    product_quantity: Decimal
    quantity_unit: str
    goods_issue_status: str
    picking_status: str
    completion_status: str
    sales_order: str = ""


class Lines(msgspec.Struct):
    results: list[Line]


class Head(msgspec.Struct, rename="pascal"):
    outbound_delivery_order: str
    warehouse: str
    ship_to_party: str
    carrier: str
    planned: str = field(name="PlannedDeliveryUTCDateTime")
    lines: Lines = field(name=ITEMS)
    plate: str = field(name="YY1_TruckPlate_DLV", default="")


class Heads(msgspec.Struct):
    results: list[Head]


class HeadPage(msgspec.Struct):
    d: Heads


class Stock(msgspec.Struct, rename="pascal"):
    warehouse: str = field(name="EWMWarehouse")
    product: str = field(name="Product")
    batch: str = field(name="Batch")
    owner: str = field(name="EWMStockOwner")
    entitled: str = field(name="EntitledToDisposeParty")
    stock_type: str = field(name="EWMStockType")
    usage: str = field(name="EWMStockUsage")
    stock_category: str = field(name="StockDocumentCategory")
    category: str = field(name="EWMDocumentCategory")
    wbs: str = field(name="WBSElementExternalID")
    sales_order: str = field(name="SpecialStockIdfgSalesOrder")
    sales_order_item: str = field(name="SpecialStockIdfgSalesOrderItem")
    unit_number: str = field(name="HandlingUnitExternalID")
    bin: str = field(name="EWMStorageBin")
    resource: str = field(name="EWMResource")
    quantity: Decimal = field(name="AvailableEWMStockQty")
    unit: str = field(name="EWMStockQuantityBaseUnit")


class StockPage(msgspec.Struct):
    value: list[Stock]
    next: str | None = field(name="@odata.nextLink", default=None)


class Property(msgspec.Struct, frozen=True):
    values: list[str] = field(name="dbValues", default=[])


class Properties(msgspec.Struct, frozen=True):
    item_id: Property = Property()
    object_name: Property = Property()
    revision_list: Property = Property()
    item_revision_id: Property = Property()
    creation_date: Property = Property()


class Thing(msgspec.Struct):
    uid: str
    props: Properties = Properties()


class Things(msgspec.Struct):
    objects: dict[str, Thing] = field(name="modelObjects")


class Device(msgspec.Struct):
    id: int
    name: str
    attributes: dict[str, Any]


class Motion(msgspec.Struct):
    motion: bool | None = None
    ignition: bool | None = None


class Position(msgspec.Struct, rename="camel"):
    device_id: int
    latitude: float
    longitude: float
    speed: float
    fix_time: str
    device_time: str
    outdated: bool
    valid: bool
    attributes: Motion


class Vendors:
    """The calls. `logged_in` once, as the server does."""

    def __init__(self, settings: dict[str, Any], joins: dict[str, dict[str, str]]) -> None:
        self._transport = real_transport()
        self._of = {each["key"]: each for each in settings["integrations"]}
        self._headers: dict[str, dict[str, str]] = {}
        self._items = {number: ids.decode(place).external_id for number, place in joins["items"].items()}
        self._vehicles = {
            plate.replace(" ", ""): ids.decode(place).external_id for plate, place in joins["vehicles"].items()
        }

    async def log_in(self) -> None:
        for key in ("ewm-west", "ewm-north"):
            secrets = self._of[key]["credentials"]
            pair = f"{quote_plus(secrets['client_id'])}:{quote_plus(secrets['client_secret'])}".encode()
            told, _ = await self._send(
                key,
                "POST",
                self._of[key]["settings"]["token_url"],
                content=b"grant_type=client_credentials",
                headers={
                    "Authorization": "Basic " + base64.b64encode(pair).decode(),
                    "Content-Type": "application/x-www-form-urlencoded",
                },
            )
            self._headers[key] = {"Authorization": "Bearer " + json.loads(told)["access_token"]}
        secrets = self._of["plm"]["credentials"]
        body = {"credentials": {**secrets, "group": "", "role": "", "locale": "en_US", "descrimator": "bench"}}
        _, headers = await self._send("plm", "POST", LOGIN, content=_envelope(body, []))
        self._headers["plm"] = {"Cookie": headers["set-cookie"].partition(";")[0]}
        self._headers["fleet"] = {"Authorization": "Bearer " + self._of["fleet"]["credentials"]["token"]}

    async def _send(
        self, key: str, method: str, path: str, *, content: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[bytes, httpx.Headers]:
        sent = {"Accept": "application/json", **self._headers.get(key, {}), **(headers or {})}
        request = httpx.Request(method, self._of[key]["base_url"] + path, content=content, headers=sent)
        request.extensions["timeout"] = {"connect": 10, "read": 10, "write": 10, "pool": 10}
        answer = await self._transport.handle_async_request(request)
        body = await answer.aread()
        if answer.status_code != 200:
            raise RuntimeError(f"{key} answered {answer.status_code}: {body[:200]!r}")
        return body, answer.headers

    async def heads(self, key: str, params: str) -> list[Head]:
        told, _ = await self._send(key, "GET", f"{HEADS}?{params}&$expand={ITEMS}&$format=json")
        return _HEADS.decode(told).d.results

    async def items(self, numbers: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Number on the order → the item's part of the answer."""
        uids = {number: self._items[number] for number in numbers}
        wanted = dict.fromkeys(uids.values())
        body = {"objects": [{"uid": uid} for uid in wanted], "attributes": ["item_id", "object_name"]}
        headers = {"Content-Type": "application/json"}
        told, _ = await self._send("plm", "POST", PROPERTIES, content=_envelope(body, _POLICY), headers=headers)
        things = _THINGS.decode(told).objects
        found = {}
        for number, uid in uids.items():
            props = things[uid].props
            revisions = [things[each].props for each in props.revision_list.values]
            newest = max(revisions, key=lambda each: each.creation_date.values[0])
            found[number] = {
                "id": ids.encode("Item", "plm", uid),
                "number": props.item_id.values[0],
                "name": props.object_name.values[0],
                "revision": newest.item_revision_id.values[0],
            }
        return found

    async def stock(self, key: str, products: Iterable[str]) -> list[dict[str, Any]]:
        """Rows with the product's key; stock spells numeric products with 18 digits."""
        ways = (each.zfill(18) if each.isdigit() else each for each in products)
        filters = quote(" or ".join(f"Product eq '{way}'" for way in ways), safe=_PLAIN)
        path, found = f"{STOCK}?$filter={filters}&$orderby={_ORDER}", list[dict[str, Any]]()
        while True:
            told, _ = await self._send(key, "GET", path)
            page = _STOCK.decode(told)
            found += [_balance(row, key) for row in page.value]
            if page.next is None:
                return found
            path = STOCK + "?" + page.next.partition("?")[2]

    async def vehicles(self, plates: Iterable[str]) -> dict[str, dict[str, Any]]:
        numbers = {plate: int(self._vehicles[plate]) for plate in plates}
        wanted = "&".join(f"id={number}" for number in dict.fromkeys(numbers.values()))
        (told, _), (placed, _) = await asyncio.gather(
            self._send("fleet", "GET", f"/api/devices?{wanted}"), self._send("fleet", "GET", "/api/positions")
        )
        devices = {each.id: each for each in _DEVICES.decode(told)}
        positions = {each.device_id: each for each in _POSITIONS.decode(placed)}
        return {plate: _vehicle(devices[number], positions.get(number)) for plate, number in numbers.items()}


_HEADS: Final = msgspec.json.Decoder(HeadPage, strict=False)
_ORDER: Final = ",".join(each.encode_name for each in msgspec.structs.fields(Stock)[:15])
"""The key, so that pages are stable."""
_STOCK: Final = msgspec.json.Decoder(StockPage, strict=False)
_THINGS: Final = msgspec.json.Decoder(Things)
_DEVICES: Final = msgspec.json.Decoder(list[Device])
_POSITIONS: Final = msgspec.json.Decoder(list[Position])
_POLICY: Final[list[dict[str, Any]]] = [
    {
        "name": "Item",
        "properties": [
            {"name": "item_id"},
            {"name": "object_name"},
            {"name": "revision_list", "modifiers": [{"name": "withProperties", "Value": "true"}]},
        ],
    },
    {"name": "ItemRevision", "properties": [{"name": "item_revision_id"}, {"name": "creation_date"}]},
]


def _envelope(body: dict[str, Any], policy: list[dict[str, Any]]) -> bytes:
    state = {"stateless": True, "unloadObjects": True, "clientID": "bench", "locale": "en_US"}
    return msgspec.json.encode({"header": {"state": state, "policy": {"types": policy}}, "body": body})


# --- the answers


def _moment(value: str) -> str:
    """V2's `/Date(ms+0000)/`."""
    at = datetime.fromtimestamp(int(re.split(r"[(+)]", value)[1]) / 1000, UTC)
    return at.isoformat().replace("+00:00", "Z")


def _unit(code: str) -> str:
    return _UNITS.get(code, code)


def _status(head: Head) -> str:
    lines = head.lines.results
    done = {line.completion_status for line in lines} - {"", "0"}
    if done == {"9"}:
        return "COMPLETED"
    steps = {line.picking_status for line in lines} | {line.goods_issue_status for line in lines}
    return "IN_PROGRESS" if (steps & {"2", "9"} or len(done) > 1 or done == {"2"}) else "OPEN"


def _order(head: Head, key: str) -> dict[str, Any]:
    return {
        "id": ids.encode("Order", key, f"OUTB/{head.outbound_delivery_order}"),
        "number": head.outbound_delivery_order,
        "kind": "OUTBOUND_DELIVERY",
        "status": _status(head),
        "plannedAt": _moment(head.planned),
    }


def _balance(row: Stock, key: str) -> dict[str, Any]:
    parts = (
        row.warehouse, row.product, row.batch, row.owner, row.entitled, row.stock_type, row.usage, row.stock_category,
        row.category, row.wbs, row.sales_order, row.sales_order_item, row.unit_number, row.bin, row.resource,
    )  # fmt: skip
    return {
        "product": _bare(row.product),
        "id": ids.encode("InventoryBalance", key, "/".join(part.replace("/", "%2F") for part in parts)),
        "warehouse": row.warehouse,
        "location": row.bin,
        "status": _STATUSES[row.stock_type],
        "available": {"value": f"{row.quantity:f}", "unit": _unit(row.unit)},
    }


def _bare(number: str) -> str:
    return re.sub(r"[\s\-_./]+", "", number).upper().lstrip("0")


def _vehicle(device: Device, last: Position | None) -> dict[str, Any]:
    named = _NAME.match(device.name)
    fleet, plate = (named["fleet"], named["plate"]) if named else (None, None)
    return {
        "id": ids.encode("Vehicle", "fleet", str(device.id)),
        "plate": device.attributes.get("plate", plate),
        "fleetNumber": device.attributes.get("fleetNumber", fleet),
        "state": _state(last),
        "position": last
        and {
            "latitude": last.latitude,
            "longitude": last.longitude,
            "speedKmh": round(last.speed * 1.852, 2),
            "recordedAt": _zulu(last.device_time if last.outdated else last.fix_time),
        },
    }


def _zulu(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).isoformat().replace("+00:00", "Z")


def _state(last: Position | None) -> str:
    if last is None:
        return "UNKNOWN"
    told = last.attributes
    if last.outdated or not last.valid:
        return "PARKED" if told.ignition is False else "UNKNOWN"
    moves = last.speed * 1.852 >= 2 if told.motion is None else told.motion
    return "MOVING" if moves else "IDLING" if told.ignition else "PARKED"


async def federated(vendors: Vendors) -> dict[str, Any]:
    params = "$orderby=OutboundDeliveryOrder&$top=50"
    keys = ("ewm-west", "ewm-north")
    pages = await asyncio.gather(*(vendors.heads(key, params) for key in keys))
    heads = [(key, head) for key, page in zip(keys, pages, strict=True) for head in page][:50]
    products = dict.fromkeys(line.product for _, head in heads for line in head.lines.results)
    items, vehicles = await asyncio.gather(
        vendors.items(products), vendors.vehicles(dict.fromkeys(head.plate for _, head in heads))
    )
    wanted = dict.fromkeys(_bare(number) for number in items)
    stock: dict[str, list[dict[str, Any]]] = {number: [] for number in wanted}
    for rows in await asyncio.gather(*(vendors.stock(key, wanted) for key in keys)):
        for row in rows:
            stock[row.pop("product")].append(row)
    for number, item in items.items():
        item["inventory"] = stock[_bare(number)]
    nodes = []
    for key, head in heads:
        order = _order(head, key)
        order["vehicle"] = vehicles[head.plate]
        order["lines"] = [
            {
                "lineNumber": line.outbound_delivery_order_item,
                "itemNumber": line.product,
                "quantity": {"value": f"{line.product_quantity:f}", "unit": _unit(line.quantity_unit)},
                "item": items[line.product],
            }
            for line in head.lines.results
        ]
        nodes.append(order)
    return {"orders": {"nodes": nodes}}


async def one(vendors: Vendors, wanted: str) -> dict[str, Any]:
    place = ids.decode(wanted)
    number = place.external_id.partition("/")[2]
    params = f"$filter=OutboundDeliveryOrder%20eq%20'{number}'&$orderby=OutboundDeliveryOrder"
    (head,) = await vendors.heads(place.integration, params)
    order = _order(head, place.integration)
    order |= {
        "warehouse": head.warehouse,
        "partner": head.ship_to_party,
        "carrier": head.carrier,
        "vehiclePlate": head.plate or None,
        "referenceNumber": next((line.sales_order for line in head.lines.results if line.sales_order), None),
    }
    return {"order": order}


def application(vendors: Vendors) -> Any:
    """The smallest ASGI application that answers both queries."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await vendors.log_in()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        asked = msgspec.json.decode(body)
        if "query Federated" in asked["query"]:
            data = await federated(vendors)
        else:
            data = await one(vendors, asked["variables"]["id"])
        text = msgspec.json.encode({"data": data})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    return app


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.handwritten")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--settings", type=Path, required=True, help="the configuration that the server has")
    parser.add_argument("--joins", type=Path, required=True, help="which numbers are which items and vehicles")
    given = parser.parse_args()
    settings = tomllib.loads(given.settings.read_text())
    vendors = Vendors(settings, json.loads(given.joins.read_text()))
    config = uvicorn.Config(application(vendors), port=given.port, log_level="warning", access_log=False, lifespan="on")
    gc.freeze()
    gc.set_threshold(50_000)
    uvloop.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
