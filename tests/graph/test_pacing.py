"""An answer that is completed in many rounds of the event loop asks vendors for no more than one completed in one."""

from collections.abc import AsyncIterator

import pytest

from connectors.kit.pace import Pace
from tests.graph.harness import Graph, graph_over_the_sandbox

NESTED = """{ orders(first: 20) { nodes { number
    lines { item { number inventory { warehouse } } }
    vehicle { name } } } }"""


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with graph_over_the_sandbox(integrations=("ewm-west", "ewm-north", "plm", "fleet"), afresh=True) as made:
        yield made


async def test_batches_are_as_large_in_turns(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the caller has had its share: the rest of a list, begun or not, belongs to the same batch."""
    whole = await graph.data(NESTED)
    graph.forget()
    await graph.data(NESTED)
    calls = graph.calls_by_path()
    for share in (*range(30, 62), 0, 100, 200):
        looks = 0

        def over(_: Pace, share: int = share) -> bool:
            nonlocal looks
            looks += 1
            return looks > share

        monkeypatch.setattr(Pace, "over", property(over))
        graph.forget()
        assert await graph.data(NESTED) == whole
        assert looks > share, "it did go on in other rounds"
        assert graph.calls_by_path() - calls == {}, share


async def test_what_is_put_off_and_never_comes_holds_up_nobody() -> None:
    pace = Pace()
    pace.expect()
    pace.met()
    await pace.settled()
