"""A loader, and the ways in which one asks many integrations at once.

A failure that costs a key its value stands in the key's slot. One that costs only some of its rows, because other
integrations answered, goes into `failures`: the field that asked tells it, once.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from contextlib import aclosing
from functools import partial
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar

from aiodataloader import DataLoader, dispatch_queue
from aiodataloader import Loader as Wanted

from connectors.kit.errors import ConnectorError, NotFound
from connectors.kit.pace import Pace
from connectors.kit.paging import blocks, pages
from resolvers.sources import Asked, Handle, Sources, ask
from resolvers.tally import Explanation, Needed, already, current_tally
from unified.queries import ListQuery

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

NAMED = 50
"""Values that a filter names at once: they travel in one URL."""


class Home(NamedTuple):
    """How a loader asks the integration that its keys belong to, for those who tell its calls before."""

    method: str
    given: frozenset[str] = frozenset()
    """Of a list: the filter's fields that name the keys."""
    size: int | None = None
    """Keys in one block; null: the vendor's batch size."""
    apart: bool = False
    """Whether some of the keys are never asked together."""


class Found(dict[K, V | Exception], Generic[K, V]):
    """What a batch found, by key; a key that is absent loads the default."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[ConnectorError] = []

    def settle(self, asked: Sequence[Asked[Any]], keys: Iterable[K]) -> None:
        """Where every integration failed nothing is known of the keys; where some did, rows are missing."""
        failed = [(each, error) for each in asked if (error := failure(each)) is not None]
        if failed and len(failed) == len(asked) and all(each.value is None for each, _ in failed):
            self.update(dict.fromkeys(keys, failed[0][1]))
        self.failures += [error for _, error in failed]


class Loader(DataLoader[Any, Any], Generic[K, V]):
    """A DataLoader over a function that gives `Found`."""

    def __init__(
        self, batch: Callable[[list[K]], Awaitable[Found[K, V]]], default: Any = None, pace: Pace | None = None
    ) -> None:
        """`pace`: of the operation. A batch waits until nothing of it waits for its turn, so that a list whose values
        are completed in several rounds is asked for as one that is completed in one."""
        super().__init__()
        self._batch, self._default, self._pace = batch, default, pace or Pace()
        self.failures: list[ConnectorError] = []
        """Of integrations whose rows are missing in what was loaded, until somebody tells them."""

    def do_resolve_reject(self, key: K, future: "asyncio.Future[Any]") -> None:
        self._queue.append(Wanted(key=key, future=future))
        if len(self._queue) == 1:
            self.loop.call_soon(asyncio.ensure_future, self._dispatch())

    async def _dispatch(self) -> None:
        await self._pace.settled()
        dispatch_queue(self)

    async def batch_load_fn(self, keys: list[K]) -> list[Any]:
        found = await self._batch(keys)
        self.failures += found.failures
        return [found.get(key, self._default) for key in keys]

    async def load_each(self, keys: Iterable[K]) -> list[V | ConnectorError | None]:
        """The values of the keys, or their vendors' errors, in order. Raises what is a bug of ours."""
        return await settled(self.load(key) for key in keys)


class ExplainedLoader(Loader[K, V]):
    """Tells an explanation for which fields it asks."""

    def __init__(
        self, batch: Callable[[list[K]], Awaitable[Found[K, V]]], default: Any, pace: Pace, explanation: Explanation
    ) -> None:
        super().__init__(batch, default, pace)
        self._explanation, self._needed = explanation, Needed()

    def load(self, key: K) -> Any:
        if key in self._cache:
            already(self._explanation)
        else:
            self._needed.note(key)
        return super().load(key)

    async def batch_load_fn(self, keys: list[K]) -> list[Any]:
        with self._needed.batch():
            return await super().batch_load_fn(keys)


class Loads(Generic[K, V]):
    """Turns a batch method into the loader of its name, made on first use."""

    def __init__(self, batch: Callable[[Any, list[K]], Awaitable[Found[K, V]]], default: Any = None) -> None:
        self._batch, self._default = batch, default
        self.home: Home | None = getattr(batch, "home", None)
        self.__doc__ = batch.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, loaders: Any, owner: type | None = None) -> Loader[K, V]:
        batch, tally = partial(self._batch, loaders), current_tally.get()
        made: Loader[K, V]
        if isinstance(tally, Explanation):
            made = ExplainedLoader(batch, self._default, loaders.pace, tally)
        else:
            made = Loader(batch, self._default, loaders.pace)
        loaders.__dict__[self._name] = made
        return made


def many(batch: Callable[[Any, list[K]], Awaitable[Found[K, V]]]) -> Loads[K, V]:
    """A loader of lists: nothing found is the empty list."""
    return Loads(batch, ())


def failure(asked: Asked[Any]) -> ConnectorError | None:
    """The error of an answer, unless it says that there is nothing."""
    return None if isinstance(asked.error, NotFound) else asked.error


async def at_home(
    sources: Sources,
    keys: Iterable[K],
    method: str | Callable[[K], str],
    call: Callable[[Any, Sequence[K]], Awaitable[Iterable[tuple[K, V]]]],
    *,
    home: Callable[[K], str] = attrgetter("integration"),
    apart: Callable[[K], Hashable] = lambda key: None,
    size: int | None = None,
) -> Found[K, V]:
    """Asks for each key the integration that it belongs to, all at once, in blocks of the vendor's batch size.

    Keys whose `apart` differs are never asked together; those that are share a method. An integration without the
    method knows nothing.
    """
    groups: dict[tuple[str, Hashable], list[K]] = defaultdict(list)
    for key in keys:
        groups[home(key), apart(key)].append(key)
    found: Found[K, V] = Found()

    async def read(handle: Handle, name: str, block: Sequence[K]) -> None:
        asked = await ask(handle, lambda connector: call(connector, block), method=name, keys=block)
        error = failure(asked)
        found.update(dict.fromkeys(block, error) if error is not None else asked.value or ())

    await asyncio.gather(
        *(
            read(handle, name, block)
            for (integration, _), group in groups.items()
            if (handle := sources.handles.get(integration)) is not None
            and hasattr(handle.connector, name := method if isinstance(method, str) else method(group[0]))
            for block in blocks(group, size or handle.connector.manifest.batch_size)
        )
    )
    return found


async def settled(futures: Iterable[Awaitable[V]]) -> list[V | ConnectorError]:
    """What other loaders give, or their vendors' errors, in order. Raises what is a bug of ours."""
    values = await asyncio.gather(*futures, return_exceptions=True)
    for value in values:
        if isinstance(value, BaseException) and not isinstance(value, ConnectorError):
            raise value
    return values  # type: ignore[return-value]


def first(found: Found[K, list[Any]]) -> Found[K, Any]:
    """The first row of each list."""
    for key, rows in list(found.items()):
        if not isinstance(rows, Exception):
            if rows:
                found[key] = rows[0]
            else:
                del found[key]
    return found


async def collect(method: Any, query: ListQuery[Any], most: int) -> tuple[list[Any], bool]:
    """The pages of a list, and whether it goes on beyond `most` rows."""
    rows: list[Any] = []
    async with aclosing(pages(lambda cursor: method(query, cursor))) as walk:
        async for page in walk:
            rows += page.records
            if len(rows) >= most:
                return rows, page.next is not None
    return rows, False
