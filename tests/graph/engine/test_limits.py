"""Limits on documents, measured with fragments put in."""

import time
from typing import Any

import pytest
from graphql import parse

from graph.engine.limits import LimitExceeded, Limits, Measures, check, measure
from tests.graph.harness import graph_over_the_sandbox


def size(document: str) -> Measures:
    return measure(parse(document))[0]


def test_depth_counts_fields_below_each_other() -> None:
    assert size("{ a }").depth == 1
    assert size("{ a { b { c } } d }").depth == 3
    assert size("{ a { ... { b { ... on X { c } } } } }").depth == 3
    assert size("{ a { __typename } }").depth == 1


def test_fragments_count_where_they_are_spread() -> None:
    found = size("{ a { ...F } b { ...F } } fragment F on X { x: c { d } e }")
    assert (found.fields, found.aliases, found.depth, found.root_fields) == (8, 2, 3, 2)


def test_root_fields_are_counted_through_fragments() -> None:
    assert size("{ ...F ...F a } fragment F on Query { b c }").root_fields == 5


def test_introspection_has_a_depth_of_its_own() -> None:
    found = size("{ __schema { types { fields { type { ofType { name } } } } } a { b } }")
    assert (found.introspection_depth, found.depth, found.introspects) == (6, 2, True)
    assert not size("{ __typename a }").introspects


def test_fragments_that_double_cost_nothing_to_measure() -> None:
    doubling = "".join(
        f"fragment F{n} on X {{ a{n}: x {{ ...F{n + 1} }} b{n}: x {{ ...F{n + 1} }} }} " for n in range(60)
    )
    document = parse("{ ...F0 } " + doubling + "fragment F60 on X { x }")
    started = time.process_time()
    found = measure(document)[0]
    assert time.process_time() - started < 0.5
    assert found.fields == 2**61 - 2 + 2**60
    assert found.aliases == 2**61 - 2
    assert found.depth == 61


def test_a_cycle_ends() -> None:
    assert size("{ ...A } fragment A on X { a ...B } fragment B on X { b ...A }").fields == 2


@pytest.mark.parametrize(
    ("document", "limits", "code", "found"),
    [
        ("{ a { b { c } } }", {"depth": 2}, "DEPTH_LIMIT", 3),
        ("{ a: x b: x }", {"aliases": 1}, "ALIAS_LIMIT", 2),
        ("{ a b c }", {"root_fields": 2}, "ROOT_FIELD_LIMIT", 3),
        ("{ a { b c } }", {"fields": 2}, "FIELD_LIMIT", 3),
        ("{ __schema { types { name } } }", {"introspection_depth": 2}, "INTROSPECTION_DEPTH_LIMIT", 3),
    ],
)
def test_what_is_over_a_limit_is_refused_with_limit_and_value(
    document: str, limits: dict[str, Any], code: str, found: int
) -> None:
    with pytest.raises(LimitExceeded) as caught:
        check(size(document), Limits(**limits))
    (allowed,) = limits.values()
    assert caught.value.extensions == {"code": code, "limit": allowed, "found": found}
    check(size(document), Limits(**dict.fromkeys(limits, found)))


@pytest.mark.parametrize("number", [2**31, 10**400, 1e308])
async def test_a_number_beyond_all_bounds_is_refused_by_its_price_and_breaks_nothing(number: float) -> None:
    async with graph_over_the_sandbox() as graph:
        errors = await graph.errors("query($n: Int!) { orders(first: $n) { nodes { id } } }", n=number)
    assert errors[0]["extensions"]["code"] in ("COST_LIMIT", "VENDOR_CALL_LIMIT")


async def test_lists_of_variables_are_counted_before_they_are_read() -> None:
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    async with graph_over_the_sandbox() as graph:
        [error] = await graph.errors(query, ids=["x"] * 10_001)
        assert error["extensions"] == {"code": "BAD_USER_INPUT", "limit": 10_000, "found": 10_001}
        [error] = await graph.errors(query, ids=["x"] * 10_000, unused=["x"] * 50_000)
        assert "100" in error["message"]
