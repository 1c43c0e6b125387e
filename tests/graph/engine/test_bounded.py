"""While it runs: an answer is as long as it may be and no longer, an operation takes the time it may take."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from graph.engine.execution import Engine
from graph.engine.limits import Limits
from tests.graph.harness import Graph, graph_over_the_sandbox
from tests.graph.test_subscriptions import fleet

ORDERS = "{ orders(first: 4) { nodes { number lines { lineNumber item { number inventory { warehouse } } } } } }"


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with graph_over_the_sandbox(integrations=("ewm-west", "plm", "fleet")) as made:
        yield made


def limited(graph: Graph, **limits: Any) -> None:
    graph.engine = Engine(graph.engine.schema, Limits(**limits), lambda _, error: graph.reported.append(error))


def fields(value: Any) -> int:
    """Of an answer, those of all list items counted."""
    if isinstance(value, list):
        return sum(map(fields, value))
    return len(value) + sum(map(fields, value.values())) if isinstance(value, dict) else 0


async def test_an_answer_may_be_as_long_as_the_limit_and_no_longer(graph: Graph) -> None:
    found = await graph.data(ORDERS)
    length = fields(found)
    assert length > 50
    limited(graph, answer_fields=length)
    assert await graph.data(ORDERS) == found
    limited(graph, answer_fields=length - 1)
    answer = await graph.ask(ORDERS)
    assert answer.formatted() == {
        "errors": [
            {
                "message": f"the answer has more than {length - 1} fields, those of all list items counted; ask for "
                "fewer rows, or for fewer joins",
                "extensions": {"code": "ANSWER_LIMIT", "limit": length - 1},
            }
        ],
        "data": None,
    }
    assert graph.reported == []


@pytest.mark.parametrize("most", [0, 1, 3, 10, 20, 40])
async def test_wherever_it_is_reached_the_whole_operation_ends(graph: Graph, most: int) -> None:
    limited(graph, answer_fields=most)
    answer = await graph.ask(ORDERS)
    assert answer.data is None
    assert [error.extensions["code"] for error in answer.errors] == ["ANSWER_LIMIT"]


async def test_what_is_answered_without_waiting_is_counted_too(graph: Graph) -> None:
    limited(graph, answer_fields=2)
    assert await graph.data("{ a: __typename b: __typename }") == {"a": "Query", "b": "Query"}
    assert (await graph.ask("{ a: __typename b: __typename c: __typename }")).data is None


async def test_each_event_of_a_subscription_is_counted_by_itself(graph: Graph) -> None:
    graph.live.now = await fleet(graph, 2)
    limited(graph, answer_fields=3)
    async with aclosing(graph.follow("subscription { vehicleChanged { id name } }")) as answers:
        assert [(await anext(answers)).errors for _ in range(2)] == [None, None]
    limited(graph, answer_fields=2)
    async with aclosing(graph.follow("subscription { vehicleChanged { id name } }")) as answers:
        assert [(await anext(answers)).errors[0].extensions["code"] for _ in range(2)] == ["ANSWER_LIMIT"] * 2


async def test_an_operation_that_takes_too_long_is_stopped(graph: Graph) -> None:
    graph.faults("traccar").delay_ms = 5_000
    limited(graph, seconds=0.05)
    answer = await graph.ask("{ vehicles { nodes { id } } }")
    assert answer.formatted() == {
        "errors": [
            {
                "message": "the operation took longer than 0.05 s and was stopped; ask for less at once",
                "extensions": {"code": "TIME_LIMIT", "limit": 0.05},
            }
        ],
        "data": None,
    }
