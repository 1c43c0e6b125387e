"""A graph over real connectors and the sandbox's stand-ins, in process: no socket, no waiting."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from connectors.kit.integration import Integration, Secret
from connectors.kit.protocols import IdentitySource
from connectors.kit.registry import connector_class
from connectors.kit.services import Services
from graph.schema import make_schema
from resolvers.context import Context
from resolvers.crosswalk import Link
from resolvers.loaders import Loaders
from resolvers.sources import Handle, Sources
from sandbox import octoprint, tak, teamcenter
from sandbox.registry import application
from sandbox.standin import StandIn
from sandbox.world import World
from tests.connectors.contract import FakeClock, Lines
from unified.events import Event
from unified.keys import Subject
from unified.records import Kind, Record
from unified.values import System


@dataclass(frozen=True)
class Anybody:
    subject: str = "tester"
    organisation: str = "default"
    scopes: frozenset[str] = frozenset({"read"})


@dataclass
class Still:
    """A live plane in which nothing happens but what a test puts in."""

    now: list[Record] = field(default_factory=list)
    coming: list[Event] = field(default_factory=list)

    async def snapshot(self, kind: Kind, ids: Sequence[str] | None) -> list[Record]:
        return [record for record in self.now if record.kind is kind and (ids is None or record.id in ids)]

    @asynccontextmanager
    async def subscribe(self, kinds: Sequence[Kind]) -> AsyncIterator[AsyncIterator[Event]]:
        async def events() -> AsyncIterator[Event]:
            for event in self.coming:
                yield event

        yield events()


@dataclass
class Graph:
    sources: Sources
    world: World
    clock: FakeClock
    stand_ins: dict[str, StandIn]
    live: Still
    reported: list[BaseException]
    schema: Any

    def context(self) -> Context:
        return Context(
            principal=Anybody(),
            sources=self.sources,
            live=self.live,
            cursor_key=b"k" * 32,
            make_loaders=Loaders,
        )

    async def ask(self, document: str, **variables: Any) -> Any:
        return await self.schema.execute(document, variable_values=variables, context_value=self.context())

    def calls(self) -> dict[str, int]:
        """Requests per stand-in since the last `forget`."""
        return {name: one.faults.total_calls() for name, one in self.stand_ins.items() if one.faults.total_calls()}

    def forget(self) -> None:
        for one in self.stand_ins.values():
            one.faults.calls.clear()


@asynccontextmanager
async def graph_over_the_sandbox() -> AsyncIterator[Graph]:
    clock = FakeClock()
    world = World(clock.now)
    plm, printers, command = teamcenter.create(world), octoprint.create(world), tak.create(world)
    stand_ins: list[StandIn] = [plm, *printers, command]
    app = application([plm, *printers])
    services = Services(transport=httpx.ASGITransport(app=app), clock=clock, log=Lines())
    integrations = [
        Integration(
            key="plm",
            system=System.TEAMCENTER,
            base_url="http://vendor/teamcenter",
            credentials={"user": Secret("sandbox"), "password": Secret("sandbox-teamcenter")},
            settings={"time_zone": "Africa/Lagos"},
            masters=frozenset({"ITEM"}),
        ),
        Integration(
            key="workshop",
            system=System.EQUIPMENT,
            credentials={each.printer.id: Secret(each.printer.api_key) for each in printers},
            settings={
                "machines": [
                    {
                        "id": each.printer.id,
                        "name": each.printer.name,
                        "url": f"http://vendor/{each.name}",
                        "api_key": each.printer.id,
                    }
                    for each in printers
                ]
            },
        ),
    ]
    handles = [
        Handle(one, connector_class(one.system)(one, services), position) for position, one in enumerate(integrations)
    ]
    tak_one = Integration(
        key="tak",
        system=System.C4ISR,
        base_url="https://vendor",
        credentials={"mission_password": Secret("sandbox-mission")},
    )
    tak_services = Services(transport=httpx.ASGITransport(app=command.app), clock=clock, log=Lines())
    handles.append(Handle(tak_one, connector_class(tak_one.system)(tak_one, tak_services), 2))
    links = [Link(Subject.ITEM, (("ewm-west", sap_number), ("plm", number))) for sap_number, number in world.item_links]
    sources = Sources("default", handles, links)
    for handle in handles:
        if isinstance(handle.connector, IdentitySource):
            sources.crosswalk.replace(handle.key, [each async for each in handle.connector.identities()])
    reported: list[BaseException] = []
    schema = make_schema(lambda _, error: reported.append(error))
    graph = Graph(sources, world, clock, {one.name: one for one in stand_ins}, Still(), reported, schema)
    graph.forget()
    try:
        yield graph
    finally:
        for handle in handles:
            await handle.connector.aclose()
