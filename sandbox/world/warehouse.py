"""What EWM knows: bins, stock, deliveries, and the orders and tasks that move goods.

A delivery lives 24 hours and then begins again under the same number; each has its own hour to begin, so
that there are some in every status at any time. Orders and tasks follow their delivery.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from sandbox.world.chance import ANCHOR, Chance, moment, seconds
from sandbox.world.goods import SITES, Goods, Item, Site, Unit
from sandbox.world.vehicles import Vehicle

StockType = Literal["F2", "Q4", "B6"]
Direction = Literal["outbound", "inbound"]
Progress = Literal["not_started", "partial", "complete"]
WorkStatus = Literal["", "D", "C", "A"]
"""Open, in process, confirmed, cancelled."""
Activity = Literal["picking", "putaway"]

DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Bin:
    warehouse: str
    id: str
    """`01-02-03-1`: aisle, stack, place, level; the same ids occur in every warehouse."""
    storage_type: str
    section: str
    aisle: str
    stack: str
    level: str
    x_mm: int
    y_mm: int
    z_mm: int
    max_weight_kg: Decimal
    max_volume_m3: Decimal
    empty: bool
    full: bool
    blocked_removal: bool
    blocked_putaway: bool
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Stock:
    warehouse: str
    item_key: str
    bin_id: str
    batch: str
    """Empty for items without batches."""
    stock_type: StockType
    """F2 unrestricted, Q4 in quality inspection, B6 blocked."""
    quantity: Decimal
    unit: Unit
    received_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    number: int
    """10, 20, ..."""
    item_key: str
    quantity: Decimal
    unit: Unit
    batch: str


@dataclass(frozen=True, slots=True)
class DeliveryState:
    created_at: datetime
    planned_at: datetime
    """Planned goods issue (outbound) or goods receipt (inbound)."""
    picking: Progress
    """Picking, or putaway of an inbound one."""
    goods_moved: Progress
    """Goods issue, or goods receipt of an inbound one."""
    completion: Progress
    goods_moved_at: datetime | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    number: str
    """10 digits with leading zeros, over all warehouses unique."""
    direction: Direction
    warehouse: str
    partner: str
    """Ship-to of an outbound, vendor of an inbound one: 10 digits."""
    partner_name: str
    partner_city: str
    carrier: str
    carrier_name: str
    sales_order: str
    """10 digits; the purchase order of an inbound one."""
    vehicle: str
    """Plate of the truck in SAP's spelling, `KJA123AB`."""
    vehicle_key: str
    """Fleet number of the same truck."""
    door: str
    lines: tuple[DeliveryLine, ...]
    phase_s: float
    late_s: float
    """How much later than planned the goods leave or arrive."""

    def begun_at(self, at: datetime) -> datetime:
        """When the round that is current at this time began."""
        second = seconds(at)
        return moment(second - (second - self.phase_s) % DAY_S)

    def state_at(self, at: datetime) -> DeliveryState:
        begun = self.begun_at(at)
        into = (at - begun).total_seconds()
        planned = begun + timedelta(hours=16)
        work = [hours * 3600.0 for hours in WORK_HOURS]
        steps = (0.0, *work, 16 * 3600 + self.late_s, 18 * 3600 + self.late_s)
        passed = sum(into >= step for step in steps) - 1
        picking: Progress = "complete" if passed >= 2 else "partial" if passed == 1 else "not_started"
        moved = passed >= 3
        return DeliveryState(
            created_at=begun,
            planned_at=planned,
            picking=picking,
            goods_moved="complete" if moved else "not_started",
            completion="complete" if passed >= 4 else "partial" if passed >= 1 else "not_started",
            goods_moved_at=begun + timedelta(seconds=steps[3]) if moved else None,
            changed_at=begun + timedelta(seconds=steps[passed]),
        )


WORK_HOURS: Final = (9.0, 14.5)
"""When work on a delivery starts and when it is surely done, hours after it began."""


@dataclass(frozen=True, slots=True)
class Resource:
    warehouse: str
    id: str
    type: str
    group: str
    queue: str


@dataclass(frozen=True, slots=True)
class TaskState:
    status: WorkStatus
    created_at: datetime
    started_at: datetime | None
    confirmed_at: datetime | None
    """Also the time of a cancellation."""
    quantity: Decimal
    """Moved so far, in the unit of the task."""
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Task:
    warehouse: str
    number: str
    """9 digits, unique within a warehouse."""
    order: str
    activity: Activity
    delivery: Delivery = field(repr=False)
    line: int
    item_key: str
    batch: str
    stock_type: StockType
    quantity: Decimal
    unit: Unit
    source_bin: str
    source_type: str
    destination_bin: str
    destination_type: str
    resource: str
    start_s: float
    """Seconds after the delivery began."""
    end_s: float
    cancelled: bool

    def state_at(self, at: datetime) -> TaskState:
        begun = self.delivery.begun_at(at)
        into = (at - begun).total_seconds()
        status: WorkStatus = "" if into < self.start_s else "D" if into < self.end_s else "C"
        if status == "C" and self.cancelled:
            status = "A"
        created = begun + timedelta(minutes=20)
        started = begun + timedelta(seconds=self.start_s) if into >= self.start_s else None
        ended = begun + timedelta(seconds=self.end_s) if into >= self.end_s else None
        return TaskState(
            status=status,
            created_at=created,
            started_at=started,
            confirmed_at=ended,
            quantity=self.quantity if status == "C" else Decimal(0),
            changed_at=ended or started or created,
        )


@dataclass(frozen=True, slots=True)
class OrderState:
    status: WorkStatus
    created_at: datetime
    started_at: datetime | None
    confirmed_at: datetime | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class WarehouseOrder:
    warehouse: str
    number: str
    """10 digits, unique within a warehouse."""
    activity: Activity
    queue: str
    resource: str
    delivery: Delivery = field(repr=False)
    tasks: tuple[Task, ...]

    def state_at(self, at: datetime) -> OrderState:
        """Open until a task starts, confirmed when none is left, cancelled when all were."""
        states = [task.state_at(at) for task in self.tasks]
        found = {state.status for state in states}
        status: WorkStatus = "D"
        if found == {""}:
            status = ""
        elif found == {"A"}:
            status = "A"
        elif found <= {"A", "C"}:
            status = "C"
        started = [state.started_at for state in states if state.started_at]
        ended = [state.confirmed_at for state in states if state.confirmed_at]
        return OrderState(
            status=status,
            created_at=states[0].created_at,
            started_at=min(started, default=None),
            confirmed_at=max(ended) if status in ("A", "C") else None,
            changed_at=max(state.changed_at for state in states),
        )


@dataclass(frozen=True, slots=True)
class Warehouses:
    bins: tuple[Bin, ...]
    stock: tuple[Stock, ...]
    deliveries: tuple[Delivery, ...]
    orders: tuple[WarehouseOrder, ...]
    tasks: tuple[Task, ...]
    resources: tuple[Resource, ...]


_RECEIVED: Final = ANCHOR - timedelta(days=60)
_PARTNERS: Final = (
    ("0000001001", "Eko Health Stores", "Lagos"), ("0000001002", "Lekki Water Works", "Lagos"),
    ("0000001003", "Oyo State Clinics", "Ibadan"), ("0000001004", "Bodija Machine Hire", "Ibadan"),
    ("0000001005", "Garki Field Hospital", "Abuja"), ("0000001006", "Jos Mining Supply", "Jos"),
    ("0000001007", "Kaduna Depot", "Kaduna"), ("0000001008", "Benin Cold Stores", "Benin City"),
)  # fmt: skip
_SUPPLIERS: Final = (
    ("0000300001", "Niger Fasteners", "Onitsha"), ("0000300002", "Kano Metalworks", "Kano"),
    ("0000300003", "Aba Electrics", "Aba"), ("0000300004", "Ogun Polymers", "Sagamu"),
)  # fmt: skip
_CARRIERS: Final = (
    ("0000500001", "Savanna Haulage"),
    ("0000500002", "Delta Freight"),
    ("0000500003", "Own fleet"),
)
_RESOURCES: Final = (
    ("FRK", "FORKLIFT"), ("FRK", "FORKLIFT"), ("AMR", "ROBOT"), ("AMR", "ROBOT"), ("MAN", "PICKER"),
)  # fmt: skip


def _bins(site: Site) -> list[tuple[str, str, str, str, str, str]]:
    """Id, type, section, aisle, stack, level: 48 in racks, 8 on the floor, 4 doors."""
    found = []
    for n in range(48):
        aisle, stack, level = f"{n // 16 + 1:02d}", f"{n // 4 % 4 + 1:02d}", str(n % 4 + 1)
        section = "FAST" if level < "3" else "SLOW"
        found.append((f"{aisle}-{stack}-{level}", "0050", section, aisle, stack, level))
    found += [(f"FLOOR-{n:02d}", "0020", "BULK", "", f"{n:02d}", "1") for n in range(1, 9)]
    found += [(f"DOOR-{n}", "9020" if n < 4 else "9010", "DOOR", "", "", "") for n in range(1, 5)]
    return found


def _quantity(chance: Chance, item: Item, low: int, high: int) -> Decimal:
    """Always divisible by 2, 3 and 4, so that it splits over tasks."""
    count = chance.between(low, high) * 12
    return Decimal(count) if item.unit == "EA" else Decimal(count) * Decimal("0.250")


def _stock(site: Site, goods: Goods, bins: Sequence[str]) -> list[Stock]:
    rows: list[Stock] = []
    used = {line.item_key for lines in goods.manufacturing.values() for line in lines}
    place = Chance(f"first bin:{site.key}").below(len(bins))
    for item in goods.items:
        spread = Chance(f"spread:{item.key}")
        if item.key not in used and item.object_type != "Product":
            continue
        # About 8 % are nowhere, 35 % everywhere, the others at one or two sites.
        draw = spread.below(100)
        if draw < 8 or (draw >= 43 and SITES.index(site) not in spread.picks((0, 1, 2), 1 + draw % 2)):
            continue
        chance = Chance(f"stock:{site.key}:{item.key}")
        batched = item.object_type == "Material" or chance.happens(0.15)
        for count in range(1 + chance.happens(0.3)):
            place += 1
            received = _RECEIVED + timedelta(minutes=chance.below(59 * 24 * 60))
            kind: StockType = "F2" if count == 0 else chance.pick(("F2", "F2", "Q4", "B6"))
            rows.append(
                Stock(
                    warehouse=site.warehouse,
                    item_key=item.key,
                    bin_id=bins[place % len(bins)],
                    batch=f"B{chance.between(10_000, 99_999)}" if batched else "",
                    stock_type=kind,
                    quantity=_quantity(chance, item, 1, 4 if item.made else 40),
                    unit=item.unit,
                    received_at=received,
                    expires_at=received + timedelta(days=720) if item.consumable else None,
                )
            )
    return rows


def _delivery(
    direction: Direction,
    number: int,
    site: Site,
    rows: Sequence[Stock],
    trucks: Sequence[Vehicle],
    items: Mapping[str, Item],
) -> Delivery:
    digits = f"{(80_001_000 if direction == 'outbound' else 18_000_500) + number * 3:010d}"
    chance = Chance(f"delivery:{digits}")
    partner, name, city = chance.pick(_PARTNERS if direction == "outbound" else _SUPPLIERS)
    carrier, carrier_name = chance.pick(_CARRIERS)
    truck = trucks[number // 3 % len(trucks)]
    lines = tuple(
        DeliveryLine(place * 10, row.item_key, _quantity(chance, items[row.item_key], 1, 3), row.unit, row.batch)
        for place, row in enumerate(chance.picks(rows, chance.between(1, 6)), start=1)
    )
    return Delivery(
        number=digits,
        direction=direction,
        warehouse=site.warehouse,
        partner=partner,
        partner_name=name,
        partner_city=city,
        carrier=carrier,
        carrier_name=carrier_name,
        sales_order=f"{(4_500_000 if direction == 'inbound' else 12_000) + number:010d}",
        vehicle=truck.sap_plate,
        vehicle_key=truck.key,
        door=f"DOOR-{chance.between(1, 3)}" if direction == "outbound" else "DOOR-4",
        lines=lines,
        phase_s=float(int(number * DAY_S * 0.618) % int(DAY_S)),
        late_s=float(chance.between(900, 5400)) if chance.happens(0.2) else 0.0,
    )


def _order(
    count: int,
    site: Site,
    delivery: Delivery,
    rows: Mapping[tuple[str, str], Stock],
    kinds: Mapping[str, str],
    first_task: int,
) -> WarehouseOrder:
    """`count` over all warehouses from 0; 3 or 4 tasks each, spread over the lines of the delivery."""
    chance = Chance(f"order:{count}")
    outbound = delivery.direction == "outbound"
    activity: Activity = "picking" if outbound else "putaway"
    number = f"{2_000_000 + count * 11:010d}"
    resource_number = chance.below(len(_RESOURCES))
    resource = f"{_RESOURCES[resource_number][0]}{resource_number + 1:02d}"
    many = 4 if count % 3 == 2 else 3
    shares: dict[int, int] = defaultdict(int)
    for n in range(many):
        shares[n % len(delivery.lines)] += 1
    start = WORK_HOURS[0] * 3600 + chance.between(0, 1800)
    all_cancelled = count in (17, 58)
    tasks: list[Task] = []
    for n in range(many):
        line = delivery.lines[n % len(delivery.lines)]
        row = rows[line.item_key, line.batch]
        end = start + chance.between(240, 2400)
        rack, door = row.bin_id, delivery.door
        source, destination = (rack, door) if outbound else (door, rack)
        tasks.append(
            Task(
                warehouse=site.warehouse,
                number=f"{100_000_000 + first_task + n:09d}",
                order=number,
                activity=activity,
                delivery=delivery,
                line=line.number,
                item_key=line.item_key,
                batch=line.batch,
                stock_type=row.stock_type,
                quantity=line.quantity / shares[n % len(delivery.lines)],
                unit=line.unit,
                source_bin=source,
                source_type=kinds[source],
                destination_bin=destination,
                destination_type=kinds[destination],
                resource=resource,
                start_s=start,
                end_s=end,
                cancelled=all_cancelled or chance.happens(0.03),
            )
        )
        start = end + chance.between(0, 300)
    queue = "OUTBOUND" if outbound else "INBOUND"
    return WarehouseOrder(site.warehouse, number, activity, queue, resource, delivery, tuple(tasks))


def build_warehouses(goods: Goods, vehicles: Sequence[Vehicle]) -> Warehouses:
    items = {item.key: item for item in goods.items}
    bins: list[Bin] = []
    stock: dict[str, list[Stock]] = {}
    kinds: dict[str, str] = {}
    resources: list[Resource] = []
    for site in SITES:
        layout = _bins(site)
        kinds |= {row[0]: row[1] for row in layout}
        rows = _stock(site, goods, [row[0] for row in layout if row[2] != "DOOR" and row[0] not in _KEPT_EMPTY])
        stock[site.warehouse] = rows
        filled = {row.bin_id for row in rows}
        for n, (bin_id, kind, section, aisle, stack, level) in enumerate(layout):
            chance = Chance(f"bin:{site.key}:{bin_id}")
            full = bin_id in filled and chance.happens(0.2)
            bins.append(
                Bin(
                    warehouse=site.warehouse,
                    id=bin_id,
                    storage_type=kind,
                    section=section,
                    aisle=aisle,
                    stack=stack,
                    level=level,
                    x_mm=2_400 + n // 4 * 1_350,
                    y_mm=1_800 + n // 16 * 4_200,
                    z_mm=(int(level or 1) - 1) * 1_600,
                    max_weight_kg=Decimal("1200.000") if kind == "0050" else Decimal("4000.000"),
                    max_volume_m3=Decimal("1.800") if kind == "0050" else Decimal("9.600"),
                    empty=bin_id not in filled,
                    full=full,
                    blocked_removal=chance.happens(0.04),
                    blocked_putaway=full or chance.happens(0.05),
                    changed_at=_RECEIVED + timedelta(minutes=chance.below(50 * 24 * 60)),
                )
            )
        resources += [
            Resource(site.warehouse, f"{kind}{n:02d}", kind, group, "OUTBOUND" if n % 2 else "INBOUND")
            for n, (kind, group) in enumerate(_RESOURCES, start=1)
        ]
    trucks = {site.key: [one for one in vehicles if one.kind == "truck" and one.site is site] for site in SITES}
    free = {key: [row for row in rows if row.stock_type == "F2"] for key, rows in stock.items()}
    deliveries: list[Delivery] = []
    wanted: tuple[tuple[Direction, int], ...] = (("outbound", 180), ("inbound", 40))
    for direction, count in wanted:
        for n in range(count):
            site = SITES[n % len(SITES)]
            deliveries.append(_delivery(direction, n, site, free[site.warehouse], trucks[site.key], items))
    rows_of = {
        warehouse: {(row.item_key, row.batch): row for row in reversed(rows)} for warehouse, rows in free.items()
    }
    orders: list[WarehouseOrder] = []
    tasks: list[Task] = []
    by_warehouse = {site.warehouse: site for site in SITES}
    for delivery in (*deliveries[:140:2], *deliveries[180::2]):
        site = by_warehouse[delivery.warehouse]
        orders.append(_order(len(orders), site, delivery, rows_of[site.warehouse], kinds, len(tasks)))
        tasks.extend(orders[-1].tasks)
    every_row = tuple(row for rows in stock.values() for row in rows)
    return Warehouses(tuple(bins), every_row, tuple(deliveries), tuple(orders), tuple(tasks), tuple(resources))


_KEPT_EMPTY: Final = ("01-04-4", "02-04-4", "03-03-4", "03-04-4", "FLOOR-07", "FLOOR-08")
