"""The schema as a document: everything says what it is, every node can be found again."""

import re
from collections.abc import Iterator
from inspect import iscoroutinefunction
from typing import Any, get_type_hints
from unittest.mock import Mock

import pytest
from graphql import (
    GraphQLNonNull,
    is_enum_type,
    is_input_object_type,
    is_interface_type,
    is_object_type,
    is_scalar_type,
)
from strawberry.types.base import StrawberryOptional

from graph.schema import NODES, make_schema
from unified import records
from unified.records import BY_KIND, Kind

SCHEMA = make_schema()
BUILT_IN = ("String", "Int", "Float", "Boolean", "ID")


def ours() -> Iterator[tuple[str, Any]]:
    """Types that are not GraphQL's or federation's own."""
    for name, kind in SCHEMA._schema.type_map.items():
        if not name.startswith(("_", "link__", "federation__")) and name not in BUILT_IN:
            yield name, kind


def described() -> Iterator[tuple[str, str, str | None]]:
    """Coordinate, bare name and description of every type, field, argument, input field and enum value."""
    for name, kind in ours():
        yield name, name, kind.description
        if is_enum_type(kind):
            for key, value in kind.values.items():
                yield f"{name}.{key}", key, value.description
        if is_object_type(kind) or is_interface_type(kind) or is_input_object_type(kind):
            for field_name, shown in kind.fields.items():
                if field_name.startswith("_"):
                    continue
                yield f"{name}.{field_name}", field_name, shown.description
                for argument, each in getattr(shown, "args", {}).items():
                    yield f"{name}.{field_name}({argument}:)", argument, each.description


def words(text: str) -> set[str]:
    """The words of a name or a description, without what carries no meaning."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    found = re.findall(r"[a-z0-9]+", spaced.lower())
    return {word.rstrip("s") for word in found} - {"the", "a", "an", "of", "it", "its", "it'", "is"}


def test_everything_has_a_description_that_says_more_than_its_name() -> None:
    bare = [coordinate for coordinate, name, text in described() if not text or words(text) <= words(name)]
    assert bare == []


def test_every_record_has_a_type_that_is_a_node_with_a_key() -> None:
    """A kind of record that the graph does not show, or that cannot be referred to, is a mistake."""
    assert {node.__name__ for node in NODES} == {kind.value for kind in Kind}
    sdl = SCHEMA.as_str()
    for node in NODES:
        record = BY_KIND[Kind(node.__name__)]
        assert [each.__name__ for each in NODES if each.is_type_of(Mock(spec=record), None)] == [node.__name__]
        assert node.resolve_reference.kind is record.kind
        shown = SCHEMA._schema.type_map[node.__name__]
        assert [each.name for each in shown.interfaces] == ["Sourced", "Node"]
        assert f'type {node.__name__} implements Sourced & Node @key(fields: "id")' in sdl


def test_every_type_with_an_interface_says_which_record_it_accepts() -> None:
    for name, kind in ours():
        if is_object_type(kind) and kind.interfaces:
            assert kind.is_type_of is not None, name


def test_every_plain_field_is_an_attribute_of_its_record() -> None:
    """A field without a resolver reads the record: a misspelt one would be an error at run time only."""
    for node in NODES:
        known = set(BY_KIND[Kind(node.__name__)].__struct_fields__)
        for field in node.__strawberry_definition__.fields:
            assert field.base_resolver is not None or field.python_name in known, f"{node.__name__}.{field.python_name}"


def test_joins_are_nullable_all_the_way() -> None:
    """A vendor that fails nulls the field that needs it and nothing above it."""
    joins: dict[str, bool] = {}
    for name, kind in ours():
        definition = getattr(kind, "extensions", {}).get("strawberry-definition")
        for field in getattr(definition, "fields", ()):
            resolver = getattr(field.base_resolver, "wrapped_func", None)
            if name not in ("Query", "Subscription") and iscoroutinefunction(resolver):
                joins[f"{name}.{field.python_name}"] = isinstance(field.type, StrawberryOptional)
    assert len(joins) > 60
    assert [name for name, nullable in joins.items() if not nullable] == []


def test_roots_are_nullable() -> None:
    """A refused argument or a bug costs its own root field. Relay and federation want lists that are never null."""
    roots = SCHEMA._schema.query_type.fields  # type: ignore[union-attr]
    promised = [name for name, field in roots.items() if isinstance(field.type, GraphQLNonNull)]
    assert set(promised) - {"systems"} == {"_entities", "_service", "nodes"}


def test_scalars_name_their_specification() -> None:
    for name, kind in ours():
        if is_scalar_type(kind):
            assert kind.specified_by_url, name


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_is_read_by_a_root_field_of_its_own(kind: Kind) -> None:
    roots = SCHEMA._schema.query_type.fields.values()  # type: ignore[union-attr]
    shown = {str(field.type).rstrip("!") for field in roots}
    assert f"{kind.value}Connection" in shown
    assert kind.value in shown or kind is Kind.PRICE_ESTIMATE


def test_units_stand_in_the_names_of_bare_numbers() -> None:
    """`speedKmh`, `altitudeM`: a float without a unit in its name is a quantity, a share or a coordinate."""
    units = ("Kmh", "Deg", "M", "Km", "Litres", "Percent", "Volts", "Hours", "Seconds", "Kg")
    without_unit = {"latitude", "longitude", "rating", "surgeMultiplier", "progress", "value", "target",
                    "south", "north", "west", "east", "ratePerSecond"}  # fmt: skip
    odd = [
        f"{name}.{field}"
        for name, kind in ours()
        if is_object_type(kind) or is_input_object_type(kind)
        for field, shown in kind.fields.items()
        if str(shown.type).rstrip("!") == "Float" and not field.endswith(units) and field not in without_unit
    ]
    assert odd == []


def test_records_and_graph_types_agree_on_what_may_be_null() -> None:
    """A field that the graph promises must be one that the record always has."""
    wrong = []
    for node in NODES:
        record = BY_KIND[Kind(node.__name__)]
        hints = get_type_hints(record)
        for field in node.__strawberry_definition__.fields:
            if field.base_resolver is None and field.python_name in hints:
                promised = not isinstance(field.type, StrawberryOptional)
                if promised and type(None) in getattr(hints[field.python_name], "__args__", ()):
                    wrong.append(f"{node.__name__}.{field.python_name}")
    assert wrong == []
    assert issubclass(records.Vehicle, records.Record)
