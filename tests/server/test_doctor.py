"""`crossdock doctor`: each line says what is, what is wrong and what to do."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from runtime.settings import Settings, load
from runtime.store import upgrade
from sandbox import traccar, uber
from sandbox.standin import StandIn
from sandbox.world import World
from server.doctor import examine
from tests.server.configs import AUDIENCE, ISSUER, KEYS, STORE, TOKENS, TWO_ORGANISATIONS, fleet, rides
from tests.server.rig import NORTH, SOUTH, free_port, served, vendors

ENVIRON = {"NORTH": NORTH, "SOUTH": SOUTH, "JWT_SECRET": "0123456789abcdef0123456789abcdef"}


class Said:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.well: bool | None = None

    def section(self, title: str) -> list[str]:
        """The lines below a title, without their indentation."""
        after = self.lines[self.lines.index(title) + 1 :]
        end = next((place for place, line in enumerate(after) if not line.startswith(" ")), len(after))
        return [line.strip() for line in after[:end]]

    @property
    def last(self) -> str:
        return self.lines[-1].strip()


async def said(folder: Path, config: str, environ: dict[str, str] | None = None) -> Said:
    path = folder / "crossdock.toml"
    path.write_text(config)
    found = Said()

    def read() -> Settings:
        own = {} if "\nport =" in config else {"CROSSDOCK_PORT": str(free_port())}
        return load(path, {**ENVIRON, **own, **(environ or {})})

    found.well = await examine(read, found.lines.append, name="crossdock.toml")
    return found


@pytest.fixture
async def stand_ins() -> AsyncIterator[tuple[str, dict[str, StandIn]]]:
    world = World()
    made: dict[str, Any] = {"traccar": traccar.create(world), "uber": uber.create(world)}
    async with vendors(*made.values()) as url:
        yield url, made


async def test_when_all_is_well(tmp_path: Path, stand_ins: tuple[str, dict[str, StandIn]]) -> None:
    url, _ = stand_ins
    key = '[server]\ncursor_key = { env = "JWT_SECRET" }\n'
    found = await said(
        tmp_path, STORE + key + TWO_ORGANISATIONS + fleet(f"{url}/traccar") + rides(f"{url}/uber") + KEYS + TOKENS
    )
    assert found.well is True
    assert found.last == "Everything works."
    assert found.section("Configuration") == [
        "ok    crossdock.toml: 2 integrations of 2 organisations",
        "note  5 secrets in the file itself: integrations.fleet.credentials.token, "
        "integrations.fleet.credentials.webhook_secret, integrations.rides.credentials.client_id, "
        "integrations.rides.credentials.client_secret, integrations.rides.credentials.signing_key",
        '→ fine to try things out; otherwise write { env = "NAME" } or { file = "/run/secrets/name" } instead',
    ]
    assert found.section("Store") == [f"ok    {tmp_path}/crossdock.db: will be made at the first start"]
    assert found.section("Who may ask") == [
        "ok    API key 'north' of north: metrics, read",
        "ok    API key 'south' of south: read",
        f"ok    tokens of {ISSUER} for {AUDIENCE}, signed by our shared secret (HS256); "
        "the claim 'org' tells the organisation",
    ]
    assert found.section("Limits") == [
        "ok    a GraphQL request: 1 MiB (max_body_bytes)",
        "ok    a webhook: 1 MiB (webhook_max_bytes)",
        "ok    a WebSocket says who it is within 10 s (connection_init_seconds)",
        "ok    deliveries are remembered for 7 days (inbox_retention_days)",
        "ok    the schema is shown (introspection)",
        "ok    an operation ([limits]): characters 100,000, tokens 4,000, depth 16, introspection_depth 20, "
        "aliases 100, root_fields 20, fields 1,500, overlaps 10,000, errors 50, seconds 30, operations_per_caller 50, "
        "subscriptions_per_socket 100, subscriptions_per_caller 200, batch 10, values 10,000, representations 1,000, "
        "cost 500,000, answer_fields 200,000, vendor_calls 5,000",
    ]
    first, second = found.section("Integrations")
    assert first.startswith("ok    fleet (Traccar): Traccar 6.14.5 (")
    assert first.endswith(" ms); webhooks come to /webhooks/fleet")
    assert second.startswith("ok    rides (Passenger app (Uber Guest Rides)): Uber Guest Rides v1 (")
    assert not (tmp_path / "crossdock.db").exists(), "it changes nothing"


async def test_limits_that_are_not_the_usual_ones_are_told(tmp_path: Path) -> None:
    found = await said(tmp_path, STORE + "[limits]\ndepth = 12\nseconds = 2.5\n")
    *_, of_operations, note, advice = found.section("Limits")
    assert "depth 12," in of_operations
    assert note == "note  other limits than by default: depth (by default 16), seconds (by default 30)"
    assert advice == "→ docs/endpoint.md says what each protects from"


async def test_a_vendor_that_fails_spoils_its_own_line_only(
    tmp_path: Path, stand_ins: tuple[str, dict[str, StandIn]]
) -> None:
    url, made = stand_ins
    made["traccar"].faults.down = True
    found = await said(tmp_path, STORE + TWO_ORGANISATIONS + fleet(f"{url}/traccar") + rides(f"{url}/uber"))
    fault, way_out, good = found.section("Integrations")
    assert fault.startswith(f"FAIL  fleet (Traccar): GET {url}/traccar/api/")
    assert fault.endswith(" answered 503, down")
    assert way_out == "→ The vendor does not answer properly; its rows are missing, or old, until it is back."
    assert good.startswith("ok    rides")
    assert (found.well, found.last) == (False, "1 check failed.")


async def test_a_bug_of_one_connector_hides_nothing_of_the_others(
    tmp_path: Path, stand_ins: tuple[str, dict[str, StandIn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: Any) -> str:
        raise KeyError("password")

    url, _ = stand_ins
    monkeypatch.setattr("connectors.traccar.Traccar.check", fail)
    found = await said(tmp_path, STORE + TWO_ORGANISATIONS + fleet(f"{url}/traccar") + rides(f"{url}/uber"))
    fault, way_out, good = found.section("Integrations")
    assert fault == "FAIL  fleet (Traccar): the check itself failed (KeyError)"
    assert "report it" in way_out
    assert good.startswith("ok    rides")


async def test_a_vendor_that_hangs_is_given_up(tmp_path: Path, stand_ins: tuple[str, dict[str, StandIn]]) -> None:
    url, made = stand_ins
    made["traccar"].faults.delay_ms = 1_000
    config = fleet(f"{url}/traccar").replace(
        "[integrations.credentials]", "deadline_seconds = 0.2\n[integrations.credentials]"
    )
    found = await said(tmp_path, STORE + TWO_ORGANISATIONS + config)
    fault, way_out = found.section("Integrations")
    assert "no answer to GET" in fault or "did not answer within 0.2 s" in fault
    assert "deadline_seconds" in way_out


async def test_without_anything_it_says_what_to_begin_with(tmp_path: Path) -> None:
    found = await said(tmp_path, STORE)
    assert found.well is True
    assert "note  there is nothing to ask" in found.section("Configuration")
    assert found.section("Who may ask") == [
        "ok    everybody on this machine, who may do everything",
        "note  nobody has to say who they are; therefore only this machine is served",
        "→ add [[auth.api_keys]] or [auth.jwt] before anybody else is to use it",
    ]


async def test_a_wrong_configuration_is_told_line_by_line(tmp_path: Path) -> None:
    found = await said(tmp_path, STORE + "[server]\nport = 0\nhots = 'x'\n")
    assert found.well is False
    assert [line.split("crossdock.toml:")[1][:20] for line in found.section("Configuration")] == [
        "6: server.hots: ther",
        "5: server.port: must",
    ]
    assert found.last == "crossdock.toml cannot be used as it is."


async def test_settings_that_make_no_sense_to_their_connector(tmp_path: Path) -> None:
    both = fleet().replace('webhook_secret = "forwarded"', 'email = "a@b"')
    found = await said(tmp_path, STORE + TWO_ORGANISATIONS + both)
    [line] = found.section("Configuration")
    assert line.startswith(f"FAIL  {tmp_path}/crossdock.toml:12: integrations[1]: integration 'fleet': ")
    assert found.well is False


@pytest.mark.parametrize(
    ("changed", "line", "key", "message"),
    [
        (('token = "sandbox', 'tokn = "sandbox'), 18, "credentials.tokn", "there is no credential 'tokn'"),
        (("http://vendor", "vendor"), 16, "base_url", "is no address"),
        (("[integrations.settings]", "[integrations.settings]\nsocket = 7"), 21, "settings.socket", "Expected `bool`"),
        (("[integrations.settings]", "[integrations.settings]\nsockt = true"), 21, "settings.sockt", "unknown field"),
    ],
)
async def test_what_a_connector_does_not_take_is_told_with_file_line_and_key(
    tmp_path: Path, changed: tuple[str, str], line: int, key: str, message: str
) -> None:
    found = await said(tmp_path, STORE + TWO_ORGANISATIONS + fleet().replace(*changed))
    [told] = found.section("Configuration")
    assert told.startswith(f"FAIL  {tmp_path}/crossdock.toml:{line}: integrations[1].{key}: ")
    assert message in told


@pytest.mark.parametrize(("text", "line"), [("[server]\nport 8000\n", 2), ('[server]\n\nhost = """\n', 3), ("{}", 1)])
async def test_a_file_that_is_no_toml_says_where(tmp_path: Path, text: str, line: int) -> None:
    found = await said(tmp_path, text)
    [told] = found.section("Configuration")
    assert told.startswith(f"FAIL  {tmp_path}/crossdock.toml:{line}: is not TOML: ")


# --- the server's port


async def test_a_port_that_another_program_has(tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    config = f"{STORE}[server]\nport = {port}\n"
    found = await said(tmp_path, config)
    assert found.section("Server") == [
        f"FAIL  {tmp_path}/crossdock.toml:5: server.port: port {port} of 127.0.0.1 is taken by another program (or by "
        "another Crossdock)",
        "→ stop it, write another [server] port, or set CROSSDOCK_PORT",
    ]
    assert found.well is False
    taken.close()
    await taken.wait_closed()


async def test_a_crossdock_that_runs_may_have_its_port(tmp_path: Path) -> None:
    async with served(STORE, tmp_path, live=False) as server:
        found = await said(tmp_path, STORE, {"CROSSDOCK_PORT": server.host.partition(":")[2]})
    assert found.section("Server") == [f"ok    {server.url}: a Crossdock runs there already"]


# --- the address of a vendor system


async def answering(status: int, content_type: str, body: bytes) -> asyncio.Server:
    """Something that answers everything alike."""
    head = f"HTTP/1.1 {status} x\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + body)
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0)


async def test_a_host_that_nobody_knows(tmp_path: Path) -> None:
    found = await said(tmp_path, STORE + TWO_ORGANISATIONS + fleet("https://no.such.host.invalid:8082"))
    fault, why, where = found.section("Integrations")
    assert fault.endswith("failed: cannot connect: its host name is not known")
    assert why == "→ the host no.such.host.invalid is not known here: is it misspelt, or only known in another network?"
    assert where == f"→ check base_url: {tmp_path}/crossdock.toml:16: integrations[1].base_url"


async def test_a_port_at_which_nothing_listens(tmp_path: Path) -> None:
    port = free_port()
    found = await said(tmp_path, STORE + TWO_ORGANISATIONS + fleet(f"http://127.0.0.1:{port}"))
    assert found.section("Integrations")[1:] == [
        f"→ nothing listens at 127.0.0.1:{port}: is it the right port, and does the vendor system run?",
        f"→ check base_url: {tmp_path}/crossdock.toml:16: integrations[1].base_url",
    ]


async def test_tls_where_there_is_none(tmp_path: Path, stand_ins: tuple[str, dict[str, StandIn]]) -> None:
    url, _ = stand_ins
    secure = url.replace("http:", "https:")
    found = await said(tmp_path, STORE + TWO_ORGANISATIONS + fleet(f"{secure}/traccar"))
    _, why, where = found.section("Integrations")
    assert why == f"→ what listens at {url.removeprefix('http://')} speaks no TLS: try http://, or another port"
    assert where.startswith("→ check base_url: ")


async def test_no_tls_where_there_must_be(tmp_path: Path) -> None:
    """A server that speaks TLS only closes the connection, or answers in TLS."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    at = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    found = await said(tmp_path, STORE + TWO_ORGANISATIONS + fleet(f"http://{at}"))
    assert found.section("Integrations")[1] == (
        f"→ what listens at {at} may speak TLS only, or be no HTTP server: try https://, or another port"
    )
    server.close()
    await server.wait_closed()


async def test_a_path_that_is_not_there(tmp_path: Path, stand_ins: tuple[str, dict[str, StandIn]]) -> None:
    url, _ = stand_ins
    found = await said(tmp_path, STORE + TWO_ORGANISATIONS + rides(f"{url}/ubr"))
    fault, why, where = found.section("Integrations")
    assert fault.endswith(f"there is no token endpoint at {url}/ubr/oauth/v2/token (HTTP 404)")
    assert why == "→ 127.0.0.1 answers and has nothing at this path: check the path"
    assert where == f"→ check base_url: {tmp_path}/crossdock.toml:16: integrations[1].base_url"


async def test_a_page_for_people(tmp_path: Path) -> None:
    server = await answering(200, "text/html", b"<!doctype html><p>Welcome")
    at = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    found = await said(tmp_path, STORE + TWO_ORGANISATIONS + fleet(f"http://{at}"))
    assert found.section("Integrations")[1:] == [
        f"→ something else than Traccar may answer at {at} (a proxy, a log-in page, another program)",
        f"→ check base_url: {tmp_path}/crossdock.toml:16: integrations[1].base_url",
    ]
    server.close()
    await server.wait_closed()


async def test_a_machine_s_own_address_is_named(tmp_path: Path) -> None:
    port = free_port()
    config = f"""
[[integrations]]
key = "shop"
system = "equipment"
organisation = "north"
[integrations.credentials]
one = "k"
[integrations.settings]
machines = [
  {{ id = "a", url = "http://127.0.0.1:{port}", api_key = "one" }},
]
"""
    found = await said(tmp_path, STORE + TWO_ORGANISATIONS + config)
    assert found.section("Integrations")[1:] == [
        f"→ nothing listens at 127.0.0.1:{port}: is it the right port, and does the vendor system run?",
        f"→ check settings.machines.url: {tmp_path}/crossdock.toml:19: integrations[1].settings.machines[1].url",
    ]


# --- the store


async def test_a_store_at_an_older_revision(tmp_path: Path) -> None:
    await upgrade(f"sqlite:///{tmp_path}/crossdock.db", "0001")
    found = await said(tmp_path, STORE)
    assert found.section("Store") == [
        f"ok    {tmp_path}/crossdock.db: tables at revision 0001; the next start brings them to 0002"
    ]
    await upgrade(f"sqlite:///{tmp_path}/crossdock.db")
    found = await said(tmp_path, STORE)
    assert found.section("Store") == [f"ok    {tmp_path}/crossdock.db: tables at revision 0002, the newest"]


async def test_a_store_that_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "crossdock.db").mkdir()
    found = await said(tmp_path, STORE)
    assert found.section("Store")[0] == f"FAIL  {tmp_path}/crossdock.db is no file"


async def test_a_store_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and access(path, mode))
    found = await said(tmp_path, STORE)
    assert found.section("Store") == [
        f"FAIL  {tmp_path}/crossdock.db: this user may not write there",
        "→ mend the folder's rights, or [store] url",
    ]


async def test_a_store_that_is_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "crossdock.db").write_text("no database, but long enough to look like one" * 100)
    found = await said(tmp_path, STORE)
    assert found.section("Store")[0] == f"FAIL  {tmp_path}/crossdock.db: cannot be opened: file is not a database"


async def test_a_database_server_that_is_away(tmp_path: Path) -> None:
    found = await said(tmp_path, '[store]\nurl = "postgresql://ann:hidden@127.0.0.1:1/x"\n')
    fault, way_out = found.section("Store")
    assert fault.startswith("FAIL  PostgreSQL: cannot be opened: ")
    assert way_out == "→ start it, or correct [store] url"
    assert "hidden" not in "\n".join(found.lines)


async def test_a_database_server_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.doctor.STORE_SECONDS", 0.2)
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found = await said(tmp_path, f'[store]\nurl = "postgresql://ann@127.0.0.1:{port}/x"\n')
    assert found.section("Store")[0] == "FAIL  PostgreSQL: does not answer within 0.2 s"
    for writer in held:
        writer.close()
    server.close()
    await server.wait_closed()


# --- who may ask


async def test_an_issuer_whose_keys_cannot_be_had(tmp_path: Path) -> None:
    config = f"""{STORE}
[auth.jwt]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
algorithms = ["RS256"]
jwks_url = "http://127.0.0.1:1/keys"
"""
    found = await said(tmp_path, config)
    assert found.section("Who may ask") == [
        "FAIL  the issuer's keys cannot be had now; try again (http://127.0.0.1:1/keys)",
        "→ check jwks_url (or jwks_file) of [auth.jwt], and that it can be reached from here",
    ]
    assert found.well is False
