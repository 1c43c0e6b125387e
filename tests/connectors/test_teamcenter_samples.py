"""Every sample of the interface, read to its exact values by the decoders that the live path uses."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.kit.errors import BadPayload
from connectors.kit.http import OutcomeKind
from connectors.kit.integration import Origin
from connectors.kit.manifest import Decoded, Payload
from connectors.kit.protocols import BomRequest
from connectors.teamcenter import Teamcenter, soa, values
from tests.connectors.contract import NOW
from tests.connectors.test_teamcenter import Rig, items_query
from unified.records import Bom, BomLine, Item, ItemType, WhereUsed
from unified.values import System

SAMPLES = Path(__file__).parents[1] / "samples" / "teamcenter"
ORIGIN = Origin(integration="plm", system=System.TEAMCENTER, as_of=NOW)


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


def http_sample(name: str) -> tuple[str, dict[str, str], bytes]:
    """First line, headers and body of a message as captured."""
    head, _, body = (SAMPLES / name).read_text().replace("\r\n", "\n").partition("\n\n")
    first, *lines = head.splitlines()
    pairs = [line.partition(": ") for line in lines]
    return first, {name.lower(): value for name, _, value in pairs}, body.encode()


def decoded(body: Any, headers: dict[str, str] | None = None) -> list[Decoded]:
    """By the first decoder that recognises it, as `crossdock decode` does."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = Payload(body=raw, headers=headers or {})
    decoder = next(each for each in Teamcenter.manifest.decoders if each.recognises(given))
    return list(decoder.read(given, ORIGIN))


def test_the_log_in_is_a_cookie() -> None:
    _, headers, body = http_sample("login_response.http")
    assert decoded(body, headers) == [
        values.Session(
            server_version="V13000.3.0", display_version="Teamcenter 13.3", locale="en_US", cookies=("JSESSIONID",)
        )
    ]
    assert b"ssoCredentials" not in body


async def test_the_cookie_of_the_log_in_is_what_requests_are_signed_with() -> None:
    _, headers, body = http_sample("login_response.http")
    rig = Rig()

    async def send(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=headers, content=body, request=request)

    assert await rig.connector.soa.session.log_in(send) == "JSESSIONID=8A0F6A3C9C1B"


async def test_our_log_in_has_the_members_of_the_captured_one() -> None:
    first, headers, body = http_sample("login_request_tcsoa.http")
    captured = json.loads(body)
    rig = Rig({"services": "RestServices"})
    await rig.connector.check()
    request = rig.wire.sent[0]
    sent = json.loads(request.content)
    assert f"{request.method} {request.url.path} HTTP/1.1" == first
    assert {name: request.headers[name] for name in headers} == headers
    assert set(sent["body"]["credentials"]) == set(captured["body"]["credentials"])
    assert set(sent["header"]["policy"]) == set(captured["header"]["policy"])
    assert set(captured["header"]["state"]) <= set(sent["header"]["state"])
    await rig.connector.aclose()


def test_an_item_with_its_newest_revision() -> None:
    [found] = decoded(sample("get_item_from_id.json")["response"])
    assert found == Item(
        source=ORIGIN.source("RqT9xCrFojgGRC"),
        updated_at=datetime(2021, 12, 2, 9, 24, 58, tzinfo=UTC),
        number="ASM-12345",
        name="Main assembly",
        item_type=ItemType.COMPONENT,
        revision="B",
    )


def test_an_expansion_is_a_structure() -> None:
    [found] = decoded(sample("expand_one_assembly.json"))
    line = {"parent": None, "level": 1, "unit": "each", "integration": "plm"}
    assert found == Bom(
        source=ORIGIN.source("ASM-12345"),
        item_number="ASM-12345",
        revision="B",
        lines=(
            BomLine(
                position=0,
                external_id="L1",
                find_number="10",
                item_number="PRT-1",
                item_revision="A",
                quantity=Decimal(2),
                total_quantity=Decimal(2),
                **line,  # type: ignore[arg-type]
            ),
            BomLine(
                position=1,
                external_id="L2",
                find_number="20",
                item_number="PRT-2",
                item_revision="C",
                quantity=Decimal(1),
                total_quantity=Decimal(1),
                **line,  # type: ignore[arg-type]
            ),
        ),
    )


def test_a_saved_query_gives_uids() -> None:
    given = sample("saved_query.json")
    assert decoded(given["execute_response"]) == [values.QueryResult(uids=("RqT9xCrFojgGRC", "RqU0xCrFojgGRC"))]
    assert decoded(given["describe_response"]) == [
        values.QueryFields(entries=(values.QueryEntry(attribute="item_id", entry="Item ID"),))
    ]


@pytest.mark.parametrize(
    ("place", "kind", "code", "message"),
    [
        (
            0,
            OutcomeKind.AUTH_FAILED,
            "515144",
            "The login attempt failed: either the user ID or the password is invalid.",
        ),
        (1, OutcomeKind.AUTH_EXPIRED, "515143", "The user session has timed out."),
        (2, OutcomeKind.REJECTED, "214000", "An internal error has occurred."),
    ],
)
def test_exceptions_come_with_status_200(place: int, kind: OutcomeKind, code: str, message: str) -> None:
    response = httpx.Response(200, json=sample("exceptions.json")[place])
    explain = Teamcenter.manifest.explain
    assert explain is not None
    outcome = explain(response)
    assert outcome is not None
    assert (outcome.kind, outcome.code, outcome.message) == (kind, code, message)


@pytest.mark.parametrize("name", ["get_item_from_id.json", "expand_one_assembly.json"])
def test_the_service_data_may_be_spelt_either_way(name: str) -> None:
    given = sample(name)
    answer = given.get("response", given)
    before = decoded(answer)
    answer["serviceData"] = answer.pop("ServiceData")
    assert decoded(answer) == before


def test_an_answer_that_mentions_exceptions_is_none() -> None:
    said = {".QName": f"{BASE}Base.ServiceData", "modelObjects": {"a": {"uid": "a", "type": "Exceptions.Part"}}}
    assert soa.explain(httpx.Response(200, json=said)) is None


def test_an_unknown_exception_is_a_refusal() -> None:
    outcome = soa.explain(httpx.Response(200, json={".QName": f"{BASE}Exceptions.NewException", "message": "No"}))
    assert outcome is not None
    assert (outcome.kind, outcome.message) == (OutcomeKind.REJECTED, "No")


BASE = "http://teamcenter.com/Schemas/Soa/2006-03/"


def test_nulls_are_told_apart_from_texts() -> None:
    props = {
        "item_id": {"dbValues": ["N/A"]},
        "object_name": {"dbValues": ["None"]},
        "object_desc": {"dbValues": ["x"], "uiValues": ["x"], "isNulls": [True]},
        "uom_tag": {"dbValues": ["AAAAAAAAAAAAAA"], "uiValues": [""]},
        "last_mod_date": {"dbValues": ["0001-01-01T00:00:00"]},
        "object_type": {"dbValues": ["SPB5_Det"]},
    }
    answer = {".QName": f"{BASE}Base.ServiceData", "modelObjects": {"u": {"uid": "u", "props": props}}}
    [found] = decoded(answer)
    assert isinstance(found, Item)
    assert (found.number, found.name, found.description) == ("N/A", "None", None)
    assert (found.unit, found.updated_at, found.item_type) == ("each", None, ItemType.COMPONENT)
    assert (found.revision, found.released, found.release_statuses) == (None, None, ())


def test_partial_errors_keep_the_rest() -> None:
    error = {"clientId": "", "uid": "b", "errorValues": [{"message": "Gone.", "code": 214203, "level": 3}]}
    props = {"item_id": {"dbValues": ["A"]}}
    answer = {
        ".QName": f"{BASE}Base.ServiceData",
        "modelObjects": {"a": {"uid": "a", "props": props}},
        "partialErrors": [error],
    }
    item, failure = decoded(answer)
    assert isinstance(item, Item)
    assert failure == values.PartialFailure(uid="b", code=214203, message="Gone.")


def test_the_newest_revision_is_the_one_created_last() -> None:
    def revision(uid: str, letter: str, created: str) -> dict[str, Any]:
        return {
            "uid": uid,
            "props": {
                "item_revision_id": {"dbValues": [letter]},
                "creation_date": {"dbValues": [created]},
                "release_status_list": {"dbValues": ["s"], "uiValues": ["Freigegeben"]} if letter == "C" else {},
            },
        }

    objects = {
        "i": {
            "uid": "i",
            "props": {"item_id": {"dbValues": ["I"]}, "revision_list": {"dbValues": ["r1", "r2", "gone"]}},
        },
        "r1": revision("r1", "C", "2024-02-01T00:00:00+01:00"),
        "r2": revision("r2", "B", "2024-01-31T23:30:00+00:00"),
    }
    [found] = decoded({".QName": f"{BASE}Base.ServiceData", "modelObjects": objects})
    assert isinstance(found, Item)
    assert found.revision == "B"
    assert found.released is False
    objects["r2"]["props"]["creation_date"]["dbValues"] = ["2024-01-31T22:59:59+00:00"]  # type: ignore[index]
    [found] = decoded({".QName": f"{BASE}Base.ServiceData", "modelObjects": objects})
    assert isinstance(found, Item)
    assert (found.revision, found.released, found.release_statuses) == ("C", True, ("Freigegeben",))


@pytest.mark.parametrize(
    ("props", "path"),
    [
        ({"item_id": {"dbValues": [""]}}, "$.modelObjects.u.props.item_id"),
        (
            {"item_id": {"dbValues": ["A"]}, "last_mod_date": {"dbValues": ["02-Dec-2021 12:24"]}},
            "$.modelObjects.u.props.last_mod_date.dbValues[0]",
        ),
    ],
)
def test_what_means_nothing_is_told_with_its_place(props: dict[str, Any], path: str) -> None:
    with pytest.raises(BadPayload) as caught:
        decoded({".QName": f"{BASE}Base.ServiceData", "modelObjects": {"u": {"uid": "u", "props": props}}})
    assert caught.value.path == path


# --- every kind of answer that the stand-in gives


@pytest.fixture
async def answers() -> dict[str, bytes]:
    """Bodies of live answers, by operation."""
    rig, found = Rig(), dict[str, bytes]()
    handle = rig.wire.handle_async_request

    async def keeping(request: httpx.Request) -> httpx.Response:
        response = await handle(request)
        body = await response.aread()
        found[request.url.path.rpartition("/")[2]] = body
        return httpx.Response(response.status_code, headers=response.headers, stream=httpx.ByteStream(body))

    rig.wire.handle_async_request = keeping  # type: ignore[method-assign]
    made, top = rig.connector, rig.world.products[0]
    await made.check()
    await made.list_items(items_query(2), None)
    await made.items_by_number([top.teamcenter_number])
    await made.search.all_items()
    await made.read_items([top.uid])
    await made.explode([BomRequest(item=top.uid), BomRequest(item=top.uid, max_levels=1)])
    await made.where_used([rig.world.items[30].uid])
    await made.aclose()
    return found


async def test_every_live_answer_is_decoded(answers: dict[str, bytes]) -> None:
    found = {operation: [type(each) for each in decoded(body)] for operation, body in answers.items()}
    assert {operation: sorted({each.__name__ for each in kinds}) for operation, kinds in found.items()} == {
        "login": ["Session"],
        "getTCSessionInfo": ["Session"],
        "findSavedQueries": ["SavedQueries"],
        "describeSavedQueries": ["QueryFields"],
        "performSearch": ["Item"],
        "getItemFromId": ["Item"],
        "executeSavedQueries": ["QueryResult"],
        "getProperties": ["Item"],
        "getRevisionRules": ["RevisionRule"],
        "createBOMWindows": ["BomWindow"],
        "expandPSAllLevels": ["Bom"],
        "expandPSOneLevel": ["Bom"],
        "closeBOMWindows": [],
        "whereUsed": ["WhereUsed"],
        "logout": [],
    }
    users = decoded(answers["whereUsed"])
    assert all(isinstance(each, WhereUsed) for each in users)
    assert decoded(answers["findSavedQueries"])[0].names == ("Item...", "Item Revision...")  # type: ignore[union-attr]
