"""From BAPI parameters to the OData services' structs: the same things under other names, then mapped the same way."""

from collections import defaultdict
from collections.abc import Sequence

from connectors.kit.odata import Expanded
from connectors.sap_erp import wire
from connectors.sap_erp.bapi.functions import Values, amount, number, structure, table, text


def sales_orders(values: Values) -> list[wire.SalesOrder]:
    """Of BAPISDORDER_GETDETAILEDLIST: one entity per row of ORDER_HEADERS_OUT."""
    items, schedules, partners = (
        _by(table(values, "ORDER_ITEMS_OUT"), "DOC_NUMBER"),
        _by(table(values, "ORDER_SCHEDULES_OUT"), "DOC_NUMBER", "ITM_NUMBER"),
        _by(table(values, "ORDER_PARTNERS_OUT"), "SD_DOC"),
    )
    heads = _by(table(values, "ORDER_STATUSHEADERS_OUT"), "SD_DOC")
    lines = _by(table(values, "ORDER_STATUSITEMS_OUT"), "SD_DOC", "ITM_NUMBER")
    business = _by(table(values, "ORDER_BUSINESS_OUT"), "SD_DOC")
    found = []
    for head in table(values, "ORDER_HEADERS_OUT"):
        document = text(head, "DOC_NUMBER") or ""
        status = next(iter(heads[document,]), {})
        whole = [row for row in business[document,] if not (text(row, "ITM_NUMBER") or "").strip("0")]
        found.append(
            wire.SalesOrder(
                sales_order=document,
                sold_to_party=text(head, "SOLD_TO"),
                purchase_order_by_customer=next((text(row, "PURCH_NO_C") for row in whole), None)
                or text(head, "PURCH_NO"),
                sales_order_date=text(head, "DOC_DATE"),
                creation_date=text(head, "REC_DATE"),
                last_change_date=text(head, "CH_ON") or text(status, "CH_ON") or text(head, "REC_DATE"),
                requested_delivery_date=text(head, "REQ_DATE_H"),
                total_net_amount=amount(head, "NET_VAL_HD"),
                transaction_currency=text(head, "CURREN_ISO") or text(head, "CURRENCY"),
                process=text(status, "PRC_STAT_H") or ("" if status else None),
                total_delivery=text(status, "DLV_STAT_H") or ("" if status else None),
                rejection=text(status, "OVERALLREJ"),
                items=Expanded(
                    results=[
                        _sales_item(
                            item,
                            schedules[document, text(item, "ITM_NUMBER") or ""],
                            next(iter(lines[document, text(item, "ITM_NUMBER") or ""]), {}),
                        )
                        for item in items[document,]
                    ]
                ),
                partners=Expanded(
                    results=[
                        wire.Partner(
                            partner_function=text(row, "PARTN_ROLE"),
                            customer=text(row, "CUSTOMER"),
                            supplier=text(row, "VENDOR_NO"),
                        )
                        for row in partners[document,]
                        if not (text(row, "ITM_NUMBER") or "").strip("0")
                    ]
                ),
            )
        )
    return found


def _sales_item(item: Values, schedule: Sequence[Values], status: Values) -> wire.SalesOrderItem:
    return wire.SalesOrderItem(
        sales_order_item=text(item, "ITM_NUMBER") or "",
        higher_level_item=text(item, "HG_LV_ITEM"),
        sales_order_item_text=text(item, "SHORT_TEXT"),
        material=_material(item, "MATERIAL"),
        requested_quantity=number(item, "REQ_QTY"),
        sap_unit=text(item, "SALES_UNIT"),
        iso_unit=text(item, "ISOCODUNIT"),
        net_amount=amount(item, "NET_VALUE"),
        transaction_currency=text(item, "CURREN_ISO") or text(item, "CURRENCY"),
        batch=text(item, "BATCH"),
        production_plant=text(item, "PLANT"),
        delivery_status=text(status, "DLV_STAT_I") or ("" if status else None),
        rejection=text(item, "REA_FOR_RE"),
        schedule=Expanded(
            results=[
                wire.ScheduleLine(
                    requested_delivery_date=text(row, "REQ_DATE"),
                    schedule_line_order_quantity=number(row, "REQ_QTY"),
                    confd_order_qty_by_matl_avail_check=number(row, "CONFIR_QTY"),
                )
                for row in schedule
            ]
        ),
    )


def purchase_order(values: Values) -> wire.PurchaseOrder | None:
    """Of BAPI_PO_GETDETAIL1; null without a header."""
    head = structure(values, "POHEADER")
    document = text(head, "PO_NUMBER")
    if document is None:
        return None
    schedules = _by(table(values, "POSCHEDULE"), "PO_ITEM")
    return wire.PurchaseOrder(
        purchase_order=document,
        supplier=text(head, "VENDOR"),
        deletion=text(head, "DELETE_IND"),
        processing=text(head, "STATUS"),
        purchase_order_date=text(head, "DOC_DATE"),
        creation_date=text(head, "CREAT_DATE"),
        items=Expanded(
            results=[
                wire.PurchaseOrderItem(
                    purchase_order_item=text(item, "PO_ITEM") or "",
                    deletion=text(item, "DELETE_IND"),
                    purchase_order_item_text=text(item, "SHORT_TEXT"),
                    material=_material(item, "MATERIAL"),
                    plant=text(item, "PLANT"),
                    order_quantity=number(item, "QUANTITY"),
                    purchase_order_quantity_unit=text(item, "PO_UNIT_ISO") or text(item, "PO_UNIT"),
                    is_completely_delivered=text(item, "NO_MORE_GR"),
                    schedule=Expanded(
                        results=[
                            wire.PurchaseScheduleLine(schedule_line_delivery_date=_day(text(row, "DELIVERY_DATE")))
                            for row in schedules[text(item, "PO_ITEM") or "",]
                        ]
                    ),
                )
                for item in table(values, "POITEM")
            ]
        ),
    )


def _day(value: str | None) -> str | None:
    """POSCHEDULE's date is written as the user has it: `13.11.2026` or YYYYMMDD; other forms tell no sure day."""
    if value is None or (value.isascii() and value.isdigit()) or "-" in value:
        return value
    parts = value.split(".")
    return "-".join(reversed(parts)) if len(parts) == 3 and len(parts[2]) == 4 else None


def deliveries(values: Values) -> list[wire.Delivery]:
    """Of BAPI_DELIVERY_GETLIST."""
    statuses = _by(table(values, "ET_DELIVERY_HEADER_STS"), "VBELN")
    items = _by(table(values, "ET_DELIVERY_ITEM"), "VBELN")
    partners = _by(table(values, "ET_DELIVERY_PARTNER"), "VBELN")
    found = []
    for head in table(values, "ET_DELIVERY_HEADER"):
        document = text(head, "VBELN") or ""
        status = next(iter(statuses[document,]), {})
        found.append(
            wire.Delivery(
                delivery_document=document,
                delivery_document_type=text(head, "LFART"),
                zone=text(head, "TZONIS"),
                actual_goods_movement_date=text(head, "WADAT_IST"),
                planned_goods_issue_date=text(head, "WADAT"),
                delivery_date=text(head, "LFDAT"),
                creation_date=text(head, "ERDAT"),
                creation_time=text(head, "ERZET"),
                last_change_date=text(head, "AEDAT"),
                header_gross_weight=text(head, "BTGEW"),
                header_net_weight=text(head, "NTGEW"),
                header_weight_unit=text(head, "GEWEI"),
                means_of_transport=text(head, "TRAID"),
                shipping_point=text(head, "VSTEL"),
                ship_to_party=text(head, "KUNNR"),
                goods_movement=text(status, "WBSTK") or ("" if status else None),
                picking=text(status, "KOSTK") or ("" if status else None),
                proof=text(status, "PDSTK"),
                items=Expanded(
                    results=[
                        wire.DeliveryItem(
                            delivery_document_item=text(item, "POSNR") or "",
                            delivery_document_item_text=text(item, "ARKTX"),
                            material=_material(item, "MATNR"),
                            batch=text(item, "CHARG"),
                            actual_delivery_quantity=number(item, "LFIMG"),
                            delivery_quantity_unit=text(item, "VRKME"),
                            reference=text(item, "VGBEL"),
                            reference_item=text(item, "VGPOS"),
                        )
                        for item in items[document,]
                    ]
                ),
                partners=Expanded(
                    results=[
                        wire.Partner(
                            partner_function=text(row, "PARVW"),
                            customer=text(row, "KUNNR"),
                            supplier=text(row, "LIFNR"),
                        )
                        for row in partners[document,]
                    ]
                ),
            )
        )
    return found


def product(values: Values, asked: str | None = None) -> wire.Product | None:
    """Of BAPI_MATERIAL_GET_DETAIL, which need not repeat the number that was `asked` for; null without data."""
    data = structure(values, "MATERIAL_GENERAL_DATA")
    name, kind = text(data, "MATL_DESC"), text(data, "MATL_TYPE")
    told = text(data, "MATERIAL") or asked
    if told is None or (name is None and kind is None):
        return None
    return wire.Product(
        product=told,
        product_type=kind,
        cross_plant_status=text(data, "PUR_STATUS"),
        is_marked_for_deletion=text(data, "DEL_FLAG"),
        base_unit=text(data, "BASE_UOM_ISO") or text(data, "BASE_UOM"),
        gross_weight=text(data, "GROSS_WT"),
        net_weight=text(data, "NET_WEIGHT"),
        weight_unit=text(data, "UNIT_OF_WT_ISO") or text(data, "UNIT_OF_WT"),
        last_change_date=text(data, "LAST_CHNGE") or text(data, "CREATED_ON"),
        descriptions=Expanded(results=[wire.ProductDescription(product_description=name)]),
    )


STOCK_FIELDS = {"LABST": "01", "INSME": "02", "SPEME": "07"}
"""Quantities of MARD and the stock types that the stock service calls them."""


def stock(row: dict[str, str], unit: str | None) -> list[wire.Stock]:
    """Of a row of MARD: one entity per kind of stock that is there."""
    found = []
    for field, kind in STOCK_FIELDS.items():
        quantity = number({field: row.get(field, "")}, field)
        if quantity:
            found.append(
                wire.Stock(
                    material=row["MATNR"],
                    plant=row["WERKS"],
                    storage_location=row["LGORT"],
                    inventory_stock_type=kind,
                    material_base_unit=unit,
                    quantity=quantity,
                )
            )
    return found


def _material(row: Values, name: str) -> str | None:
    """Systems with long numbers fill the long field; in others it is absent or empty."""
    return text(row, f"{name}_LONG") or text(row, name)


def _by(rows: Sequence[Values], *names: str) -> dict[tuple[str, ...], list[Values]]:
    found: dict[tuple[str, ...], list[Values]] = defaultdict(list)
    for row in rows:
        found[tuple(text(row, name) or "" for name in names)].append(row)
    return found
