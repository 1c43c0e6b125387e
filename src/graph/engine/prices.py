"""What the schema says of costs, read once: `@cost`, `@listSize`, and which loaders stand behind a field.

The directives are those of IBM's GraphQL Cost Directives (https://ibm.github.io/graphql-specs/cost-spec.html).
Without one, an object and an input object weigh 1, anything else 0.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from graphql import (
    GraphQLInputObjectType,
    GraphQLSchema,
    OperationType,
    Undefined,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from strawberry import UNSET
from strawberry.utils.str_converters import to_camel_case

from graph.asks import Asks, asks_of

Directives = Mapping[str, Mapping[str, Any]]
"""Name of a directive → its arguments, by their names in the schema."""
ASSUMED = 10
"""Length of a list of which the schema says nothing."""
BY_LENGTH = {"nodes": "ids", "_entities": "representations"}
"""Root fields whose list is as long as one of their arguments."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """An argument, or a field of an input object. `name` is what our own filters call it."""

    name: str
    weight: float
    default: Any = None
    input: str | None = None
    """The input object type that it takes."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field of an object type. `weight`: of one use; `size`: how long its list is assumed to be."""

    type: str
    weight: float
    composite: bool
    list: bool
    size: int | None = None
    slicing: tuple[str, ...] = ()
    sized: frozenset[str] = frozenset()
    """Fields of what it gives that are as long as its slicing arguments, or `size`, say."""
    length_of: str | None = None
    """The argument whose list is as long as this one."""
    arguments: Mapping[str, Given] = {}
    asks: Asks | None = None


class Prices:
    """`fields` by object type, `weights` by type, `possible` object types of each composite type, `inputs` by type."""

    def __init__(self, schema: GraphQLSchema, directives: Callable[[Any], Directives] | None = None) -> None:
        self._directives = directives or of_strawberry
        self.roots = {
            operation: schema.get_root_type(operation).name  # type: ignore[union-attr]
            for operation in OperationType
            if schema.get_root_type(operation) is not None
        }
        self.fields: dict[str, dict[str, Field]] = {}
        self.weights: dict[str, float] = {}
        self.possible: dict[str, tuple[str, ...]] = {}
        self.inputs: dict[str, dict[str, Given]] = {}
        for name, kind in schema.type_map.items():
            if name.startswith("__"):
                continue
            if is_object_type(kind):
                self.possible[name] = (name,)
                self.fields[name] = {
                    each: self._field(each, field, root=name in self.roots.values())
                    for each, field in kind.fields.items()
                }
            elif is_abstract_type(kind):
                self.possible[name] = tuple(each.name for each in schema.get_possible_types(kind))
            elif is_input_object_type(kind):
                self.inputs[name] = self._inputs(kind)
            self.weights[name] = self._weight(kind, 1.0 if is_composite_type(kind) else 0.0)

    def _field(self, name: str, field: Any, *, root: bool) -> Field:
        named = get_named_type(field.type)
        sizes = self._directives(field).get("listSize", {})
        resolver = getattr(getattr(field.extensions.get(_STRAWBERRY), "base_resolver", None), "wrapped_func", None)
        length_of = BY_LENGTH.get(name) if root else None
        return Field(
            type=named.name,
            weight=self._weight(field, 1.0 if is_composite_type(named) else 0.0),
            composite=is_composite_type(named),
            list=_is_list(field.type),
            size=sizes.get("assumedSize"),
            slicing=tuple(sizes.get("slicingArguments") or ()),
            sized=frozenset(sizes.get("sizedFields") or ()),
            length_of=length_of,
            arguments={each: self._given(each, argument) for each, argument in field.args.items()},
            asks=Asks(refers="representations") if root and name == "_entities" else asks_of(resolver),
        )

    def _inputs(self, kind: GraphQLInputObjectType) -> dict[str, Given]:
        return {name: self._given(name, field) for name, field in kind.fields.items()}

    def _given(self, name: str, given: Any) -> Given:
        named = get_named_type(given.type)
        composite = is_input_object_type(named)
        definition = given.extensions.get(_STRAWBERRY)
        return Given(
            name=getattr(definition, "python_name", None) or name,
            weight=self._weight(given, 1.0 if composite else 0.0),
            default=None if given.default_value is Undefined else given.default_value,
            input=named.name if composite else None,
        )

    def _weight(self, thing: Any, otherwise: float) -> float:
        cost = self._directives(thing).get("cost")
        return otherwise if cost is None else float(cost["weight"])


_STRAWBERRY = "strawberry-definition"


def of_strawberry(thing: Any) -> Directives:
    """The directives that Strawberry's definition of a part of the schema has."""
    definition = thing.extensions.get(_STRAWBERRY)
    found: dict[str, Mapping[str, Any]] = {}
    for directive in getattr(definition, "directives", None) or ():
        told = getattr(type(directive), "__strawberry_directive__", None)
        if told is not None and told.graphql_name in ("cost", "listSize"):
            arguments = {
                field.graphql_name or to_camel_case(field.python_name): getattr(directive, field.python_name)
                for field in told.fields
            }
            found[told.graphql_name] = {name: value for name, value in arguments.items() if value is not UNSET}
    return found


def _is_list(kind: Any) -> bool:
    return is_list_type(kind.of_type if is_non_null_type(kind) else kind)
