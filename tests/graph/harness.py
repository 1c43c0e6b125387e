"""A graph over all six vendor systems, in process: wired as `crossdock.sandbox.toml` says, over the sandbox's
stand-ins, with a clock that stands still. No socket, no waiting.

The world never changes, so it is built once; what each integration knows (the crosswalk) is asked once, too.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from msgspec.structs import replace

from connectors.kit.protocols import Identity, IdentitySource
from connectors.kit.services import Services
from graph.engine.execution import Answer, Engine, RequestRefused, refused
from graph.engine.limits import Limits
from graph.engine.request import GraphQLRequest
from graph.schema import make_schema
from resolvers.context import Context
from resolvers.loaders import Loaders
from resolvers.sources import Sources
from runtime.bus import MemoryBus
from runtime.settings import load as load_settings
from sandbox.registry import application, load
from sandbox.standin import StandIn
from sandbox.world import World
from server.wiring import connect
from tests.connectors.contract import FakeClock, Lines
from unified.events import Event
from unified.records import Kind, Record

SIX = ("ewm-west", "ewm-north", "plm", "workshop", "tak", "uber", "fleet")
"""Integrations of the sandbox that are joined here; others may be added to it."""
MODULES = ("sap_ewm", "teamcenter", "octoprint", "tak", "uber", "traccar")
CONFIG = Path(__file__).parents[2] / "crossdock.sandbox.toml"


@dataclass(frozen=True)
class Anybody:
    subject: str = "tester"
    organisation: str = "default"
    scopes: frozenset[str] = frozenset({"read"})


@dataclass
class Still:
    """A live plane over the real bus, with a snapshot that a test fills. `read` is told of each look at it."""

    now: list[Record] = field(default_factory=list)
    bus: MemoryBus = field(default_factory=MemoryBus)
    before_snapshot: list[Event] = field(default_factory=list)
    """Published while the snapshot is being read: what a gap would lose."""

    async def snapshot(self, kind: Kind, ids: Sequence[str] | None) -> list[Record]:
        found = [record for record in self.now if record.kind is kind and (ids is None or record.id in ids)]
        if self.before_snapshot:
            await self.publish(kind, *self.before_snapshot)
        return found

    def subscribe(self, kinds: Sequence[Kind]) -> Any:
        return self.bus.subscribe([kind.value for kind in kinds], limit=50)

    async def publish(self, kind: Kind, *events: Event) -> None:
        await self.bus.publish(kind.value, events)


@dataclass
class Graph:
    sources: Sources
    world: World
    clock: FakeClock
    stand_ins: dict[str, StandIn]
    live: Still
    reported: list[BaseException]
    engine: Engine

    def context(self) -> Context:
        return Context(
            principal=Anybody(),
            sources=self.sources,
            live=self.live,
            cursor_key=b"k" * 32,
            make_loaders=Loaders,
        )

    async def ask(self, document: str, **variables: Any) -> Any:
        """The one answer to a document."""
        async with aclosing(self.follow(document, **variables)) as answers:
            return await anext(answers)

    async def follow(self, document: str, **variables: Any) -> AsyncGenerator[Answer, None]:
        """The answers to a document, as a transport would have them."""
        context, request = self.context(), GraphQLRequest(query=document, variables=variables, cost=True)
        try:
            prepared, operation = await self.engine.prepare(request, context)
        except RequestRefused as fault:
            yield refused(fault)
            return
        async with aclosing(self.engine.stream(request, prepared, operation, context)) as answers:
            async for answer in answers:
                yield self._priced(answer)

    @staticmethod
    def _priced(answer: Answer) -> Answer:
        """Without its cost, once no integration was called more often than was told before it ran."""
        extensions = dict(answer.extensions or {})
        cost = extensions.pop("cost", {"vendorCalls": []})  # none for a subscription that did not open
        over = [each for each in cost["vendorCalls"] if each["actual"] > each["atMost"]]
        assert not over, f"more vendor calls than the bound: {over}"
        return replace(answer, extensions=extensions or None)

    async def data(self, document: str, **variables: Any) -> Any:
        """What a query without errors gives."""
        result = await self.ask(document, **variables)
        assert result.errors is None, [e.formatted for e in result.errors][:2]
        return result.data

    async def errors(self, document: str, **variables: Any) -> list[dict[str, Any]]:
        """The errors as a client sees them, without their places in the document."""
        result = await self.ask(document, **variables)
        return [{key: value for key, value in each.formatted.items() if key != "locations"} for each in result.errors]

    def calls(self) -> dict[str, int]:
        """Requests per stand-in since the last `forget`."""
        return {name: one.faults.total_calls() for name, one in self.stand_ins.items() if one.faults.total_calls()}

    def calls_by_path(self) -> Counter[str]:
        """Requests per stand-in and path, shortened to its last part: `teamcenter expandPSAllLevels`."""
        found: Counter[str] = Counter()
        for name, one in self.stand_ins.items():
            for (_, template), count in one.faults.calls.items():
                found[f"{name} {template.rsplit('/', 1)[-1]}"] += count
        return found

    def forget(self) -> None:
        for one in self.stand_ins.values():
            one.faults.calls.clear()
            one.faults.recent.clear()

    def faults(self, name: str) -> Any:
        return self.stand_ins[name].faults


@cache
def _world() -> tuple[World, list[FakeClock]]:
    """The world, and the clock that it follows: that of the graph made last."""
    clocks = [FakeClock()]
    return World(lambda: clocks[-1].now()), clocks


_known: dict[tuple[str, ...], dict[str, list[Identity]]] = {}
"""What each integration knows: it never changes, so it is asked once per process, by connectors of its own."""


async def _index(sources: Sources) -> dict[str, list[Identity]]:
    known: dict[str, list[Identity]] = {}
    for handle in sources:
        if isinstance(handle.connector, IdentitySource):
            known[handle.key] = [each async for each in handle.connector.identities()]
            sources.crosswalk.replace(handle.key, known[handle.key])
    return known


@asynccontextmanager
async def graph_over_the_sandbox(
    *,
    indexed: bool = True,
    afresh: bool = False,
    deadlines: Mapping[str, float] | None = None,
    integrations: tuple[str, ...] = SIX,
    modules: Sequence[str] = MODULES,
) -> AsyncIterator[Graph]:
    """`indexed` false: no index ran yet. `afresh`: the index is read by these very connectors, which learn from it.
    `deadlines`: seconds by integration. `integrations` of the sandbox, and the `modules` of their stand-ins."""
    clock = FakeClock()
    world, clocks = _world()
    clocks[:] = [clock]
    stand_ins = {one.name: one for one in load(world, {}, modules=modules)}
    app = application(list(stand_ins.values()))
    settings = load_settings(CONFIG, {})
    own = deadlines or {}
    settings = replace(
        settings,
        integrations=tuple(
            replace(each, deadline_seconds=own.get(each.key, each.deadline_seconds))
            for each in settings.integrations
            if each.key in integrations
        ),
    )
    vendors = httpx.ASGITransport(app=app)
    tak = httpx.ASGITransport(app=stand_ins["tak"].app) if "tak" in stand_ins else vendors
    transports = {each.key: tak if each.key == "tak" else vendors for each in settings.integrations}
    services = Services(clock=clock, log=Lines())
    async with AsyncExitStack() as closing:

        def connected() -> Sources:
            [made] = connect(settings, services, transports).values()
            for handle in made:
                closing.push_async_callback(handle.connector.aclose)
            return made

        sources = connected()
        if afresh:
            await _index(sources)
        elif indexed:
            if integrations not in _known:
                _known[integrations] = await _index(connected())
            for key, identities in _known[integrations].items():
                sources.crosswalk.replace(key, identities)
        await asyncio.gather(*(handle.connector.check() for handle in sources))  # everyone is logged in
        reported: list[BaseException] = []
        engine = Engine(make_schema(), Limits(), lambda _, error: reported.append(error))
        graph = Graph(sources, world, clock, stand_ins, Still(), reported, engine)
        graph.forget()
        yield graph
