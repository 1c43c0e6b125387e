"""Which loaders and lists stand behind a field, said beside its resolver: what an operation will ask is told by it."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from unified.records import Kind

F = TypeVar("F", bound=Callable[..., Any])


class Step(msgspec.Struct, frozen=True):
    """A loader that is asked for `keys` keys per object at most; `kind` where it reads any. The next step asks for
    what this one found."""

    loader: str
    keys: int = 1
    kind: Kind | None = None


class Asks(msgspec.Struct, frozen=True, kw_only=True):
    """One of: `steps` of a join, the kind that is `listed`, `found` (by id or number) or `followed` (a subscription),
    the argument that `refers` to objects by their ids."""

    steps: tuple[Step, ...] = ()
    listed: Kind | None = None
    found: Kind | None = None
    followed: Kind | None = None
    refers: str | None = None


def asking(*steps: Step, **kinds: Any) -> Callable[[F], F]:
    """Marks a resolver."""
    told = Asks(steps=steps, **kinds)

    def mark(resolver: F) -> F:
        resolver.asks = told  # type: ignore[attr-defined]
        return resolver

    return mark


def asks_of(resolver: Any) -> Asks | None:
    """What a resolver is marked with; null for a field that asks nobody."""
    found: Asks | None = getattr(resolver, "asks", None)
    return found
