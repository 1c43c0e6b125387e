"""The world's items, structures and work orders in Fusion's words.

Two inventory organizations: `IBA`, the assembly plant in Ibadan, has all items and their structures; `ABV`, the depot
in Abuja, has products and what they are repaired with. Numbers are spelt otherwise than elsewhere: `asm.10052` is
`ASM-10052` in Teamcenter, `PRD10026` is `PRD-10026`.
Work orders come and go with time: thirty places, each with an order of ten days and the one before it.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

from sandbox.oracle_fusion.framework import Child, Resource
from sandbox.world import ANCHOR, BomLine, Item, World

ORGANIZATIONS: Final = {"IBA": 204, "ABV": 207}
CLASSES: Final[Mapping[str, str]] = {
    "Product": "Root Item Class",
    "Assembly": "Manufactured",
    "Design": "Manufactured",
    "Part": "Purchased",
    "Material": "Raw Materials",
    "Tool": "Tooling",
}
UNITS: Final[Mapping[str, tuple[str, str]]] = {
    "EA": ("Each", "Ea"),
    "KG": ("Kilogram", "KGM"),
    "M": ("Meter", "MTR"),
    "L": ("Liter", "LTR"),
}
NEVER_ENDS: Final = "4712-12-31T00:00:00+00:00"
PLACES: Final = 30
LAP: Final = timedelta(days=10)
OPERATIONS: Final = ((10, "Kitting", "Stores"), (20, "Assembly", "Assembly line"), (30, "Test", "Test bay"))
_ITEM_BASE, _BILL_BASE, _COMPONENT_BASE = 100_000_000_000_000, 300_100_569_000_000, 300_100_570_000_000
_ORDER_BASE: Final = 300_000_205_000_000


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


ITEMS: Final = Resource(
    "itemsV2",
    "ItemId",
    _names(
        "ItemId OrganizationId OrganizationCode ItemNumber ItemDescription LongDescription ItemClass PrimaryUOMValue "
        "ItemStatusValue LifecyclePhaseValue ApprovalStatusValue BuildInWIPFlag LastUpdateDateTime"
    ),
    {"ItemRevision": Child("RevisionId", _names("RevisionId RevisionCode EffectivityDate"))},
    hashed=True,
)
STRUCTURES: Final = Resource(
    "itemStructures",
    "BillSequenceId",
    _names(
        "BillSequenceId OrganizationId OrganizationCode ItemId ItemNumber StructureName EffectivityControlValue "
        "CommonItemNumber"
    ),
    {
        "Component": Child(
            "ComponentSequenceId",
            _names(
                "ComponentSequenceId ItemSequenceNumber ComponentItemId ComponentItemNumber Quantity PrimaryUOMValue "
                "StartDateTime EndDateTime ChangeNotice ImplementationDateTime ACDTypeValue"
            ),
        )
    },
    hashed=True,
)
WORK_ORDERS: Final = Resource(
    "workOrders",
    "WorkOrderId",
    _names(
        "WorkOrderId WorkOrderNumber OrganizationId OrganizationCode InventoryItemId ItemNumber Description "
        "WorkOrderDescription WorkOrderStatusCode WorkOrderSystemStatusCode UOMCode PlannedStartQuantity "
        "CompletedQuantity ScrappedQuantity RejectedQuantity PlannedStartDate PlannedCompletionDate ReleasedDate "
        "ActualStartDate ActualCompletionDate LastUpdateDate FirmPlannedFlag"
    ),
    {
        "WorkOrderOperation": Child(
            "WorkOrderOperationId",
            _names(
                "WorkOrderOperationId OperationSequenceNumber OperationName WorkCenterCode WorkCenterName "
                "ReadyQuantity ReceivedQuantity CompletedQuantity ScrappedQuantity RejectedQuantity PlannedStartDate "
                "PlannedCompletionDate UnitOfMeasure"
            ),
        ),
        "WorkOrderMaterial": Child(
            "WorkOrderOperationMaterialId",
            _names(
                "WorkOrderOperationMaterialId OperationSequenceNumber MaterialSequenceNumber InventoryItemId "
                "ItemNumber ItemDescription Quantity IssuedQuantity UOMCode SupplyType SupplySubinventory"
            ),
        ),
    },
)


def number_of(item: Item) -> str:
    """As Fusion spells it: small letters and dots; products without any sign; digits with a dot."""
    there = item.teamcenter_number
    return there.replace("-", "") if item.object_type == "Product" else there.replace("-", ".").lower()


def stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def amount(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


class Rows:
    """`changed` holds what clients of the sandbox were told to change: by organization and number, attributes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.changed: dict[tuple[str, str], dict[str, Any]] = {}

    # --- items

    @cached_property
    def ids(self) -> dict[str, int]:
        """`ItemId` by the item's key; the same in every organization."""
        return {item.key: _ITEM_BASE + 137 * place for place, item in enumerate(self._world.items, start=1)}

    def _in(self, organization: str) -> list[Item]:
        items = list(self._world.items)
        kept = ("Product", "Part", "Material")
        return items if organization == "IBA" else [each for each in items if each.object_type in kept]

    @cached_property
    def _items(self) -> list[dict[str, Any]]:
        return [self._item(item, code) for code in ORGANIZATIONS for item in self._in(code)]

    def _item(self, item: Item, code: str) -> dict[str, Any]:
        key = hashlib.sha1(f"{self.ids[item.key]}:{ORGANIZATIONS[code]}".encode()).hexdigest().upper()
        return {
            "_key": f"0002{key}",
            "ItemId": self.ids[item.key],
            "OrganizationId": ORGANIZATIONS[code],
            "OrganizationCode": code,
            "ItemNumber": number_of(item),
            "ItemDescription": item.name,
            "LongDescription": item.description,
            "ItemClass": CLASSES[item.object_type],
            "PrimaryUOMValue": UNITS[item.unit][0],
            "ItemStatusValue": "Active",
            "LifecyclePhaseValue": "Production" if item.latest_released else "Design",
            "ApprovalStatusValue": "Approved",
            "BuildInWIPFlag": item.made,
            "LastUpdateDateTime": stamp(item.modified_at),
            "ItemRevision": [
                {
                    "RevisionId": self.ids[item.key] + place,
                    "RevisionCode": each.id,
                    "EffectivityDate": each.created_at.isoformat(),
                }
                for place, each in enumerate(item.revisions)
            ],
        }

    def items(self) -> list[dict[str, Any]]:
        if not self.changed:
            return self._items
        return [{**row, **self.changed.get((row["OrganizationCode"], row["ItemNumber"]), {})} for row in self._items]

    # --- structures

    @cached_property
    def structures(self) -> list[dict[str, Any]]:
        """Of the plant: `Primary` is the manufacturing view, `Engineering` the other one."""
        found = []
        views = (("Primary", "manufacturing"), ("Engineering", "engineering"))
        for place, item in enumerate(each for each in self._world.items if each.made):
            for count, (name, view) in enumerate(views):
                lines = self._world.bom(item.key, view)  # type: ignore[arg-type]
                bill = _BILL_BASE + 10 * place + count
                found.append(
                    {
                        "_key": f"0003{hashlib.sha1(str(bill).encode()).hexdigest().upper()}",
                        "BillSequenceId": bill,
                        "OrganizationId": ORGANIZATIONS["IBA"],
                        "OrganizationCode": "IBA",
                        "ItemId": self.ids[item.key],
                        "ItemNumber": number_of(item),
                        "StructureName": name,
                        "EffectivityControlValue": "Date",
                        "CommonItemNumber": None,
                        "Component": [
                            *(self._component(line, bill, nth) for nth, line in enumerate(lines)),
                            *self._past_and_future(lines, bill, place),
                        ],
                    }
                )
        return found

    def _component(self, line: BomLine, bill: int, nth: int) -> dict[str, Any]:
        item = self._world.item_by_key[line.item_key]
        started = item.created_at.isoformat()
        return {
            "ComponentSequenceId": _COMPONENT_BASE + (bill - _BILL_BASE) * 20 + nth,
            "ItemSequenceNumber": line.find_number,
            "ComponentItemId": self.ids[item.key],
            "ComponentItemNumber": number_of(item),
            "Quantity": amount(line.amount),
            "PrimaryUOMValue": UNITS[item.unit][0],
            "StartDateTime": started,
            "EndDateTime": NEVER_ENDS if nth % 2 else None,
            "ChangeNotice": None,
            "ImplementationDateTime": started,
            "ACDTypeValue": None,
        }

    def _past_and_future(self, lines: tuple[BomLine, ...], bill: int, place: int) -> list[dict[str, Any]]:
        """Every fifth structure has a component that was replaced, and one that waits for its change order."""
        if place % 5 or not lines:
            return []
        old, new = (self._component(lines[0], bill, nth) for nth in (10, 11))
        return [
            {**old, "ItemSequenceNumber": 5, "EndDateTime": "2025-03-01T00:00:00+00:00"},
            {
                **new,
                "ItemSequenceNumber": 5,
                "ChangeNotice": f"ECO-{1000 + place}",
                "ImplementationDateTime": None,
                "ACDTypeValue": "Added",
            },
        ]

    # --- work orders

    def work_orders(self) -> list[dict[str, Any]]:
        now = self._world.now()
        made = [item for item in self._world.items if item.made][:PLACES]
        found = []
        for place in range(PLACES):
            offset = LAP / PLACES * place
            lap = (now - ANCHOR - offset) // LAP
            found += [self._work_order(made[place], place, each, now) for each in (lap - 1, lap)]
        return [{**row, **self.changed.get((row["OrganizationCode"], row["WorkOrderNumber"]), {})} for row in found]

    def _work_order(self, item: Item, place: int, lap: int, now: datetime) -> dict[str, Any]:
        code = "ABV" if place % 6 == 5 and item.object_type == "Product" else "IBA"
        count = lap * PLACES + place
        begun = ANCHOR + LAP / PLACES * place + LAP * lap
        planned = 12 + place % 5 * 6
        status, done, changed = _state(now - begun, place, planned)
        scrapped = done // 10
        started = begun + timedelta(days=2)
        ended = {"COMPLETED", "CLOSED"} & {status}
        unit = UNITS[item.unit][1]
        return {
            "WorkOrderId": _ORDER_BASE + count,
            "WorkOrderNumber": f"{code}-{1000 + count}",
            "OrganizationId": ORGANIZATIONS[code],
            "OrganizationCode": code,
            "InventoryItemId": self.ids[item.key],
            "ItemNumber": number_of(item),
            "Description": item.name,
            "WorkOrderDescription": f"{planned} of {item.name}" if place % 3 == 0 else None,
            "WorkOrderStatusCode": f"ORA_{status}",
            "WorkOrderSystemStatusCode": status,
            "UOMCode": unit,
            "PlannedStartQuantity": planned,
            "CompletedQuantity": done or None,
            "ScrappedQuantity": scrapped or None,
            "RejectedQuantity": None,
            "PlannedStartDate": stamp(started),
            "PlannedCompletionDate": stamp(begun + timedelta(days=8)),
            "ReleasedDate": None if status == "UNRELEASED" else stamp(begun + timedelta(days=1)),
            "ActualStartDate": stamp(started) if done else None,
            "ActualCompletionDate": stamp(begun + timedelta(days=8)) if ended else None,
            "LastUpdateDate": stamp(begun + changed),
            "FirmPlannedFlag": "N",
            "WorkOrderOperation": [
                {
                    "WorkOrderOperationId": (_ORDER_BASE + count) * 10 + nth,
                    "OperationSequenceNumber": sequence,
                    "OperationName": name,
                    "WorkCenterCode": f"{code}-WC{sequence}",
                    "WorkCenterName": center,
                    "ReadyQuantity": max(0, min(3, planned - done) - nth) if status == "RELEASED" else 0,
                    "ReceivedQuantity": done or None,
                    "CompletedQuantity": done or None,
                    "ScrappedQuantity": scrapped if nth == 1 and scrapped else None,
                    "RejectedQuantity": None,
                    "PlannedStartDate": stamp(started + timedelta(days=2 * nth)),
                    "PlannedCompletionDate": stamp(started + timedelta(days=2 * nth + 2)),
                    "UnitOfMeasure": unit,
                }
                for nth, (sequence, name, center) in enumerate(OPERATIONS)
            ],
            "WorkOrderMaterial": [
                {
                    "WorkOrderOperationMaterialId": (_ORDER_BASE + count) * 100 + nth,
                    "OperationSequenceNumber": 10 if nth == 0 else 20,
                    "MaterialSequenceNumber": line.find_number,
                    "InventoryItemId": self.ids[line.item_key],
                    "ItemNumber": number_of(self._world.item_by_key[line.item_key]),
                    "ItemDescription": self._world.item_by_key[line.item_key].name,
                    "Quantity": amount(line.amount * planned),
                    "IssuedQuantity": amount(line.amount * done) if done else None,
                    "UOMCode": UNITS[line.unit][1],
                    "SupplyType": "1" if nth % 2 == 0 else "3",
                    "SupplySubinventory": "STORES",
                }
                for nth, line in enumerate(self._world.bom(item.key, "manufacturing"))
            ],
        }


def _state(age: timedelta, place: int, planned: int) -> tuple[str, int, timedelta]:
    """Status, quantity that is done, and when after its beginning the order last changed."""
    days = age / timedelta(days=1)
    if place % 10 == 9 and days >= 3:
        return "CANCELED", 0, timedelta(days=3)
    if days < 1:
        return "UNRELEASED", 0, timedelta(0)
    if days < 2:
        return "RELEASED", 0, timedelta(days=1)
    if days < 8:
        step = timedelta(days=6) / planned
        done = int((age - timedelta(days=2)) / step)
        if place % 7 == 6 and 4 <= days < 5:
            return "ON_HOLD", int(timedelta(days=2) / step), timedelta(days=4)
        return "RELEASED", done, timedelta(days=2) + done * step if done else timedelta(days=1)
    return ("COMPLETED", planned, timedelta(days=8)) if days < 9 else ("CLOSED", planned, timedelta(days=9))
