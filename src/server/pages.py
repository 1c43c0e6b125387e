"""Pages for people: what runs here, GraphiQL, the schema. Plain HTML but for GraphiQL; all of it comes from here."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response

from connectors.kit.health import Health, HealthState
from graph.schema import Schema
from resolvers.sources import Handle, Sources
from runtime.identity import Unauthenticated
from runtime.store import Inbox, InboxCounts, StoreError
from server.answers import unauthenticated
from server.guard import Guard, credentials_of
from server.health import Patient
from server.ingest import Ingest

STATIC = Path(str(files("server") / "static"))

STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:90rem;margin:2rem auto;padding:0 1rem}
nav,main>*{max-width:60rem}
main>.scroll{max-width:none}
table{border-collapse:collapse;width:100%;margin:1rem 0}
caption{text-align:left;font-weight:600;padding:.3rem 0}
td,th{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #8886}
time{white-space:nowrap}
small{display:block;opacity:.8}
.scroll{overflow-x:auto}
pre{overflow-x:auto;padding:.6rem;border:1px solid #8886}
nav ul{display:flex;flex-wrap:wrap;gap:1rem;padding:0;list-style:none}
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
SECURITY = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
PAGE_HEADERS = SECURITY | {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src 'self' data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
}
GRAPHIQL_HEADERS = SECURITY | {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
}

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{style}</style></head>
<body><nav aria-label="Crossdock"><ul>{links}</ul></nav><main>{main}</main></body></html>
"""
_LINKS = (
    ("/", "Crossdock"),
    ("/graphiql", "GraphiQL"),
    ("/docs", "Documentation"),
    ("/schema.graphql", "Schema"),
    ("/health/ready", "Health"),
    ("/metrics", "Metrics"),
)


def page(title: str, main: str, *, status: int = 200, cache: str = "no-store", at: str = "") -> Response:
    """A whole page around `main`, which is HTML already. `at`: the link that leads here."""
    links = "".join(
        f'<li><a href="{href}"{" aria-current=" + chr(34) + "page" + chr(34) if href == at else ""}>{text}</a></li>'
        for href, text in _LINKS
    )
    text = _PAGE.format(title=escape(title), style=STYLE, links=links, main=main)
    return HTMLResponse(text, status, PAGE_HEADERS | {"Cache-Control": cache})


class Pages:
    """What a visitor sees depends on who it is: integrations are shown to their organisation's people only, and all
    of them to the developer of a server that only this machine can reach."""

    def __init__(
        self,
        organisations: dict[str, Sources],
        *,
        names: dict[str, str],
        schema: Schema,
        guard: Guard,
        inbox: Inbox,
        ingest: Ingest,
        introspection: bool,
    ) -> None:
        self._organisations, self._names, self._schema, self._guard = organisations, names, schema, guard
        self._ingest, self._introspection = ingest, introspection
        self._counts = {name: Patient(lambda name=name: inbox.counts_by_integration(name)) for name in organisations}  # type: ignore[misc]
        self._schema_text: str | None = None

    async def aclose(self) -> None:
        for counts in self._counts.values():
            await counts.aclose()

    async def home(self, request: Request) -> Response:
        try:
            visitor = await self._guard.visitor(credentials_of(request), "read")
        except Unauthenticated as fault:
            return unauthenticated(fault)
        main = "<h1>Crossdock</h1><p>One GraphQL graph over the vendor systems that run physical operations.</p>"
        if visitor is None:
            main += (
                "<p>The integrations of your organisation are shown to who says who they are: send "
                "<code>Authorization: Bearer …</code> or <code>X-API-Key: …</code>.</p>"
            )
        else:
            if self._guard.open:
                main += "<p>Nobody has to sign in here: only this machine can reach this server.</p>"
            shown = list(self._organisations) if self._guard.open else [visitor.organisation]
            for name in shown:
                main += await self._organisation(name)
        answer = page("Crossdock", main, at="/")
        answer.headers["Vary"] = "Authorization, X-API-Key"
        return answer

    async def _organisation(self, name: str) -> str:
        handles = list(self._organisations[name])
        title = escape(self._names.get(name, name))
        if not handles:
            return f"<h2>{title}</h2><p>There is no integration. Add one to <code>crossdock.toml</code>.</p>"
        counts: dict[str, InboxCounts] | None
        try:
            counts = await self._counts[name]()
        except (TimeoutError, StoreError):
            counts = None
        return f"<h2>{title}</h2>{self._table(handles, counts)}"

    def _table(self, handles: Sequence[Handle], counts: dict[str, InboxCounts] | None) -> str:
        heads = (
            "Integration",
            "System",
            "State",
            "Last answer (UTC)",
            "Last failure (UTC)",
            "Last event (UTC)",
            "Waiting",
            "Given up",
        )
        rows = "".join(self._row(handle, counts) for handle in handles)
        note = "" if counts is not None else "<p>The store does not answer: what waits is not known.</p>"
        head = "".join(f'<th scope="col">{each}</th>' for each in heads)
        return (
            f'<div class="scroll"><table><caption>Integrations</caption><thead><tr>{head}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div>{note}"
        )

    def _row(self, handle: Handle, counts: dict[str, InboxCounts] | None) -> str:
        health = handle.connector.health()
        waiting = counts.get(handle.key, InboxCounts(0, 0)) if counts is not None else None
        detail = f"<small>{escape(health.error)}</small>" if health.troubled and health.error else ""
        cells = (
            escape(handle.connector.manifest.title),
            escape(state_in_words(health)) + detail,
            _time(health.last_success),
            _time(health.last_failure),
            _time(self._ingest.last_event.get(handle.key)),
            str(waiting.pending) if waiting else "?",
            str(waiting.dead) if waiting else "?",
        )
        rest = "".join(f"<td>{each}</td>" for each in cells)
        return f'<tr><th scope="row">{escape(handle.key)}</th>{rest}</tr>'

    async def graphiql(self, _: Request) -> Response:
        built = STATIC / "graphiql" / "index.html"
        if not built.exists():
            return PlainTextResponse("GraphiQL is not built here; run `make web`.\n", 404)
        return FileResponse(built, headers=GRAPHIQL_HEADERS)

    async def schema(self, _: Request) -> Response:
        if not self._introspection:
            return PlainTextResponse("The schema is not shown here (`introspection = false`).\n", 404)
        if self._schema_text is None:
            self._schema_text = self._schema.as_str()
        return PlainTextResponse(self._schema_text, headers=SECURITY | {"Cache-Control": "no-cache"})


def state_in_words(health: Health) -> str:
    """For people: `failing since 09:30 UTC, left alone for now (2 of 8 addresses)`."""
    since = f" since {_moment(health.since)}" if health.since is not None else ""
    words = {
        HealthState.UNTRIED: "not asked yet",
        HealthState.WELL: "well",
        HealthState.FAILING: f"failing{since}",
        HealthState.LEFT_ALONE: f"failing{since}, left alone for now",
        HealthState.REFUSED: f"refuses our credentials{since}",
    }[health.state]
    return words + (f" ({health.troubled} of {health.ways} addresses)" if health.troubled and health.ways > 1 else "")


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _time(at: datetime | None) -> str:
    """Without a zone: the head of its column has it."""
    if at is None:
        return "–"
    utc = at.astimezone(UTC)
    return f'<time datetime="{utc.isoformat()}">{utc:%Y-%m-%d %H:%M:%S}</time>'
