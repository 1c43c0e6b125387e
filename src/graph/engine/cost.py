"""What an operation costs, by IBM's GraphQL Cost Directives (static query analysis): an upper bound.

Type cost: the objects that the answer may have, each with the weight of its type. Field cost: the uses of fields, each
with the weights of the field and of the arguments and input fields that are given. Introspection costs nothing.
Selections that occur several times are priced once, so that fragments that double cost nothing to price.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from graphql import FieldNode

from graph.engine.prices import ASSUMED, Field, Given, Prices
from graph.engine.selections import Entries, Selections, Sets


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Both costs of the specification; the limit is on their sum."""

    types: float
    fields: float

    @property
    def total(self) -> float:
        return self.types + self.fields


class _Sum(NamedTuple):
    types: float
    fields: float


class Child(NamedTuple):
    """What a field leads to: so many objects, and which of their fields are lists of the field's own size."""

    sets: Sets
    many: int
    sized: frozenset[str]
    size: int


def child(selections: Selections, field: Field, nodes: list[FieldNode], arguments: Mapping[str, Any], own: int | None
          ) -> Child:  # fmt: skip
    """`own`: the size that a field above gives to this one."""
    size = selections.size(field, arguments)
    inherits = own is not None and field.list and not field.sized
    count = own if inherits and own is not None else size
    if not field.list or field.sized:
        count = 1
    elif count is None:
        count = ASSUMED
    sets = tuple(node.selection_set for node in nodes if node.selection_set is not None)
    return Child(sets, count, field.sized, ASSUMED if size is None else size)


class _Costing:
    def __init__(self, prices: Prices, selections: Selections) -> None:
        self._prices, self._selections = prices, selections
        self._known: dict[Any, _Sum] = {}

    def of(self, type_name: str, sets: Sets, sized: frozenset[str], size: int) -> _Sum:
        """What one object of the type costs, itself not counted."""
        key = (type_name, *map(id, sets), sized, size if sized else 0)
        if key not in self._known:
            self._known[key] = self._sum(type_name, sets, sized, size)
        return self._known[key]

    def _sum(self, type_name: str, sets: Sets, sized: frozenset[str], size: int) -> _Sum:
        types = fields = 0.0
        table = self._prices.fields[type_name]
        for nodes in self._selections.fields(type_name, sets).values():
            name = nodes[0].name.value
            field = table[name]
            arguments = self._selections.arguments(field, nodes[0])
            below = child(self._selections, field, nodes, arguments, size if name in sized else None)
            each = self._each(field, below)
            types += below.many * each.types
            fields += max(0.0, field.weight + self._arguments(field, nodes[0], arguments)) + below.many * each.fields
        return _Sum(types, fields)

    def _each(self, field: Field, below: Child) -> _Sum:
        """One thing that the field gives: of several possible types the dearest."""
        if not field.composite:
            return _Sum(self._prices.weights[field.type], 0.0)
        found = []
        for each in self._prices.possible[field.type]:
            inside = self.of(each, below.sets, below.sized, below.size)
            found.append(_Sum(self._prices.weights[each] + inside.types, inside.fields))
        return _Sum(max((each.types for each in found), default=0.0), max((each.fields for each in found), default=0.0))

    def _arguments(self, field: Field, node: FieldNode, values: Mapping[str, Any]) -> float:
        """Of the arguments that are given; those that only have a default weigh nothing."""
        return sum(
            self._input(field.arguments[each.name.value], values[each.name.value])
            for each in node.arguments or ()
            if values.get(each.name.value) is not None
        )

    def _input(self, given: Given, value: Any) -> float:
        if given.input is None:
            return given.weight
        return given.weight + self._inside(given.input, value)

    def _inside(self, name: str, value: Any) -> float:
        """Of the fields of an input object, or of a list of them."""
        if isinstance(value, Entries):
            fields = self._prices.inputs[name]
            return sum(self._input(fields[key], each) for key, each in value if key in fields and each is not None)
        return sum(self._inside(name, each) for each in value) if isinstance(value, tuple) else 0.0


def cost(prices: Prices, selections: Selections) -> Cost:
    """What the operation costs with its variables."""
    if not selections.fields(selections.type, selections.root):
        return Cost(types=0, fields=0)  # nothing but introspection
    found = _Costing(prices, selections).of(selections.type, selections.root, frozenset(), 0)
    return Cost(types=prices.weights[selections.type] + found.types, fields=found.fields)
