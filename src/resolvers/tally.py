"""The calls to vendors that an operation has made; and, for those who ask, which field needed which of them.

A tally is current while an operation, or one event of a subscription, runs; `sources.ask` notes into it. Nothing is
recorded per field unless the tally is an `Explanation`.
"""

import contextvars
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from connectors.kit.services import Reading
from unified.values import System

if TYPE_CHECKING:
    from resolvers.sources import Asked

EXPLAINED_MOST = 1_000
"""Answers of integrations that an explanation tells apart; of further ones only the number."""
FIELDS_MOST = 20
"""Fields that one answer is told for."""


class Spent(msgspec.Struct):
    """Calls to one integration: without repetitions and log-ins, which stand beside them."""

    calls: int = 0
    retries: int = 0
    logins: int = 0


class Tally:
    """Counts calls by integration. `limit`: calls after which no vendor is asked any more; null for none."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.spent: defaultdict[str, Spent] = defaultdict(Spent)
        self._total = 0

    @property
    def exhausted(self) -> bool:
        return self.limit is not None and self._total >= self.limit

    def add(
        self, asked: "Asked[Any]", method: str, keys: Sequence[Any] | None, path: Sequence[str | int] | None
    ) -> None:
        """One answer of one integration to `method`; `keys` were asked for, or a list, by the field at `path`."""
        del method, keys, path
        reading = asked.reading
        if reading.calls:
            spent = self.spent[asked.handle.key]
            spent.calls += reading.first_calls
            spent.retries += reading.retries
            spent.logins += reading.logins
            self._total += reading.first_calls


current_tally: contextvars.ContextVar[Tally | None] = contextvars.ContextVar("tally", default=None)


class Cause(NamedTuple):
    """For which fields a loader is asked, or works. `by_key` of a loader at work: who asked for which key."""

    fields: tuple[str, ...] = ()
    by_key: Mapping[Any, str] | None = None


_cause: contextvars.ContextVar[Cause] = contextvars.ContextVar("cause", default=Cause())  # noqa: B039 - immutable


@contextmanager
def counting(tally: Tally) -> Iterator[None]:
    """Makes the tally current. Not across a `yield` of a generator: whoever drives it has a context of its own."""
    token = current_tally.set(tally)
    try:
        yield
    finally:
        current_tally.reset(token)


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of one integration, and what it took. `keys` null: a list. `age_seconds`: of the last good answer that
    stood in for the vendor. `error` is a code."""

    fields: tuple[str, ...]
    integration: str
    system: System
    method: str
    keys: int | None
    reading: Reading
    milliseconds: int
    breaker: str
    age_seconds: float | None
    error: str | None


class Explanation(Tally):
    """Tells the calls by the field that needed them. Neither addresses nor what vendors said are in it."""

    def __init__(self, limit: int | None = None) -> None:
        super().__init__(limit)
        self.answers: list[Explained] = []
        self.known: defaultdict[str, int] = defaultdict(int)
        """Field → things that it needed and that had been read for another one."""
        self.left = 0
        """Answers beyond `EXPLAINED_MOST`."""

    def add(
        self, asked: "Asked[Any]", method: str, keys: Sequence[Any] | None, path: Sequence[str | int] | None
    ) -> None:
        super().add(asked, method, keys, path)
        if len(self.answers) >= EXPLAINED_MOST:
            self.left += 1
            return
        handle, reading, as_of = asked.handle, asked.reading, asked.reading.stale_as_of
        services = handle.connector.services
        self.answers.append(
            Explained(
                fields=(pattern(path),) if path is not None else _fields_of(keys or ()),
                integration=handle.key,
                system=handle.integration.system,
                method=method,
                keys=None if keys is None else len(keys),
                reading=reading,
                milliseconds=asked.latency_ms,
                breaker=services.vitals.breaker(handle.key),
                age_seconds=None if as_of is None else (services.clock.now() - as_of).total_seconds(),
                error=None if asked.error is None else asked.error.code,
            )
        )


def _fields_of(keys: Sequence[Any]) -> tuple[str, ...]:
    """The fields that asked for these keys; all that the loader works for where the keys are others by now."""
    cause = _cause.get()
    told = dict.fromkeys(field for key in keys if (field := (cause.by_key or {}).get(key)) is not None)
    return tuple(told)[:FIELDS_MOST] or cause.fields


def pattern(path: Iterable[str | int]) -> str:
    """A path in an answer without its indices: `orders.nodes.lines.item`."""
    return ".".join(each for each in path if isinstance(each, str))


class Needed:
    """Which fields wait for the next batch of a loader, and for which keys."""

    def __init__(self) -> None:
        self._fields: dict[str, None] = {}
        self._by_key: dict[Any, str] = {}

    def note(self, key: Any) -> None:
        """Somebody asks the loader for a key: a field, or another loader at work for some."""
        cause = _cause.get()
        for field in cause.fields:
            if len(self._fields) < FIELDS_MOST:
                self._fields[field] = None
        if len(cause.fields) == 1:
            self._by_key[key] = cause.fields[0]

    @contextmanager
    def batch(self) -> Iterator[None]:
        """The batch begins: what is asked of vendors meanwhile is for those that waited."""
        token = _cause.set(Cause(tuple(self._fields), self._by_key))
        self._fields, self._by_key = {}, {}
        try:
            yield
        finally:
            _cause.reset(token)


@contextmanager
def asking(path: Sequence[str | int] | None) -> Iterator[None]:
    """What is asked of loaders meanwhile is for the field at the path."""
    token = _cause.set(Cause() if path is None else Cause((pattern(path),)))
    try:
        yield
    finally:
        _cause.reset(token)


def already(explanation: Explanation) -> None:
    """What a field asks for has been asked for, by itself or another."""
    cause = _cause.get()
    if cause.by_key is None:  # not what loaders ask of one another
        for field in cause.fields:
            explanation.known[field] += 1
