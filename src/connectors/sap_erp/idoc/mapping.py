"""From IDocs to records. An IDoc tells less than the services: what it does not say is null or UNKNOWN."""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from connectors.kit.decode import none
from connectors.kit.errors import BadPayload, MappingFailed
from connectors.kit.integration import Origin
from connectors.kit.odata import day, mass_kg
from connectors.sap_erp import keys
from connectors.sap_erp.idoc import segments
from connectors.sap_erp.idoc.segments import Control
from connectors.sap_erp.mapping import SHIP_TO, money, same
from connectors.sap_erp.settings import Rules
from unified import records
from unified.events import Changed
from unified.records import OrderKind, OrderStatus, Record, ShipmentDirection, ShipmentStatus
from unified.values import Quantity

DELETED = "003"
"""ACTION of a document or line that is taken back."""
_INBOUND_TYPES = frozenset({"EL", "ELST", "EG"})
_SENT = frozenset({"DESADV", "SHPCON"})
"""Message types that are sent when goods have left: dispatch advice, confirmation of shipping."""


def created_at(control: Control, rules: Rules) -> datetime:
    """CREDAT and CRETIM in the system's zone: what decides between an older and a newer IDoc."""
    text = control.credat + (control.cretim or "000000")
    try:
        local = datetime.strptime(text, "%Y%m%d%H%M%S")  # noqa: DTZ007 - the zone is the system's, below
    except ValueError:
        raise MappingFailed("CREDAT and CRETIM are no day and time", path="$.EDI_DC40.CREDAT") from None
    return local.replace(tzinfo=rules.clock).astimezone(UTC)


def _first(values: Iterable[str | None]) -> str | None:
    return next((found for found in map(none, values) if found), None)


# --- ORDERS


def order(idoc: Any, control: Control, origin: Origin, rules: Rules) -> records.Order:
    """A purchase order that SAP sends to a vendor, or a sales order: organisation and partners tell which."""
    row = segments.converted(idoc, segments.Orders)
    head = row.e1edk01[0]
    partners = {each.parvw: each for each in row.e1edka1}
    is_purchase = "LF" in partners or any(each.qualf in ("009", "013", "014") for each in row.e1edk14)
    references = {each.qualf: none(each.belnr) for each in row.e1edk02}
    number = none(head.belnr) or references.get("001" if is_purchase else "002")
    if number is None:
        raise MappingFailed("the order has no number (E1EDK01 BELNR)", path="$.E1EDK01[0].BELNR")
    days = {each.iddat: day(each.datum, path=f"$.E1EDK03[{place}].DATUM") for place, each in enumerate(row.e1edk03)}
    kept = [(place, line) for place, line in enumerate(row.e1edp01) if line.action != DELETED]
    cancelled = head.action == DELETED or (bool(row.e1edp01) and not kept)
    total = next((each for each in row.e1eds01 if each.sumid == "002"), None)
    reference = references.get("001")
    vendor, buyer = partners.get("LF"), partners.get("AG")
    partner = vendor.partn or head.recipnt_no if is_purchase and vendor else (buyer.partn if buyer else None)
    ship_to = partners.get("WE")
    return records.Order(
        source=origin.source(
            keys.order_id(keys.PURCHASE if is_purchase else keys.SALES, number), head.action and f"ACTION={head.action}"
        ),
        updated_at=created_at(control, rules),
        order_kind=OrderKind.PURCHASE if is_purchase else OrderKind.SALES,
        number=number,
        status=OrderStatus.CANCELLED if cancelled else OrderStatus.UNKNOWN,
        warehouse=same(line.werks for _, line in kept),
        partner=none(partner),
        ship_to=none(ship_to.partn or ship_to.lifnr) if ship_to else same(_ship_to_of_line(line) for _, line in kept),
        customer_reference=reference if not is_purchase and reference != number else None,
        total=money(total.summe, total.sunit or head.curcy) if total else None,
        ordered_on=days.get("012"),
        created_on=days.get("011"),
        requested_on=days.get("002"),
        lines=tuple(
            _order_line(line, head, is_purchase, origin, rules, path=f"$.E1EDP01[{place}]") for place, line in kept
        ),
    )


def _ship_to_of_line(line: segments.E1EDP01) -> str | None:
    """A purchase order tells it for each line: the plant's own partner number."""
    return next((each.partn or each.lifnr for each in line.e1edpa1 if each.parvw == "WE"), None)


def _order_line(
    line: segments.E1EDP01,
    head: segments.E1EDK01,
    is_purchase: bool,
    origin: Origin,
    rules: Rules,
    *,
    path: str,
) -> records.OrderLine:
    """The material as SAP itself numbers it: the buyer's number of a purchase order, the vendor's of a sales order."""
    own, other = ("001", "002") if is_purchase else ("002", "001")
    named = {each.qualf: each for each in line.e1edp19}
    material = named.get(own) or named.get(other)
    wanted = [day(each.edatu, path=f"{path}.E1EDP20[{n}].EDATU") for n, each in enumerate(line.e1edp20)]
    parent = (line.uepos or "").lstrip("0")
    return records.OrderLine(
        line_number=line.posex or "",
        item_number=_first([material.idtnr_long, material.idtnr]) or "" if material else "",
        description=none(material.ktext) if material else None,
        quantity=Quantity(value=line.menge or Decimal(0), unit=rules.unit(line.menee)),
        requested_on=min((each for each in wanted if each is not None), default=None),
        net_amount=money(line.netwr, line.curcy or head.curcy),
        parent_line=parent or None,
        integration=origin.integration,
    )


# --- DELVRY, DESADV


def delivery(idoc: Any, control: Control, origin: Origin, rules: Rules) -> records.Shipment:
    row = segments.converted(idoc, segments.Delivery)
    head = row.e1edl20[0]
    number = none(head.vbeln)
    if number is None:
        raise MappingFailed("the delivery has no number (E1EDL20 VBELN)", path="$.E1EDL20[0].VBELN")
    partners = {each.partner_q: each for each in head.e1adrm1}
    kind = _first([head.lfart, *(each.lfart for each in head.e1edl21)])
    ship_to = next((partners[each] for each in SHIP_TO if each in partners), None)
    inbound = kind in _INBOUND_TYPES or ("LF" in partners and ship_to is None)
    partner = partners.get("LF") if inbound else ship_to
    forwarder = partners.get("SP") or partners.get("CR")
    dates = {each.qualf: each for each in head.e1edt13}
    issue, arrival = dates.get("006"), dates.get("007")
    shipped = _day(issue.iedd or issue.isdd, "E1EDT13") if issue else None
    proven = _day(head.podat, "PODAT")
    return records.Shipment(
        source=origin.source(keys.bare(number), f"MESTYP={control.mestyp}"),
        updated_at=created_at(control, rules),
        number=number,
        direction=ShipmentDirection.INBOUND if inbound else ShipmentDirection.OUTBOUND,
        status=_shipment_status(control.mestyp, shipped, proven, told=issue is not None),
        partner=_first([partner.partner_id if partner else None, None if inbound else head.kunnr]),
        partner_name=none(partner.name1) if partner else None,
        carrier=none(forwarder.partner_id) if forwarder else None,
        vehicle_plate=none(head.traid),
        warehouse=none(head.vstel),
        planned_on=_day(issue.ntend or issue.ntanf, "E1EDT13") if issue else None,
        delivery_on=_day(head.lfdat, "LFDAT")
        or (_day(arrival.ntend or arrival.ntanf, "E1EDT13") if arrival else None)
        or next((found for found in (_day(each.lfdat, "LFDAT") for each in head.e1edl22) if found), None),
        shipped_on=shipped,
        gross_mass_kg=mass_kg(head.btgew, head.gewei),
        net_mass_kg=mass_kg(head.ntgew, head.gewei),
        handling_units=tuple(found for each in head.e1edl37 if (found := none(each.exidv))),
        lines=tuple(
            records.ShipmentLine(
                line_number=line.posnr or "",
                item_number=_first([line.matnr_long, line.matnr]) or "",
                description=none(line.arktx),
                quantity=Quantity(value=line.lfimg or Decimal(0), unit=rules.unit(line.vrkme)),
                batch=none(line.charg),
                order_number=none(line.vgbel),
                order_line=none(line.vgpos),
                integration=origin.integration,
            )
            for line in head.e1edl24
        ),
    )


def _shipment_status(mestyp: str, shipped: date | None, proven: date | None, *, told: bool) -> ShipmentStatus:
    """A date of goods issue that is there and empty tells that the goods have not left."""
    if proven is not None:
        return ShipmentStatus.DELIVERED
    if shipped is not None or mestyp in _SENT:
        return ShipmentStatus.SHIPPED
    return ShipmentStatus.OPEN if told else ShipmentStatus.UNKNOWN


def _day(value: str | None, name: str) -> date | None:
    """IDocs write an initial date as zeros."""
    return None if value is None or not value.strip("0") else day(value, path=f"$.E1EDL20[0].{name}")


# --- MATMAS


def material(idoc: Any, control: Control, origin: Origin, rules: Rules) -> records.Item:
    row = segments.converted(idoc, segments.Material).e1maram[0]
    number = _first([row.matnr_long, row.matnr])
    if number is None:
        raise MappingFailed("the material has no number (E1MARAM MATNR)", path="$.E1MARAM[0].MATNR")
    ours = [each for each in row.e1maktm if each.spras_iso == rules.language or each.spras == rules.language]
    name = _first(each.maktx for each in [*ours, *row.e1maktm])
    return records.Item(
        source=origin.source(keys.bare(number), row.mstae and f"MSTAE={row.mstae}"),
        updated_at=created_at(control, rules),
        number=number,
        name=name or number,
        item_type=rules.item_type(row.mtart),
        unit=rules.unit(row.meins) or None,
        lifecycle="marked for deletion" if none(row.lvorm) else none(row.mstae),
        gross_mass_kg=mass_kg(row.brgew, row.gewei),
        net_mass_kg=mass_kg(row.ntgew, row.gewei),
    )


# --- which is which

_READERS: dict[str, Callable[[Any, Control, Origin, Rules], Record]] = {
    "ORDERS": order,
    "DELVRY": delivery,
    "MATMAS": material,
}


def reader(control: Control) -> Callable[[Any, Control, Origin, Rules], Record] | None:
    """By the basic type (`ORDERS05`, `DELVRY07`); the message type may be a customer's own. Null for others."""
    return _READERS.get(control.idoctyp.strip().upper().rstrip("0123456789"))


def change(idoc: Any, origin: Origin, rules: Rules) -> Changed[Record]:
    """The record of a document and when it was made; of the same second the higher DOCNUM is the newer."""
    control = segments.control_of(idoc)
    read = reader(control)
    if read is None:
        raise BadPayload(
            f"IDocs of type {control.idoctyp} are not read; ORDERS05, DELVRY07 and MATMAS05 are",
            path="$.EDI_DC40.IDOCTYP",
        )
    record = read(idoc, control, origin, rules)
    sequence = int(control.docnum) if control.docnum.isascii() and control.docnum.isdigit() else 0
    return Changed(record=record, occurred_at=created_at(control, rules), sequence=min(sequence, (1 << 63) - 1))
