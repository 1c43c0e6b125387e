"""The calls to vendors that an operation can make at most, per integration, told before it runs.

The walk follows the fields with the greatest number of objects that each may have, and asks `resolvers.bounds` what a
loader does for so many keys. Selections that occur several times for as many objects are walked through once.

A loader is asked for all keys of a field at once, when the objects that have the field come in at once. They do not
where another field has asked the same loader for some of them before: those come in with that field's. So each
further field of the same loader may split what is below into one round more.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from graph.asks import Asks
from graph.engine.cost import Child, child
from graph.engine.prices import Field, Prices
from graph.engine.selections import Entries, Reference, Selections, Sets
from resolvers import lookup
from resolvers.bounds import ANYWHERE, INSIDE, Bounds, Place, Told, Use, Wanted
from resolvers.fanout import READ_WHOLE
from unified.records import Kind

FOUND_BY_NUMBER = 50
"""Rows of a list in which one object is looked for by its number."""
LARGEST = 10**9
"""Objects; beyond it nobody counts."""
_KINDS = {kind.value: kind for kind in Kind}

Tell = Callable[[str, Use], None]
"""Is told the path of a field, without indices, and what is asked for it."""


class VendorCalls(msgspec.Struct, frozen=True, kw_only=True):
    """Calls at most, by integration, in the order of the configuration."""

    at_most: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.at_most.values())


class _Uses:
    """Calls by integration; those that an operation makes once, however often they are wanted; how many fields ask
    each loader."""

    __slots__ = ("calls", "loaders", "shared")

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.shared: dict[tuple[str, str, str], int] = {}
        self.loaders: Counter[str] = Counter()

    def add(self, use: Use) -> None:
        if use.shared:
            key = (use.integration, use.method, use.shared)
            self.shared[key] = max(use.calls, self.shared.get(key, 0))
        else:
            self.calls[use.integration] += use.calls

    def merge(self, other: "_Uses") -> None:
        self.calls.update(other.calls)
        self.loaders.update(other.loaders)
        for key, calls in other.shared.items():
            self.shared[key] = max(calls, self.shared.get(key, 0))


class _Walk:
    def __init__(
        self,
        prices: Prices,
        selections: Selections,
        bounds: Bounds,
        loaders: Mapping[str, int],
        tell: Tell | None = None,
    ) -> None:
        self._prices, self._selections, self._bounds, self._tell = prices, selections, bounds, tell
        self._loaders = loaders
        self._known: dict[Any, _Uses] = {}

    def objects(
        self,
        type_name: str,
        sets: Sets,
        count: int,
        at: Place,
        sized: frozenset[str],
        size: int,
        path: str = "",
        rounds: int = 1,
    ) -> _Uses:
        """What the fields of so many objects of the type ask, which come in so many rounds."""
        key = (type_name, *map(id, sets), count, at, sized, size if sized else 0, rounds)
        if self._tell is None and key in self._known:
            return self._known[key]
        uses = self._known[key] = _Uses()
        table = self._prices.fields[type_name]
        for shown, nodes in self._selections.fields(type_name, sets).items():
            name = nodes[0].name.value
            field = table[name]
            if not field.composite:
                continue
            arguments = self._selections.arguments(field, nodes[0])
            below = child(self._selections, field, nodes, arguments, size if name in sized else None)
            place, here, then = at, f"{path}.{shown}" if path else shown, rounds
            if field.asks is not None:
                told, place = self._asked(field.asks, type_name, count, below, at, arguments, rounds)
                for step in field.asks.steps:
                    then += self._loaders.get(step.loader, 1) - 1
                    uses.loaders[step.loader] += 1
                    if step.loader in INSIDE:
                        uses.loaders[INSIDE[step.loader]] += 1
                for use in told:
                    uses.add(use)
                    if self._tell is not None:
                        self._tell(here, use)
            many = 1 if field.asks is not None and field.asks.followed else min(LARGEST, count * below.many)
            for kind in self._possible(field, place):
                inside = self.objects(
                    kind, below.sets, many, place, below.sized, below.size, here, min(then, max(1, many))
                )
                uses.merge(inside)
        return uses

    def _possible(self, field: Field, place: Place) -> tuple[str, ...]:
        possible = self._prices.possible[field.type]
        if len(possible) == 1 or place.kinds is None:
            return possible
        return tuple(each for each in possible if _KINDS.get(each) in place.kinds)

    def _asked(
        self,
        asks: Asks,
        type_name: str,
        count: int,
        below: Child,
        at: Place,
        arguments: Mapping[str, Any],
        rounds: int,
    ) -> Told:
        if asks.listed is not None:
            return self._listed(asks.listed, below.size + 1, arguments)
        if asks.followed is not None:
            return self._listed(asks.followed, READ_WHOLE, arguments)
        if asks.found is not None:
            return self._found(asks.found, arguments)
        if asks.refers is not None:
            return self._bounds.reading(_references(arguments.get(asks.refers)))
        uses: list[Use] = []
        for step in asks.steps:
            keys = min(LARGEST, count * step.keys)
            rows = min(LARGEST, count * below.many)
            wanted = Wanted(keys, rows, at, _KINDS.get(type_name), step.kind, rounds)
            told, at = self._bounds.loading(step.loader, wanted)
            uses += told
        return uses, at

    def _listed(self, kind: Kind, rows: int, arguments: Mapping[str, Any]) -> Told:
        wanted, only = arguments.get("filter"), arguments.get("sources")
        given: dict[str, int] = {}
        if isinstance(wanted, Entries):
            names = self._filter_of(kind)
            given = {
                names.get(name, name): len(value) if isinstance(value, tuple) else 1
                for name, value in wanted
                if value is not None
            }
        return self._bounds.listing(
            kind,
            rows,
            given=given,
            ordered=bool(arguments.get("orderBy")),
            after=arguments.get("after") is not None,
            only=only if isinstance(only, tuple) else None,
        )

    def _filter_of(self, kind: Kind) -> dict[str, str]:
        """What our own filters call the fields of the kind's filter."""
        fields = self._prices.inputs.get(f"{kind.value}Filter", {})
        return {name: given.name for name, given in fields.items()}

    def _found(self, kind: Kind, arguments: Mapping[str, Any]) -> Told:
        reference = arguments.get("id")
        if isinstance(reference, Reference):
            return self._bounds.reading({(kind.value, reference.integration): 1})
        by = dict(arguments["by"]) if isinstance(arguments.get("by"), Entries) else {}
        named = by.get("external") or by.get("number")
        integration = dict(named).get("integration") if isinstance(named, Entries) else None
        at = Place(frozenset({integration})) if integration else ANYWHERE
        if "number" not in by or by["number"] is None:
            return self._bounds.read([kind], Wanted(1, 1, at))
        if kind in lookup.LOADERS:
            return self._bounds.loading(lookup.LOADERS[kind], Wanted(1, 1, at))
        return self._bounds.listing(
            kind, FOUND_BY_NUMBER, given={lookup.BY.get(kind, "search"): 1}, only=at.integrations
        )


def _references(value: Any) -> dict[tuple[str, str], int]:
    """How many objects of each kind and integration are referred to."""
    found: Counter[tuple[str, str]] = Counter()
    for each in value if isinstance(value, tuple) and not isinstance(value, Reference | Entries) else (value,):
        reference = dict(each).get("id") if isinstance(each, Entries) else each
        if isinstance(reference, Reference):
            found[reference.kind, reference.integration] += 1
    return dict(found)


def vendor_calls(prices: Prices, selections: Selections, bounds: Bounds, tell: Tell | None = None) -> VendorCalls:
    """The calls that the operation can make with its variables. `tell` hears of each field."""
    start = (selections.type, selections.root, 1, ANYWHERE, frozenset[str](), 0)
    uses = _Walk(prices, selections, bounds, {}).objects(*start)
    if tell is not None or any(count > 1 for count in uses.loaders.values()):
        uses = _Walk(prices, selections, bounds, uses.loaders, tell).objects(*start)
    for (integration, _, _), calls in uses.shared.items():
        uses.calls[integration] += calls
    return VendorCalls(at_most={key: uses.calls[key] for key in bounds.sources.handles if uses.calls[key]})
