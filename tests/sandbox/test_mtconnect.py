"""The MTConnect agent by itself: documents, buffer, errors, streams."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx
import pytest
from lxml import etree

from sandbox.mtconnect import Agent, create
from sandbox.world import World
from tests.connectors.contract import NOW


class Hands:
    now: datetime = NOW


WORLD = World(lambda: Hands.now)


@pytest.fixture
def agent() -> Agent:
    Hands.now = NOW
    return create(WORLD, buffer_size=100)


@pytest.fixture
async def client(agent: Agent) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=agent.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://agent") as opened:
        yield opened


def parsed(response: httpx.Response) -> etree._Element:
    return etree.fromstring(response.content)


def local(element: etree._Element) -> str:
    return element.tag.rpartition("}")[2]


def header(root: etree._Element) -> dict[str, str]:
    return {str(name): str(value) for name, value in root[0].attrib.items()}


async def test_probe_lists_the_agent_and_the_mills(client: httpx.AsyncClient) -> None:
    root = parsed(await client.get("/probe"))
    assert local(root) == "MTConnectDevices"
    assert root.tag.startswith("{urn:mtconnect.org:MTConnectDevices:1.7}")
    assert [(local(each), each.get("name")) for each in root[1]] == [
        ("Agent", "Agent"), ("Device", "VMC-Iroko"), ("Device", "VMC-Obeche"),
    ]  # fmt: skip
    items = [each.get("id") for each in root.iter("{*}DataItem")]
    assert len(items) == len(set(items)) == 48


async def test_current_has_every_data_item_once(client: httpx.AsyncClient, agent: Agent) -> None:
    root = parsed(await client.get("/VMC-Iroko/current"))
    (device,) = root[1]
    observations = [each for part in device for group in part for each in group]
    assert sorted(each.get("dataItemId") or "" for each in observations) == sorted(agent.devices[0].by_id)
    assert header(root)["nextSequence"] == str(max(int(each.get("sequence") or 0) for each in observations) + 25)


async def test_sample_pages_through_the_buffer(client: httpx.AsyncClient, agent: Agent) -> None:
    for _ in range(3):
        Hands.now += timedelta(seconds=7)
        agent.look()
    seen: list[int] = []
    begin = agent.first
    while True:
        root = parsed(await client.get(f"/sample?from={begin}&count=20"))
        page = sorted(int(each.get("sequence") or 0) for each in root[1].iter() if each.get("sequence"))
        seen += page
        if not page:
            break
        begin = int(header(root)["nextSequence"])
    assert seen == list(range(agent.first, agent.first + len(seen)))
    assert begin == agent._next


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/nosuchdevice/probe", 404, "NO_DEVICE"),
        ("/a/b/c", 404, "NO_DEVICE"),
        ("/sample?from=9999", 400, "OUT_OF_RANGE"),
        ("/sample?count=101", 400, "OUT_OF_RANGE"),
        ("/sample?from=x", 400, "QUERY_ERROR"),
        ("/current?path=//Axes[", 400, "INVALID_XPATH"),
        ("/current?path=//Nothing", 400, "INVALID_XPATH"),
    ],
)
async def test_errors(client: httpx.AsyncClient, agent: Agent, path: str, status: int, code: str) -> None:
    response = await client.get(path)
    assert response.status_code == status
    root = parsed(response)
    assert (local(root), root[1][0].get("errorCode")) == ("MTConnectError", code)
    agent.old_errors = True
    assert (await client.get(path)).status_code == 200


async def test_what_left_the_buffer_is_out_of_range(client: httpx.AsyncClient, agent: Agent) -> None:
    for _ in range(20):
        Hands.now += timedelta(seconds=7)
        agent.look()
    assert agent.first > 1
    response = await client.get("/sample?from=1")
    assert response.status_code == 400
    assert f"must be greater than {agent.first - 1}" in response.text


async def test_a_path_narrows_the_data_items(client: httpx.AsyncClient) -> None:
    root = parsed(await client.get('/VMC-Iroko/current?path=//Linear//DataItem[@type="POSITION"]'))
    names = [each.get("name") for each in root[1].iter("{*}Position")]
    assert names == ["Xact", "Yact", "Zact"]


async def test_a_restart_begins_at_one_again(client: httpx.AsyncClient, agent: Agent) -> None:
    before = header(parsed(await client.get("/current")))
    agent.faults.expire_sessions()
    after = header(parsed(await client.get("/current")))
    assert after["instanceId"] != before["instanceId"]
    assert after["firstSequence"] == "1"


async def test_json_where_it_is_asked_for(client: httpx.AsyncClient) -> None:
    asked = {"Accept": "application/json"}
    told = (await client.get("/VMC-Iroko/current", headers=asked)).json()["MTConnectStreams"]
    (device,) = told["Streams"]["DeviceStream"]
    path = next(each for each in device["ComponentStream"] if each["component"] == "Path")
    assert path["Events"]["Execution"][0]["value"] == "ACTIVE"
    assert len(path["Samples"]["PathPosition"][0]["value"]) == 3
    error = (await client.get("/x/probe", headers=asked)).json()["MTConnectError"]
    assert error["Errors"]["Error"][0]["errorCode"] == "NO_DEVICE"


async def test_tools_are_assets(client: httpx.AsyncClient, agent: Agent) -> None:
    root = parsed(await client.get("/VMC-Iroko/assets"))
    assert [each.get("toolId") for each in root[1]] == ["T01", "T02", "T03", "T04"]
    agent.remove_tool("T02")
    root = parsed(await client.get("/VMC-Iroko/assets"))
    assert [each.get("toolId") for each in root[1]] == ["T01", "T03", "T04"]
    current = parsed(await client.get("/VMC-Iroko/current"))
    assert [each.text for each in current.iter("{*}AssetRemoved")] == ["T02"]
