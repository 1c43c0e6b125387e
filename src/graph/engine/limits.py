"""What an operation may be at most, measured on the parsed document before anything expensive runs.

Fragments are measured once each, so that fragments that double cost nothing; the numbers are those of the
document after its fragments are put in. Depth counts fields: `{ a { b } }` is 2 deep. Fields below `__schema`
and `__type` count towards the depth of introspection only.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from resolvers.errors import ClientError


class LimitExceeded(ClientError):
    """An operation is too large; says which limit, its value and what was found."""

    def __init__(self, code: str, what: str, allowed: float, found: float, advice: str) -> None:
        self.code = code
        super().__init__(
            f"the operation has {what} of {found:g}; at most {allowed:g} is allowed. {advice}",
            limit=allowed,
            found=min(found, 10**15),
        )


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Each protects from one way to make the server work without bound."""

    characters: int = 100_000
    """Characters of a document: comments and texts cost time without being tokens."""
    tokens: int = 4_000
    """Lexical tokens of a document: what parsing costs."""
    depth: int = 16
    """Fields below each other: each level of joins is one more round of vendor calls."""
    introspection_depth: int = 20
    aliases: int = 100
    """Fields under another name: the same expensive field many times."""
    root_fields: int = 20
    """Fields of the root: each is a fan-out of its own."""
    fields: int = 1_500
    """Fields after fragments: what validation and execution cost."""
    overlaps: int = 10_000
    """Pairs of fields, or of fragments, at the same place of the answer: validation compares each with each."""
    errors: int = 50
    """Errors in one answer; the rest is counted."""
    seconds: float = 30.0
    """Wall time of one operation, or of one event of a subscription."""
    operations_per_caller: int = 50
    """Operations of one caller that run at once; subscriptions not counted."""
    subscriptions_per_socket: int = 100
    subscriptions_per_caller: int = 200
    """Subscriptions of one caller that are open at once, on whatever connections."""
    batch: int = 10
    """Operations in one HTTP request."""
    values: int = 10_000
    """Values in the lists of an operation's variables: reading them takes time before any resolver can refuse them."""
    representations: int = 1_000
    """Representations in `_entities`."""
    cost: int = 500_000
    """Objects that an answer may have and fields that are used for it, weighted, before it runs: what memory and time
    it takes. Lists are taken to be as long as they usually are."""
    answer_fields: int = 200_000
    """Fields that an answer has, those of all list items counted, while it runs."""
    vendor_calls: int = 5_000
    """Calls that an operation can make to vendors: what it takes of their limits, and of those who share them."""


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """The size of one operation."""

    depth: int = 0
    introspection_depth: int = 0
    aliases: int = 0
    fields: int = 0
    root_fields: int = 0
    introspects: bool = False


class _Size(msgspec.Struct):
    depth: int = 0
    introspection_depth: int = 0
    aliases: int = 0
    fields: int = 0
    top: int = 0
    """Fields of this selection set itself, its fragments put in."""
    introspects: bool = False


class _Measuring:
    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._known: dict[tuple[str, bool], _Size] = {}

    def selections(self, node: SelectionSetNode | None, *, introspecting: bool) -> _Size:
        size = _Size()
        for selection in node.selections if node else ():
            if isinstance(selection, FieldNode):
                self._field(selection, size, introspecting=introspecting)
            elif isinstance(selection, InlineFragmentNode):
                self._add(size, self.selections(selection.selection_set, introspecting=introspecting))
            elif isinstance(selection, FragmentSpreadNode):
                self._add(size, self._fragment(selection.name.value, introspecting=introspecting))
        return size

    def _field(self, field: FieldNode, size: _Size, *, introspecting: bool) -> None:
        name = field.name.value
        inside = introspecting or name in ("__schema", "__type")
        below = self.selections(field.selection_set, introspecting=inside)
        size.fields += 1 + below.fields
        size.top += 1
        size.aliases += below.aliases + (field.alias is not None)
        size.introspects = size.introspects or below.introspects or inside
        if inside:
            size.introspection_depth = max(size.introspection_depth, 1 + below.introspection_depth)
        else:
            size.introspection_depth = max(size.introspection_depth, below.introspection_depth)
            if name != "__typename":
                size.depth = max(size.depth, 1 + below.depth)

    @staticmethod
    def _add(size: _Size, other: _Size) -> None:
        size.depth = max(size.depth, other.depth)
        size.introspection_depth = max(size.introspection_depth, other.introspection_depth)
        size.aliases += other.aliases
        size.fields += other.fields
        size.top += other.top
        size.introspects = size.introspects or other.introspects

    def _fragment(self, name: str, *, introspecting: bool) -> _Size:
        key = (name, introspecting)
        if key not in self._known:
            self._known[key] = _Size()  # a cycle, or a fragment that is not there: validation tells
            fragment = self._fragments.get(name)
            if fragment is not None:
                self._known[key] = self.selections(fragment.selection_set, introspecting=introspecting)
        return self._known[key]


def measure(document: DocumentNode) -> dict[int, Measures]:
    """The size of each operation, by its index in the document. Raises `RecursionError` for absurd nesting."""
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    measuring = _Measuring(fragments)
    found: dict[int, Measures] = {}
    for index, definition in enumerate(document.definitions):
        if isinstance(definition, OperationDefinitionNode):
            size = measuring.selections(definition.selection_set, introspecting=False)
            found[index] = Measures(
                depth=size.depth,
                introspection_depth=size.introspection_depth,
                aliases=size.aliases,
                fields=size.fields,
                root_fields=size.top,
                introspects=size.introspects,
            )
    # Validation visits fragments that no operation uses, too
    for name in fragments:
        measuring._fragment(name, introspecting=False)
    return found


_CHECKS: tuple[tuple[str, str, str, str], ...] = (
    ("depth", "DEPTH_LIMIT", "a depth", "Ask for less at once, and for the rest by id."),
    ("introspection_depth", "INTROSPECTION_DEPTH_LIMIT", "an introspection depth", "Use a common introspection query."),
    ("aliases", "ALIAS_LIMIT", "a number of aliases", "Ask with lists and filters instead of aliases."),
    ("root_fields", "ROOT_FIELD_LIMIT", "a number of root fields", "Send several operations."),
    ("fields", "FIELD_LIMIT", "a number of fields", "Ask for fewer fields."),
)


def check(measures: Measures, limits: Limits) -> None:
    """Raises `LimitExceeded` for the first limit that the operation does not keep."""
    for name, code, what, advice in _CHECKS:
        allowed: Any = getattr(limits, name)
        found: Any = getattr(measures, name)
        if found > allowed:
            raise LimitExceeded(code, what, allowed, found, advice)
