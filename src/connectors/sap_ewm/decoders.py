"""Everything that EWM sends, by its shape: `crossdock decode`, and the events of the poller."""

from connectors.kit.manifest import Decoder
from connectors.kit.odata import Shape, decoders_of
from connectors.sap_ewm import mapping, wire
from connectors.sap_ewm.settings import Rules


def shapes(outbound: type[wire.OutboundHead], inbound: type[wire.InboundHead]) -> tuple[Shape[Rules], ...]:
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
    return decoders_of(shapes(outbound, inbound), rules)
