"""The kinds of payload that Fusion sends, each with its reader, for one tenant's own codes. The live path uses the same
mapping; what Fusion cut short of an expanded child is not there when an answer is read by itself."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

import msgspec

from connectors.kit import decode
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoded, Decoder, Payload
from connectors.oracle_fusion import mapping, trees, values, webhook, wire
from connectors.oracle_fusion.polling import ITEMS, WORK_ORDERS
from connectors.oracle_fusion.settings import EVENTS, Rules, Settings, rules_of
from unified.records import Bom, Item, WorkOrder
from unified.values import Quantity

EVENT: Final = "business-event"
_RESOURCE = re.compile(r"/resources/[^/]+/(?P<name>\w+)")


def item_of(row: wire.Item, origin: Origin, rules: Rules, *, place: int = 0) -> Item:
    """With the revisions that came along."""
    path = f"$.items[{place}]"
    return mapping.item(row, origin, rules, path=path, revisions=wire.rows(row.item_revision))


def work_order_of(row: wire.WorkOrder, origin: Origin, rules: Rules, *, place: int = 0) -> WorkOrder:
    """With the operations and materials that came along."""
    return mapping.work_order(
        row,
        origin,
        rules,
        path=f"$.items[{place}]",
        operations=wire.rows(row.work_order_operation),
        materials=wire.rows(row.work_order_material),
    )


def _structure_of(row: wire.Structure, origin: Origin, rules: Rules, *, place: int = 0) -> Bom | None:
    parts = trees.parts(wire.rows(row.component), origin.as_of, rules.zone, path=f"$.items[{place}]")
    return _bom(str(row.bill_sequence_id), row.item_number, decode.none(row.structure_name), origin, parts, {})


def _bom(
    external_id: str, number: str, name: str | None, origin: Origin, parts: list[trees.Part], below: Any
) -> Bom | None:
    if not parts:
        return None
    lines, _ = trees.lines(
        "", parts, lambda key: below.get(key, ()), None, origin, made=lambda key: key in below, name=number
    )
    return Bom(source=origin.source(external_id), item_number=number, view=name, lines=lines)


def _items(payload: Payload, origin: Origin, rules: Rules) -> Iterable[Decoded]:
    page = decode.json(payload.body, wire.Collection[wire.Item])
    yield from (item_of(row, origin, rules, place=place) for place, row in enumerate(page.items))
    yield from _around(page)


def _structures(payload: Payload, origin: Origin, rules: Rules) -> Iterable[Decoded]:
    page = decode.json(payload.body, wire.Collection[wire.Structure])
    made = (_structure_of(row, origin, rules, place=place) for place, row in enumerate(page.items))
    yield from (each for each in made if each is not None)
    yield from _around(page)


def _flat(payload: Payload, origin: Origin, _rules: Rules) -> Iterable[Decoded]:
    tree = trees.flat(decode.json(payload.body, wire.FlatRows).rows)
    if tree is not None:
        made = _bom(tree.bill or tree.number, tree.number, tree.structure, origin, tree.top, tree.below)
        yield from [made] if made is not None else []


def _work_orders(payload: Payload, origin: Origin, rules: Rules) -> Iterable[Decoded]:
    page = decode.json(payload.body, wire.Collection[wire.WorkOrder])
    yield from (work_order_of(row, origin, rules, place=place) for place, row in enumerate(page.items))
    yield from _around(page)


def _collection(payload: Payload, _origin: Origin, _rules: Rules) -> Iterable[Decoded]:
    yield from _around(decode.json(payload.body, wire.Collection[wire.Row]))


def _around(page: wire.Collection[Any]) -> Iterator[Decoded]:
    """Addresses of the rows that came with links, and where the page stands."""
    for row in page.items:
        own = wire.link(row, "self")
        if own is not None:
            etag = own.properties.change_indicator if own.properties else None
            yield values.Address(resource=own.name or None, href=own.href, etag=etag)
    if page.count is None and not page.has_more:
        return  # a row that was polled, and no page
    offset, count = page.offset or 0, len(page.items) if page.count is None else page.count
    told = next((_RESOURCE.search(each.href) for each in page.links if each.rel == "self"), None)
    yield values.Page(
        resource=told["name"] if told else None,
        count=count,
        offset=offset,
        has_more=page.has_more,
        next_offset=offset + count if page.has_more else None,
        total=page.total_results,
    )


def _event(payload: Payload, _origin: Origin, _rules: Rules) -> Iterable[Decoded]:
    given = webhook.notice(payload)
    subject = EVENTS.get(given.event_type)
    yield values.BusinessEvent(
        id=given.event_id,
        type=given.event_type,
        subject=subject,
        number=webhook.number(given, subject) if subject else None,
        organization=webhook.organization(given),
        occurred_at=decode.moment(given.timestamp, path="$.timestamp"),
    )


def _token(payload: Payload, _origin: Origin, _rules: Rules) -> Iterable[Decoded]:
    found = decode.json(payload.body, wire.Token)
    yield values.Token(
        token_type=found.token_type, expires_in_seconds=found.expires_in, refreshable=found.refresh_token is not None
    )


def _work_order_request(payload: Payload, _origin: Origin, rules: Rules) -> Iterable[Decoded]:
    found = decode.json(payload.body, wire.WorkOrderRequest)
    asked = wire.WorkOrder(work_order_id="", work_order_number="", work_order_status_code=found.work_order_status_code)
    yield values.WorkOrderRequest(
        number=found.work_order_number,
        organization=found.organization_code,
        item_number=found.item_number,
        quantity=Quantity(value=found.planned_start_quantity, unit=""),
        status=mapping.status(asked, rules).value if found.work_order_status_code else None,
        vendor_status=found.work_order_status_code,
        planned_start_at=mapping.moment(found.planned_start_date, rules.zone, path="$.PlannedStartDate"),
    )


def _operation_transactions(payload: Payload, _origin: Origin, rules: Rules) -> Iterable[Decoded]:
    found = decode.json(payload.body, wire.OperationTransactions)
    for place, each in enumerate(found.operation_transaction_detail):
        path = f"$.OperationTransactionDetail[{place}].TransactionDate"
        yield values.OperationReport(
            source_system=found.source_system_code,
            organization=each.organization_code,
            work_order_number=each.work_order_number,
            operation_sequence=mapping.sequence(each.wo_operation_sequence_number) or "",
            quantity=Quantity(value=each.transaction_quantity, unit=each.transaction_unit_of_measure),
            from_state=each.from_dispatch_state,
            to_state=each.to_dispatch_state,
            serial_numbers=tuple(serial.serial_number for serial in each.transaction_serial or ()),
            reported_at=mapping.moment(each.transaction_date, rules.zone, path=path),
        )


def _faults(payload: Payload, _origin: Origin, _rules: Rules) -> Iterable[Decoded]:
    found = decode.json(payload.body, wire.Fault)
    status = str(found.status) if found.status is not None else None
    for each in found.details or [wire.FaultDetail(detail=found.detail, code=found.code)]:
        yield values.Fault(status=status, title=found.title, code=each.code, message=each.detail, path=each.path)


# --- which is which


def _keys(body: bytes) -> frozenset[str]:
    """Names at the top of a JSON object; empty for everything else."""
    if body.lstrip()[:1] != b"{":
        return frozenset()
    try:
        return frozenset(msgspec.json.decode(body, type=dict[str, msgspec.Raw]))
    except (msgspec.DecodeError, RecursionError):
        return frozenset()


def _having(*names: str) -> Callable[[Payload], bool]:
    return lambda payload: _keys(payload.body).issuperset(names)


def _rows_having(*names: str) -> Callable[[Payload], bool]:
    """A collection whose first row has these attributes."""

    def recognises(payload: Payload) -> bool:
        if "items" not in _keys(payload.body):
            return False
        try:
            rows = msgspec.json.decode(payload.body, type=dict[str, msgspec.Raw])["items"]
            first = msgspec.json.decode(bytes(rows), type=list[msgspec.Raw])[:1]
            return any(_keys(bytes(each)).issuperset(names) for each in first)
        except (msgspec.DecodeError, RecursionError):
            return False

    return recognises


_Reader = Callable[[Payload, Origin, Rules], Iterable[Decoded]]
_KINDS: Final[tuple[tuple[str, str, _Reader, Callable[[Payload], bool]], ...]] = (
    (ITEMS, "answer of itemsV2: items", _items, _rows_having("ItemId", "ItemNumber", "OrganizationCode")),
    (WORK_ORDERS, "answer of workOrders: work orders", _work_orders, _rows_having("WorkOrderId", "WorkOrderNumber")),
    ("structures", "answer of itemStructures, one level each", _structures, _rows_having("BillSequenceId")),
    ("flat-structure", "answer of structureComponentsItemsDetails", _flat, _having("structureComponentsItemsDetails")),
    ("collection", "answer of any other resource: addresses and paging", _collection, _having("items")),
    (EVENT, "business event as it is forwarded", _event, _having("eventType", "payload")),
    ("token", "answer of the token endpoint; the token itself is left out", _token, _having("access_token")),
    (
        "work-order-request",
        "body of POST workOrders",
        _work_order_request,
        _having("WorkOrderNumber", "PlannedStartQuantity"),
    ),
    (
        "operation-transactions",
        "body of POST operationTransactions",
        _operation_transactions,
        _having("OperationTransactionDetail"),
    ),
    ("error", "fault with details; HTTP status 400 and above", _faults, _having("title", "o:errorDetails")),
)


def decoders(rules: Rules) -> tuple[Decoder, ...]:
    return tuple(
        Decoder(name=name, description=description, read=partial(_read, reader, rules), recognises=recognises)
        for name, description, reader, recognises in _KINDS
    )


def _read(reader: _Reader, rules: Rules, payload: Payload, origin: Origin) -> Iterable[Decoded]:
    return reader(payload, origin, rules)


DECODERS: Final = decoders(rules_of(Settings()))
"""With Oracle's own codes only."""
