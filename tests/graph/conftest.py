"""The graph over the sandbox, for every test of this folder."""

from collections.abc import AsyncIterator

import pytest

from tests.graph.harness import Graph, graph_over_the_sandbox


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with graph_over_the_sandbox() as made:
        yield made
