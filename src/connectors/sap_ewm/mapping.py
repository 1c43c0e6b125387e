"""From EWM's words to records. Numbers keep the vendor's spelling; empty texts are null."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from connectors.kit import decode
from connectors.kit.decode import none
from connectors.kit.integration import Origin
from connectors.kit.odata import joined, local_time, mass_kg, moment
from connectors.sap_ewm import wire
from connectors.sap_ewm.settings import PROGRESS, Rules
from unified import records
from unified.records import OrderKind, OrderStatus, Progress
from unified.values import Quantity

OUTBOUND, INBOUND = "OUTB", "INB"
"""First part of a delivery's external id: the numbers of the two services are apart."""


def warehouse_order(row: wire.WarehouseOrder, origin: Origin, rules: Rules) -> records.WarehouseOrder:
    return records.WarehouseOrder(
        source=origin.source(joined(row.warehouse, row.warehouse_order), row.warehouse_order_status),
        updated_at=moment(row.last_change_date_time, path="$.LastChangeDateTime"),
        number=row.warehouse_order,
        warehouse=row.warehouse,
        status=rules.warehouse_order_status(row.warehouse_order_status, row.warehouse_order_status_name),
        resource=none(row.executing_resource),
        latest_start_at=moment(row.whse_order_latest_start_date_time, path="$.WhseOrderLatestStartDateTime"),
        created_at=moment(row.creation_date_time, path="$.CreationDateTime"),
        started_at=moment(row.warehouse_order_start_date_time, path="$.WarehouseOrderStartDateTime"),
        confirmed_at=moment(row.whse_order_confirmed_date_time, path="$.WhseOrderConfirmedDateTime"),
    )


def warehouse_task(row: wire.WarehouseTask, origin: Origin, rules: Rules) -> records.WarehouseTask:
    unit = none(row.base_unit_iso) or rules.unit(row.base_unit)

    def quantity(value: Decimal | None) -> Quantity | None:
        return None if value is None else Quantity(value=value, unit=unit)

    whole_unit = row.is_handling_unit_warehouse_task is True
    return records.WarehouseTask(
        source=origin.source(
            joined(row.warehouse, row.warehouse_task, row.warehouse_task_item), row.warehouse_task_status
        ),
        updated_at=moment(row.last_change_date_time, path="$.LastChangeDateTime"),
        number=row.warehouse_task,
        item_position=none(row.warehouse_task_item) or "1",
        warehouse=row.warehouse,
        warehouse_order_number=none(row.warehouse_order),
        status=rules.task_statuses[row.warehouse_task_status],
        item_number=None if whole_unit else none(row.product_name),
        batch=none(row.batch),
        from_location=none(row.source_storage_bin),
        to_location=none(row.destination_storage_bin),
        handling_unit=none(row.source_handling_unit) or none(row.destination_handling_unit),
        target=quantity(row.target_quantity_in_base_unit),
        actual=quantity(row.actual_quantity_in_base_unit),
        resource=none(row.executing_resource),
        order_number=none(row.delivery),
        confirmed_at=moment(row.confirmation, path="$.ConfirmationUTCDateTime"),
    )


def location(row: wire.StorageBin, origin: Origin) -> records.Location:
    return records.Location(
        source=origin.source(joined(row.warehouse, row.storage_bin)),
        updated_at=moment(row.last_change, path="$.EWMStorageBinLastChgDateTime"),
        code=row.storage_bin,
        location_kind=records.LocationKind.STORAGE_BIN,
        warehouse=row.warehouse,
        zone=none(row.storage_type),
        aisle=none(row.storage_bin_free_defined_aisle_text),
        stack=none(row.storage_bin_free_defined_stack_text),
        level=none(row.storage_bin_free_defined_level_text),
        empty=row.storage_bin_is_empty,
        full=row.storage_bin_is_full,
        blocked_for_removal=row.storage_bin_is_blocked_for_removal,
        blocked_for_putaway=row.storage_bin_is_blocked_for_putaway,
        max_mass_kg=mass_kg(row.load_capacity_of_storage_bin or None, row.weight_unit),
    )


def balance(row: wire.AvailableStock, origin: Origin, rules: Rules) -> records.InventoryBalance:
    return records.InventoryBalance(
        source=origin.source(joined(*(getattr(row, name) for name in wire.STOCK_KEY)), row.stock_type),
        item_number=row.product,
        warehouse=row.warehouse,
        location=none(row.storage_bin),
        batch=none(row.batch),
        handling_unit=none(row.handling_unit),
        status=rules.stock_types[row.stock_type],
        available=Quantity(value=Decimal(0) if row.quantity is None else row.quantity, unit=rules.unit(row.unit)),
        received_at=moment(row.received, path="$.GoodsReceiptUTCDateTime"),
        expires_on=decode.day(row.expires, path="$.ShelfLifeExpirationDate"),
    )


def outbound(head: wire.OutboundHead, origin: Origin, rules: Rules) -> records.Order:
    items = (head.items and head.items.results) or []
    lines = tuple(
        records.OrderLine(
            line_number=item.outbound_delivery_order_item,
            item_number=item.product or "",
            quantity=Quantity(value=item.product_quantity or Decimal(0), unit=rules.unit(item.quantity_unit)),
            picking=PROGRESS[item.picking_status],
            goods_movement=PROGRESS[item.goods_issue_status],
            batch=none(item.product_batch),
            integration=origin.integration,
        )
        for item in items
    )
    said = {
        "PickingStatus": [item.picking_status for item in items],
        "GoodsIssueStatus": [item.goods_issue_status for item in items],
        "CompletionStatus": [item.completion_status for item in items],
    }
    return records.Order(
        source=origin.source(joined(OUTBOUND, head.outbound_delivery_order), _raw_status(said)),
        updated_at=moment(head.last_change_date_time, path="$.LastChangeDateTime"),
        order_kind=OrderKind.OUTBOUND_DELIVERY,
        number=head.outbound_delivery_order,
        status=_order_status(lines, [PROGRESS[item.completion_status] for item in items]),
        warehouse=none(head.warehouse),
        partner=none(head.ship_to_party),
        carrier=none(head.carrier),
        vehicle_plate=none(head.vehicle),
        reference_number=next((none(item.sales_order) for item in items if none(item.sales_order)), None),
        picking=_together(line.picking for line in lines),
        goods_movement=_together(line.goods_movement for line in lines),
        planned_at=moment(head.planned_delivery, path="$.PlannedDeliveryUTCDateTime"),
        lines=lines,
    )


def inbound(head: wire.InboundHead, origin: Origin, rules: Rules) -> records.Order:
    """`picking` of an inbound delivery is its putaway: the work in the warehouse."""
    items = (head.items and head.items.results) or []
    lines = tuple(
        records.OrderLine(
            line_number=item.inbound_delivery_item,
            item_number=item.product or "",
            quantity=Quantity(value=item.product_quantity or Decimal(0), unit=rules.unit(item.quantity_unit)),
            picking=PROGRESS[item.putaway_status],
            goods_movement=PROGRESS[item.goods_receipt_status],
            batch=none(item.product_batch),
            integration=origin.integration,
        )
        for item in items
    )
    said = {
        "PutawayStatus": [item.putaway_status for item in items],
        "GoodsReceiptStatus": [item.goods_receipt_status for item in items],
        "CompletionStatus": [item.completion_status for item in items],
    }
    return records.Order(
        source=origin.source(joined(INBOUND, head.inbound_delivery), _raw_status(said)),
        updated_at=moment(head.last_change_date_time, path="$.LastChangeDateTime"),
        order_kind=OrderKind.INBOUND_DELIVERY,
        number=head.inbound_delivery,
        status=_order_status(lines, [PROGRESS[item.completion_status] for item in items]),
        warehouse=none(head.warehouse),
        partner=none(head.ship_from_party),
        carrier=none(head.carrier),
        vehicle_plate=none(head.vehicle),
        reference_number=next(
            (none(item.purchasing_document) for item in items if none(item.purchasing_document)), None
        ),
        picking=_together(line.picking for line in lines),
        goods_movement=_together(line.goods_movement for line in lines),
        planned_at=moment(head.planned_delivery, path="$.PlannedDeliveryUTCDateTime"),
        lines=lines,
    )


def _together(steps: Iterable[Progress | None]) -> Progress | None:
    """How far a step has got over all lines; lines for which it is not relevant do not count."""
    found = set(steps)
    if not found:
        return None
    relevant = found - {Progress.NOT_RELEVANT}
    if len(relevant) == 1:
        return relevant.pop()
    if not relevant:
        return Progress.NOT_RELEVANT
    return Progress.UNKNOWN if Progress.UNKNOWN in relevant else Progress.PARTIAL


def _order_status(lines: Sequence[records.OrderLine], completion: Sequence[Progress]) -> OrderStatus:
    """A delivery head has no status of its own: it follows from the items."""
    if not lines:
        return OrderStatus.UNKNOWN
    done = _together(completion)
    if done is Progress.COMPLETE:
        return OrderStatus.COMPLETED
    if done is Progress.UNKNOWN:
        return OrderStatus.UNKNOWN
    steps = {done, *(line.picking for line in lines), *(line.goods_movement for line in lines)}
    begun = steps & {Progress.PARTIAL, Progress.COMPLETE}
    return OrderStatus.IN_PROGRESS if begun else OrderStatus.OPEN


def _raw_status(said: dict[str, list[str | None]]) -> str | None:
    """`PickingStatus=9 CompletionStatus=2`; several different values of the items are joined by `+`."""
    told = {name: sorted({code or "" for code in codes}) for name, codes in said.items() if codes}
    return " ".join(f"{name}={'+'.join(codes)}" for name, codes in told.items()) or None


def robot_order(row: wire.RobotOrder, origin: Origin, rules: Rules) -> records.WarehouseOrder:
    return records.WarehouseOrder(
        source=origin.source(joined(row.lgnum, row.who), row.status),
        number=row.who,
        warehouse=row.lgnum,
        status=rules.warehouse_order_status(row.status, None),
        queue=none(row.queue),
        resource=none(row.rsrc),
        latest_start_local=local_time(row.lsd, path="$.Lsd"),
    )


def robot_bin(row: wire.RobotBin, origin: Origin) -> records.Location:
    return records.Location(
        source=origin.source(joined(row.lgnum, row.lgpla)),
        code=row.lgpla,
        location_kind=records.LocationKind.STORAGE_BIN,
        warehouse=row.lgnum,
        zone=none(row.lgtyp),
        section=none(row.lgber),
        aisle=none(row.aisle),
        stack=none(row.stack),
        level=none(row.lvl_v),
    )


def robot_task(row: wire.RobotTask, origin: Origin, rules: Rules) -> records.WarehouseTask:
    """After its first step the source is empty: the goods are on the robot."""
    return records.WarehouseTask(
        source=origin.source(joined(row.lgnum, row.tanum, "1"), row.tostat),
        number=row.tanum,
        item_position="1",
        warehouse=row.lgnum,
        warehouse_order_number=none(row.who),
        status=rules.task_statuses[row.tostat],
        from_location=none(row.vlpla),
        to_location=none(row.nlpla),
        handling_unit=none(row.vlenr) or none(row.nlenr),
    )
