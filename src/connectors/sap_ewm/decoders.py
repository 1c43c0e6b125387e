"""Everything that EWM sends, by its shape: `crossdock decode`, and the events of the poller."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from connectors.kit import decode
from connectors.kit.errors import BadPayload
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoded, Decoder, Payload
from connectors.sap_ewm import mapping, wire
from connectors.sap_ewm.settings import Rules
from unified.records import Record

Map = Callable[[Any, Origin, Rules], Record]


class _Shape(msgspec.Struct):
    """As far as one must look: `d` with one or many rows, or `value` with many."""

    d: dict[str, msgspec.Raw] | list[msgspec.Raw] | None = None
    value: list[msgspec.Raw] | None = None


class Shape(msgspec.Struct, frozen=True):
    """How a payload is told from others: these fields are in its first row."""

    name: str
    description: str
    fields: frozenset[str]
    row: type[Any]
    record: Map


def _rows(body: bytes) -> tuple[list[msgspec.Raw], str] | None:
    """The rows and the path of their list; null for what is no OData answer."""
    try:
        shape = decode.json(body, _Shape)
    except BadPayload:
        return None
    if shape.value is not None:
        return shape.value, "$.value[{}]"
    if isinstance(shape.d, list):
        return shape.d, "$.d[{}]"
    if shape.d is None:
        return None
    if "results" not in shape.d:
        return [msgspec.Raw(msgspec.json.encode(shape.d))], "$.d"
    try:
        return msgspec.json.decode(shape.d["results"], type=list[msgspec.Raw]), "$.d.results[{}]"
    except msgspec.ValidationError:
        return None


def _recognises(shape: Shape) -> Callable[[Payload], bool]:
    def recognised(payload: Payload) -> bool:
        found = _rows(payload.body)
        if not found or not found[0]:
            return False
        try:
            names = msgspec.json.decode(found[0][0], type=dict[str, msgspec.Raw])
        except msgspec.ValidationError:
            return False
        return shape.fields <= names.keys()

    return recognised


def _reads(shape: Shape, rules: Rules) -> Callable[[Payload, Origin], Iterable[Decoded]]:
    def read(payload: Payload, origin: Origin) -> Iterable[Decoded]:
        found = _rows(payload.body)
        if found is None:
            raise BadPayload("neither a V2 (`d`) nor a V4 (`value`) answer", path="$")
        rows, place = found
        records: list[Decoded] = []
        for number, raw in enumerate(rows):
            try:
                records.append(shape.record(decode.json(bytes(raw), shape.row), origin, rules))
            except BadPayload as fault:
                path = place.format(number) + (fault.path or "$").removeprefix("$")
                text = fault.message.replace(f"`{fault.path}`", f"`{path}`")
                raise type(fault)(text, path=path) from None
        return records

    return read


def shapes(outbound: type[wire.OutboundHead], inbound: type[wire.InboundHead]) -> tuple[Shape, ...]:
    return (
        Shape(
            "warehouse-orders",
            "warehouse orders of API_WAREHOUSE_ORDER_TASK (V2)",
            frozenset({"Warehouse", "WarehouseOrder", "WarehouseOrderStatus"}),
            wire.WarehouseOrder,
            mapping.warehouse_order,
        ),
        Shape(
            "warehouse-tasks",
            "warehouse tasks of API_WAREHOUSE_ORDER_TASK (V2)",
            frozenset({"Warehouse", "WarehouseTask", "WarehouseTaskItem"}),
            wire.WarehouseTask,
            mapping.warehouse_task,
        ),
        Shape(
            "storage-bins",
            "storage bins of API_WAREHOUSE_STORAGE_BIN (V2)",
            frozenset({"Warehouse", "StorageBin"}),
            wire.StorageBin,
            lambda row, origin, rules: mapping.location(row, origin),
        ),
        Shape(
            "outbound-delivery-orders",
            "heads of API_WHSE_OUTB_DLV_ORDER (V2), with expanded items where they are there",
            frozenset({"OutboundDeliveryOrder", "Warehouse"}),
            outbound,
            mapping.outbound,
        ),
        Shape(
            "inbound-deliveries",
            "heads of API_WHSE_INBOUND_DELIVERY (V2), with expanded items where they are there",
            frozenset({"InboundDelivery", "Warehouse"}),
            inbound,
            mapping.inbound,
        ),
        Shape(
            "available-stock",
            "available stock of warehouseavailablestock (V4)",
            frozenset({"EWMWarehouse", "Product", "AvailableEWMStockQty"}),
            wire.AvailableStock,
            mapping.balance,
        ),
        Shape(
            "robot-warehouse-orders",
            "warehouse orders of SAP's robot service ZEWM_ROBCO_SRV: a list, or the one that was assigned",
            frozenset({"Lgnum", "Who", "Status"}),
            wire.RobotOrder,
            mapping.robot_order,
        ),
        Shape(
            "robot-storage-bins",
            "storage bins of ZEWM_ROBCO_SRV",
            frozenset({"Lgnum", "Lgpla", "Lptyp"}),
            wire.RobotBin,
            lambda row, origin, rules: mapping.robot_bin(row, origin),
        ),
        Shape(
            "robot-warehouse-tasks",
            "open warehouse tasks of ZEWM_ROBCO_SRV",
            frozenset({"Lgnum", "Tanum"}),
            wire.RobotTask,
            mapping.robot_task,
        ),
    )


def decoders(
    rules: Rules,
    outbound: type[wire.OutboundHead] = wire.OutboundHead,
    inbound: type[wire.InboundHead] = wire.InboundHead,
) -> tuple[Decoder, ...]:
    """The decoders of a system with these rules; a manifest has those of a system without settings."""
    return tuple(
        Decoder(
            name=shape.name, description=shape.description, read=_reads(shape, rules), recognises=_recognises(shape)
        )
        for shape in shapes(outbound, inbound)
    )
