"""The TAK connector over real TLS on loopback: certificates, refusals, and the stream with all its breaks."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from connectors.c4isr import TakServer, cot, decoders, takproto
from connectors.c4isr.settings import Settings, stream_address
from connectors.c4isr.stream import CotStream, Framing, Opened, Received
from connectors.kit.errors import AuthFailed, BadPayload, VendorDown
from connectors.kit.integration import Integration, Secret
from connectors.kit.protocols import Raw
from connectors.kit.services import Services
from sandbox import tak
from sandbox.standin import Failure
from sandbox.tak.cot import Cot, control, emergency, mission_event, unit_event
from sandbox.world import World
from tests.connectors.contract import Lines
from unified.events import Changed
from unified.queries import ListQuery, UnitFilter
from unified.records import Kind
from unified.values import System


class Pausing:
    """The real time of day, moved by `ahead`; pauses between attempts are noted, not waited for."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class Rig:
    def __init__(self, standin: tak.TakStandIn, world: World) -> None:
        self.standin, self.world = standin, world
        self.clock, self.log = Pausing(), Lines()
        self.services = Services(clock=self.clock, log=self.log)
        self.made: list[TakServer] = []

    @property
    def files(self) -> Any:
        assert self.standin.files is not None
        return self.standin.files

    def connector(self, *, credentials: dict[str, Secret] | None = None, **settings: Any) -> TakServer:
        given = {
            "client_certificate_file": str(self.files.client),
            "client_key_file": str(self.files.client_key),
            "ca_file": str(self.files.ca),
            "stream_url": self.standin.addresses[1],
        } | settings
        made = TakServer(
            Integration(
                key="tak",
                system=System.C4ISR,
                base_url=self.standin.addresses[0],
                credentials=credentials or {},
                settings={name: value for name, value in given.items() if value is not None},
                deadline_seconds=5,
            ),
            self.services,
        )
        self.made.append(made)
        return made


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    world = World()
    standin = tak.create(world, rest_port=0, stream_port=0, state_dir=tmp_path, tick_s=0.02)
    await standin.start()
    made = Rig(standin, world)
    yield made
    for connector in made.made:
        await connector.aclose()
    await standin.stop()


# --- mutual TLS over REST


async def test_with_its_certificate_it_is_let_in(rig: Rig) -> None:
    connector = rig.connector()
    told = await connector.check()
    until = connector.tls.expires_at
    assert until is not None
    assert told == f"TAK Server 5.4-RELEASE-sandbox, client certificate valid until {until:%Y-%m-%d}"
    page = await connector.list_units(_units(), None)
    assert page.total == 16
    uids = [each.uid for each in page.records][:5]
    assert [each.uid for each in await connector.read_units(uids)] == uids, "the GET with a body passes the real wire"


def _units() -> Any:
    return ListQuery(filter=UnitFilter())


async def test_pem_texts_do_as_well_as_files(rig: Rig) -> None:
    secrets = {
        "client_certificate": Secret(rig.files.client.read_text()),
        "client_key": Secret(rig.files.client_key.read_text()),
        "ca": Secret(rig.files.ca.read_text()),
    }
    connector = rig.connector(credentials=secrets, client_certificate_file=None, client_key_file=None, ca_file=None)
    assert (await connector.check()).startswith("TAK Server")


async def test_certificate_and_key_may_share_a_file(rig: Rig, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(rig.files.client.read_bytes() + rig.files.client_key.read_bytes())
    connector = rig.connector(client_certificate_file=str(both), client_key_file=None)
    assert (await connector.check()).startswith("TAK Server")


def encrypted(path: Path, password: str) -> bytes:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode()),
    )


async def test_the_key_may_have_a_password(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "locked.key"
    path.write_bytes(encrypted(rig.files.client_key, "open sesame"))
    connector = rig.connector(credentials={"client_key_password": Secret("open sesame")}, client_key_file=str(path))
    assert (await connector.check()).startswith("TAK Server")
    for secrets in ({}, {"client_key_password": Secret("wrong")}):
        with pytest.raises(AuthFailed, match=r"locked\.key does not fit the client certificate") as caught:
            await rig.connector(credentials=secrets, client_key_file=str(path)).check()
        assert "sesame" not in str(caught.value)


@pytest.fixture
def strangers(tmp_path: Path) -> Callable[[], dict[str, str]]:
    """A certificate of another authority."""

    def make() -> dict[str, str]:
        made = trustme.CA().issue_cert("stranger")
        path = tmp_path / "stranger.pem"
        made.private_key_and_cert_chain_pem.write_to_path(path)
        return {"client_certificate_file": str(path), "client_key_file": str(path)}

    return make


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("shown", ["none", "a stranger's"])
async def test_a_refused_certificate_is_no_outage(
    rig: Rig, strangers: Callable[[], dict[str, str]], version: ssl.TLSVersion, shown: str
) -> None:
    """With TLS 1.3 the refusal comes at the first read, after a handshake that looked fine."""
    given: dict[str, Any] = {"client_certificate_file": None, "client_key_file": None}
    connector = rig.connector(**(given if shown == "none" else strangers()))
    context = connector.tls.context()
    context.minimum_version = context.maximum_version = version
    with pytest.raises(AuthFailed) as caught:
        await connector.check()
    assert caught.value.code == "ERR_OAUTH_INVALID"
    assert "the server refuses our client certificate" in str(caught.value)
    assert "`client_certificate_file`" in str(caught.value)
    assert rig.standin.faults.total_calls() == 0
    assert "vendor.unavailable" not in rig.log.events


async def test_a_server_that_we_do_not_trust(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "other-ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    with pytest.raises(AuthFailed, match="the server's certificate is not trusted") as caught:
        await rig.connector(ca_file=str(path)).check()
    assert "`ca_file`" in str(caught.value)
    with pytest.raises(AuthFailed, match="not trusted"):
        await rig.connector(ca_file=None).check()


async def test_the_name_in_the_servers_certificate_is_checked(rig: Rig) -> None:
    assert (await rig.connector(server_name="localhost").check()).startswith("TAK Server")
    with pytest.raises(AuthFailed, match=r"not trusted.*takserver\.example"):
        await rig.connector(server_name="takserver.example").check()


async def test_a_server_that_is_away_is_an_outage(rig: Rig) -> None:
    connector = rig.connector()
    await rig.standin._listener.stop()  # type: ignore[union-attr]
    with pytest.raises(VendorDown, match="cannot connect"):
        await connector.check()
    rig.standin._listener = None


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"client_certificate_file": "/no/such.pem"},
            "cannot read `client_certificate_file` /no/such.pem: No such file or directory",
        ),
        ({"client_key_file": "/no/such.key"}, "cannot read `client_key_file` /no/such.key: No such file or directory"),
        ({"ca_file": "/"}, "cannot read `ca_file` /: Is a directory"),
    ],
)
async def test_a_file_that_cannot_be_read_is_named(rig: Rig, settings: dict[str, str], text: str) -> None:
    connector = rig.connector(**settings)
    with pytest.raises(AuthFailed) as caught:
        await connector.check()
    assert str(caught.value) == f"tak: {text}"
    assert caught.value.integration == "tak"


async def test_files_that_hold_something_else_are_named(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "nonsense.pem"
    path.write_text("nonsense")
    for name, text in (
        ("ca_file", f"{path} holds no certificate in PEM"),
        ("client_certificate_file", f"{path} holds no certificate in PEM"),
        ("client_key_file", f"{path} does not fit the client certificate"),
    ):
        with pytest.raises(AuthFailed) as caught:
            await rig.connector(**{name: str(path)}).check()
        assert text in str(caught.value)


async def test_an_expired_certificate_is_told_before_the_server_is_asked(rig: Rig) -> None:
    connector = rig.connector()
    await connector.check()
    rig.clock.ahead = timedelta(days=400)
    with pytest.raises(AuthFailed, match=r"the client certificate expired on .*; enrol for a new one"):
        connector.tls.context()
    rig.clock.ahead = timedelta()
    assert connector.tls.context() is connector.tls.context()


async def test_old_tls_is_off(rig: Rig) -> None:
    context = rig.connector().tls.context()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize(
    ("base_url", "stream_url", "address"),
    [
        ("https://tak.example:8443", None, ("tak.example", 8089)),
        ("https://tak.example:8443", "tls://other.example", ("other.example", 8089)),
        ("https://tak.example:8443", "ssl://[::1]:9000", ("::1", 9000)),
        ("https://tak.example:8443", "", None),
    ],
)
def test_where_the_stream_is(base_url: str, stream_url: str | None, address: tuple[str, int] | None) -> None:
    given = Integration(key="tak", system=System.C4ISR, base_url=base_url)
    assert stream_address(given, Settings(stream_url=stream_url)) == address


def test_the_stream_is_read_over_tls_only() -> None:
    given = Integration(key="tak", system=System.C4ISR, base_url="https://tak.example")
    with pytest.raises(ValueError, match="only read over TLS"):
        stream_address(given, Settings(stream_url="tcp://tak.example:8087"))


# --- the stream


async def take(stream: Any, count: int) -> list[Any]:
    """The first so many; the stream is closed then."""
    found = []
    async with asyncio.timeout(20), contextlib.aclosing(stream) as running:
        async for each in running:
            found.append(each)
            if len(found) == count:
                break
    return found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("protobuf", [True, False], ids=["protobuf", "xml"])
async def test_units_come_as_they_move(rig: Rig, protobuf: bool) -> None:
    connector = rig.connector(protobuf=protobuf)
    raws = await take(connector.stream(), 60)
    assert rig.standin.stream.requests == int(protobuf)
    forms = [each.decoder for each in raws]
    if protobuf:  # XML until the server has agreed (a report may come before that), frames only from then on
        assert set(forms[forms.index(decoders.FRAME) :]) == {decoders.FRAME}
    else:
        assert set(forms) == {decoders.XML}
    found = [event for each in raws for event in await connector.events(each)]
    assert all(isinstance(each, Changed) and each.record.kind is Kind.UNIT for each in found)
    moving = {each.uid for each in rig.world.units if each.state_at(rig.world.now()).online}
    assert {each.record.uid for each in found} == moving  # type: ignore[union-attr]
    assert rig.standin.stream.pings >= 1
    assert rig.log.lines == []


async def test_the_same_event_twice_is_one_delivery(rig: Rig) -> None:
    connector = rig.connector(protobuf=False)
    raws = await take(connector.stream(), 60)
    told = {(each.delivery_id, each.payload.body) for each in raws}
    assert len({each.delivery_id for each in raws}) == len(told) < len(raws), "reports repeat within a second"


async def test_only_what_concerns_records_is_kept(rig: Rig) -> None:
    rig.standin.stream.tick_s = 3600
    await rig.standin.stream.stop()
    await rig.standin.stream.start("127.0.0.1", 0, rig.files)
    connector = rig.connector(protobuf=False, stream_url=rig.standin.addresses[1])
    task = asyncio.create_task(take(connector.stream(), 3))
    await until(lambda: len(rig.standin.stream.clients) == 1 and rig.standin.stream.pings == 1)
    unit, mission, now = rig.world.units[0], rig.world.missions[0], rig.world.now()
    change = next(mission.changes(now - timedelta(hours=1), now))
    chat = control("b-t-f", "GeoChat.1", now, "<remarks>hello</remarks>")
    drawing = Cot(uid="d", type="u-d-f", time=now, stale=now)
    rig.standin.stream.broadcast(
        [chat, mission_event(mission, change, now), drawing, emergency(unit, now, cancel=False), unit_event(unit, now)]
    )
    raws = await task
    assert [each.delivery_id.rpartition(":")[0].rpartition(":")[0] for each in raws] == [
        f"{mission.guid}-{change.number}",
        f"{unit.uid}-9-1-1",
        unit.uid,
    ]
    (event,) = await connector.events(raws[0])
    assert isinstance(event, Changed)
    assert event.record.source.external_id == mission.guid


async def test_after_a_break_it_reconnects_and_fills_the_gap(rig: Rig) -> None:
    connector = rig.connector()
    raws: list[Raw] = []

    async def listen() -> None:
        async for each in connector.stream():
            raws.append(each)

    task = asyncio.create_task(listen())
    await until(lambda: len(raws) > 20)
    rig.standin.faults.down = True
    await until(lambda: len(rig.clock.slept) > 3)
    rig.standin.faults.down = False
    before = len(raws)
    await until(lambda: len(raws) > before + 20)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert rig.standin.faults.calls["GET", "/Marti/api/cot/sa"] == 1
    assert rig.log.events == ["vendor.unavailable", "vendor.available"], "the stream is part of the outage"
    assert 0.37 <= rig.clock.slept[0] <= 0.63


async def test_a_server_that_needs_a_moment_to_come_back_has_its_gap_filled(rig: Rig) -> None:
    connector = rig.connector()
    rig.standin.faults.fail_next += [Failure(status=503, path="/cot/sa")] * 7
    assert len(await connector._missed(rig.clock.now() - timedelta(hours=30))) > 10
    assert "vendor.gap_not_filled" not in rig.log.events


async def test_a_gap_that_cannot_be_filled_is_told(rig: Rig) -> None:
    connector = rig.connector()
    rig.standin.faults.fail_next += [Failure(status=500, path="/cot/sa")] * 60
    assert await connector._missed(rig.clock.now() - timedelta(hours=30)) == []
    assert "vendor.gap_not_filled" in rig.log.events


@pytest.mark.parametrize("shown", ["none", "a stranger's"])
async def test_the_third_refusal_in_a_row_ends_the_stream(
    rig: Rig, strangers: Callable[[], dict[str, str]], shown: str
) -> None:
    given: dict[str, Any] = {"client_certificate_file": None, "client_key_file": None}
    connector = rig.connector(**(given if shown == "none" else strangers()))
    with pytest.raises(AuthFailed, match="the CoT stream: the server refuses our client certificate"):
        await take(connector.stream(), 1)
    assert len(rig.clock.slept) == 2
    assert rig.log.events == [], "who listens tells of it"


async def test_a_missing_file_ends_the_stream_at_once(rig: Rig) -> None:
    with pytest.raises(AuthFailed, match="cannot read `ca_file`"):
        await take(rig.connector(ca_file="/no/ca.pem").stream(), 1)
    assert rig.clock.slept == []


class Scripted:
    """A TLS server that does what a test says, once per connection."""

    def __init__(self, files: Any) -> None:
        self.scripts: list[Any] = []
        self.heard: list[bytes] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(files.server, files.server_key)
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Scripted"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append(b"")
        place = len(self.heard) - 1
        steps = self.scripts[min(place, len(self.scripts) - 1)]
        try:
            for step in steps:
                if isinstance(step, bytes):
                    writer.write(step)
                    await writer.drain()
                else:
                    while step not in self.heard[place].decode("latin-1"):
                        data = await reader.read(65536)
                        if not data:
                            return
                        self.heard[place] += data
        except OSError:
            pass
        finally:
            writer.transport.abort()


GOOD = cot.DECLARATION + (
    b'<event version="2.0" uid="u-1" type="a-f-G" time="2026-01-01T00:00:00Z" stale="2026-01-01T00:01:00Z">'
    b'<point lat="1" lon="2" hae="3" ce="4" le="5"/><detail/></event>'
)
OFFER = cot.write(
    "t-x-takp-v",
    "proto-1",
    datetime(2026, 1, 1, tzinfo=UTC),
    detail='<TakControl><TakProtocolSupport version="1"/></TakControl>',
)


def answer(status: str) -> bytes:
    detail = f'<TakControl><TakResponse status="{status}"/></TakControl>'
    return cot.write("t-x-takp-r", "proto-1", datetime(2026, 1, 1, tzinfo=UTC), detail=detail)


def stream_to(rig: Rig, port: int, **more: Any) -> CotStream:
    connector = rig.connector(client_certificate_file=None, client_key_file=None)
    facts: dict[str, Any] = {"uid": "CROSSDOCK-tak", "silence_seconds": 5.0} | more
    return CotStream(
        ("127.0.0.1", port),
        context=connector.tls.context,
        integration=connector.integration,
        services=rig.services,
        **facts,
    )


def frames(count: int) -> bytes:
    return b"".join(
        takproto.frame(takproto.write_message("a-f-G", f"p-{each}", datetime(2026, 1, 1, tzinfo=UTC)))
        for each in range(count)
    )


async def test_the_switch_to_protobuf_loses_nothing(rig: Rig) -> None:
    """XML goes on until the answer, and frames may come in the same packet as it, cut anywhere."""
    served = Scripted(rig.files)
    binary = frames(2)
    served.scripts = [[OFFER, "t-x-takp-q", GOOD + answer("true") + binary[:40], "\xbf", binary[40:], "never"]]
    async with served.running():
        found = await take(stream_to(rig, served.port, ping_seconds=0.01).events(), 4)
    assert found[0] == Opened(False)
    assert [each.event.uid for each in found[1:]] == ["u-1", "p-0", "p-1"]
    assert [each.decoder for each in found[1:]] == [decoders.XML, decoders.FRAME, decoders.FRAME]
    request = served.heard[0].partition(b"t-x-takp-q")[2]
    assert b'<TakRequest version="1"/>' in request
    assert b'uid="proto-1"' in served.heard[0]
    assert b"<event" not in request, "after the wish no more XML is sent"


async def test_a_refused_wish_goes_on_in_xml(rig: Rig) -> None:
    served = Scripted(rig.files)
    served.scripts = [[OFFER, "t-x-takp-q", answer("false"), GOOD, "never"]]
    async with served.running():
        found = await take(stream_to(rig, served.port).events(), 2)
    assert found[1].decoder == decoders.XML


async def test_a_wish_without_an_answer_is_not_made_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.c4isr.stream.ANSWER_SECONDS", 0.05)
    served = Scripted(rig.files)
    served.scripts = [[OFFER, "never"], [OFFER + GOOD, "never"]]
    async with served.running():
        found = await take(stream_to(rig, served.port).events(), 3)
    assert found[:2] == [Opened(False), Opened(True)]
    assert found[2].event.uid == "u-1"
    assert b"t-x-takp-q" in served.heard[0]
    assert b"t-x-takp-q" not in served.heard[1]


async def test_silence_means_dead(rig: Rig) -> None:
    served = Scripted(rig.files)
    served.scripts = [[GOOD, "never"]]
    async with served.running():
        found = await take(stream_to(rig, served.port, silence_seconds=0.05).events(), 4)
    assert [type(each) for each in found] == [Opened, Received, Opened, Received]
    assert [each.again for each in found[::2]] == [False, True]
    assert rig.log.lines[0] == ("vendor.socket_reopened", {"integration": "tak", "reason": "silent for 0.05 s"})


async def test_pings_keep_it_alive_as_the_server_wants_them(rig: Rig) -> None:
    served = Scripted(rig.files)
    served.scripts = [["</event><?xml", GOOD, "never"]]
    async with served.running():
        await take(stream_to(rig, served.port, ping_seconds=0.01).events(), 2)
    ping = served.heard[0]
    assert ping.startswith(b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<event version="2.0"')
    assert b'uid="CROSSDOCK-tak-ping" type="t-x-c-t"' in ping
    assert b"</event>\n" not in ping
    first = cot.parse(cot.cut(ping)[0][0])
    assert first.stale is not None
    assert first.stale - first.time == timedelta(seconds=20)


async def test_a_bad_event_is_told_once_and_the_stream_goes_on(rig: Rig) -> None:
    served = Scripted(rig.files)
    bad = b"<event uid='x' type='a-f-G'></event>"
    served.scripts = [[bad + bad + b"<event><oops></event>" + GOOD, "never"]]
    async with served.running():
        found = await take(stream_to(rig, served.port).events(), 2)
    assert found[1].event.uid == "u-1"
    assert rig.log.events == ["vendor.bad_event"]


async def test_an_endless_event_ends_the_connection(rig: Rig) -> None:
    served = Scripted(rig.files)
    served.scripts = [[b"<event>" + b"x" * (cot.MAX_EVENT + 10), "never"], [GOOD, "never"]]
    async with served.running():
        found = await take(stream_to(rig, served.port).events(), 3)
    assert found[:2] == [Opened(False), Opened(True)]
    assert "longer than 1048576 bytes" in str(rig.log.lines[0])


async def test_lost_framing_ends_the_connection(rig: Rig) -> None:
    served = Scripted(rig.files)
    served.scripts = [[OFFER, "t-x-takp-q", answer("true") + frames(1) + b"\x00", "never"]]
    async with served.running():
        await take(stream_to(rig, served.port).events(), 3)
    assert rig.log.lines[0][1]["reason"] == "the TAK stream lost its framing"


async def test_old_servers_get_a_password_first(rig: Rig) -> None:
    served = Scripted(rig.files)
    served.scripts = [["</auth>", GOOD, "never"]]
    secrets = {"stream_username": Secret("u<1>"), "stream_password": Secret("p&w")}
    connector = rig.connector(credentials=secrets, stream_url="tls://127.0.0.1:1")
    async with served.running():
        connector.address = ("127.0.0.1", served.port)
        await take(connector.stream(), 1)
    assert served.heard[0].startswith(
        b'<?xml version="1.0"?>\n<auth><cot username="u&lt;1&gt;" password="p&amp;w" uid="CROSSDOCK-tak"/></auth>'
    )


async def test_a_refused_password_closes_the_stream(rig: Rig) -> None:
    served = Scripted(rig.files)
    served.scripts = [[]]
    async with served.running():
        stream = stream_to(rig, served.port, sign_in=cot.sign_in("u", "p", "x"))
        with pytest.raises(AuthFailed, match="closed the stream at our log-in"):
            await take(stream.events(), 1)
    assert len(served.heard) == 3


def test_framing_waits_for_the_whole_event() -> None:
    framing = Framing()
    found = []
    for byte in GOOD + GOOD:
        framing.feed(bytes((byte,)))
        while (body := framing.next()) is not None:
            found.append(body)
    assert found == [GOOD.removeprefix(cot.DECLARATION)] * 2
    framing.feed(b"\n")
    framing.switch()
    binary = frames(2)
    got = []
    for byte in binary:
        framing.feed(bytes((byte,)))
        while (body := framing.next()) is not None:
            got.append(takproto.read_message(body))
    assert [each.uid for each in got if each is not None] == ["p-0", "p-1"]
    framing.feed(b"nonsense")
    with pytest.raises(BadPayload, match="lost its framing"):
        framing.next()
