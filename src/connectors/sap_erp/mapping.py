"""From the OData services' words to records. Numbers keep the vendor's spelling; empty texts are null."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from connectors.kit import decode
from connectors.kit.decode import none
from connectors.kit.integration import Origin
from connectors.kit.odata import Expanded, clock_time, day, joined, mass_kg, moment
from connectors.sap_erp import keys, wire
from connectors.sap_erp.settings import PROCESS, PROGRESS, Rules
from unified import records
from unified.records import OrderKind, OrderStatus, Progress, ShipmentDirection, ShipmentStatus
from unified.values import Money, Quantity

SHIP_TO = ("WE", "SH")
FORWARDER = ("SP", "CR")
"""Partner functions in German and in English; `SP` is also the English sold-to party, which is no supplier."""


def money(amount: Decimal | None, currency: str | None) -> Money | None:
    code = none(currency)
    return Money(amount=amount, currency=code) if amount is not None and code else None


def same(values: Iterable[str | None]) -> str | None:
    """What all of them say; null when they differ or one says nothing."""
    found = {none(value) for value in values}
    return found.pop() if len(found) == 1 else None


def said(**codes: str | None) -> str | None:
    """`OverallSDProcessStatus=C OverallDeliveryStatus=A`: SAP's codes as they came."""
    return " ".join(f"{name}={code}" for name, code in codes.items() if code is not None) or None


# --- sales orders


def sales_order(row: wire.SalesOrder, origin: Origin, rules: Rules) -> records.Order:
    items = (row.items and row.items.results) or row.items_v4 or []
    partners = (row.partners and row.partners.results) or row.partners_v4 or []
    delivery = row.total_delivery if row.total_delivery is not None else row.delivery
    status = OrderStatus.CANCELLED if row.rejection == "C" else PROCESS[row.process]
    return records.Order(
        source=origin.source(
            keys.order_id(keys.SALES, row.sales_order),
            said(
                OverallSDProcessStatus=row.process,
                OverallDeliveryStatus=delivery,
                OverallSDDocumentRejectionSts=row.rejection,
            ),
        ),
        updated_at=moment(row.last_change_date_time, path="$.LastChangeDateTime")
        or end_of(day(row.last_change_date, path="$.LastChangeDate"), rules, origin.as_of),
        order_kind=OrderKind.SALES,
        number=row.sales_order,
        status=status,
        warehouse=same(item.production_plant or item.plant for item in items),
        partner=none(row.sold_to_party),
        ship_to=next((none(each.customer) for each in partners if each.partner_function in SHIP_TO), None),
        customer_reference=none(row.purchase_order_by_customer),
        total=money(row.total_net_amount, row.transaction_currency),
        ordered_on=day(row.sales_order_date, path="$.SalesOrderDate"),
        created_on=day(row.creation_date, path="$.CreationDate"),
        requested_on=day(row.requested_delivery_date, path="$.RequestedDeliveryDate"),
        goods_movement=None if delivery is None else PROGRESS[delivery],
        lines=tuple(
            _sales_line(item, row, origin, rules, path=f"$.to_Item.results[{place}]")
            for place, item in enumerate(items)
        ),
    )


def _sales_line(
    item: wire.SalesOrderItem, head: wire.SalesOrder, origin: Origin, rules: Rules, *, path: str
) -> records.OrderLine:
    unit = none(item.iso_unit) or rules.unit(item.sap_unit or item.requested_quantity_unit)
    schedule = (item.schedule and item.schedule.results) or item.schedule_v4 or []
    requested, promised, confirmed = _scheduled(schedule, path=path)
    parent = (item.higher_level_item or "").strip().lstrip("0")
    return records.OrderLine(
        line_number=item.sales_order_item,
        item_number=item.material or item.product or "",
        description=none(item.sales_order_item_text),
        quantity=Quantity(value=item.requested_quantity or Decimal(0), unit=unit),
        confirmed=None if confirmed is None else Quantity(value=confirmed, unit=unit),
        requested_on=requested,
        promised_on=promised,
        net_amount=money(item.net_amount, item.transaction_currency or head.transaction_currency),
        parent_line=parent or None,
        goods_movement=None if item.delivery_status is None else PROGRESS[item.delivery_status],
        batch=none(item.batch),
        integration=origin.integration,
    )


def _scheduled(lines: Sequence[wire.ScheduleLine], *, path: str) -> tuple[date | None, date | None, Decimal | None]:
    """First day asked for, last day promised, quantity promised.

    What was asked and what was promised may be rows of their own: one without the other's quantity.
    """
    requested: list[date] = []
    promised: list[date] = []
    confirmed = Decimal(0)
    for place, line in enumerate(lines):
        at = f"{path}.to_ScheduleLine.results[{place}]"
        asked = day(line.requested_delivery_date, path=f"{at}.RequestedDeliveryDate")
        if asked is not None and line.schedule_line_order_quantity != 0:
            requested.append(asked)
        quantity = line.confd_order_qty_by_matl_avail_check
        if quantity:
            confirmed += quantity
            told = day(line.confirmed_delivery_date, path=f"{at}.ConfirmedDeliveryDate") or asked
            if told is not None:
                promised.append(told)
    return min(requested, default=None), max(promised, default=None), confirmed or None


# --- purchase orders


def purchase_order(row: wire.PurchaseOrder, origin: Origin, rules: Rules) -> records.Order:
    """The service has no status of the whole: it follows from the items."""
    items = (row.items and row.items.results) or []
    kept = [item for item in items if not none(item.deletion)]
    delivered = [wire.flag(item.is_completely_delivered) for item in kept]
    cancelled = none(row.deletion) is not None or (bool(items) and not kept)
    status = OrderStatus.CANCELLED if cancelled else order_status(delivered)
    return records.Order(
        source=origin.source(
            keys.order_id(keys.PURCHASE, row.purchase_order),
            said(PurchasingProcessingStatus=row.processing, PurchasingDocumentDeletionCode=row.deletion),
        ),
        updated_at=moment(row.last_change_date_time, path="$.LastChangeDateTime"),
        order_kind=OrderKind.PURCHASE,
        number=row.purchase_order,
        status=status,
        warehouse=same(item.plant for item in kept),
        partner=none(row.supplier),
        ordered_on=day(row.purchase_order_date, path="$.PurchaseOrderDate"),
        created_on=day(row.creation_date, path="$.CreationDate"),
        lines=tuple(
            records.OrderLine(
                line_number=item.purchase_order_item,
                item_number=item.material or "",
                description=none(item.purchase_order_item_text),
                quantity=Quantity(
                    value=item.order_quantity or Decimal(0), unit=rules.unit(item.purchase_order_quantity_unit)
                ),
                requested_on=min(_wanted(item), default=None),
                goods_movement=Progress.COMPLETE if wire.flag(item.is_completely_delivered) else None,
                integration=origin.integration,
            )
            for item in kept
        ),
    )


def _wanted(item: wire.PurchaseOrderItem) -> list[date]:
    lines = (item.schedule and item.schedule.results) or []
    days = (day(each.schedule_line_delivery_date, path="$..ScheduleLineDeliveryDate") for each in lines)
    return [each for each in days if each is not None]


def order_status(delivered: Sequence[bool]) -> OrderStatus:
    """Of an order whose lines say only whether they are delivered completely."""
    if not delivered:
        return OrderStatus.UNKNOWN
    if all(delivered):
        return OrderStatus.COMPLETED
    return OrderStatus.IN_PROGRESS if any(delivered) else OrderStatus.OPEN


# --- deliveries


def delivery(row: wire.Delivery, origin: Origin, rules: Rules) -> records.Shipment:
    items = (row.items.results or []) if isinstance(row.items, Expanded) else []
    partners = (row.partners.results or []) if isinstance(row.partners, Expanded) else []
    picking = None if row.picking is None else PROGRESS[row.picking]
    moved = None if row.goods_movement is None else PROGRESS[row.goods_movement]
    created = day(row.creation_date, path="$.CreationDate")
    changed = day(row.last_change_date, path="$.LastChangeDate") or created
    return records.Shipment(
        source=origin.source(
            keys.bare(row.delivery_document),
            said(
                OverallGoodsMovementStatus=row.goods_movement,
                OverallPickingStatus=row.picking,
                OverallProofOfDeliveryStatus=row.proof,
            ),
        ),
        updated_at=end_of(changed, rules, origin.as_of),
        number=row.delivery_document,
        direction=ShipmentDirection.OUTBOUND,
        status=shipment_status(moved, picking, proven=row.proof == "C"),
        partner=none(row.ship_to_party),
        carrier=next(
            (none(each.supplier) for each in partners if each.partner_function in FORWARDER and none(each.supplier)),
            None,
        ),
        vehicle_plate=none(row.means_of_transport),
        warehouse=none(row.shipping_point),
        picking=picking,
        goods_movement=moved,
        planned_on=day(row.planned_goods_issue_date, path="$.PlannedGoodsIssueDate"),
        delivery_on=day(row.delivery_date, path="$.DeliveryDate"),
        shipped_on=day(row.actual_goods_movement_date, path="$.ActualGoodsMovementDate"),
        created_at=_created_at(created, row, rules),
        gross_mass_kg=mass_kg(
            decode.decimal(row.header_gross_weight, path="$.HeaderGrossWeight"), row.header_weight_unit
        ),
        net_mass_kg=mass_kg(decode.decimal(row.header_net_weight, path="$.HeaderNetWeight"), row.header_weight_unit),
        lines=tuple(
            records.ShipmentLine(
                line_number=item.delivery_document_item,
                item_number=item.material or "",
                description=none(item.delivery_document_item_text),
                quantity=Quantity(
                    value=item.actual_delivery_quantity or Decimal(0), unit=rules.unit(item.delivery_quantity_unit)
                ),
                batch=none(item.batch),
                order_number=none(item.reference),
                order_line=none(item.reference_item),
                integration=origin.integration,
            )
            for item in items
        ),
    )


def _created_at(created: date | None, row: wire.Delivery, rules: Rules) -> datetime | None:
    """Day and time are those of the shipping point's zone; null where we do not know the zone."""
    zone = rules.zone(row.zone)
    at = clock_time(row.creation_time, path="$.CreationTime")
    if created is None or at is None or zone is None:
        return None
    return datetime.combine(created, at, tzinfo=zone).astimezone(UTC)


def end_of(changed: date | None, rules: Rules, as_of: datetime) -> datetime | None:
    """When a thing last changed of which SAP keeps only the day: its end, or now while the day lasts.

    Later rather than earlier, so that nobody who asks for what changed after some time misses it.
    """
    if changed is None:
        return None
    end = datetime.combine(changed + timedelta(days=1), time(), tzinfo=rules.clock).astimezone(UTC)
    return min(end, as_of)


def shipment_status(moved: Progress | None, picking: Progress | None, *, proven: bool) -> ShipmentStatus:
    if proven:
        return ShipmentStatus.DELIVERED
    if moved is Progress.COMPLETE:
        return ShipmentStatus.SHIPPED
    if moved is None or moved is Progress.UNKNOWN:
        return ShipmentStatus.UNKNOWN
    begun = moved is Progress.PARTIAL or picking in (Progress.PARTIAL, Progress.COMPLETE)
    return ShipmentStatus.IN_PROGRESS if begun else ShipmentStatus.OPEN


# --- stock and products


def balance(row: wire.Stock, origin: Origin, rules: Rules) -> records.InventoryBalance:
    return records.InventoryBalance(
        source=origin.source(stock_id(row), row.inventory_stock_type),
        item_number=row.material,
        warehouse=row.plant,
        location=none(row.storage_location),
        batch=none(row.batch),
        status=rules.stock_types[row.inventory_stock_type],
        available=Quantity(value=row.quantity or Decimal(0), unit=rules.unit(row.material_base_unit)),
    )


def stock_id(row: wire.Stock) -> str:
    """The key: zeros that mean "none" are left out, so that other ways to the same stock give the same id."""
    return joined(
        keys.bare(row.material),
        row.plant,
        row.storage_location,
        row.batch,
        keys.bare(row.supplier),
        keys.bare(row.customer),
        row.wbs_element.strip().lstrip("0"),
        row.sd_document.strip().lstrip("0"),
        row.sd_document_item.strip().lstrip("0"),
        row.inventory_special_stock_type,
        row.inventory_stock_type,
    )


def product(row: wire.Product, origin: Origin, rules: Rules) -> records.Item:
    texts = (row.descriptions and row.descriptions.results) or []
    name = next((none(each.product_description) for each in texts if each.language == rules.language), None)
    name = name or next((none(each.product_description) for each in texts), None)
    changed = day(row.last_change_date, path="$.LastChangeDate")
    return records.Item(
        source=origin.source(keys.bare(row.product), said(CrossPlantStatus=row.cross_plant_status)),
        updated_at=moment(row.last_change_date_time, path="$.LastChangeDateTime")
        or end_of(changed, rules, origin.as_of),
        number=row.product,
        name=name or row.product,
        item_type=rules.item_type(row.product_type),
        unit=rules.unit(row.base_unit) or None,
        lifecycle="marked for deletion" if wire.flag(row.is_marked_for_deletion) else none(row.cross_plant_status),
        gross_mass_kg=mass_kg(decode.decimal(row.gross_weight, path="$.GrossWeight"), row.weight_unit),
        net_mass_kg=mass_kg(decode.decimal(row.net_weight, path="$.NetWeight"), row.weight_unit),
    )
