"""How many calls an operation can make to each integration at most, told before it runs.

The numbers come from how loaders and lists ask (which integrations, how many keys in one block) and from the facts
of the connectors (`Calls`). They hold as long as lists are no longer than is assumed for them; log-ins, renewals and
repetitions after an outage are not in them.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from connectors.kit.protocols import LISTINGS, can_read
from resolvers import fanout
from resolvers.cursors import MOVING, RECENT
from resolvers.fanout import READ_WHOLE
from resolvers.loaders import Loaders
from resolvers.loaders.joins import SCANNED
from resolvers.loaders.loader import NAMED, Home, Loads
from resolvers.sources import Handle, Sources
from unified.keys import Subject
from unified.records import Kind
from unified.values import System

APART = 10
"""Warehouses that a page of things lies in at most: an assumption, as the sizes of lists are."""
OPEN = ("statuses",)
ACTIVE = ("active",)


class Place(NamedTuple):
    """Where objects may be from; null: anywhere, and of any kind."""

    integrations: frozenset[str] | None = None
    kinds: frozenset[Kind] | None = None


ANYWHERE = Place()


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of one method at one integration at most. `keys`: how many things it is asked for; null for a list.

    `shared` names what an operation asks once however often it is wanted.
    """

    integration: str
    system: System
    method: str
    calls: int
    keys: int | None = None
    shared: str = ""


class Wanted(NamedTuple):
    """What is asked of a loader: so many keys, for which so many rows come, of things from somewhere."""

    keys: int
    rows: int
    at: Place = ANYWHERE
    of: Kind | None = None
    """The kind of the things whose join it is, where they are nodes."""
    kind: Kind | None = None
    """The kind that is read, where the loader reads any."""
    rounds: int = 1
    """How often it may be asked for some of the keys each."""


Told = tuple[list[Use], Place]


class Bounds:
    """Of one organisation."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources

    # --- lists

    def listing(
        self,
        kind: Kind,
        rows: int,
        *,
        given: Mapping[str, int] | None = None,
        ordered: bool = False,
        after: bool = False,
        only: Collection[str] | None = None,
    ) -> Told:
        """A page over all sources. `given`: the fields of the filter, each with how many values it has. `after`: it
        goes on within a vendor's page, of which the rest may be short of rows."""
        handles = [each for each in self.sources.listing(kind) if only is None or each.key in only]
        method = LISTINGS[kind].list_method
        uses = [
            self._page(handle, method, rows, given or {}, ordered=ordered, after=after, moves=kind in fanout.MOVING)
            for handle in handles
        ]
        return uses, Place(frozenset(handle.key for handle in handles), frozenset({kind}))

    def _page(
        self,
        handle: Handle,
        method: str,
        rows: int,
        given: Mapping[str, int],
        *,
        ordered: bool,
        after: bool,
        moves: bool,
    ) -> Use:
        keys = max(given.values(), default=0)
        calls = 0
        for fact in handle.connector.calls(method).given(given):
            found = not ordered and all(name in fact.narrows or fact.rows is None for name in given)
            # otherwise it is read on until the page is full, or read whole to be sorted
            most = fact.at_most(keys, rows if found else READ_WHOLE + 1)
            again = 1 if ordered else 0
            if after and fact.rows is not None:  # the page that was begun; pages of rows that have moved and were given
                again = 1 + (-(-(MOVING + RECENT) // max(1, min(rows, fact.rows))) if moves else 0)
            calls = max(calls, most + fact.each * again)
        return _use(handle, method, calls)

    def whole(self, kind: Kind, rows: int, given: Iterable[str], at: Place, shared: str) -> Told:
        """Rows of a kind that are read through for a join, once per operation."""
        handles = [each for each in self.sources.listing(kind) if _has(at, each.key)]
        method, names = LISTINGS[kind].list_method, tuple(given)
        uses = [
            _use(handle, method, max(each.at_most(0, rows) for each in handle.connector.calls(method).given(names)),
                 shared=shared)
            for handle in handles
        ]  # fmt: skip
        return uses, Place(frozenset(handle.key for handle in handles), frozenset({kind}))

    # --- objects by id

    def reading(self, wanted: Mapping[tuple[str, str], int]) -> Told:
        """So many objects by (kind, integration), by their ids."""
        uses: list[Use] = []
        for (name, integration), count in wanted.items():
            handle = self.sources.handles.get(integration)
            kind = next((each for each in Kind if each.value == name), None)
            if handle is not None and kind is not None and can_read(handle.connector, kind):
                uses += _blocks(handle, LISTINGS[kind].read_method, Wanted(count, count))
        kinds = frozenset(kind for kind in Kind if any(kind.value == name for name, _ in wanted))
        return uses, Place(frozenset(integration for _, integration in wanted), kinds)

    def read(self, kinds: Iterable[Kind], wanted: Wanted) -> Told:
        """Objects by their ids, of whichever of the kinds and integrations."""
        uses: list[Use] = []
        kinds = frozenset(kinds)
        for handle in self.sources:
            if _has(wanted.at, handle.key):
                for kind in kinds:
                    if can_read(handle.connector, kind):
                        uses += _blocks(handle, LISTINGS[kind].read_method, wanted._replace(rows=wanted.keys))
        return uses, Place(frozenset(use.integration for use in uses), kinds)

    # --- joins

    def loading(self, loader: str, wanted: Wanted) -> Told:
        """What a loader asks for its keys."""
        home = HOMES.get(loader)
        return self.at_home(home, wanted) if home is not None else JOINS[loader](self, wanted)

    def at_home(self, home: Home, wanted: Wanted) -> Told:
        """The integration that each key belongs to; any of them may have all keys."""
        uses: list[Use] = []
        for handle in self.sources.having(home.method):
            if _has(wanted.at, handle.key):
                uses += _blocks(handle, home.method, wanted, home)
        return uses, Place(frozenset(use.integration for use in uses))

    def _master(self, method: str, wanted: Wanted, extra: Sequence[str] = ()) -> Told:
        """The master of items, by numbers of others."""
        master = self.sources.master(Subject.ITEM, method)
        if master is None:
            return [], Place(frozenset())
        uses = [use for each in (*extra, method) for use in _blocks(master, each, wanted)]
        return uses, Place(frozenset({master.key}), frozenset({Kind.ITEM}))

    def items(self, wanted: Wanted) -> Told:
        """By id where the crosswalk knows it, else by number."""
        return self._master("items_by_number", wanted._replace(rows=wanted.keys), ["read_items"])

    def of_item(self, method: str, wanted: Wanted) -> Told:
        """What the master says of items, whose ids are looked up first unless they are its own."""
        master = self.sources.master(Subject.ITEM, method)
        uses, place = self._master(method, wanted)
        if master is not None and wanted.at.integrations != frozenset({master.key}):
            uses = self.items(wanted)[0] + uses
        return uses, place

    def everywhere(self, method: str, wanted: Wanted) -> Told:
        """All integrations with the method."""
        handles = self.sources.having(method)
        uses = [use for handle in handles for use in _blocks(handle, method, wanted)]
        return uses, Place(frozenset(handle.key for handle in handles))

    def elsewhere(self, wanted: Wanted) -> Told:
        """Orders of the same numbers at other integrations."""
        home = Home(LISTINGS[Kind.ORDER].list_method, frozenset({"order_kinds", "numbers"}), NAMED)
        uses: list[Use] = []
        for handle in self.sources.listing(Kind.ORDER):
            if wanted.at.integrations != frozenset({handle.key}):
                uses += _blocks(handle, home.method, wanted, home)
        return uses, Place(frozenset(use.integration for use in uses))

    def vehicles(self, wanted: Wanted) -> Told:
        """Of the master, whose ids the crosswalk knows."""
        master = self.sources.master(Subject.VEHICLE, "read_vehicles")
        at = Place(frozenset() if master is None else frozenset({master.key}))
        return self.read([Kind.VEHICLE], wanted._replace(at=at))

    def same_as(self, wanted: Wanted) -> Told:
        """In any system that the crosswalk may know it from."""
        kinds = next((group for group in _ALIKE if wanted.of in group), frozenset[Kind]())
        return self.read(kinds, wanted._replace(keys=wanted.rows, at=ANYWHERE))


_ALIKE = (frozenset({Kind.ITEM}), frozenset({Kind.VEHICLE, Kind.UNIT, Kind.EQUIPMENT}))
HOMES: dict[str, Home] = {
    name: loads.home
    for owner in Loaders.__mro__
    for name, loads in vars(owner).items()
    if isinstance(loads, Loads) and loads.home is not None
}
JOINS: dict[str, Callable[[Bounds, Wanted], Told]] = {
    "records": lambda told, wanted: told.read([wanted.kind] if wanted.kind else Kind, wanted),
    "items": Bounds.items,
    "items_by_number": lambda told, wanted: told.at_home(Home("items_by_number"), wanted),
    "structures": lambda told, wanted: told.of_item("explode", wanted),
    "where_used": lambda told, wanted: told.of_item("where_used", wanted),
    "inventory": lambda told, wanted: told.everywhere("inventory_of_items", wanted),
    "work_orders_of_item": lambda told, wanted: told.everywhere("work_orders_of_items", wanted),
    "equipment_of_item": lambda told, _: told.whole(Kind.EQUIPMENT, SCANNED, (), ANYWHERE, "machines"),
    "orders_of_item": lambda told, _: told.whole(Kind.ORDER, SCANNED, OPEN, ANYWHERE, "open orders"),
    "orders_of_vehicle": lambda told, _: told.whole(Kind.ORDER, SCANNED, OPEN, ANYWHERE, "open orders"),
    "shipments_of_vehicle": lambda told, _: told.whole(Kind.SHIPMENT, SCANNED, OPEN, ANYWHERE, "open shipments"),
    "bookings_of_vehicle": lambda told, _: told.whole(Kind.BOOKING, SCANNED, ACTIVE, ANYWHERE, "active bookings"),
    "missions_of_unit": lambda told, wanted: told.whole(Kind.MISSION, SCANNED, (), wanted.at, "missions"),
    "vehicles_of_geofence": lambda told, wanted: told.whole(Kind.VEHICLE, SCANNED, (), wanted.at, "vehicles"),
    "deliveries_of_shipment": Bounds.elsewhere,
    "commercial_orders": Bounds.elsewhere,
    "vehicles": Bounds.vehicles,
    "units_of_vehicle": lambda told, wanted: told.read([Kind.UNIT], wanted._replace(at=ANYWHERE)),
    "equipment_by_number": lambda told, wanted: told.read([Kind.EQUIPMENT], wanted._replace(at=ANYWHERE)),
    "same_as": Bounds.same_as,
}
"""Loaders that do more than asking their keys' own integration."""
INSIDE = dict.fromkeys(("items", "vehicles", "units_of_vehicle", "equipment_by_number", "same_as"), "records") | {
    "structures": "items",
    "where_used": "items",
}
"""Loaders that ask another one."""


def _has(at: Place, integration: str) -> bool:
    return at.integrations is None or integration in at.integrations


def _use(handle: Handle, method: str, calls: int, keys: int | None = None, shared: str = "") -> Use:
    return Use(
        integration=handle.key,
        system=handle.integration.system,
        method=method,
        calls=calls,
        keys=keys,
        shared=shared,
    )


def _blocks(handle: Handle, method: str, wanted: Wanted, home: Home | None = None) -> list[Use]:
    """Keys in blocks of what is asked at once; rows are spread evenly over them."""
    keys, rows = wanted.keys, wanted.rows
    if keys == 0 or not hasattr(handle.connector, method):
        return []
    size = (home.size if home else None) or handle.connector.manifest.batch_size
    facts = handle.connector.calls(method).given(home.given if home else ())
    full, rest = divmod(keys, size)
    per_key = -(-rows // keys)
    calls = max(
        fact.at_most(min(keys, size), min(keys, size) * per_key)
        if fact.alike
        else full * fact.at_most(size, size * per_key) + (fact.at_most(rest, rest * per_key) if rest else 0)
        for fact in facts
    )
    # each round, and each group that is asked apart, begins a block of its own
    begun = min(keys, wanted.rounds * (APART if home is not None and home.apart else 1))
    calls += (begun - 1) * max(fact.at_most(1, 1) for fact in facts)
    return [_use(handle, method, calls, keys)] if calls else []
