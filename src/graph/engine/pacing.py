"""Execution that lets others have their turn: see `connectors.kit.pace`."""

from collections.abc import Awaitable, Generator
from typing import Any

from graphql import GraphQLOutputType, GraphQLResolveInfo
from graphql.pyutils import Path

from connectors.kit.pace import Pace
from graph.engine.bounded import BoundedExecutor


class PacedExecutor(BoundedExecutor):
    """Bounded, and before each value of a list, and behind each value that was waited for, it looks whether the
    caller has had its share of this round of the event loop; if so it goes on in a later one."""

    def complete_list_item_value(
        self,
        item: Any,
        complete_results: list[Any],
        item_type: GraphQLOutputType,
        field_details_list: Any,
        info: "GraphQLResolveInfo[Any]",
        item_path: Path,
        position_context: Any,
    ) -> bool:
        pace: Pace = self.context_value.pace
        if pace.over:
            later = self.complete_awaitable_list_item_value(
                _Later(pace, item), item_type, field_details_list, info, item_path, position_context
            )
            complete_results.append(later)
            return True
        return super().complete_list_item_value(
            item, complete_results, item_type, field_details_list, info, item_path, position_context
        )

    async def complete_awaitable_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: Any,
        info: "GraphQLResolveInfo[Any]",
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        return await super().complete_awaitable_value(
            return_type,
            field_details_list,
            info,
            path,
            _waited(self.context_value.pace, result),
            position_context,
        )


def executor_of(most: int) -> type[PacedExecutor]:
    """The executor whose answers have at most so many fields."""
    return type("BoundedExecutor", (PacedExecutor,), {"most": most})


class _Later:
    """An item that comes when it is its turn; or never, where the execution ends before."""

    __slots__ = ("_expected", "_item", "_pace")

    def __init__(self, pace: Pace, item: Any) -> None:
        self._pace, self._item, self._expected = pace, item, True
        pace.expect()

    def __await__(self) -> Generator[Any, None, Any]:
        try:
            yield from self._pace.turn().__await__()
        finally:
            self._met()
        return self._item

    def _met(self) -> None:
        if self._expected:
            self._expected = False
            self._pace.met()

    __del__ = _met


async def _waited(pace: Pace, result: Awaitable[Any]) -> Any:
    found = await result
    if pace.over:
        await pace.turn()
    return found
