"""What an operation runs in: the principal, the organisation's sources, its own loaders, the problems it met."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from connectors.kit.errors import ConnectorError
from connectors.kit.pace import Pace
from resolvers.sources import Sources
from unified.events import Event
from unified.records import Kind, Record

if TYPE_CHECKING:
    from resolvers.loaders import Loaders


class Principal(Protocol):
    """Who asks."""

    @property
    def subject(self) -> str: ...

    @property
    def organisation(self) -> str: ...

    @property
    def scopes(self) -> frozenset[str]: ...


class Live(Protocol):
    """The live plane of one organisation: what is, and what becomes."""

    async def snapshot(self, kind: Kind, ids: Sequence[str] | None) -> list[Record]: ...

    def subscribe(self, kinds: Sequence[Kind]) -> AbstractAsyncContextManager[AsyncIterator[Event]]: ...


@dataclass
class Problem:
    """A failure that cost rows but no field: reported in `errors` beside the data."""

    error: ConnectorError
    path: list[str | int] | None


@dataclass
class Context:
    """One per operation; its loaders are renewed before each event of a subscription."""

    principal: Principal
    sources: Sources
    live: Live
    cursor_key: bytes
    make_loaders: Callable[["Context"], "Loaders"]
    problems: list[Problem] = field(default_factory=list)
    introspection: bool = True
    """Whether the schema may be seen."""
    representations: int = 1_000
    """Most entities that one operation may refer to."""
    tracing: Any = None
    """The `FederatedTrace` that is told of each field, for a gateway that wants to know; null for all others."""
    explains: bool = False
    """Whether the current tally is an `Explanation`."""
    pace: Pace = field(default_factory=Pace)
    """When a value that is to be completed has to wait for its turn."""
    gone: str | None = None
    """Id of the object whose last value a subscription tells just now."""
    _loaders: "Loaders | None" = None

    @property
    def loaders(self) -> "Loaders":
        if self._loaders is None:
            self._loaders = self.make_loaders(self)
        return self._loaders

    def renew(self) -> None:
        """Forgets what was loaded: the next event must see the world as it is then."""
        self.forget()
        self.problems = []

    def forget(self) -> None:
        """Lets go of what was loaded: what executes an operation hangs together in circles, in which it would stay
        until the collector comes by."""
        if self._loaders is not None:
            self._loaders.forget()
            self._loaders = None

    def note(self, error: ConnectorError, path: Sequence[str | int] | None = None) -> None:
        """Keeps a failure once per operation, integration and code, with the first path in the answer that met it."""
        place = list(path) if path is not None else None
        same = (getattr(error, "integration", ""), error.code)
        for each in self.problems:
            if (getattr(each.error, "integration", ""), each.error.code) == same:
                if _precedes(place, each.path):
                    each.path = place
                return
        self.problems.append(Problem(error, place))


def _precedes(one: list[str | int] | None, other: list[str | int] | None) -> bool:
    """Whether one of two paths comes first among the objects of a list: joins are not met in the answer's order."""
    for mine, theirs in zip(one or (), other or (), strict=False):
        if isinstance(mine, int) and isinstance(theirs, int) and mine != theirs:
            return mine < theirs
        if mine != theirs:
            return False
    return False
