"""The form of writes (V4 bound actions). Nothing here is called by reads; `kit.odata.Csrf` sends it."""

from decimal import Decimal
from typing import Any

import msgspec

from connectors.kit.http import segment

ORDER_TASK_V4 = "/api_warehouse_order_task_2/srvd_a2x/sap/warehouseorder/0001"


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """A POST: `path` below the V4 base; the entity must not have changed since the ETag in `If-Match`."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]


def confirm_product_task(
    task: tuple[str, str, str],
    *,
    unit: str,
    actual: Decimal | int,
    difference: Decimal | int = 0,
    to_bin: str = "",
    etag: str = "*",
) -> Action:
    """Confirms a product's warehouse task (`task`: warehouse, task, item). Quantities are JSON numbers here."""
    return Action(
        path=_action(task, "ConfirmWarehouseTaskProduct"),
        body={
            "DestinationHandlingUnit": "",
            "AlternativeUnit": unit,
            "ActualQuantityInAltvUnit": _number(actual),
            "DifferenceQuantityInAltvUnit": _number(difference),
            "WhseTaskExceptionCodeQtyDiff": "",
            "DestinationStorageBin": to_bin,
            "WhseTaskExCodeDestStorageBin": "",
            "SourceHandlingUnit": "",
        },
        headers={"If-Match": etag},
    )


def confirm_unit_task(task: tuple[str, str, str], *, to_bin: str = "", etag: str = "*") -> Action:
    """Confirms the task that moves a handling unit as a whole."""
    return Action(
        path=_action(task, "ConfirmWarehouseTaskHndlgUnit"),
        body={"DestinationStorageBin": to_bin, "WhseTaskExCodeDestStorageBin": ""},
        headers={"If-Match": etag},
    )


def _action(task: tuple[str, str, str], name: str) -> str:
    return f"{ORDER_TASK_V4}/WarehouseTask/{'/'.join(segment(part) for part in task)}/SAP__self.{name}"


def _number(value: Decimal | int) -> int | float:
    return int(value) if value == int(value) else float(value)
