"""What an operation costs: the cases of IBM's GraphQL Cost Directives specification, on schemas of their own.

https://ibm.github.io/graphql-specs/cost-spec.html
"""

import time
from typing import Any

import pytest
from graphql import build_schema, get_operation_ast, parse
from graphql.utilities import value_from_ast_untyped

from graph.engine.cost import Cost, cost
from graph.engine.prices import Directives, Prices
from graph.engine.selections import Digest, Selections
from graph.schema import make_schema

DIRECTIVES = """
    directive @cost(weight: String!) on
        ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION | INPUT_FIELD_DEFINITION | OBJECT | SCALAR
    directive @listSize(
        assumedSize: Int, slicingArguments: [String!], sizedFields: [String!], requireOneSlicingArgument: Boolean = true
    ) on FIELD_DEFINITION
"""
SCHEMA = """
    type Query {
        user: User
        users(max: Int, of: Filter, ids: [ID!]): [User] @listSize(slicingArguments: ["max"])
        either(first: Int, last: Int): [User] @listSize(slicingArguments: ["first", "last"])
        few: [User] @listSize(assumedSize: 3)
        untold: [User]
        page(first: Int): Page @listSize(slicingArguments: ["first"], sizedFields: ["edges", "nodes"])
        dear: User @cost(weight: "5.0")
        free: User @cost(weight: "0.0")
        rebate(less: Int @cost(weight: "-15.0")): User @cost(weight: "5.0")
        named(by: Name): User
        any: Thing
        nodes(ids: [ID!]!): [Thing]
        name: String
        heavy: Heavy
        price: Money
    }
    type Mutation { rename(to: String): User @cost(weight: "20.0") }
    type Page { edges: [Edge] nodes: [User] total: Int info: Info sizes: [Int] }
    type Info { more: Boolean }
    type Edge { cursor: String node: User }
    type User { id: ID name: String friends: [User] @listSize(assumedSize: 4) address: Address }
    type Address { street: String }
    type Heavy @cost(weight: "2.5") { id: ID deep: Heavy }
    interface Thing { id: ID }
    type Light implements Thing { id: ID user: User }
    type Dear implements Thing @cost(weight: "9.0") { id: ID user: User }
    scalar Money @cost(weight: "3.0")
    input Filter { near: Name @cost(weight: "2.0") text: String names: [Name] }
    input Name { text: String @cost(weight: "4.0") other: Name }
"""


def of_sdl(thing: Any) -> Directives:
    return {
        each.name.value: {argument.name.value: value_from_ast_untyped(argument.value) for argument in each.arguments}
        for each in getattr(thing.ast_node, "directives", None) or ()
    }


PRICES = Prices(build_schema(DIRECTIVES + SCHEMA), of_sdl)


def price(text: str, prices: Prices = PRICES, **variables: Any) -> tuple[float, float]:
    """Type cost and field cost."""
    document = parse(text)
    operation = get_operation_ast(document, "Q" if "query Q" in text else None)
    assert operation is not None
    selections = Selections(prices, document, operation, Digest(()))
    found = cost(prices, selections.given(selections.facts(variables)))
    return found.types, found.fields


@pytest.mark.parametrize(
    ("text", "types", "fields"),
    [
        ("{ name }", 1, 0),  # the root is an object of weight 1; scalars cost nothing
        ("{ user { name } }", 2, 1),
        ("{ user { name address { street } } }", 3, 2),
        ("{ a: user { name } b: user { name } }", 3, 2),
        ("{ user { name } user { id } }", 2, 1),  # one field of the answer
        ("{ dear { id } }", 2, 5),
        ("{ free { id } }", 2, 0),
        ("{ heavy { id } }", 3.5, 1),
        ("{ heavy { deep { id } } }", 6, 2),
        ("{ price }", 4, 0),  # a scalar with a weight
        ("mutation { rename(to: \"x\") { id } }", 2, 20),
    ],
)  # fmt: skip
def test_objects_and_uses_of_fields_have_weights(text: str, types: float, fields: float) -> None:
    assert price(text) == (types, fields)


@pytest.mark.parametrize(
    ("text", "types", "fields"),
    [
        ("{ few { id } }", 4, 1),
        ("{ untold { id } }", 11, 1),  # nobody says how long it is: 10
        ("{ users(max: 5) { id } }", 6, 1),
        ("{ users { id } }", 11, 1),
        ("{ users(max: 0) { friends { id } } }", 1, 1),
        ("{ users(max: -3) { id } }", 1, 1),
        ("{ either(first: 2, last: 6) { id } }", 7, 1),  # the greatest of them
        ("{ either(last: 3) { id } }", 4, 1),
        ("{ users(max: 5) { friends { id address { street } } } }", 1 + 5 + 5 * 4 * 2, 1 + 5 + 5 * 4),
        ("{ page(first: 8) { nodes { id } } }", 1 + 1 + 8, 1 + 1),
        ("{ page(first: 8) { edges { node { id } } } }", 1 + 1 + 8 + 8, 1 + 1 + 8),
        ("{ page(first: 8) { total info { more } } }", 3, 2),  # not one of the sized fields
        ("{ page { nodes { id } } }", 1 + 1 + 10, 1 + 1),
        ('{ nodes(ids: ["a", "b", "c"]) { id } }', 1 + 3 * 9, 1),  # as long as its argument
        ("{ nodes(ids: []) { id } }", 1, 1),
    ],
)
def test_lists_are_as_long_as_the_schema_and_the_arguments_say(text: str, types: float, fields: float) -> None:
    assert price(text) == (types, fields)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("{ rebate { id } }", 5),
        ("{ rebate(less: 1) { id } }", 0),  # 5 - 15, which is no credit for others
        ("{ rebate(less: null) { id } }", 5),
        ("{ rebate(less: 1) { id } dear { id } }", 5),
        ("{ named(by: {}) { id } }", 1 + 1),  # an input object weighs 1
        ('{ named(by: { text: "x" }) { id } }', 1 + 1 + 4),
        ('{ named(by: { other: { text: "x" } }) { id } }', 1 + 1 + 1 + 4),
        ('{ users(of: { near: { text: "x" } }) { id } }', 1 + 1 + 2 + 4),
        ('{ users(of: { names: [{ text: "x" }, { text: "y" }] }) { id } }', 1 + 1 + 1 + 4 + 4),
    ],
)
def test_arguments_and_input_fields_have_weights(text: str, fields: float) -> None:
    assert price(text)[1] == fields


def test_of_several_types_the_dearest_counts() -> None:
    assert price("{ any { id } }") == (1 + 9, 1)
    assert price("{ any { id ... on Light { user { friends { id } } } } }") == (1 + 9, 1 + 2)
    assert price("{ any { ... on Light { user { friends { friends { id } } } } } }") == (1 + 1 + 1 + 4 + 16, 1 + 6)
    assert price("{ any { ... on Nowhere { id } id } }".replace("Nowhere", "Thing")) == (1 + 9, 1)


def test_variables_count_as_what_they_are_given() -> None:
    text = (
        "query Q($max: Int, $with: Boolean = true) { users(max: $max) { id address @include(if: $with) { street } } }"
    )
    assert price(text, max=3) == (1 + 3 + 3, 1 + 3)
    assert price(text, max=3, **{"with": False}) == (1 + 3, 1)
    assert price(text) == price(text, max=None) == (1 + 10 + 10, 1 + 10)
    assert price("query Q($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=["x"] * 20) == (1 + 20 * 9, 1)


def test_skipped_fields_cost_nothing() -> None:
    assert price("{ user @skip(if: true) { id } name }") == (1, 0)
    assert price("{ ... @include(if: false) { user { id } } name }") == (1, 0)
    assert price("{ user @skip(if: false) @include(if: true) { id } }") == (2, 1)


def test_introspection_costs_nothing() -> None:
    assert price("{ __schema { types { fields { name } } } }") == (0, 0)
    assert price("{ __typename user { __typename } }") == (2, 1)


def test_fragments_that_double_cost_nothing_to_price() -> None:
    doubling = "".join(
        f"fragment F{n} on User {{ a{n}: friends {{ ...F{n + 1} }} b{n}: friends {{ ...F{n + 1} }} }} "
        for n in range(40)
    )
    started = time.process_time()
    types, fields = price("{ user { ...F0 } } " + doubling + "fragment F40 on User { id }")
    assert time.process_time() - started < 0.5
    assert types == pytest.approx(sum(8**level for level in range(41)))
    assert fields == pytest.approx(sum(2 * 8**level for level in range(40)))


def test_a_list_without_its_size_is_as_long_as_the_default_says() -> None:
    ours = Prices(make_schema()._schema)
    assert price("{ orders { nodes { number } } }", ours) == price("{ orders(first: 50) { nodes { number } } }", ours)
    assert price("{ orders(first: 9) { nodes { number } } }", ours) == (1 + 1 + 9, 1 + 1)


def test_both_costs_are_added() -> None:
    assert Cost(types=3.5, fields=2).total == 5.5


def test_an_argument_that_weighs_much_cannot_make_others_cheaper() -> None:
    assert price("{ users(max: 5) { id } rebate(less: 1) { friends { id } } }") == (1 + 5 + 1 + 4, 1 + 0 + 1)
