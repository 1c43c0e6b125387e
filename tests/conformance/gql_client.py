"""gql, the Python client: queries, variables, scalars, batches, subscriptions over both of its WebSocket transports."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import datetime
from typing import Any

import pytest
from gql import Client, GraphQLRequest, gql
from gql.client import AsyncClientSession
from gql.dsl import DSLFragment, DSLQuery, DSLSchema, dsl_gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import TransportQueryError, TransportServerError
from gql.transport.httpx import HTTPXAsyncTransport, HTTPXTransport
from gql.transport.websockets import WebsocketsTransport
from gql.utilities import update_schema_scalar
from graphql import GraphQLError, GraphQLScalarType, lexicographic_sort_schema, print_schema

from tests.conformance.suite import Suite, url, ws_url

check = Suite("gql")
CHANGED = "subscription { vehicleChanged { id name position { recordedAt } } }"


def http(**more: Any) -> Client:
    return Client(transport=AIOHTTPTransport(url=url), **more)


async def first(events: AsyncGenerator[Any, None], count: int) -> list[Any]:
    found = []
    async with aclosing(events):
        async for event in events:
            found.append(event)
            if len(found) == count:
                break
    return found


@check
async def query() -> None:
    """a query over aiohttp"""
    async with http() as session:
        assert await session.execute(gql("{ __typename }")) == {"__typename": "Query"}


@check
async def query_httpx() -> None:
    """a query over httpx, asynchronous and not"""
    async with Client(transport=HTTPXAsyncTransport(url=url)) as session:
        assert await session.execute(gql("{ __typename }")) == {"__typename": "Query"}

    def plainly() -> Any:
        with Client(transport=HTTPXTransport(url=url)) as session:
            return session.execute(gql("{ __typename }"))

    assert await asyncio.to_thread(plainly) == {"__typename": "Query"}


@check
async def variables() -> None:
    """variables of scalars, enumerations, lists and input objects"""
    document = """query Orders($n: Int!, $f: OrderFilter, $o: [OrderOrderBy!]) {
      orders(first: $n, filter: $f, orderBy: $o) { nodes { kind number } }
    }"""
    given = {
        "n": 5,
        "f": {"kinds": ["OUTBOUND_DELIVERY"], "plannedAfter": "2020-01-01T00:00:00+01:00"},
        "o": [{"field": "NUMBER", "direction": "DESC"}],
    }
    async with http() as session:
        request = GraphQLRequest(document, variable_values=given)
        rows = (await session.execute(request))["orders"]["nodes"]
    assert len(rows) == 5
    assert {row["kind"] for row in rows} == {"OUTBOUND_DELIVERY"}
    assert [row["number"] for row in rows] == sorted((row["number"] for row in rows), reverse=True)


@check
async def one_of() -> None:
    """a @oneOf input: exactly one of its fields"""
    document = "query ($by: RecordKey!) { vehicle(by: $by) { id plate } }"
    async with http() as session:
        plates = await session.execute(gql("{ vehicles(first: 50) { nodes { plate } } }"))
        plate = next(row["plate"] for row in plates["vehicles"]["nodes"] if row["plate"])
        request = GraphQLRequest(document, variable_values={"by": {"number": {"number": plate}}})
        assert (await session.execute(request))["vehicle"]["plate"]
        both = {"number": {"number": plate}, "external": {"integration": "fleet", "externalId": "1"}}
        with pytest.raises(TransportQueryError, match=r"[Ee]xactly one"):
            await session.execute(GraphQLRequest(document, variable_values={"by": both}))


@check
async def named() -> None:
    """one of several operations, by its name"""
    document = "query A { a: __typename } query B { b: __typename }"
    async with http() as session:
        assert await session.execute(GraphQLRequest(document, operation_name="B")) == {"b": "Query"}
        with pytest.raises(TransportQueryError) as caught:
            await session.execute(GraphQLRequest(document))
    assert caught.value.errors
    assert caught.value.errors[0]["extensions"]["code"] == "OPERATION_RESOLUTION_FAILURE"


@check
async def faults() -> None:
    """errors have codes and places"""
    async with http() as session:
        with pytest.raises(TransportQueryError) as caught:
            await session.execute(gql("{ nothing }"))
        assert caught.value.errors
        [error] = caught.value.errors
        assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
        assert error["locations"] == [{"line": 2, "column": 3}], "gql sends the document as it prints it"
        with pytest.raises(TransportQueryError) as caught:
            await session.execute(gql('{ a: __typename node(id: "nonsense") { id } }'))
        assert caught.value.errors
        [error] = caught.value.errors
        assert (error["path"], error["extensions"]["code"]) == (["node"], "BAD_USER_INPUT")
        assert caught.value.data == {"a": "Query", "node": None}


@check
async def schema() -> None:
    """the schema is introspected; documents are checked against it before they are sent"""
    async with http(fetch_schema_from_transport=True) as session:
        assert session.client.schema is not None
        with pytest.raises(GraphQLError, match="Cannot query field 'nothing' on type 'Query'"):
            await session.execute(gql("{ nothing }"))
        assert session.client.introspection is not None
        again = Client(introspection=session.client.introspection)
        assert again.schema is not None
        told, built = (print_schema(lexicographic_sort_schema(each)) for each in (session.client.schema, again.schema))
        assert told == built


@check
async def scalars() -> None:
    """our scalars are read and written by the client's own"""
    moment = GraphQLScalarType(
        "DateTime", serialize=lambda value: value.isoformat(), parse_value=lambda text: datetime.fromisoformat(text)
    )
    async with http(fetch_schema_from_transport=True, serialize_variables=True, parse_results=True) as session:
        assert session.client.schema is not None
        update_schema_scalar(session.client.schema, "DateTime", moment)
        document = "query ($f: OrderFilter) { orders(first: 3, filter: $f) { nodes { source { asOf } } } }"
        after = datetime.fromisoformat("2020-01-01T00:00:00+00:00")
        answer = await session.execute(GraphQLRequest(document, variable_values={"f": {"plannedAfter": after}}))
    read = [row["source"]["asOf"] for row in answer["orders"]["nodes"]]
    assert len(read) == 3
    assert all(isinstance(each, datetime) and each.tzinfo is not None for each in read)


@check
async def composed() -> None:
    """documents that are composed of the schema (DSL), with fragments and aliases"""
    async with http(fetch_schema_from_transport=True) as session:
        assert session.client.schema is not None
        ds = DSLSchema(session.client.schema)
        short = DSLFragment("Short").on(ds.Item).select(ds.Item.id, ds.Item.number)
        rows = ds.Query.items(first=2).select(nodes=ds.ItemConnection.nodes.select(short))
        answer = await session.execute(dsl_gql(short, DSLQuery(parts=rows)))
    assert [sorted(row) for row in answer["parts"]["nodes"]] == [["id", "number"]] * 2


@check
async def batch() -> None:
    """a batch of ten, answered in its order; one that fails costs the others nothing"""
    async with http() as session:
        requests = [GraphQLRequest(f"{{ a{n}: __typename }}") for n in range(10)]
        assert await session.execute_batch(requests) == [{f"a{n}": "Query"} for n in range(10)]
        requests[3] = GraphQLRequest("{ nothing }")
        answers = await session.transport.execute_batch(requests)  # the session raises for the first that fails
    assert [answer.errors is None for answer in answers] == [n != 3 for n in range(10)]
    assert answers[3].errors
    assert answers[3].errors[0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


@check
async def large_batch() -> None:
    """a batch of eleven is refused, with the limit"""
    async with http() as session:
        with pytest.raises(TransportServerError) as caught:
            await session.execute_batch([GraphQLRequest("{ __typename }")] * 11)
    assert caught.value.code == 400


@check
async def gathered() -> None:
    """what is asked at once is batched by the client itself"""
    async with http(batch_interval=0.05, batch_max=10) as session:
        documents = [gql(f"{{ a{n}: __typename }}") for n in range(25)]
        answers = await asyncio.gather(*(session.execute(each) for each in documents))
    assert answers == [{f"a{n}": "Query"} for n in range(25)]


SOCKETS: dict[str, Callable[[], Any]] = {
    # that library stops reading at 16 unread messages, and then waits ten seconds for the close frame behind them
    "websockets": lambda: WebsocketsTransport(url=ws_url, connect_args={"max_queue": None}),
    "aiohttp": lambda: AIOHTTPWebsocketsTransport(url=ws_url),
}


def on_sockets(told: str, body: Callable[[Any], Awaitable[None]]) -> None:
    """A check with each of the two WebSocket transports."""
    for name, transport in SOCKETS.items():

        async def both(transport: Callable[[], Any] = transport) -> None:
            async with Client(transport=transport()) as session:
                await body(session)

        both.__doc__ = f"{told}, over {name}"
        check(both)


async def socket_query(session: AsyncClientSession) -> None:
    assert await session.execute(gql("{ __typename }")) == {"__typename": "Query"}


async def subscription(session: AsyncClientSession) -> None:
    answers = await first(session.subscribe(gql(CHANGED)), 3)
    assert len(answers) == 3
    assert all(answer["vehicleChanged"]["id"] for answer in answers)


async def filtered(session: AsyncClientSession) -> None:
    one = await first(session.subscribe(gql(CHANGED)), 1)
    wanted = one[0]["vehicleChanged"]["id"]
    document = "subscription ($f: VehicleFilter) { vehicleChanged(filter: $f) { id } }"
    request = GraphQLRequest(document, variable_values={"f": {"ids": [wanted]}})
    assert await first(session.subscribe(request), 1) == [{"vehicleChanged": {"id": wanted}}]


async def together(session: AsyncClientSession) -> None:
    async def streams(field: str) -> list[Any]:
        return await first(session.subscribe(gql(f"subscription {{ {field} {{ id }} }}")), 2)

    found = await asyncio.gather(
        streams("vehicleChanged"),
        streams("equipmentChanged"),
        *(session.execute(gql(f"{{ a{n}: __typename }}")) for n in range(5)),
    )
    assert [len(each) for each in found[:2]] == [2, 2]
    assert found[2:] == [{f"a{n}": "Query"} for n in range(5)]


async def survives(session: AsyncClientSession) -> None:
    for document, code in (
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ('subscription { vehicleChanged(sources: ["nobody"]) { id } }', "BAD_USER_INPUT"),
    ):
        with pytest.raises(TransportQueryError) as caught:
            await first(session.subscribe(gql(document)), 1)
        assert caught.value.errors
        assert caught.value.errors[0]["extensions"]["code"] == code
    assert await session.execute(gql("{ __typename }")) == {"__typename": "Query"}


on_sockets("a query", socket_query)
on_sockets("a subscription that is ended", subscription)
on_sockets("a subscription with variables", filtered)
on_sockets("subscriptions and queries side by side", together)
on_sockets("a fault ends its own operation only", survives)


@check
async def pings() -> None:
    """pings and pongs keep a silent subscription open"""
    transport = WebsocketsTransport(
        url=ws_url, init_payload={"client": "conformance"}, ping_interval=0.1, pong_timeout=2
    )
    async with Client(transport=transport) as session:
        silent = asyncio.create_task(
            first(session.subscribe(gql('subscription { missionChanged(filter: { ids: ["x"] }) { id } }')), 1)
        )
        await asyncio.sleep(1.0)
        assert not silent.done()
        assert "pong" in transport.payloads, transport.payloads
        silent.cancel()
        await asyncio.gather(silent, return_exceptions=True)
        assert await session.execute(gql("{ __typename }")) == {"__typename": "Query"}


if __name__ == "__main__":
    check.run()
