"""The OPC UA server by itself: its address space, its values, its restarts."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from asyncua import Client, ua

from sandbox.opcua import PASSWORD, USER, create
from sandbox.opcua.certificates import CLIENT_URI, ensure
from sandbox.opcua.space import MACHINERY, OWN
from sandbox.world import World
from tests.connectors.contract import NOW

pytestmark = pytest.mark.timeout(60)


class Hands:
    now: datetime = NOW


WORLD = World(lambda: Hands.now)


async def test_the_line_from_its_start_to_its_restart() -> None:
    """In one test, since each start takes a second."""
    line = create(WORLD)
    await line.start()
    try:
        async with Client(line.addresses[0]) as client:
            machinery = await client.get_namespace_index(MACHINERY)
            own = first = await client.get_namespace_index(OWN)
            folder = client.get_node(ua.NodeId(1001, machinery))
            assert [(await each.read_browse_name()).Name for each in await folder.get_children()] == ["Ebony", "Sapele"]
            speed = client.get_node(ua.NodeId("station-1.Speed", own))
            state = WORLD.machine_by_id["station-1"].state_at(NOW)
            assert await speed.read_value() == pytest.approx(state.speed_rpm)
            number = client.get_node(ua.NodeId("station-1.MachineryItemState.Number", own))
            assert await number.read_value() == 3
            with pytest.raises(ua.UaStatusCodeError):
                await client.get_node(ua.NodeId("station-2.MachineryItemState.Number", own)).read_value()
            id_ = await client.get_node(ua.NodeId("station-2.MachineryItemState.Id", own)).read_value()
            (property_,) = await client.get_node(id_).get_properties()
            assert await property_.read_value() == 3
            Hands.now = NOW + timedelta(seconds=3)
            await line.look()
            later = WORLD.machine_by_id["station-1"].state_at(Hands.now)
            assert await speed.read_value() == pytest.approx(later.speed_rpm)
            gripper = client.get_node(ua.NodeId("station-1.gripper", own))
            assert [(await each.read_browse_name()).Name for each in await gripper.get_children()] == ["Ebony"]
        line.faults.expire_sessions()
        await line.obey()
        async with Client(line.addresses[0]) as client:
            assert await client.get_namespace_index(OWN) != first
        line.faults.down = True
        await line.obey()
        with pytest.raises(OSError, match="Connect call failed"):
            await Client(line.addresses[0]).connect()
    finally:
        Hands.now = NOW
        await line.stop()


def test_certificates_are_kept_until_they_end(tmp_path: Path) -> None:
    first = ensure(tmp_path)
    content = first.client.read_bytes()
    assert first.client_key.stat().st_mode & 0o777 == 0o600
    assert ensure(tmp_path).client.read_bytes() == content
    first.client_key.unlink()
    assert ensure(tmp_path).client.read_bytes() != content
    assert CLIENT_URI.startswith("urn:")
    assert (USER, PASSWORD) == ("sandbox", "sandbox-opcua")
