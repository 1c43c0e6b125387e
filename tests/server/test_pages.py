"""What people see in a browser, and who sees what."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.kit.health import Health, HealthState
from sandbox import traccar
from sandbox.standin import Failure
from sandbox.world import World
from server.docs import Docs
from server.pages import state_in_words
from tests.connectors.contract import NOW
from tests.server.configs import KEYS, STORE, TWO_ORGANISATIONS, fleet
from tests.server.rig import NORTH, SOUTH, Served, eventually, served

ROOT = Path(__file__).parents[2]


class Page(HTMLParser):
    """The rows of the tables as texts, the links, and everything that a browser would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.tags: set[str] = set()
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        if tag == "a":
            self.links.append(given.get("href") or "")
        if tag in ("script", "img", "link", "iframe", "source"):
            self.loads.append(given.get("src") or given.get("href") or "inline")
        if tag == "tr":
            self.rows.append([])
        self._cell = tag in ("td", "th", "time", "small") or (self._cell and tag not in ("tr", "p"))
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and self._cell:
            self.rows[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "table"):
            self._cell = False


@pytest.fixture
async def vendor() -> traccar.Traccar:
    return traccar.create(World(lambda: NOW))


@pytest.fixture
async def server(tmp_path: Path, vendor: traccar.Traccar) -> AsyncIterator[Served]:
    config = STORE + TWO_ORGANISATIONS + fleet() + KEYS
    transports = {"fleet": httpx.ASGITransport(app=vendor.app)}
    async with served(config, tmp_path, live=False, transports=transports) as running:
        yield running


async def home(server: Served, key: str | None = NORTH) -> Page:
    answer = await server.http.get("/", headers={"X-API-Key": key} if key else {})
    assert answer.status_code == 200
    return Page(answer.text)


async def test_nobody_in_particular_sees_no_integration(server: Served) -> None:
    answer = await server.http.get("/")
    assert answer.status_code == 200
    assert "fleet" not in answer.text
    assert "North Haulage" not in answer.text
    assert "X-API-Key" in answer.text
    assert set(Page(answer.text).links) == {"/", "/graphiql", "/docs", "/schema.graphql", "/health/ready", "/metrics"}


async def test_an_organisation_sees_its_own(server: Served) -> None:
    north, south = await home(server), await home(server, SOUTH)
    assert [row[:2] for row in north.rows[1:]] == [["fleet", "Traccar"]]
    assert south.rows == []
    assert (await server.http.get("/", headers={"X-API-Key": "wrong"})).status_code == 401


async def test_without_auth_the_developer_sees_everything(tmp_path: Path) -> None:
    config = STORE + TWO_ORGANISATIONS + fleet() + fleet(key="cars", organisation="south")
    config += '[[organisations]]\nkey = "default"\nname = "Default"\n'
    async with served(config, tmp_path, live=False) as server:
        text = (await server.http.get("/")).text
        assert "only this machine can reach this server" in text
        assert [row[0] for row in Page(text).rows if len(row) > 2 and row[0] != "Integration"] == ["fleet", "cars"]
        assert [name for name in ("North Haulage", "South Freight", "Default") if name in text] == [
            "North Haulage",
            "South Freight",
            "Default",
        ]


async def test_a_row_tells_how_the_vendor_is_doing(server: Served, vendor: traccar.Traccar) -> None:
    row = (await home(server)).rows[1]
    assert row[2:] == ["not asked yet", "–", "–", "–", "0", "0"]
    ask = "{ vehicles(first: 1) { nodes { id } } }"
    await server.data(ask, **{"X-API-Key": NORTH})
    row = (await home(server)).rows[1]
    assert row[2:5] == ["well", "2026-11-25 09:30:00", "–"]
    server.clock.go_on(60)
    vendor.faults.fail_next += [Failure(401)] * 10
    await server.ask(ask, **{"X-API-Key": NORTH})
    row = (await home(server)).rows[1]
    assert row[2].startswith("refuses our credentials since 2026-11-25 09:31:00 UTC")
    assert "fleet: GET http://vendor/api/" in row[2]
    assert row[3:5] == ["2026-11-25 09:30:00", "2026-11-25 09:31:00"]


async def test_a_row_tells_what_waits_and_what_was_given_up(server: Served, vendor: traccar.Traccar) -> None:
    body = b'{"position": {"id": 1, "deviceId": 403, "fixTime": "2026-11-25T09:00:00Z", "latitude": 1, "longitude": 2}}'
    headers = {"X-Crossdock-Secret": "forwarded", "Content-Type": "application/json"}
    await server.http.post("/webhooks/fleet", content=body, headers=headers)
    await eventually(lambda: server.number("crossdock_events_ingested_total", integration="fleet"))
    vendor.faults.fail_next += [Failure(401)] * 100  # devices cannot be had: deliveries wait
    later = body.replace(b'"id": 1, "deviceId": 403', b'"id": 2, "deviceId": 1')
    await server.http.post("/webhooks/fleet", content=later, headers=headers)
    await eventually(lambda: server.log.of("inbox.waiting"))
    row = (await home(server)).rows[1]
    assert row[5:] == ["2026-11-25 09:30:00", "1", "0"]


async def test_the_page_says_so_when_the_store_is_away(server: Served) -> None:
    await server.parts.database.aclose()
    page = await home(server)
    assert page.rows[1][6:] == ["?", "?"]


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/errors.md"])
async def test_pages_load_nothing_and_need_no_script(server: Served, path: str) -> None:
    answer = await server.http.get(path, headers={"X-API-Key": NORTH})
    page = Page(answer.text)
    assert page.loads == []
    assert "script" not in page.tags
    assert {"main", "nav", "h1", "title"} <= page.tags
    assert '<html lang="en">' in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == ("no-store" if path == "/" else "no-cache")


async def test_the_style_is_the_one_that_the_policy_allows(server: Served) -> None:
    answer = await server.http.get("/")
    style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in answer.headers["content-security-policy"]


async def test_what_a_vendor_says_is_text_on_the_page(server: Served) -> None:
    connector: Any = server.parts.organisations["north"].handles["fleet"].connector
    connector.api.breaker.failed("<script>alert(1)</script>")
    text = (await server.http.get("/", headers={"X-API-Key": NORTH})).text
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


# --- words


@pytest.mark.parametrize(
    ("health", "words"),
    [
        (Health(), "not asked yet"),
        (Health(state=HealthState.WELL, ways=3), "well"),
        (Health(state=HealthState.FAILING, ways=1, troubled=1, since=NOW), "failing since 2026-11-25 09:30:00 UTC"),
        (
            Health(state=HealthState.LEFT_ALONE, ways=8, troubled=2, since=NOW),
            "failing since 2026-11-25 09:30:00 UTC, left alone for now (2 of 8 addresses)",
        ),
    ],
)
def test_a_state_in_words(health: Health, words: str) -> None:
    assert state_in_words(health) == words


# --- the schema and the documentation


async def test_the_exported_schema_is_the_one_that_runs(server: Served) -> None:
    kept = ROOT.joinpath("schema.graphql").read_text()
    assert (await server.http.get("/schema.graphql")).text.strip() == kept.strip()


async def test_the_schema_is_hidden_where_introspection_is_off(tmp_path: Path) -> None:
    async with served(STORE + "[server]\nintrospection = false\n", tmp_path, live=False) as server:
        assert (await server.http.get("/schema.graphql")).status_code == 404


async def test_all_documentation_is_found_from_its_first_page(server: Served) -> None:
    first = Page((await server.http.get("/docs")).text)
    files = {f"/docs/{each.relative_to(ROOT / 'docs').as_posix()}" for each in (ROOT / "docs").rglob("*.md")}
    assert files <= set(first.links)
    for each in sorted(files):
        assert (await server.http.get(each)).status_code == 200


async def test_a_page_is_found_without_its_ending(server: Served) -> None:
    answer = await server.http.get("/docs/systems/traccar")
    assert (answer.status_code, answer.headers["location"]) == (308, "/docs/systems/traccar.md")


@pytest.mark.parametrize(
    "path",
    ["/docs/nothing.md", "/docs/../pyproject.toml", "/docs/%2e%2e/README.md", "/docs//etc/passwd", "/docs/systems"],
)
async def test_nothing_else_is_served(server: Served, path: str) -> None:
    assert (await server.http.get(path)).status_code == 404


def test_markdown_becomes_html_and_html_becomes_text() -> None:
    table = "| a |\n| - |\n| <b>1</b> |"
    text = f"# Title `x`\n\n## A part\n\n{table}\n\n## A part\n\n[there](systems/x.md) <script>1</script>\n"
    title, html = Docs(None).render(text)
    assert title == "Title x"
    assert '<h2 id="a-part">A part</h2>' in html
    assert '<h2 id="a-part-1">A part</h2>' in html
    assert "<td>&lt;b&gt;1&lt;/b&gt;</td>" in html
    assert '<a href="systems/x.md">there</a> &lt;script&gt;' in html


async def test_an_installation_without_documentation_says_so() -> None:
    answer = await Docs(None).index(None)  # type: ignore[arg-type]
    assert b"not part of this installation" in bytes(answer.body)
