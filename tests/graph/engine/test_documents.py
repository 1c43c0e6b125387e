"""A document is parsed and validated once, and nothing of one caller reaches another through it."""

from typing import Any

import pytest

from graph.engine import documents
from graph.engine.documents import Documents, RequestRefused
from graph.engine.limits import Limits
from graph.schema import make_schema

CORE = make_schema()._schema


class Counted:
    """Counts the calls of a function of the module."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.calls, real = 0, getattr(documents, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(documents, name, counting)


async def refusal(made: Documents, text: str, *, introspection: bool = True) -> tuple[str, str, Any]:
    with pytest.raises(RequestRefused) as caught:
        await made.prepare(text, introspection=introspection)
    error = caught.value.errors[0]
    assert error.extensions is not None
    return caught.value.stage, error.message, error.extensions["code"]


async def test_the_second_operation_with_the_same_text_is_neither_parsed_nor_validated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed, validated = Counted(monkeypatch, "parse"), Counted(monkeypatch, "validate")
    made = Documents(CORE, Limits())
    found = [await made.prepare("{ __typename }", introspection=True) for _ in range(3)]
    assert found[0] is found[1] is found[2]
    assert (parsed.calls, validated.calls) == (1, 1)


async def test_a_refused_document_is_refused_again(monkeypatch: pytest.MonkeyPatch) -> None:
    validated = Counted(monkeypatch, "validate")
    made = Documents(CORE, Limits())
    for _ in range(2):
        assert await refusal(made, "{ zzzzzzzz }") == (
            "validation",
            "Cannot query field 'zzzzzzzz' on type 'Query'.",
            "GRAPHQL_VALIDATION_FAILED",
        )
    assert validated.calls == 2


MOMENT = 'DateTime is an ISO 8601 time with zone, such as "2026-11-25T09:30:00Z"'


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        (
            '{ vehicles(filter: { updatedAfter: "yesterday" }) { totalCount } }',
            f"filter.updatedAfter: {MOMENT}",
            (1, 36),
        ),
        (
            "{ vehicles(\n  filter: { updatedAfter: 7 }) { totalCount } }",
            f"filter.updatedAfter: {MOMENT}",
            (2, 27),
        ),
        (
            'query($f: VehicleFilter = { updatedAfter: "x" }) { vehicles(filter: $f) { totalCount } }',
            f"updatedAfter: {MOMENT}",
            (1, 43),
        ),
        (
            "{ vehicles(filter: { states: [MOVING, MOVNG] }) { totalCount } }",
            "Value 'MOVNG' does not exist in 'VehicleState' enum. Did you mean the enum value 'MOVING'?",
            (1, 39),
        ),
    ],
)
async def test_a_wrong_literal_is_told_with_its_place_and_what_is_meant(
    text: str, message: str, place: tuple[int, int]
) -> None:
    with pytest.raises(RequestRefused) as caught:
        await Documents(CORE, Limits()).prepare(text, introspection=True)
    [error] = caught.value.errors
    assert error.message == message
    assert [(each.line, each.column) for each in error.locations or []] == [place]


async def test_an_enum_value_that_is_not_there_suggests_none_to_who_may_not_introspect() -> None:
    text = "{ vehicles(filter: { states: [MOVNG] }) { totalCount } }"
    told = await refusal(Documents(CORE, Limits()), text, introspection=False)
    assert told[1] == "Value 'MOVNG' does not exist in 'VehicleState' enum."


async def test_what_one_caller_may_introspect_another_may_not() -> None:
    made = Documents(CORE, Limits())
    for text in (
        "{ __schema { queryType { name } } }",
        "{ _service { sdl } }",
        "{ ... on Query { x: _service { __typename } } }",
    ):
        await made.prepare(text, introspection=True)
        stage, told, code = await refusal(made, text, introspection=False)
        assert (stage, code) == ("validation", "GRAPHQL_VALIDATION_FAILED")
        assert told.startswith("GraphQL introspection has been disabled")


async def test_names_of_the_schema_are_suggested_only_to_who_may_see_them() -> None:
    made = Documents(CORE, Limits())
    for text in (
        "{ item { id } itemz { id } }",
        "{ items(frst: 1) { nodes { id } } }",
        "{ items(first: 1) { nodes { ... on Itm { id } } } }",
    ):
        assert "Did you mean" in (await refusal(made, text))[1]
        assert "Did you mean" not in (await refusal(made, text, introspection=False))[1]


async def test_the_least_used_documents_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "KEPT_CHARACTERS", 2 * len("{ a: __typename }"))
    made = Documents(CORE, Limits())
    first = await made.prepare("{ a: __typename }", introspection=True)
    second = await made.prepare("{ b: __typename }", introspection=True)
    assert await made.prepare("{ a: __typename }", introspection=True) is first
    await made.prepare("{ c: __typename }", introspection=True)
    assert await made.prepare("{ a: __typename }", introspection=True) is first
    assert await made.prepare("{ b: __typename }", introspection=True) is not second


async def test_a_long_document_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LONGEST_KEPT", 10)
    made = Documents(CORE, Limits())
    first = await made.prepare("{ __typename }", introspection=True)
    assert await made.prepare("{ __typename }", introspection=True) is not first


@pytest.mark.parametrize(
    ("text", "stage", "code"),
    [
        ("{", "parse", "GRAPHQL_PARSE_FAILED"),
        ("", "parse", "GRAPHQL_PARSE_FAILED"),
        ("{ items { nodes { } } }", "parse", "GRAPHQL_PARSE_FAILED"),
        ("{" * 3_000, "parse", "GRAPHQL_PARSE_FAILED"),
        ("{ a " * 1_900 + "}" * 1_900, "parse", "GRAPHQL_PARSE_FAILED"),
        ("type T { a: Int }", "validation", "GRAPHQL_VALIDATION_FAILED"),
        ("# " + "x" * 90_000, "parse", "GRAPHQL_PARSE_FAILED"),
        ("# " + "x" * 100_000, "parse", "CHARACTER_LIMIT"),
        ("{ systems { " + "system " * 1_400 + "} }", "limits", "OVERLAP_LIMIT"),
        ("{ " + "__typename " * 5_000 + "}", "parse", "TOKEN_LIMIT"),
        ("{ " + "items { nodes { whereUsed { item { bom { item { " * 4 + "id" + " } } } } } }" * 4 + " }", "limits",
         "DEPTH_LIMIT"),
    ],
)  # fmt: skip
async def test_a_document_is_refused_at_the_first_thing_that_is_wrong(text: str, stage: str, code: str) -> None:
    found = await refusal(Documents(CORE, Limits()), text)
    assert (found[0], found[2]) == (stage, code)


async def test_an_operation_must_be_named_among_several() -> None:
    prepared = await Documents(CORE, Limits()).prepare(
        "query A { __typename } query B { __typename }", introspection=True
    )
    assert prepared.operation("B").name == "B"
    for name in (None, "C", ""):
        with pytest.raises(RequestRefused) as caught:
            prepared.operation(name)
        assert caught.value.stage == "operation"


async def test_overlapping_fields_beyond_reason_are_refused_before_validation() -> None:
    made = Documents(CORE, Limits())
    stage, _, code = await refusal(made, "{ " + "items { nodes { id } } " * 200 + "}")
    assert (stage, code) == ("limits", "ROOT_FIELD_LIMIT")
