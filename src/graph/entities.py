"""Entities by reference (Apollo Federation): what a gateway may write into a representation, and what it leads to.

A type with `@key` and a `resolve_reference(info, …)` is an entity. The function is given the fields of the first key
that the representation has whole, and what else it has of the type's `@external` fields (a gateway sends them for
`@requires`), read by their GraphQL types and under their Python names. Nothing else that a caller wrote reaches it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import strawberry
from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLOutputType,
    OperationDefinitionNode,
    SelectionSetNode,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
    parse,
)
from strawberry.federation.schema_directives import External, Key
from strawberry.types.base import StrawberryObjectDefinition

from connectors.kit.errors import ConnectorError
from graph.info import Info
from resolvers.errors import BadInput


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """One type. `keys` are selections of its fields; `fields` are those that may be given, with their Python names."""

    name: str
    type: Any
    keys: tuple[SelectionSetNode, ...]
    told: str
    external: frozenset[str]
    names: dict[str, str]
    resolve: Callable[..., Awaitable[Any]]

    def arguments(self, representation: dict[str, Any]) -> dict[str, Any]:
        """What `resolve` is given. Raises `BadInput`."""
        key = next((each for each in self.keys if _has(representation, each)), None)
        if key is None:
            raise BadInput(f"a representation of {self.name} needs {self.told}")
        wanted = {field.name.value: field.selection_set for field in _fields(key)}
        wanted |= {name: None for name in self.external if name in representation and name not in wanted}
        return {
            self.names[name]: _read(self.type.fields[name].type, representation[name], selection, f"{self.name}.{name}")
            for name, selection in wanted.items()
        }


class Entities:
    """All entities of a schema."""

    def __init__(self, schema: strawberry.federation.Schema) -> None:
        found: dict[str, Entity] = {}
        for name, known in schema.schema_converter.type_map.items():
            definition = known.definition
            if isinstance(definition, StrawberryObjectDefinition) and hasattr(definition.origin, "resolve_reference"):
                keys = [each.fields for each in definition.directives or () if isinstance(each, Key)]
                found[name] = _entity(schema, name, definition, [str(each) for each in keys])
        self._known = dict(sorted(found.items()))

    async def load(self, info: Info, representations: list[Any]) -> list[Any]:
        """What they lead to, in their order and in one batch; null where there is nothing or a vendor fails.

        What is wrong with one representation is the error of its own place only.
        """
        values = await asyncio.gather(*(self._one(info, each) for each in representations), return_exceptions=True)
        found: list[Any] = []
        for index, value in enumerate(values):
            if isinstance(value, ConnectorError):
                info.context.note(value, [*info.path.as_list(), index])
                found.append(None)
            elif isinstance(value, BaseException) and not isinstance(value, Exception):
                raise value
            else:
                found.append(value)
        return found

    async def _one(self, info: Info, representation: Any) -> Any:
        if not isinstance(representation, dict):
            raise BadInput('a representation is an object such as { __typename: "Item", id: "…" }')
        name = representation.get("__typename")
        entity = self._known.get(name) if isinstance(name, str) else None
        if entity is None:
            shown = repr(name[:60]) if isinstance(name, str) else "missing"
            known = ", ".join(self._known)
            raise BadInput(f"the `__typename` of a representation is {shown}; the entities are: {known}")
        return await entity.resolve(info=info, **entity.arguments(representation))


def _entity(
    schema: strawberry.federation.Schema, name: str, definition: StrawberryObjectDefinition, keys: list[str]
) -> Entity:
    converter = schema.config.name_converter
    shown = [f"`{each}`" for each in keys]
    return Entity(
        name=name,
        type=schema._schema.type_map[name],
        keys=tuple(_selection(each) for each in keys),
        told=f"its {shown[0]}" if len(shown) == 1 else f"one of its keys: {', '.join(shown)}",
        external=frozenset(
            converter.from_field(field)
            for field in definition.fields
            if any(isinstance(each, External) for each in field.directives)
        ),
        names={converter.from_field(field): field.python_name for field in definition.fields},
        resolve=definition.origin.resolve_reference,
    )


def _selection(fields: str) -> SelectionSetNode:
    [operation] = parse(f"{{ {fields} }}").definitions
    assert isinstance(operation, OperationDefinitionNode)
    return operation.selection_set


def _fields(selection: SelectionSetNode) -> list[FieldNode]:
    return [each for each in selection.selections if isinstance(each, FieldNode)]


def _has(given: Any, selection: SelectionSetNode) -> bool:
    """Whether all fields of a key are there; null is no part of a key."""
    return isinstance(given, dict) and all(
        given.get(field.name.value) is not None
        and (field.selection_set is None or _has(given[field.name.value], field.selection_set))
        for field in _fields(selection)
    )


def _read(type_: GraphQLOutputType, given: Any, selection: SelectionSetNode | None, where: str) -> Any:
    """A value as its type takes it; of an object what `selection` names, or all of its fields that are given.

    Raises `BadInput`.
    """
    if is_non_null_type(type_):
        if given is None:
            raise BadInput(f"{where} in a representation is null")
        return _read(type_.of_type, given, selection, where)
    if given is None:
        return None
    if is_list_type(type_):
        if not isinstance(given, list):
            raise BadInput(f"{where} in a representation is not a list")
        return [_read(type_.of_type, each, selection, where) for each in given]
    if is_leaf_type(type_):
        try:
            return type_.parse_value(given)
        except GraphQLError as fault:
            raise BadInput(f"{where} in a representation: {fault.message}") from None
    if not is_object_type(type_) or not isinstance(given, dict):
        raise BadInput(f"{where} in a representation is not an object of a type that can be read")
    wanted = (
        {field.name.value: field.selection_set for field in _fields(selection)}
        if selection is not None
        else {name: None for name in type_.fields if name in given}
    )
    return {
        name: _read(type_.fields[name].type, given[name], inside, f"{where}.{name}") for name, inside in wanted.items()
    }
