"""An operation as it will be executed: fields put together by their names in the answer, arguments with their values.

Variables are looked at through a digest, which has only what a cost can hang on: numbers, truth values, how long
lists are, which integrations are named. Two requests with the same digest cost the same.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from graphql import (
    BooleanValueNode,
    DocumentNode,
    FieldNode,
    FloatValueNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    ValueNode,
    VariableNode,
)

from graph.engine.prices import Field, Prices
from unified import ids

Sets = tuple[SelectionSetNode, ...]
_IDS = ("id", "ids")
LONGEST_LIST = 2**31 - 1
"""The largest `Int` of the specification: coercion refuses what is larger, and no price overflows before."""


class Reference(NamedTuple):
    """Of which kind and integration an id is."""

    kind: str
    integration: str


class Entries(tuple[tuple[str, Any], ...]):
    """The digest of an input object: its fields, each with the digest of its value."""

    __slots__ = ()


class Digest:
    """Values as far as they matter. `integrations`: those whose keys are texts that matter."""

    def __init__(self, integrations: Collection[str]) -> None:
        self._integrations = integrations

    def of(self, value: Any, name: str = "") -> Any:
        """Hashable. `name`: of the argument, variable or field that has the value."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            if name in _IDS:
                return _reference(value)
            return value if value in self._integrations else ""
        if isinstance(value, list | tuple):
            return tuple(self.of(each, name) for each in value)
        if isinstance(value, dict):
            return Entries((key, self.of(each, key)) for key, each in value.items())
        return ""


def _reference(text: str) -> Reference | None:
    try:
        place = ids.decode(text)
    except ids.InvalidId:
        return None
    return Reference(place.kind, place.integration)


class Selections:
    """One operation with its variables, as `variables` digests them."""

    def __init__(
        self, prices: Prices, document: DocumentNode, operation: OperationDefinitionNode, digest: Digest
    ) -> None:
        self._prices, self._digest = prices, digest
        self._fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        self._defaults: dict[str, Any] = {}
        self._ids: set[str] = set()
        for each in operation.variable_definitions or ():
            name = each.variable.name.value
            self._defaults[name] = None if each.default_value is None else self._literal(each.default_value, name)
            if "ID" in _named(each.type):
                self._ids.add(name)
        self.root: Sets = (operation.selection_set,)
        self.type = prices.roots[operation.operation]
        self._given: Mapping[str, Any] = {}

    def facts(self, variables: Mapping[str, Any]) -> tuple[Any, ...]:
        """What of the variables a cost can hang on; hashable."""
        return tuple(
            self._digest.of(variables[name], "ids" if name in self._ids else name) if name in variables else default
            for name, default in self._defaults.items()
        )

    def given(self, facts: tuple[Any, ...]) -> "Selections":
        """The same with these values of its variables."""
        self._given = dict(zip(self._defaults, facts, strict=True))
        return self

    # --- fields

    def fields(self, type_name: str, sets: Sets) -> dict[str, list[FieldNode]]:
        """The fields of an object of the type, by their names in the answer. Introspection is left out."""
        found: dict[str, list[FieldNode]] = {}
        self._collect(type_name, sets, found, set())
        return found

    def _collect(self, type_name: str, sets: Sets, found: dict[str, list[FieldNode]], seen: set[str]) -> None:
        for selection_set in sets:
            for each in selection_set.selections:
                if not self._included(each):
                    continue
                if isinstance(each, FieldNode):
                    name = each.name.value
                    if not name.startswith("__"):
                        found.setdefault(each.alias.value if each.alias else name, []).append(each)
                elif isinstance(each, InlineFragmentNode):
                    condition = each.type_condition
                    if condition is None or self._fits(type_name, condition.name.value):
                        self._collect(type_name, (each.selection_set,), found, seen)
                elif isinstance(each, FragmentSpreadNode) and each.name.value not in seen:
                    seen.add(each.name.value)
                    fragment = self._fragments[each.name.value]
                    if self._fits(type_name, fragment.type_condition.name.value):
                        self._collect(type_name, (fragment.selection_set,), found, seen)

    def _fits(self, type_name: str, condition: str) -> bool:
        return type_name in self._prices.possible.get(condition, ())

    def _included(self, node: Any) -> bool:
        for directive in node.directives or ():
            if directive.name.value in ("skip", "include"):
                value = self._literal(directive.arguments[0].value, "if")
                if isinstance(value, bool) and value is (directive.name.value == "skip"):
                    return False
        return True

    # --- arguments

    def arguments(self, field: Field, node: FieldNode) -> dict[str, Any]:
        """The digests of the arguments that are given, and the defaults of the others that have one."""
        found = {name: given.default for name, given in field.arguments.items() if given.default is not None}
        for each in node.arguments or ():
            name = each.name.value
            if isinstance(each.value, VariableNode) and each.value.name.value not in self._given:
                continue
            value = self._literal(each.value, name)
            if value is not None or name not in found:
                found[name] = value
        return found

    def size(self, field: Field, arguments: Mapping[str, Any]) -> int | None:
        """How long the list is at most that the field, or a field below it, gives; null where nobody says."""
        if field.length_of is not None:
            value = arguments.get(field.length_of)
            return len(value) if isinstance(value, tuple) else 1
        sizes = [
            int(min(max(value, 0), LONGEST_LIST))
            for name in field.slicing
            if isinstance(value := arguments.get(name), int | float) and not isinstance(value, bool)
        ]
        return max(sizes) if sizes else field.size

    def _literal(self, node: ValueNode, name: str) -> Any:
        """The digest of a value in the document."""
        match node:
            case VariableNode():
                return self._given.get(node.name.value)
            case IntValueNode():
                return int(node.value)
            case FloatValueNode():
                return float(node.value)
            case BooleanValueNode():
                return node.value
            case StringValueNode():
                return self._digest.of(node.value, name)
            case ListValueNode():
                return tuple(self._literal(each, name) for each in node.values)
            case ObjectValueNode():
                return Entries((each.name.value, self._literal(each.value, each.name.value)) for each in node.fields)
            case NullValueNode():
                return None
        return ""


def _named(kind: Any) -> str:
    while hasattr(kind, "type"):
        kind = kind.type
    return str(kind.name.value)
