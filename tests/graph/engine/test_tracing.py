"""Federated tracing, read back with a reader of protocol buffers that knows nothing of the writer."""

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import strawberry
from graphql import ExecutionResult, GraphQLError, execute, parse

from graph.engine.tracing import FederatedTrace


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field on the wire."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            assert key & 7 == 2
            length = varint()
            yield key >> 3, message[at : at + length]
            at += length


def node(message: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {"children": [], "errors": []}
    for number, value in fields(message):
        match number:
            case 1 | 3 | 13 | 14:
                found[{1: "name", 3: "type", 13: "parent", 14: "field"}[number]] = value.decode()
            case 2 | 8 | 9:
                found[{2: "index", 8: "start", 9: "end"}[number]] = value
            case 11:
                found["errors"].append(dict(fields(value))[1].decode())
            case 12:
                found["children"].append(node(value))
    return found


@strawberry.type
class Row:
    n: int

    @strawberry.field
    async def slow(self) -> int:
        await asyncio.sleep(0)
        return self.n


@strawberry.type
class Query:
    @strawberry.field
    def rows(self) -> list[Row]:
        return [Row(n=0), Row(n=1)]

    @strawberry.field
    def broken(self) -> int | None:
        raise ValueError("secret")


SCHEMA = strawberry.Schema(query=Query)._schema


async def test_each_field_has_its_place_its_types_and_its_times() -> None:
    ticks = iter(range(0, 10_000_000, 1_000))
    trace = FederatedTrace(clock=lambda: next(ticks), now=lambda: 1_700_000_000_123_456_789)
    running = execute(SCHEMA, parse("{ all: rows { n slow } broken }"), middleware=trace.middleware)
    assert not isinstance(running, ExecutionResult)
    result = await running
    assert result.data == {"all": [{"n": 0, "slow": 0}, {"n": 1, "slow": 1}], "broken": None}
    assert result.errors
    shown = GraphQLError("Internal error", path=result.errors[0].path)
    message = dict(fields(base64.b64decode(trace.told([shown, GraphQLError("everywhere")]))))
    begun, ended = dict(fields(message[4])), dict(fields(message[3]))
    assert begun == {1: 1_700_000_000, 2: 123_456_789}
    assert ended[2] - begun[2] == message[11] > 0
    root = node(message[14])
    assert root["errors"] == ["everywhere"]
    rows, broken = root["children"]
    assert (rows["name"], rows["field"], rows["type"], rows["parent"]) == ("all", "rows", "[Row!]!", "Query")
    assert (broken["name"], broken["errors"], "field" in broken) == ("broken", ["Internal error"], False)
    assert [each["index"] for each in rows["children"]] == [0, 1]
    for item in rows["children"]:
        n, slow = item["children"]
        assert (n["name"], n["type"], n["parent"]) == ("n", "Int!", "Row")
        assert slow["name"] == "slow"
        assert 0 < n["start"] < n["end"] < message[11]
        assert slow["end"] - slow["start"] > n["end"] - n["start"], "others ran while it was waited for"
    assert base64.b64decode(trace.told([])).find(b"secret") == -1
