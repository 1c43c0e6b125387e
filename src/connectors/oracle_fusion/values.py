"""What Fusion tells that is no record; and what others send to it. Given by `crossdock decode`."""

from datetime import datetime

from unified.values import Quantity, Value


class Page(Value, frozen=True, kw_only=True):
    """Where a page stands in its collection. `next_offset` is null on the last page."""

    resource: str | None = None
    count: int
    offset: int = 0
    has_more: bool = False
    next_offset: int | None = None
    total: int | None = None


class Address(Value, frozen=True, kw_only=True):
    """The address of a row: its `self` link, whose key may be an opaque hash, and its ETag."""

    resource: str | None = None
    href: str
    etag: str | None = None


class Token(Value, frozen=True, kw_only=True):
    """Of an access token only how long it lives."""

    token_type: str
    expires_in_seconds: float | None = None
    refreshable: bool = False


class BusinessEvent(Value, frozen=True, kw_only=True):
    """`subject`: what is read again for it; null for an event that is not known."""

    id: str | None = None
    type: str
    subject: str | None = None
    number: str | None = None
    organization: str | None = None
    occurred_at: datetime | None = None


class WorkOrderRequest(Value, frozen=True, kw_only=True):
    """A work order that somebody wants to be created. The unit is the item's own."""

    number: str
    organization: str
    item_number: str
    quantity: Quantity
    status: str | None = None
    vendor_status: str | None = None
    planned_start_at: datetime | None = None


class OperationReport(Value, frozen=True, kw_only=True):
    """A quantity that is moved at an operation; at most what is ready there."""

    source_system: str
    organization: str
    work_order_number: str
    operation_sequence: str
    quantity: Quantity
    from_state: str
    to_state: str
    serial_numbers: tuple[str, ...] = ()
    reported_at: datetime | None = None
    """The plant's time where it came without a zone."""


class Fault(Value, frozen=True, kw_only=True):
    status: str | None = None
    title: str | None = None
    code: str | None = None
    message: str | None = None
    path: str | None = None
