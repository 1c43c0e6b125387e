"""The application: its parts, its lifespan, its routes."""

import asyncio
import contextlib
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

import httpx
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from connectors.kit.protocols import Identity, Remembering
from connectors.kit.services import Services
from graph.engine.execution import Engine
from graph.schema import make_schema
from resolvers.sources import Handle, Sources
from runtime import identity
from runtime.bus import MemoryBus
from runtime.clock import Clock, SystemClock
from runtime.settings import Settings
from runtime.store import CrosswalkStore, CursorStore, Database, Inbox, LatestState, StoreDown
from runtime.tasks import Supervisor
from runtime.telemetry import Log, PrometheusMetrics, logger
from server import webhooks
from server.docs import Docs, folder
from server.feeds import Feeds
from server.graphql.desk import Desk
from server.graphql.endpoint import GraphQLEndpoint
from server.graphql.origins import Origins
from server.guard import Guard
from server.health import Health
from server.ingest import Ingest
from server.pages import STATIC, Pages
from server.wiring import LivePlane, connect, documents_of, limits_of

CLOSING_SECONDS = 1.5
"""How long the vendors' connections may take to close when the server ends."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a server is made of; `app.state.parts` holds it."""

    organisations: dict[str, Sources]
    database: Database
    bus: MemoryBus
    inbox: Inbox
    ingest: Ingest
    feeds: Feeds
    crosswalk: CrosswalkStore
    guard: Guard
    endpoint: GraphQLEndpoint
    health: Health
    pages: Pages
    metrics: PrometheusMetrics

    @property
    def handles(self) -> list[tuple[str, Handle]]:
        """All integrations, each with its organisation."""
        return [(name, handle) for name, sources in self.organisations.items() for handle in sources]

    def stop(self, grace: float) -> None:
        """The server is to end: it is not ready any more, streams end now, other requests after `grace` seconds."""
        self.health.stop()
        self.endpoint.stop(grace)


def create_app(
    settings: Settings,
    *,
    transports: Mapping[str, httpx.AsyncBaseTransport] | None = None,
    live: bool = True,
    clock: Clock | None = None,
    log: Log | None = None,
) -> Starlette:
    """The application. `transports` by integration key, `live=False` (no sockets, no pollers) and `clock` are for
    tests.

    Raises `ConfigurationFault` when an integration does not fit its connector.
    """
    clock, log = clock or SystemClock(), log or logger()
    parts = _parts(settings, transports or {}, clock, log)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        """Raises `StoreDown` when the store cannot be opened."""
        await parts.database.start()
        try:
            if parts.database.dialect == "sqlite":
                await parts.inbox.release()  # one server at a time has the file: what is claimed was left by a dead one
            await _remember(parts)
            async with Supervisor(log=log, clock=clock, expected=(StoreDown,)) as supervisor:
                _start(supervisor, parts, live=live, retention_days=settings.store.inbox_retention_days)
                yield
        finally:
            await _close(parts, log)

    docs = Docs(folder())
    routes: list[BaseRoute] = [
        Route("/", parts.pages.home),
        Route("/graphql", parts.endpoint),
        WebSocketRoute("/graphql", parts.endpoint),
        Route("/graphiql", parts.pages.graphiql),
        Route("/schema.graphql", parts.pages.schema),
        Route("/docs", docs.index),
        Route("/docs/{name:path}", docs.show),
        Route("/health/live", parts.health.live),
        Route("/health/ready", parts.health.ready),
        Route("/metrics", parts.health.metrics),
        Route(
            "/webhooks/{integration}",
            webhooks.receiver(parts.handles, parts.ingest, max_bytes=settings.server.webhook_max_bytes, log=log),
            methods=["GET", "POST"],
        ),
    ]
    if (STATIC / "graphiql" / "assets").is_dir():
        routes.append(Mount("/graphiql/assets", StaticFiles(directory=STATIC / "graphiql" / "assets")))
    app = Starlette(routes=routes, lifespan=lifespan)
    app.state.parts = parts
    return app


def _parts(settings: Settings, transports: Mapping[str, httpx.AsyncBaseTransport], clock: Clock, log: Log) -> Parts:
    metrics = PrometheusMetrics()
    organisations = connect(settings, Services(clock=clock, metrics=metrics, log=log), transports)

    def store_told(down: StoreDown | None) -> None:
        if down is None:
            log.info("store.available")
        else:
            cause = down.__cause__
            log.error("store.unavailable", error=str(down), reason=str(getattr(cause, "orig", None) or cause))

    def report(failure: str, error: BaseException) -> None:
        log.error("operation.failed", id=failure, exc_info=error)

    database = Database(settings.store.url, clock=clock, told=store_told)
    bus, state = MemoryBus(on_coalesced=metrics.bus_coalesced), LatestState(database)
    inbox, crosswalk = Inbox(database, worker=uuid4().hex), CrosswalkStore(database)
    ingest = Ingest(organisations, inbox=inbox, state=state, bus=bus, clock=clock, log=log, metrics=metrics)
    schema = make_schema()
    guard = Guard(identity.from_settings(settings, clock=clock), organisations, open=settings.auth is None)
    key = settings.server.cursor_key
    return Parts(
        organisations=organisations,
        database=database,
        bus=bus,
        inbox=inbox,
        ingest=ingest,
        feeds=Feeds(ingest, cursors=CursorStore(database), crosswalk=crosswalk, clock=clock, log=log),
        crosswalk=crosswalk,
        guard=guard,
        endpoint=GraphQLEndpoint(
            Desk(
                Engine(
                    schema,
                    limits_of(settings),
                    report,
                    documents_of(settings),
                    show_cost=settings.server.show_cost,
                ),
                guard,
                organisations=organisations,
                live={name: LivePlane(name, state, bus) for name in organisations},
                cursor_key=key.reveal().encode() if key else secrets.token_bytes(32),
                introspection=settings.server.introspection,
                federated_tracing=settings.server.federated_tracing,
                clock=clock,
                metrics=metrics,
            ),
            origins=Origins(settings.server.allowed_origins, loopback_only=settings.auth is None),
            max_body_bytes=settings.server.max_body_bytes,
            connection_init_seconds=settings.server.connection_init_seconds,
        ),
        health=Health(
            database,
            inbox,
            [handle for sources in organisations.values() for handle in sources],
            metrics=metrics,
            guard=guard,
        ),
        pages=Pages(
            organisations,
            names={each.key: each.name for each in settings.organisations},
            schema=schema,
            guard=guard,
            inbox=inbox,
            ingest=ingest,
            introspection=settings.server.introspection,
        ),
        metrics=metrics,
    )


async def _remember(parts: Parts) -> None:
    """What the crosswalk knew before the server was stopped, and connectors that cannot ask anybody."""
    for name, sources in parts.organisations.items():
        known: dict[str, list[Identity]] = defaultdict(list)
        for row in await parts.crosswalk.all(name):
            if row.integration in sources.handles:
                known[row.integration].append(
                    Identity(subject=row.subject, kind=row.kind, number=row.number, external_id=row.external_id)
                )
        for integration, identities in known.items():
            sources.crosswalk.learn(integration, identities)
    for name, handle in parts.handles:
        if isinstance(handle.connector, Remembering):
            records = await LatestState(parts.database).read(name, handle.connector.remembers)
            handle.connector.remember(each for each in records if each.source.integration == handle.key)


def _start(supervisor: Supervisor, parts: Parts, *, live: bool, retention_days: float) -> None:
    """The tasks that run as long as the server does."""
    supervisor.run("inbox watch", parts.ingest.watch)
    supervisor.run("inbox purge", partial(parts.ingest.purge, days=retention_days))
    for organisation, handle in parts.handles:
        supervisor.run(f"work {handle.key}", partial(parts.ingest.work, organisation, handle))
        if live:
            sources = parts.organisations[organisation]
            supervisor.run(f"index {handle.key}", partial(parts.feeds.index, sources, handle))
            supervisor.run(f"stream {handle.key}", partial(parts.feeds.listen, organisation, handle))
            supervisor.run(f"poll {handle.key}", partial(parts.feeds.poll, organisation, handle))


async def _close(parts: Parts, log: Log) -> None:
    """Ends everything, side by side; a vendor that does not let go is left."""
    closing = [handle.connector.aclose() for _, handle in parts.handles]
    closing += [parts.guard.authenticator.aclose(), parts.health.aclose(), parts.pages.aclose(), parts.bus.aclose()]
    try:
        async with asyncio.timeout(CLOSING_SECONDS):
            for fault in await asyncio.gather(*closing, return_exceptions=True):
                if isinstance(fault, Exception):
                    log.warning("server.close_failed", error=type(fault).__name__)
    except TimeoutError:
        log.warning("server.close_failed", error="something did not end in time")
    await parts.database.aclose()
