"""How much work it is to see whether fields that share a place in the answer can be merged.

Validation compares all fields that have the same response name at the same place with each other, and all fragments
that are spread there: their number squared. That is counted here, before validation begins.
"""

from collections.abc import Mapping, Sequence

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

STEPS = 50_000
"""Fields that are looked at in one document, its fragments put in wherever they are spread."""


class TooMany(Exception):
    """More than may be. `found`: what was counted until then."""

    def __init__(self, found: int) -> None:
        super().__init__()
        self.found = found


class _Counting:
    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode], allowed: int) -> None:
        self._fragments, self._allowed = fragments, allowed
        self._steps = self.pairs = 0
        self.reached: set[str] = set()

    def place(self, sets: Sequence[SelectionSetNode]) -> None:
        """Counts what meets at one place of the answer, and below it."""
        fields: dict[str, list[FieldNode]] = {}
        spread: set[str] = set()
        waiting = list(sets)
        while waiting:
            for selection in waiting.pop().selections:
                self._step()
                if isinstance(selection, FieldNode):
                    name = selection.alias.value if selection.alias else selection.name.value
                    fields.setdefault(name, []).append(selection)
                elif isinstance(selection, FragmentSpreadNode):
                    name = selection.name.value
                    if name not in spread and name in self._fragments:
                        spread.add(name)
                        waiting.append(self._fragments[name].selection_set)
                else:
                    waiting.append(selection.selection_set)  # type: ignore[attr-defined]
        self.reached |= spread
        self._meet(len(spread))
        for same in fields.values():
            self._meet(len(same))
            below = [each.selection_set for each in same if each.selection_set is not None]
            if below:
                self.place(below)

    def _meet(self, count: int) -> None:
        self.pairs += count * (count - 1) // 2
        if self.pairs > self._allowed:
            raise TooMany(self.pairs)

    def _step(self) -> None:
        self._steps += 1
        if self._steps > STEPS:
            raise TooMany(max(self.pairs, self._allowed + 1))


def overlaps(document: DocumentNode, allowed: int) -> int:
    """The comparisons that validation makes. Raises `TooMany`, and `RecursionError` for absurd nesting."""
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    counting = _Counting(fragments, allowed)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            counting.place([definition.selection_set])
    for name, fragment in fragments.items():
        if name not in counting.reached:
            counting.place([fragment.selection_set])
    return counting.pairs
