"""Federated tracing (Apollo's `ftv1`): tells a gateway how long each field took, in `extensions.ftv1`.

The answer's extension is a message `Trace` of Apollo's reports.proto, in Base64. Only the fields of it that a subgraph
fills are written: times, types, errors. Operations that are not traced are executed without any of this.
"""

import base64
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from inspect import isawaitable
from typing import Any

import msgspec
from graphql import GraphQLError, GraphQLResolveInfo, MiddlewareManager

Path = tuple[str | int, ...]


class _Field(msgspec.Struct, kw_only=True):
    parent: str
    type: str
    name: str
    start: int
    end: int


class FederatedTrace:
    """Of one operation. `middleware` is given to the execution; `told` is the extension once it has ended."""

    def __init__(self, clock: Callable[[], int] = time.perf_counter_ns, now: Callable[[], int] = time.time_ns) -> None:
        self._clock, self._now = clock, now
        self._started, self._start = now(), clock()
        self._fields: dict[Path, _Field] = {}
        self.middleware = MiddlewareManager(self)

    def resolve(self, resolve: Callable[..., Any], root: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        """Resolves a field (graphql-core calls it by this name)."""
        start = self._clock() - self._start
        field = _Field(
            parent=info.parent_type.name, type=str(info.return_type), name=info.field_name, start=start, end=start
        )
        self._fields[tuple(info.path.as_list())] = field
        value: Any = None
        try:
            value = resolve(root, info, **arguments)
        finally:
            if not isawaitable(value):
                field.end = self._clock() - self._start
        return self._awaited(value, field) if isawaitable(value) else value

    async def _awaited(self, value: Awaitable[Any], field: _Field) -> Any:
        try:
            return await value
        finally:
            field.end = self._clock() - self._start

    def told(self, errors: Sequence[GraphQLError]) -> str:
        """The extension. `errors` are those of the answer, fit to show."""
        children: dict[Path, list[Path]] = {}
        failed: dict[Path, list[GraphQLError]] = {}
        known: set[Path] = set()
        for error in errors:
            failed.setdefault(self._near(tuple(error.path or ())), []).append(error)
        for path in self._fields:
            while path and path not in known:
                known.add(path)
                children.setdefault(path[:-1], []).append(path)
                path = path[:-1]  # items of lists, which are no fields, have nodes too
        duration = self._clock() - self._start
        trace = b"".join(
            (
                _bytes(4, _moment(self._started)),
                _bytes(3, _moment(self._started + duration)),
                _number(11, duration),
                _bytes(14, self._node((), children, failed)),
            )
        )
        return base64.b64encode(trace).decode()

    def _near(self, path: Path) -> Path:
        """The node that an error belongs to: its own, or the closest around it."""
        while path and path not in self._fields:
            path = path[:-1]
        return path

    def _node(self, path: Path, children: dict[Path, list[Path]], failed: dict[Path, list[GraphQLError]]) -> bytes:
        parts: list[bytes] = []
        if path:
            last = path[-1]
            # an index may be 0, which a plain field of the protocol would not write
            parts.append(_key(2, 0) + _varint(last) if isinstance(last, int) else _text(1, last))
        field = self._fields.get(path)
        if field is not None:
            parts += [_text(3, field.type), _text(13, field.parent), _number(8, field.start), _number(9, field.end)]
            if field.name != path[-1]:
                parts.append(_text(14, field.name))
        parts += [_bytes(11, _error(error)) for error in failed.get(path, ())]
        parts += [_bytes(12, self._node(child, children, failed)) for child in children.get(path, ())]
        return b"".join(parts)


def _error(error: GraphQLError) -> bytes:
    places = b"".join(_bytes(2, _number(1, place.line) + _number(2, place.column)) for place in error.locations or ())
    return _text(1, error.message) + places + _text(4, msgspec.json.encode(error.formatted).decode())


def _moment(nanoseconds: int) -> bytes:
    """google.protobuf.Timestamp."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return _number(1, seconds) + _number(2, rest)


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _bytes(field: int, content: bytes) -> bytes:
    return _key(field, 2) + _varint(len(content)) + content


def _number(field: int, value: int) -> bytes:
    return _key(field, 0) + _varint(value) if value else b""


def _key(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _varint(value: int) -> bytes:
    return bytes(_groups(value))


def _groups(value: int) -> Iterator[int]:
    """Seven bits each, the lowest first; all but the last are marked."""
    while value > 0x7F:
        yield value & 0x7F | 0x80
        value >>= 7
    yield value
