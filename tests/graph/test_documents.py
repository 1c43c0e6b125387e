"""A document is parsed and validated once, and nothing of one caller reaches another through it."""

from typing import Any

import pytest
import strawberry.schema.schema as strawberry_schema
from graphql import ValidationRule, parse

from graph.documents import Documents
from graph.schema import make_schema


class Rule(ValidationRule):
    pass


class TestDocuments:
    def test_gives_what_was_put_under_the_same_text_and_rules(self) -> None:
        documents, document = Documents(), parse("{ a }")
        documents.put("{ a }", (), document)
        assert documents.get("{ a }", ()) is document
        assert documents.get("{ b }", ()) is None

    def test_a_document_that_other_rules_allowed_is_not_known(self) -> None:
        documents = Documents()
        documents.put("{ a }", (), parse("{ a }"))
        assert documents.get("{ a }", (Rule,)) is None

    def test_the_least_recently_used_leave_when_there_are_too_many_characters(self) -> None:
        documents = Documents(total=15)
        for text in ("{ a }", "{ b }", "{ c }"):
            documents.put(text, (), parse(text))
        assert documents.get("{ a }", ()) is not None
        documents.put("{ d }", (), parse("{ d }"))
        known = [text for text in ("{ a }", "{ b }", "{ c }", "{ d }") if documents.get(text, ()) is not None]
        assert known == ["{ a }", "{ c }", "{ d }"]

    def test_the_same_document_twice_takes_its_room_once(self) -> None:
        documents = Documents(total=10)
        for _ in range(3):
            documents.put("{ a }", (), parse("{ a }"))
        documents.put("{ b }", (), parse("{ b }"))
        assert documents.get("{ a }", ()) is not None

    def test_a_long_document_is_not_kept(self) -> None:
        documents = Documents(largest=4)
        documents.put("{ a }", (), parse("{ a }"))
        assert documents.get("{ a }", ()) is None


class Counted:
    """Counts the calls of a function of Strawberry's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.calls, real = 0, getattr(strawberry_schema, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(strawberry_schema, name, counting)


class Nobody:
    """A context without anything."""

    problems: list[Any] = []
    introspection = True

    def fresh(self) -> "Nobody":
        return Nobody()


class TestOperations:
    async def test_the_second_operation_with_the_same_text_is_neither_parsed_nor_validated(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parsed, validated = Counted(monkeypatch, "parse"), Counted(monkeypatch, "validate_document")
        schema = make_schema(lambda _id, _error: None)
        results = [await schema.execute("{ __typename }", context_value=Nobody()) for _ in range(3)]
        assert [result.data for result in results] == [{"__typename": "Query"}] * 3
        assert (parsed.calls, validated.calls) == (1, 1)

    async def test_a_refused_document_is_refused_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        validated = Counted(monkeypatch, "validate_document")
        schema = make_schema(lambda _id, _error: None)
        for _ in range(2):
            result: Any = await schema.execute("{ zzzzzzzz }", context_value=Nobody())
            assert result.data is None
            assert [error.message for error in result.errors] == ["Cannot query field 'zzzzzzzz' on type 'Query'."]
        assert validated.calls == 2

    async def test_one_document_with_two_operations_gives_the_one_that_is_named(self) -> None:
        schema = make_schema(lambda _id, _error: None)
        text = "query A { a: __typename } query B { b: __typename }"
        for name, data in (("A", {"a": "Query"}), ("B", {"b": "Query"}), ("A", {"a": "Query"})):
            result = await schema.execute(text, operation_name=name, context_value=Nobody())
            assert result.data == data
