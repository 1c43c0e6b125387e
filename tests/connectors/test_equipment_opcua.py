"""Equipment over OPC UA: the stand-in's assembly line, its security, its restarts, its subscriptions."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import msgspec
import pytest
import pytest_asyncio
from asyncua import ua
from cryptography.hazmat.primitives import serialization

from connectors.equipment import CONNECTOR, EquipmentConnector
from connectors.equipment.opcua import browse
from connectors.equipment.opcua.machine import OpcUaMachine, taken
from connectors.equipment.opcua.settings import NodePoint, OpcUa, node_name
from connectors.equipment.opcua.values import quality, unece
from connectors.equipment.points import Taken
from connectors.equipment.settings import Settings
from connectors.kit.errors import AuthFailed, BadPayload, BadRequest, CircuitOpen, NotFound, TimedOut, VendorDown
from connectors.kit.integration import Integration, Secret
from connectors.kit.manifest import Payload
from connectors.kit.protocols import Connector, Raw
from connectors.kit.services import Services
from sandbox.opcua import PASSWORD, USER, Line, create
from sandbox.opcua.certificates import CLIENT_URI, pair
from sandbox.world import World
from tests.connectors.contract import NOW, Bench, ConnectorContract, FakeClock, Lines
from unified import records
from unified.events import Changed
from unified.keys import Subject, canonical
from unified.queries import EquipmentFilter, ListQuery
from unified.records import Equipment, EquipmentState, EquipmentType, Job, ReadingQuality
from unified.values import System

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

ALL = ListQuery(filter=EquipmentFilter())
OWN = "http://sandbox.example/UA/Assembly/"
STATION: list[dict[str, Any]] = [
    {"name": "job", "path": "Production/Job", "role": "job"},
    {"name": "done", "path": "Production/PartsDone", "role": "parts"},
    {"name": "wanted", "path": "Production/PartsWanted", "role": "parts_target"},
    {"name": "alarm", "path": "Production/Alarm", "role": "fault", "texts": {"9": "Torque not reached"}},
]
MACHINES: list[dict[str, Any]] = [
    {"id": "station-1", "name": "Ebony", "node": f"nsu={OWN};s=station-1", "map": "station"},
    {"id": "station-2", "name": "Sapele", "node": f"nsu={OWN};s=station-2", "map": "station"},
]


@dataclass
class Hands:
    """The world's clock, moved by hand."""

    now: datetime = NOW


HANDS = Hands()
WORLD = World(lambda: HANDS.now)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def the_line(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    """One server for all tests here: it takes a second to start."""
    line = create(WORLD, port=0, state_dir=tmp_path_factory.mktemp("opcua"))
    line._tick = _never  # type: ignore[method-assign]
    await line.start()
    yield line
    await line.stop()


async def _never() -> None:
    """Instead of ticking: the tests say when."""


@pytest_asyncio.fixture(loop_scope="module")
async def line(the_line: Line) -> AsyncIterator[Line]:
    HANDS.now = NOW
    the_line.faults.reset()
    await the_line.obey()
    the_line.users.seen = []
    yield the_line
    the_line.faults.reset()


def integration(line: Line, *, deadline: float = 8.0, url: str | None = None, **settings: Any) -> Integration:
    machines = settings.pop("machines", MACHINES)
    return Integration(
        key="assembly",
        system=System.EQUIPMENT,
        deadline_seconds=deadline,
        credentials={"user": Secret(USER), "password": Secret(PASSWORD), "wrong": Secret("hunter2-wrong")},
        settings={
            "protocol": "opc-ua",
            "machines": [{"url": url or line.addresses[0], **each} for each in machines],
            "nodes": {"station": STATION},
            "item_pattern": r"(?P<item>[a-z0-9]+-[0-9]+)$",
            "push_seconds": 0.5,
            **settings,
        },
    )


def secure(line: Line, **more: Any) -> dict[str, Any]:
    files = line.certificates
    assert files is not None
    return {
        "opcua": {
            "security_policy": "Basic256Sha256",
            "certificate_file": str(files.client),
            "key_file": str(files.client_key),
            "trusted_files": [str(files.server)],
            **more,
        }
    }


@dataclass
class Hall:
    connector: EquipmentConnector
    line: Line
    clock: FakeClock
    log: Lines

    async def station(self, machine: str = "station-1") -> Equipment:
        (found,) = await self.connector.read_equipment([machine])
        return found

    @property
    def server(self) -> Any:
        driver = self.connector._drivers["station-1"]
        assert isinstance(driver, OpcUaMachine)
        return driver._server

    async def until(self, mode: str, machine: str = "station-1") -> None:
        one = WORLD.machine_by_id[machine]
        for _ in range(5_000):
            if one.state_at(HANDS.now).mode == mode:
                await self.line.look()
                return
            HANDS.now += timedelta(seconds=5)
        raise AssertionError(mode)


@contextlib.asynccontextmanager
async def hall_of(line: Line, **settings: Any) -> AsyncIterator[Hall]:
    clock, log = FakeClock(), Lines()
    connector = CONNECTOR(integration(line, **settings), Services(clock=clock, log=log))
    try:
        yield Hall(connector, line, clock, log)
    finally:
        await connector.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def hall(line: Line) -> AsyncIterator[Hall]:
    async with hall_of(line) as made:
        yield made


class TestOpcUa(ConnectorContract):
    system: ClassVar[System] = System.EQUIPMENT
    kinds: ClassVar[frozenset[records.Kind]] = frozenset({records.Kind.EQUIPMENT})
    expires: ClassVar[bool] = False  # a lost session is made anew by itself; see the restarts below
    request_id_header: ClassVar[str | None] = None

    @pytest_asyncio.fixture(loop_scope="module")
    async def bench(self, line: Line) -> AsyncIterator[Bench]:
        clock, log = FakeClock(), Lines()
        settings = secure(line, user="user", password="password")
        connector = CONNECTOR(integration(line, machines=MACHINES[:1], **settings), Services(clock=clock, log=log))
        yield Bench(connector, line.faults, clock, log, (PASSWORD,))
        await connector.aclose()

    async def read_one(self, connector: Connector) -> object:
        assert isinstance(connector, EquipmentConnector)
        return await connector.read_equipment(["station-1"])

    # these need no loop, but the module's mark is for tests that have one

    async def test_the_registry_knows_it_by_its_system(self) -> None:  # type: ignore[override]
        super().test_the_registry_knows_it_by_its_system()

    async def test_its_methods_say_what_it_lists(self) -> None:  # type: ignore[override]
        super().test_its_methods_say_what_it_lists()

    async def test_its_manifest_is_complete(self) -> None:  # type: ignore[override]
        super().test_its_manifest_is_complete()

    @staticmethod
    def _skip() -> NoReturn:
        pytest.skip("these are HTTP's; what OPC UA has instead is tested below")

    @pytest.mark.parametrize("status", [500, 503])
    async def test_an_outage_is_down_with_the_vendors_request_id(self, bench: Bench, status: int) -> None:
        self._skip()

    async def test_429_waits_as_told(self, bench: Bench) -> None:
        self._skip()

    async def test_429_that_asks_too_long_is_rate_limited(self, bench: Bench) -> None:
        self._skip()

    async def test_html_is_a_clear_error(self, bench: Bench) -> None:
        self._skip()

    async def test_half_a_body_is_down(self, bench: Bench) -> None:
        self._skip()

    async def test_wrong_types_are_an_error_with_a_path(self, bench: Bench) -> None:
        self._skip()

    async def test_cancelling_ends_the_call(self, bench: Bench) -> None:
        self._skip()

    async def test_the_last_good_answer_is_served_with_its_age(self, bench: Bench) -> None:
        pytest.skip("the server has to be stopped and started: see the test of the outage below")


# --- reads


async def test_a_station_that_works(hall: Hall) -> None:
    found = await hall.station()
    state = WORLD.machine_by_id["station-1"].state_at(NOW)
    assert state.batch is not None
    assert (found.name, found.equipment_type) == ("Ebony", EquipmentType.OTHER)
    assert (found.manufacturer, found.model, found.serial_number) == ("Bosch Rexroth", "TS 5", "S981755")
    assert found.software == "3.1.4"
    assert (found.state, found.source.vendor_status) == (EquipmentState.RUNNING, "Executing; Processing")
    assert found.job == Job(
        name="fan 101-785",
        progress=state.parts_done / state.batch.parts,
        item_number="101-785",
        integration="assembly",
    )
    assert [(each.sensor, each.value, each.unit, each.quality) for each in found.sensors] == [
        ("Torque", round(state.force_kn / 20, 2), "N.m", ReadingQuality.GOOD),
        ("Temperature", state.temperature_c, "Cel", ReadingQuality.GOOD),
        ("Speed", state.speed_rpm, "{rev}/min", ReadingQuality.GOOD),
        ("Mood", 1.0, "smileys", ReadingQuality.GOOD),
    ]
    assert all(each.recorded_at is not None for each in found.sensors)
    assert found.updated_at is not None
    assert found.updated_at >= max(each.recorded_at for each in found.sensors if each.recorded_at)
    assert (found.faults, found.error_message) == ((), None)


async def test_a_state_without_a_number_is_told_by_its_id(hall: Hall) -> None:
    """The second station has `CurrentState/Id` only; its texts are in German by their locale."""
    await hall.until("maintenance", "station-2")
    found = await hall.station("station-2")
    assert (found.state, found.source.vendor_status) == (EquipmentState.MAINTENANCE, "OutOfService; Maintenance")
    await hall.until("running", "station-2")
    assert (await hall.station("station-2")).state is EquipmentState.RUNNING


async def test_an_alarm_is_an_error(hall: Hall) -> None:
    await hall.until("error")
    found = await hall.station()
    assert (found.state, found.error_message) == (EquipmentState.ERROR, "Torque not reached")
    assert [(each.code, each.description) for each in found.faults] == [("9", "Torque not reached")]


async def test_both_stations_share_one_session(hall: Hall) -> None:
    page = await hall.connector.list_equipment(ALL, None)
    assert [each.source.external_id for each in page.records] == ["station-1", "station-2"]
    assert hall.server.connects == 1
    assert hall.line.users.seen == ["nobody"]
    (session,) = [values for event, values in hall.log.lines if event == "equipment.session"]
    assert session["timeout_seconds"] == 600, "asked for an hour: the server revises it"


async def test_check_names_the_product(hall: Hall) -> None:
    assert await hall.connector.check() == "OPC UA: Assembly line 3.1.4 (station-1, station-2)"


async def test_the_items_of_the_jobs(hall: Hall) -> None:
    found = [each async for each in hall.connector.identities()]
    batches = [WORLD.machine_by_id[each].state_at(NOW).batch for each in ("station-1", "station-2")]
    assert {canonical(Subject.ITEM, each.number) for each in found} == {each.item_key for each in batches if each}


async def test_a_poll_is_read_back_as_what_was_read(hall: Hall) -> None:
    read = await hall.station()
    raw = (await hall.connector.poll(None)).raws[0]
    assert raw.decoder == "opcua-snapshot"
    (event,) = await hall.connector.events(raw)
    assert isinstance(event, Changed)
    assert event.record == read


async def test_a_browser_with_memory_visits_each_node_once(hall: Hall) -> None:
    """The gripper refers back to its station: a browser without memory would go round until it is too deep."""
    await hall.station()
    link = hall.server._link
    found = await browse.below(link, link.resolve(node_name(f"nsu={OWN};s=station-1")))
    assert len({each.node for each in found}) == len(found)
    assert [each.path for each in found if each.path[-1] == "Ebony"] == []
    assert ("Components", "Gripper") in {each.path for each in found}
    assert {each.path for each in found if each.path[-1] == "SerialNumber"} == {("Identification", "SerialNumber")}


async def test_without_discovery_only_the_map_is_read(line: Line) -> None:
    async with hall_of(line, opcua={"discover": False}) as hall:
        found = await hall.station()
        assert found.sensors == ()
        assert found.job is not None


async def test_nodes_may_be_named_by_themselves(line: Line) -> None:
    nodes = {"m": [{"name": "torque", "node": f"nsu={OWN};s=station-1.Torque", "unit": "N.m"}]}
    async with hall_of(line, machines=[{"id": "m", "map": "m"}], nodes=nodes) as hall:
        (found,) = await hall.connector.read_equipment(["m"])
        assert [(each.sensor, each.unit) for each in found.sensors] == [("torque", "N.m")]
        assert found.state is EquipmentState.UNKNOWN, "nothing tells it"


@pytest.mark.parametrize(
    ("status", "value", "expected"),
    [
        (ua.StatusCodes.Good, 7.5, (7.5, ReadingQuality.GOOD)),
        (ua.StatusCodes.UncertainLastUsableValue, 7.5, (7.5, ReadingQuality.UNCERTAIN)),
        (ua.StatusCodes.BadSensorFailure, 7.5, (None, ReadingQuality.BAD)),
    ],
)
async def test_status_codes_are_quality(
    hall: Hall, status: int, value: float, expected: tuple[float | None, ReadingQuality]
) -> None:
    node = hall.line.stations[0].readings["Mood"]
    await node.write_value(ua.DataValue(ua.Variant(value, ua.VariantType.Float), ua.StatusCode(ua.UInt32(status))))
    found = {each.sensor: each for each in (await hall.station()).sensors}["Mood"]
    assert (found.value, found.quality) == expected


# --- what settings say and the server does not have


async def test_several_machines_need_the_node_named(line: Line) -> None:
    async with hall_of(line, machines=[{"id": "m"}], nodes={}) as hall:
        with pytest.raises(NotFound) as caught:
            await hall.connector.read_equipment(["m"])
    assert str(caught.value).endswith(
        "the server shows 2 machines below Machines; set `node` of machine 'm' to one of them: "
        f"Ebony is nsu={OWN};s=station-1; Sapele is nsu={OWN};s=station-2"
    )


@pytest.mark.parametrize(
    ("machine", "nodes", "message"),
    [
        ({"node": f"nsu={OWN};s=station-9"}, STATION, "does not know the node nsu=.*;s=station-9 of machine 'm'"),
        ({"node": "nsu=urn:other;s=x"}, STATION, "the server has no namespace 'urn:other'; it has: http://opcfound"),
        (
            {"node": f"nsu={OWN};s=station-1"},
            [{"name": "x", "path": "Production/Nothing"}],
            "machine 'm' has no variable 'Production/Nothing' below its node; correct 'x'",
        ),
    ],
)
async def test_nodes_that_are_not_there(
    line: Line, machine: dict[str, str], nodes: list[dict[str, Any]], message: str
) -> None:
    async with hall_of(line, machines=[{"id": "m", "map": "m", **machine}], nodes={"m": nodes}) as hall:
        with pytest.raises(BadRequest, match=message):
            await hall.connector.read_equipment(["m"])
        assert "vendor.unavailable" not in hall.log.events, "a wrong setting is no outage"


# --- security


@pytest.mark.parametrize(
    ("policy", "mode"),
    [
        ("Basic256Sha256", "Sign"),
        ("Basic256Sha256", "SignAndEncrypt"),
        ("Aes128_Sha256_RsaOaep", "SignAndEncrypt"),
        ("Aes256_Sha256_RsaPss", "SignAndEncrypt"),
    ],
)
async def test_with_certificates_and_a_user(line: Line, policy: str, mode: str) -> None:
    settings = secure(line, security_policy=policy, security_mode=mode, user="user", password="password")
    async with hall_of(line, **settings) as hall:
        assert (await hall.station()).state is EquipmentState.RUNNING
        link = hall.server._link
        assert link.client.security_policy.URI.endswith(f"#{policy}")
        assert link.client.security_policy.Mode.name == mode
    assert line.users.seen == [USER]


async def test_a_user_may_come_with_a_certificate(line: Line, tmp_path: Path) -> None:
    files = _files(tmp_path, "user", "urn:user")
    more = {"user_certificate_file": files[0], "user_key_file": files[1]}
    async with hall_of(line, **secure(line, **more)) as hall:
        assert (await hall.station()).state is EquipmentState.RUNNING
    assert line.users.seen == ["CN=user"]


def _files(
    folder: Path, name: str, uri: str, *, at: datetime = NOW, days: int = 30, key_of: str | None = None
) -> tuple[str, str]:
    """A certificate and a key in files; `key_of` writes another key beside it."""
    certificate, key = pair(name, uri, at, days)
    if key_of is not None:
        _, key = pair(key_of, uri, NOW)
    file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(file), str(key_file)


async def _refused(line: Line, **settings: Any) -> str:
    async with hall_of(line, **settings) as hall:
        with pytest.raises(AuthFailed) as caught:
            await hall.station()
        assert PASSWORD not in str(caught.value)
        return str(caught.value)


async def test_a_wrong_password_is_refused(line: Line) -> None:
    said = await _refused(line, **secure(line, user="user", password="wrong"))
    assert "the server answered BadUserAccessDenied" in said
    assert "hunter2" not in said


async def test_a_password_is_sent_to_no_server_that_nobody_has_checked(line: Line, tmp_path: Path) -> None:
    """Without a policy the server's certificate, under which the password is encrypted, could be anybody's."""
    named = {"user": "user", "password": "password"}
    said = await _refused(line, opcua=named)
    assert "the password would go to a server that nobody has checked" in said
    other, _ = _files(tmp_path, "other", "urn:other")
    assert "is not trusted" in await _refused(line, opcua={**named, "trusted_files": [other]})
    assert line.users.seen == []
    assert line.certificates is not None
    for more in ({"plain_password": True}, {"trusted_files": [str(line.certificates.server)]}):
        async with hall_of(line, opcua={**named, **more}) as hall:
            assert (await hall.station()).state is EquipmentState.RUNNING
    assert line.users.seen == [USER, USER]


async def test_a_password_is_not_sent_in_the_clear() -> None:
    plain = create(WORLD, port=0)
    plain._tick = _never  # type: ignore[method-assign]
    await plain.start()
    try:
        said = await _refused(plain, opcua={"user": "user", "password": "password"})
        assert "the server takes the password unencrypted only; speak a security_policy" in said
        assert plain.users.seen == []
    finally:
        await plain.stop()


async def test_a_server_that_is_not_trusted(line: Line, tmp_path: Path) -> None:
    other, _ = _files(tmp_path, "other", "urn:other")
    said = await _refused(line, **secure(line, trusted_files=[other]))
    assert "is not trusted; compare the thumbprint with the one that the server shows" in said
    assert "CN=Sandbox line" in said
    assert line.users.seen == [], "nothing was sent"


async def test_a_policy_that_is_not_spoken_names_those_that_are(line: Line) -> None:
    said = await _refused(line, **secure(line, security_policy="Aes256_Sha256_RsaPss", security_mode="Sign"))
    assert (
        "the server does not speak Aes256_Sha256_RsaPss with mode Sign; it offers: "
        "Aes128_Sha256_RsaOaep/SignAndEncrypt, Aes256_Sha256_RsaPss/SignAndEncrypt, Basic256Sha256/Sign, "
        "Basic256Sha256/SignAndEncrypt, None/None"
    ) in said


async def test_the_application_uri_must_be_the_certificates(line: Line) -> None:
    said = await _refused(line, **secure(line, application_uri="urn:somebody:else"))
    assert f"which is '{CLIENT_URI}'; servers refuse that" in said


async def test_files_that_cannot_be_used_are_named(line: Line, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    said = await _refused(line, **secure(line, certificate_file=missing))
    assert f"cannot read certificate_file {missing}: No such file or directory" in said
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_bytes(b"nonsense")
    said = await _refused(line, **secure(line, certificate_file=str(nonsense)))
    assert f"certificate_file {nonsense} holds no certificate in PEM or DER" in said
    said = await _refused(line, **secure(line, key_file=str(nonsense)))
    assert f"key_file {nonsense} holds no private key" in said
    said = await _refused(line, **secure(line, trusted_files=[str(nonsense)]))
    assert f"trusted_files {nonsense} holds no certificate" in said
    file, key_file = _files(tmp_path, "torn", "urn:torn", key_of="another")
    said = await _refused(line, **secure(line, certificate_file=file, key_file=key_file))
    assert f"{file} and {key_file} do not belong together" in said
    file, key_file = _files(tmp_path, "nameless", "")
    file_old, key_old = _files(tmp_path, "old", "urn:old", at=NOW - timedelta(hours=1), days=0)
    said = await _refused(line, **secure(line, certificate_file=file_old, key_file=key_old))
    assert f"{file_old} is valid from" in said


async def test_no_secret_shows(line: Line) -> None:
    async with hall_of(line, **secure(line, user="user", password="wrong")) as hall:
        with pytest.raises(AuthFailed) as caught:
            await hall.station()
    assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r} {hall.log.lines!r}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"security_policy": "Basic256Sha256"}, "needs certificate_file and key_file"),
        (
            {"security_policy": "Basic256Sha256", "certificate_file": "a", "key_file": "b"},
            "name the server's certificate, or its CA's, in trusted_files",
        ),
        ({"user": "u"}, "user and password belong together"),
        ({"user_certificate_file": "a"}, "belong together"),
        (
            {"user": "u", "password": "p", "user_certificate_file": "a", "user_key_file": "b"},
            "not both",
        ),
        ({"security_policy": "Basic128Rsa15"}, "Invalid enum value"),
    ],
)
async def test_security_settings_that_cannot_be_meant(options: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(options, OpcUa)


async def test_a_credential_that_is_not_there_is_named(line: Line) -> None:
    with pytest.raises(ValueError, match="it names the credential 'nobody', which is not there or empty; there are:"):
        CONNECTOR(integration(line, opcua={"user": "nobody", "password": "password"}), Services())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ns=4;i=5006", "uses a namespace index, which differs per server and after restarts"),
        ("Ebony.Speed", "names no node"),
        ("nsu=;i=1", "names no node"),
        ("i=99999999999", "names no node"),
    ],
)
async def test_nodes_are_named_by_uri(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        node_name(text)
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert({"name": "x", "node": text}, NodePoint)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"machines": [{"id": "m", "url": "http://x"}]}, "must begin with opc.tcp://"),
        ({"machines": [{"id": "m", "url": "opc.tcp://u:p@x"}]}, "must hold neither credentials nor a query"),
        ({"machines": [{"id": "m", "url": "opc.tcp://x", "unit": 3}]}, "`unit` belongs to modbus, not opc-ua"),
        ({"machines": [{"id": "m", "url": "opc.tcp://x", "node": "ns=1;i=1"}]}, "namespace index"),
        ({"nodes": {"a": [{"name": "x", "node": "i=1", "path": "y"}]}}, "write either node or path"),
    ],
)
async def test_settings_that_cannot_be_meant(settings: dict[str, Any], message: str) -> None:
    base = {"protocol": "opc-ua", "machines": [{"id": "m", "url": "opc.tcp://x"}]}
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert({**base, **settings}, Settings)


# --- outages


@contextlib.asynccontextmanager
async def mute(answer: bytes = b"") -> AsyncIterator[str]:
    """Something that listens, answers once and then says nothing."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    yield f"opc.tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()


async def test_a_server_that_says_nothing_is_timed_out(line: Line) -> None:
    async with mute() as url, hall_of(line, url=url, deadline=0.4) as hall:
        with pytest.raises(TimedOut, match=r"no answer to read of the machine's values in time"):
            await hall.station()


async def test_something_else_that_listens(line: Line) -> None:
    async with mute(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url, hall_of(line, url=url, deadline=0.8) as hall:
        with pytest.raises((VendorDown, BadPayload)):
            await hall.station()


async def test_nothing_listens_and_is_left_alone(line: Line) -> None:
    async with hall_of(line, url="opc.tcp://127.0.0.1:9") as hall:
        errors: list[VendorDown] = []
        while not errors or not isinstance(errors[-1], CircuitOpen):
            with pytest.raises(VendorDown) as caught:
                await hall.station()
            errors.append(caught.value)
        assert "cannot connect, or the connection broke off" in str(errors[0])
        assert len(errors) <= 6
        assert hall.log.events.count("vendor.unavailable") == 1


async def test_an_outage_a_restart_with_other_indices_and_the_subscription_made_anew(line: Line) -> None:
    """The server goes away and comes back, its namespaces in another order: nodes are found by their URIs."""
    async with hall_of(line) as hall:
        before = await hall.station()
        link = hall.server._link
        index = link.namespaces.index(OWN)
        stream = hall.connector.stream()
        async with contextlib.aclosing(stream):  # type: ignore[type-var]
            first = {(await _next(hall, stream)).source.external_id for _ in range(2)}
            assert first == {"station-1", "station-2"}
            line.faults.down = True
            await line.obey()
            gone = await _until(hall, stream, lambda each: each.state is EquipmentState.OFFLINE)
            assert (gone.source.stale, gone.sensors) == (True, before.sensors)
            hall.clock.passed += 60
            alone = await hall.station()
            assert (alone.state, alone.source.stale, alone.source.as_of) == (EquipmentState.OFFLINE, True, NOW)
            assert alone.job == before.job
            line.faults.down = False
            await line.obey()
            back = await _until(hall, stream, lambda each: not each.source.stale and each.name == "Ebony")
            assert back.state is EquipmentState.RUNNING
            assert hall.server._link.namespaces.index(OWN) != index
            HANDS.now += timedelta(seconds=3)
            await line.look()
            state = WORLD.machine_by_id["station-1"].state_at(HANDS.now)
            await _until(hall, stream, lambda each: _value(each, "Speed") == state.speed_rpm)
    assert [each for each in hall.log.events if each != "equipment.session"] == [
        "vendor.unavailable",
        "vendor.available",
    ], "two machines, one server: one outage"


def _value(record: Equipment, sensor: str) -> float | None:
    return {each.sensor: each.value for each in record.sensors}.get(sensor)


async def _next(hall: Hall, stream: AsyncIterator[Raw]) -> Equipment:
    async with asyncio.timeout(20):
        raw = await anext(stream)
    (event,) = await hall.connector.events(raw)
    assert isinstance(event, Changed)
    assert isinstance(event.record, Equipment)
    return event.record


async def _until(hall: Hall, stream: AsyncIterator[Raw], wanted: Callable[[Equipment], bool]) -> Equipment:
    async with asyncio.timeout(30):
        while not wanted(found := await _next(hall, stream)):
            pass
    return found


async def test_a_poll_while_the_subscription_begins_does_not_end_it(line: Line) -> None:
    """As at every start: both find the machine's nodes over the connection that was just made."""
    async with hall_of(line) as hall:
        stream = hall.connector.stream()
        async with contextlib.aclosing(stream):  # type: ignore[type-var]
            first = asyncio.create_task(_next(hall, stream))
            for _ in range(5):  # the subscription asks first, the poll right behind it
                await asyncio.sleep(0)
            polled = await hall.connector.poll(None)
            told = {(await first).name, (await _next(hall, stream)).name}
        assert (told, len(polled.raws)) == ({"Ebony", "Sapele"}, 2)
        assert hall.log.events == ["equipment.session"]


async def test_the_subscription_tells_what_changes(hall: Hall) -> None:
    stream = hall.connector.stream()
    async with contextlib.aclosing(stream):  # type: ignore[type-var]
        first = await _until(hall, stream, lambda each: each.name == "Ebony")
        assert first.state is EquipmentState.RUNNING
        await hall.until("error")
        found = await _until(hall, stream, lambda each: each.state is EquipmentState.ERROR)
        assert found.error_message == "Torque not reached"
        assert found.job is not None
        assert (found.manufacturer, [each.sensor for each in found.sensors]) == (
            first.manufacturer, [each.sensor for each in first.sensors],
        )  # fmt: skip
        await hall.until("maintenance", "station-2")
        found = await _until(hall, stream, lambda each: each.state is EquipmentState.MAINTENANCE)
        assert found.name == "Sapele", "a state that was not met before is looked up"


# --- values


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        (ua.Variant(), None),
        (ua.Variant(True, ua.VariantType.Boolean), True),
        (ua.Variant(7, ua.VariantType.Int64), 7.0),
        (ua.Variant(40.33, ua.VariantType.Float), 40.33),
        (ua.Variant(40.330001831054688, ua.VariantType.Float), 40.33),
        (ua.Variant(40.330001831054688, ua.VariantType.Double), 40.330001831054688),
        (ua.Variant(float("nan"), ua.VariantType.Double), None),
        (ua.Variant("x", ua.VariantType.String), "x"),
        (ua.Variant("", ua.VariantType.String), None),
        (ua.Variant(ua.LocalizedText("läuft", "de"), ua.VariantType.LocalizedText), "läuft"),
        (ua.Variant(ua.LocalizedText(), ua.VariantType.LocalizedText), None),
        (ua.Variant(ua.QualifiedName("q", 2), ua.VariantType.QualifiedName), "q"),
        (ua.Variant(datetime(2026, 1, 2, tzinfo=UTC), ua.VariantType.DateTime), "2026-01-02T00:00:00+00:00"),
        (ua.Variant(b"\x01\xff", ua.VariantType.ByteString), "01ff"),
        (ua.Variant([1, 2], ua.VariantType.Int32), "1.0 2.0"),
    ],
)
async def test_variants(variant: ua.Variant, expected: object) -> None:
    found = taken(ua.DataValue(variant)).value
    assert found == expected
    assert type(found) is type(expected)


async def test_times_are_the_sources() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    assert taken(ua.DataValue(ua.Variant(1), SourceTimestamp=at)).at == "2026-01-02T00:00:00+00:00"
    assert taken(ua.DataValue(ua.Variant(1), ServerTimestamp=at)).at == "2026-01-02T00:00:00+00:00"
    assert taken(ua.DataValue(ua.Variant(1), SourceTimestamp=datetime(1601, 1, 1, tzinfo=UTC))).at is None


async def test_the_codes_of_units_and_qualities() -> None:
    assert unece(int.from_bytes(b"CEL", "big")) == "CEL"
    assert (unece(-1), unece(0), unece(1 << 40)) == (None, None, None)
    assert [quality(each) for each in (0x0, 0x00A70000, 0x40920000, 0x808C0000, 0xC0000000)] == [
        ReadingQuality.GOOD, ReadingQuality.GOOD, ReadingQuality.UNCERTAIN, ReadingQuality.BAD, ReadingQuality.BAD,
    ]  # fmt: skip


async def test_a_snapshot_is_decoded_without_its_map() -> None:
    decoder = next(each for each in CONNECTOR.manifest.decoders if each.name == "opcua-snapshot")
    body = {
        "type": "opcua-snapshot",
        "map": "nobody-knows",
        "units": {"Speed": "mm/s"},
        "values": {"Speed": {"value": 3.5}, "MachineryItemState": {"value": 3.0}, "alarm": {"value": 0.0}},
    }
    from tests.connectors.test_equipment_samples import ORIGIN

    (record,) = decoder.read(Payload(body=json.dumps(body).encode()), ORIGIN)
    assert isinstance(record, Equipment)
    assert (record.state, record.source.vendor_status) == (EquipmentState.RUNNING, "3")
    assert [(each.sensor, each.value, each.unit) for each in record.sensors] == [
        ("Speed", 3.5, "mm/s"), ("alarm", 0.0, None),
    ]  # fmt: skip


async def test_taken_is_what_is_kept() -> None:
    assert msgspec.json.encode(Taken(value=1.0)) == b'{"value":1.0}'
