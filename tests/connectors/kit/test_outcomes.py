"""What answers mean: by status, by the table of errors; the vendor's own id of a call; pages for people."""

import re
from datetime import timedelta
from email.utils import format_datetime

import httpx
import pytest

from connectors.kit import errors
from connectors.kit.errors import VendorError
from connectors.kit.http import OK, Outcome, OutcomeKind, by_status, looks_like_html, raise_for, request_id, retry_after
from connectors.kit.outcomes import label_of
from tests.connectors.contract import NOW
from tests.connectors.kit.peer import scripted

K = OutcomeKind


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ((200, 201, 202, 204, 207, 299), K.OK),
        ((301, 302, 303, 304, 307, 308), K.NONSENSE),
        ((401,), K.AUTH_EXPIRED),
        ((403,), K.DENIED),
        ((404, 410), K.ABSENT),
        ((409, 412), K.CONFLICT),
        ((422,), K.REJECTED),
        ((429,), K.THROTTLED),
        ((400, 402, 405, 406, 413, 414, 415, 418, 451), K.BAD_REQUEST),
        ((408, 425, 500, 501, 502, 503, 504, 520, 599), K.DOWN),
    ],
)
def test_what_a_status_means(statuses: tuple[int, ...], kind: OutcomeKind) -> None:
    assert {by_status(httpx.Response(each)).kind for each in statuses} == {kind}


@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        (K.AUTH_EXPIRED, errors.SessionExpired, "ERR_SESSION_EXPIRED"),
        (K.AUTH_FAILED, errors.AuthFailed, "ERR_OAUTH_INVALID"),
        (K.DENIED, errors.PermissionDenied, "ERR_PERMISSION_DENIED"),
        (K.ABSENT, errors.NotFound, "ERR_NOT_FOUND"),
        (K.CONFLICT, errors.Conflict, "ERR_CONFLICT"),
        (K.REJECTED, errors.Rejected, "ERR_VENDOR_REJECTED"),
        (K.BAD_REQUEST, errors.BadRequest, "ERR_VENDOR_REQUEST"),
        (K.THROTTLED, errors.RateLimited, "ERR_RATE_LIMITED"),
        (K.DOWN, errors.VendorDown, "ERR_VENDOR_UNAVAILABLE"),
        (K.NONSENSE, errors.BadPayload, "ERR_INVALID_RESPONSE"),
    ],
)
def test_what_each_outcome_raises(kind: OutcomeKind, error: type[VendorError], code: str) -> None:
    request = httpx.Request("GET", "https://vendor.example/x?token=hidden")
    response = httpx.Response(418, headers={"X-Request-Id": "req-1"})
    outcome = Outcome(kind=kind, message="no tea today", code="T-1", retry_after=3)
    with pytest.raises(VendorError) as caught:
        raise_for(outcome, request, response, "depot")
    raised = caught.value
    assert type(raised) is error
    assert (raised.code, raised.integration, raised.status) == (code, "depot", 418)
    assert (raised.request_id, raised.vendor_code) == ("req-1", "T-1")
    assert str(raised) == f"depot: GET https://vendor.example/x answered 418, {kind.value} (T-1): no tea today"
    assert raised.hint
    assert getattr(raised, "retry_after", 3) == 3
    assert getattr(raised, "path", "$") == "$"


@pytest.mark.parametrize("kind", [each for each in K if each is not K.OK])
def test_a_call_counts_the_same_by_its_outcome_and_by_its_error(kind: OutcomeKind) -> None:
    """So that HTTP and all other protocols are counted under the same words, which look alike."""
    outcome = Outcome(kind=kind)
    with pytest.raises(VendorError) as caught:
        raise_for(outcome, httpx.Request("GET", "https://vendor.example"), httpx.Response(418), "depot")
    assert label_of(caught.value) == outcome.label
    assert re.fullmatch("[a-z]+(_[a-z]+)*", outcome.label)


@pytest.mark.parametrize(
    ("error", "label"),
    [
        (errors.TimedOut, "timeout"),
        (errors.MappingFailed, "nonsense"),
        (errors.Busy, "throttled"),
        (errors.CircuitOpen, "down"),
        (errors.BatchTooLarge, "rejected"),
    ],
)
def test_errors_that_no_outcome_stands_for_are_counted_too(error: type[VendorError], label: str) -> None:
    assert label_of(error("no")) == label


def test_every_outcome_but_ok_raises() -> None:
    request, response = httpx.Request("GET", "https://vendor.example"), httpx.Response(200)
    raise_for(OK, request, response, "depot")
    for kind in set(K) - {K.OK}:
        with pytest.raises(VendorError):
            raise_for(Outcome(kind=kind), request, response, "depot")


def test_the_vendors_words_are_cut_and_without_secrets() -> None:
    request, response = httpx.Request("GET", "https://vendor.example/x"), httpx.Response(500)
    outcome = Outcome(kind=K.DOWN, message='{"access_token":"hidden"} ' + "x" * 9_000, code="C" * 9_000)
    with pytest.raises(VendorError) as caught:
        raise_for(outcome, request, response, "depot")
    assert "hidden" not in str(caught.value)
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize(
    "name",
    [
        "X-Request-Id",
        "X-Correlation-ID",
        "X-CorrelationID",
        "sap-passport-TransactionID",
        "x-uber-request-id",
        "X-Trace-Id",
        "Request-Id",
    ],
)
async def test_the_vendors_id_of_a_call_is_kept(name: str) -> None:
    made = scripted(httpx.Response(500, headers={name: "r" * 300}))
    with pytest.raises(VendorError) as caught:
        await made.api.send(made.api.build("GET", "/x"), repeatable=False)
    assert caught.value.request_id == "r" * 200


def test_the_first_name_wins_and_none_is_none() -> None:
    assert request_id(httpx.Response(200, headers={"request-id": "b", "x-request-id": "a"})) == "a"
    assert request_id(httpx.Response(200, headers={"x-request-id": "", "x-trace-id": "t"})) == "t"
    assert request_id(httpx.Response(200, headers={"etag": "x"})) is None


@pytest.mark.parametrize(
    ("content_type", "content", "page"),
    [
        ("text/html", b"", True),
        ("Text/HTML; charset=utf-8", b"{}", True),
        ("application/xhtml+xml", b"", True),
        ("application/json", b" \r\n<!DOCTYPE HTML><html>", True),
        ("", b"<HTML>", True),
        ("application/xml", b"<html2json/>", True),
        ("application/xml", b"<feed>", False),
        ("application/json", b'{"a": "<html>"}', False),
        ("", b"", False),
    ],
)
def test_pages_for_people_are_told_from_data(content_type: str, content: bytes, page: bool) -> None:
    assert looks_like_html(httpx.Response(200, headers={"Content-Type": content_type}, content=content)) is page


def test_a_date_without_a_zone_is_utc_and_one_that_is_past_is_now() -> None:
    def pause(value: str) -> float | None:
        return retry_after(httpx.Response(503, headers={"Retry-After": value}), now=NOW)

    assert pause(format_datetime(NOW + timedelta(seconds=9)).replace("+0000", "-0000")) == 9
    assert pause(format_datetime(NOW - timedelta(hours=9))) == 0
    assert pause("1.5") == 1.5


async def test_a_connectors_own_reading_goes_before_the_status() -> None:
    """200 with an error inside, 404 for an empty list."""

    def explain(response: httpx.Response) -> Outcome | None:
        if response.json().get("error"):
            return Outcome(kind=K.REJECTED, message=response.json()["error"])
        return OK if response.status_code == 404 else None

    made = scripted(
        httpx.Response(200, json={"error": "no such dock"}),
        httpx.Response(404, json={"rows": []}),
        httpx.Response(409, json={}),
        explain=explain,
    )
    with pytest.raises(errors.Rejected, match="answered 200, rejected: no such dock"):
        await made.api.get("/1", dict)
    assert (await made.api.get("/2", dict)).value == {"rows": []}
    with pytest.raises(errors.Conflict):
        await made.api.get("/3", dict)
