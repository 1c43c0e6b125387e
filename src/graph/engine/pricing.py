"""Prices operations before they run, and refuses the ones that are too dear.

What an operation costs is kept with it, by organisation and by what of its variables matters; so that pricing it again
takes a look into a dictionary.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec
from graphql import GraphQLError, GraphQLSchema

from graph.engine.cost import Cost, cost
from graph.engine.documents import Operation, Prepared, RequestRefused, refusal
from graph.engine.limits import LimitExceeded, Limits
from graph.engine.prices import Prices
from graph.engine.selections import Digest, Selections
from graph.engine.vendor_calls import VendorCalls, vendor_calls
from resolvers.bounds import Bounds, Use
from resolvers.sources import Sources

KEPT = 32
"""Prices that are kept of one operation and organisation."""
LONGEST_KEPT = 200
"""Values of variables; a price that hangs on more is worked out each time."""
PLANNED_MOST = 500
"""Lines of a plan."""


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation costs at most."""

    cost: Cost
    calls: VendorCalls


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """What a field asks of one integration at most."""

    field: str
    use: Use


class _Known:
    """An operation of one organisation, and its prices by the facts of its variables."""

    def __init__(self, selections: Selections) -> None:
        self.selections = selections
        self.prices: OrderedDict[tuple[Any, ...], Price] = OrderedDict()


class Pricing:
    """Of one schema."""

    def __init__(self, schema: GraphQLSchema, limits: Limits) -> None:
        self._prices, self._limits = Prices(schema), limits

    def price(self, prepared: Prepared, operation: Operation, variables: Mapping[str, Any], sources: Sources) -> Price:
        """The price. Raises `RequestRefused` for one over the limits."""
        known = self._known(prepared, operation, sources)
        facts = known.selections.facts(variables)
        found = known.prices.get(facts)
        if found is None:
            selections = known.selections.given(facts)
            found = Price(
                cost=cost(self._prices, selections),
                calls=vendor_calls(self._prices, selections, Bounds(sources)),
            )
            if _size(facts) <= LONGEST_KEPT:
                known.prices[facts] = found
                if len(known.prices) > KEPT:
                    known.prices.popitem(last=False)
        self._check(found, operation)
        return found

    def plan(
        self, prepared: Prepared, operation: Operation, variables: Mapping[str, Any], sources: Sources
    ) -> tuple[list[Planned], int]:
        """What each field asks, and how many lines of it are left out."""
        known = self._known(prepared, operation, sources)
        selections = known.selections.given(known.selections.facts(variables))
        found: list[Planned] = []
        left = 0

        def tell(field: str, use: Use) -> None:
            nonlocal left
            if len(found) < PLANNED_MOST:
                found.append(Planned(field=field, use=use))
            else:
                left += 1

        vendor_calls(self._prices, selections, Bounds(sources), tell)
        return found, left

    def _known(self, prepared: Prepared, operation: Operation, sources: Sources) -> _Known:
        known: _Known | None = operation.priced.get(sources)
        if known is None:
            selections = Selections(self._prices, prepared.document, operation.node, Digest(sources.handles))
            known = operation.priced[sources] = _Known(selections)
        return known

    def _check(self, price: Price, operation: Operation) -> None:
        allowed = self._limits
        if price.cost.total > allowed.cost:
            raise refusal(
                LimitExceeded(
                    "COST_LIMIT", "a cost", allowed.cost, price.cost.total, "Ask for fewer rows, or for fewer joins."
                ),
                "limits",
                operation.type.value,
            )
        if price.calls.total > allowed.vendor_calls:
            raise refusal(
                LimitExceeded(
                    "VENDOR_CALL_LIMIT",
                    "a number of vendor calls",
                    allowed.vendor_calls,
                    price.calls.total,
                    "Ask for fewer rows, name fewer integrations in `sources`, or narrow the filter.",
                ),
                "limits",
                operation.type.value,
            )


def check_values(operation: Operation, variables: Mapping[str, Any], limits: Limits) -> None:
    """Raises `RequestRefused` when the lists of the variables that the operation has are longer than the limit."""
    names = (each.variable.name.value for each in operation.node.variable_definitions or ())
    left: list[Any] = [variables[name] for name in names if name in variables]
    found = 0
    while left:
        value = left.pop()
        if isinstance(value, list):
            found += len(value)
            if found > limits.values:
                message = (
                    f"the variables have lists of {found:,} values; at most {limits.values:,} are read. Ask for less."
                )
                fault = GraphQLError(
                    message, extensions={"code": "BAD_USER_INPUT", "limit": limits.values, "found": found}
                )
                raise RequestRefused([fault], "variables", operation.type.value)
            left += value
        elif isinstance(value, dict):
            left += value.values()


def _size(facts: Any) -> int:
    return sum(map(_size, facts)) if isinstance(facts, tuple) else 1
