"""The application: lifespan, routes, webhooks, health and metrics."""

import contextlib
import html
import secrets
from collections.abc import AsyncIterator, Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from connectors.kit.errors import BadPayload, SignatureInvalid
from connectors.kit.manifest import Payload
from connectors.kit.protocols import Identity, WebhookReceiver
from connectors.kit.services import Services
from graph.engine.execution import Engine
from graph.schema import make_schema
from runtime import identity
from runtime.bus import MemoryBus
from runtime.clock import SystemClock
from runtime.settings import Settings
from runtime.store import CrosswalkStore, CursorStore, Database, Inbox, LatestState
from runtime.tasks import Supervisor
from runtime.telemetry import PrometheusMetrics, logger
from server.answers import refusal
from server.graphql.desk import Desk
from server.graphql.endpoint import GraphQLEndpoint
from server.graphql.origins import Origins
from server.guard import Guard
from server.ingest import Ingest
from server.wiring import LivePlane, connect, documents_of, limits_of

STATIC = Path(str(files("server") / "static"))
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def create_app(
    settings: Settings, *, transports: Mapping[str, httpx.AsyncBaseTransport] | None = None, live: bool = True
) -> Starlette:
    """The application. `transports` by integration key and `live=False` (no sockets, no pollers) are for tests.

    Raises `ConfigurationFault` when an integration does not fit its connector.
    """
    clock, log, metrics = SystemClock(), logger(), PrometheusMetrics()
    organisations = connect(settings, Services(clock=clock, metrics=metrics, log=log), transports)
    database = Database(settings.store.url)
    bus, state, inbox = MemoryBus(on_coalesced=metrics.bus_coalesced), LatestState(database), Inbox(database)
    crosswalk = CrosswalkStore(database)
    ingest = Ingest(
        organisations,
        inbox=inbox,
        state=state,
        cursors=CursorStore(database),
        crosswalk=crosswalk,
        bus=bus,
        clock=clock,
        log=log,
    )
    authenticator = identity.from_settings(settings)

    def report(failure: str, error: BaseException) -> None:
        log.error("operation.failed", id=failure, exc_info=error)

    schema = make_schema()
    key = settings.server.cursor_key
    desk = Desk(
        Engine(schema, limits_of(settings), report, documents_of(settings)),
        Guard(authenticator, organisations, open=settings.auth is None),
        organisations=organisations,
        live={name: LivePlane(name, state, bus) for name in organisations},
        cursor_key=key.reveal().encode() if key else secrets.token_bytes(32),
        introspection=settings.server.introspection,
        clock=clock,
        metrics=metrics,
    )
    view = GraphQLEndpoint(
        desk,
        origins=Origins(settings.server.allowed_origins, loopback_only=settings.auth is None),
        max_body_bytes=settings.server.max_body_bytes,
        connection_init_seconds=10.0,
    )
    handles = [(name, sources, handle) for name, sources in organisations.items() for handle in sources]

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await database.start()
        try:
            for name, sources in organisations.items():
                for row in await crosswalk.all(name):
                    if row.integration in sources.handles:
                        known = Identity(
                            subject=row.subject, kind=row.kind, number=row.number, external_id=row.external_id
                        )
                        sources.crosswalk.learn(row.integration, [known])
            async with Supervisor(log=log) as supervisor:
                supervisor.run("inbox", ingest.work)
                if live:
                    for owner, sources, handle in handles:
                        supervisor.run(f"index {handle.key}", partial(ingest.index, sources, handle))
                        supervisor.run(f"stream {handle.key}", partial(ingest.listen, owner, handle))
                        supervisor.run(f"poll {handle.key}", partial(ingest.poll, owner, handle))
                yield
        finally:
            for _, _, closing in handles:
                await closing.connector.aclose()
            await bus.aclose()
            await database.aclose()

    async def webhook(request: Request) -> Response:
        found = [(name, one) for name, _, one in handles if one.key == request.path_params["integration"]]
        if not found or not isinstance(found[0][1].connector, WebhookReceiver):
            return refusal(404, "ERR_NOT_FOUND", "no integration receives webhooks here")
        (organisation, handle), body = found[0], b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > settings.server.webhook_max_bytes:
                return refusal(413, "PAYLOAD_TOO_LARGE", "the webhook's body is too long")
        payload = Payload(body=body, headers={name.lower(): value for name, value in request.headers.items()})
        receiver = handle.connector
        assert isinstance(receiver, WebhookReceiver)
        try:
            receiver.verify(payload)
            raw = receiver.received(payload)
        except SignatureInvalid as fault:
            log.warning("webhook.refused", integration=handle.key, reason=fault.message)
            return refusal(401, fault.code, fault.message)
        except BadPayload as fault:
            return refusal(400, fault.code, fault.message)
        if raw is not None:
            await ingest.accept(organisation, handle.key, [raw])
        return Response(status_code=200)

    async def ready(_: Request) -> Response:
        try:
            await database.ping()
        except Exception as fault:  # noqa: BLE001 - whatever it is, the answer is "not ready", never a 500
            return JSONResponse({"ready": False, "store": type(fault).__name__}, 503)
        return JSONResponse({"ready": True})

    async def home(_: Request) -> Response:
        rows = "".join(
            f"<tr><td>{html.escape(one.key)}</td><td>{one.integration.system.value}</td><td>{html.escape(name)}</td>"
            f"<td>{html.escape(_state(one.connector))}</td></tr>"
            for name, _, one in handles
        )
        return HTMLResponse(_HOME.replace("{rows}", rows), headers={"Content-Security-Policy": CSP})

    async def graphiql(_: Request) -> Response:
        page = STATIC / "graphiql" / "index.html"
        if not page.exists():
            return PlainTextResponse("GraphiQL is not built here; run `make web`.\n", 404)
        return FileResponse(page, headers={"Content-Security-Policy": CSP, "Cache-Control": "no-cache"})

    async def prometheus(_: Request) -> Response:
        counts = await inbox.counts()
        metrics.inbox(counts.pending, counts.dead)
        return Response(metrics.render(), media_type=metrics.content_type)

    routes = [
        Route("/", home),
        Route("/graphql", view),
        WebSocketRoute("/graphql", view),
        Route("/graphiql", graphiql),
        Route("/schema.graphql", lambda _: PlainTextResponse(schema.as_str())),
        Route("/health/live", lambda _: JSONResponse({"live": True})),
        Route("/health/ready", ready),
        Route("/metrics", prometheus),
        Route("/webhooks/{integration}", webhook, methods=["POST"]),
    ]
    if (STATIC / "graphiql" / "assets").is_dir():
        routes.append(Mount("/graphiql/assets", StaticFiles(directory=STATIC / "graphiql" / "assets")))
    return Starlette(routes=routes, lifespan=lifespan)


def _state(connector: object) -> str:
    """What the breaker of the connector's client says."""
    api = getattr(connector, "api", None)
    breaker = getattr(api, "breaker", None)
    if breaker is None:
        return "configured"
    return "well" if breaker.since is None else f"failing since {breaker.since:%H:%M:%S} UTC"


_HOME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Crossdock</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:3rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ddd}
</style></head><body><h1>Crossdock</h1>
<p>One GraphQL graph over these integrations:</p>
<table><tr><th>integration</th><th>system</th><th>organisation</th><th>state</th></tr>{rows}</table>
<p><a href="/graphiql">GraphiQL</a> · <a href="/schema.graphql">schema</a> ·
<a href="/health/ready">health</a> · <a href="/metrics">metrics</a></p></body></html>
"""
