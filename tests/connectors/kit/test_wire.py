"""What goes over the wire: the bytes of httpx's own client, no redirects, no cookies but one's own."""

import time
from typing import Any

import httpx
import pytest

from connectors.kit.errors import BadPayload, BadRequest
from connectors.kit.http import MAX_COOKIES, Api, segment
from connectors.kit.services import Services
from tests.connectors.contract import FakeClock
from tests.connectors.kit.peer import integration, peer, real, reply, scripted

CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/devices", {}),
    ("GET", "/a%2Cb%3Ac%27d%2Fe%20f/Set('x%2Fy')", {}),
    ("GET", "/Bins(Warehouse='1710',Bin='011.01%2F02')?$filter=a%20eq%20%27b%27&$top=5", {}),
    ("GET", "/q", {"params": {"ids": "a,b:c'd/é ü+%", "more": ["1", "2"], "empty": ""}}),
    ("GET", "/q", {"params": "$filter=Name%20eq%20%27a%2Cb%3Ac%27&raw=a,b:c'd"}),
    ("GET", "/q?first=1", {"params": [("b", "2"), ("a", "1")]}),
    ("GET", "/h", {"headers": {"X-CSRF-Token": "Fetch", "sap-Client": "100", "SOAPAction": '"urn:x"'}}),
    ("POST", "/json", {"json": {"ids": ["a", "ü"]}}),
    ("POST", "/raw", {"content": b"\x00\xff", "headers": {"Content-Type": "application/octet-stream"}}),
    ("POST", "/untyped", {"content": b"abc"}),
    ("POST", "/empty", {}),
    ("PUT", "/json", {"json": None, "content": b"x=1"}),
    ("PATCH", "/json", {"json": [1]}),
]


@pytest.mark.parametrize(("method", "path", "call"), CALLS)
async def test_the_bytes_are_those_of_httpx(method: str, path: str, call: dict[str, Any]) -> None:
    """Request line, names of headers in their case, their order, body: all of it."""
    async with peer() as vendor, real(vendor.url) as api, httpx.AsyncClient(trust_env=False) as client:
        await client.send(api.build(method, path, **call))
        await api.send(api.build(method, path, **call), repeatable=False)
        expected, sent = vendor.requests
        assert sent == expected


async def test_nothing_is_added_to_a_request() -> None:
    async with peer() as vendor, real(vendor.url) as api:
        await api.send(api.build("POST", "/x", content=b"ab"), repeatable=False)
        host = vendor.url.removeprefix("http://").encode()
        assert vendor.requests == [
            b"POST /x HTTP/1.1\r\nHost: " + host + b"\r\nAccept: application/json\r\nUser-Agent: crossdock\r\n"
            b"Accept-Encoding: gzip, deflate\r\nContent-Length: 2\r\n\r\nab"
        ]


async def test_a_request_made_by_hand_names_us_and_asks_for_no_coding_that_we_cannot_undo() -> None:
    """Log-ins are made without `build`; aiohttp would ask for brotli where that is installed."""
    async with peer() as vendor, real(vendor.url) as api:
        await api.exchange(httpx.Request("POST", f"{vendor.url}/token", data={"grant_type": "x"}))
        (sent,) = vendor.requests
        assert b"User-Agent: crossdock\r\n" in sent
        assert b"Accept-Encoding: gzip, deflate\r\n" in sent
        assert b"aiohttp" not in sent


async def test_a_get_without_a_body_says_nothing_of_its_length() -> None:
    async with peer() as vendor, real(vendor.url) as api:
        await api.get("/x", dict)
        assert b"ontent-" not in vendor.requests[0]


async def test_one_connection_serves_call_after_call() -> None:
    async with peer() as vendor, real(vendor.url) as api:
        for number in range(5):
            await api.get(f"/{number}", dict)
        assert vendor.connections == 1


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_redirects_are_not_followed(status: str) -> None:
    async with peer() as elsewhere:
        answer = reply(b"", f"Location: {elsewhere.url}/stolen", status=status)
        async with peer(answer) as vendor, real(vendor.url) as api:
            with pytest.raises(BadPayload, match="it redirects, which is not followed; give the final address"):
                await api.get("/x", dict)
            assert len(vendor.requests) == 1
            assert elsewhere.requests == []


def test_a_segment_is_one_segment() -> None:
    assert segment("a/b?c#d e%ü") == "a%2Fb%3Fc%23d%20e%25%C3%BC"
    assert segment("A-z0.9_~") == "A-z0.9_~"


# --- addresses


def test_a_link_at_the_same_host_is_followed_at_another_not() -> None:
    api = scripted(httpx.Response(200)).api
    assert str(api.build("GET", "https://vendor.example/api/x?skip=2").url) == "https://vendor.example/api/x?skip=2"
    for link in ("https://thief.example/api/x", "http://vendor.example/api/x", "https://vendor.example:444/x"):
        with pytest.raises(BadPayload, match="a link to another host than its own; it is not followed"):
            api.build("GET", link)
    with pytest.raises(BadPayload, match="another host"):
        api.build("GET", "https://vendor.example@thief.example/x")


@pytest.mark.parametrize(
    ("path", "headers"), [("/a\nb", {}), ("/" + "x" * 70_000, {}), ("/x", {"X-Name": "ü"}), ("/\x00", {})]
)
def test_a_call_that_cannot_be_written_is_our_fault(path: str, headers: dict[str, str]) -> None:
    with pytest.raises(BadRequest, match="the address or a header of a call cannot be written"):
        scripted(httpx.Response(200)).api.build("GET", path, headers=headers)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("https://ann:hidden@vendor.example", "must hold no user and password; give them as credentials"),
        ("https://vendor.example:port", "cannot be read as an address"),
        ("https://vendor\n.example", "cannot be read as an address"),
    ],
)
def test_a_base_url_that_cannot_be_meant_is_refused(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        Api(integration(url), Services())
    assert "hidden" not in str(caught.value)


# --- cookies


def named(url: str) -> str:
    """The same host by its name: aiohttp's own jar keeps no cookies of addresses in numbers."""
    return url.replace("127.0.0.1", "localhost")


async def test_cookies_stay_with_their_integration() -> None:
    """Two integrations on one host: the session of the one is never sent with the other's call."""
    first = [reply(b"{}", "Set-Cookie: SESSION=ann; Path=/"), reply()]
    async with (
        peer(*first) as vendor,
        real(named(vendor.url), cookies=True) as ann,
        real(named(vendor.url), cookies=True) as bob,
    ):
        await ann.get("/1", dict)
        await bob.get("/2", dict)
        await ann.get("/3", dict)
        assert [b"SESSION=ann" in each for each in vendor.requests] == [False, False, True]


async def test_two_apis_over_one_transport_do_not_share_cookies_either() -> None:
    made = scripted(httpx.Response(200, headers={"Set-Cookie": "SESSION=ann"}, json={}), cookies=True)
    other = Api(integration(), made.api.services, cookies=True)
    await made.api.get("/1", dict)
    await other.get("/2", dict)
    await made.api.get("/3", dict)
    assert made.wire is not None
    assert [each.headers.get("cookie") for each in made.wire.requests] == [None, None, "SESSION=ann"]


async def test_without_a_jar_no_cookie_is_kept() -> None:
    async with peer(reply(b"{}", "Set-Cookie: SESSION=ann; Path=/")) as vendor, real(named(vendor.url)) as api:
        await api.get("/1", dict)
        await api.get("/2", dict)
        assert len(vendor.requests) == 2
        assert b"ookie" not in b"".join(vendor.requests)


@pytest.mark.parametrize("end", ["Max-Age=0", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"])
async def test_a_cookie_that_the_vendor_ends_is_gone(end: str) -> None:
    replies = [reply(b"{}", "Set-Cookie: A=1", "Set-Cookie: B=2"), reply(b"{}", f"Set-Cookie: A=1; {end}"), reply()]
    async with peer(*replies) as vendor, real(vendor.url, cookies=True) as api:
        for number in range(3):
            await api.get(f"/{number}", dict)
        assert b"Cookie: A=1; B=2\r\n" in vendor.requests[1]
        assert b"Cookie: B=2\r\n" in vendor.requests[2]


async def test_a_cookie_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    short = reply(b"{}", "Set-Cookie: A=1; Max-Age=60")
    async with peer(short, reply()) as vendor, real(vendor.url, cookies=True) as api:
        await api.get("/0", dict)
        later = time.time() + 61
        monkeypatch.setattr(time, "time", lambda: later)
        await api.get("/1", dict)
        assert b"ookie" not in vendor.requests[1]


async def test_secure_cookies_and_those_of_other_paths_are_not_sent() -> None:
    replies = [reply(b"{}", "Set-Cookie: S=1; Secure", "Set-Cookie: P=1; Path=/admin"), reply()]
    async with peer(*replies) as vendor, real(vendor.url, cookies=True) as api:
        await api.get("/0", dict)
        await api.get("/1", dict)
        assert b"ookie" not in vendor.requests[1]


async def test_the_jar_does_not_grow_without_end() -> None:
    count = iter(range(10_000))

    def fresh(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=[("set-cookie", f"c{next(count)}=1") for _ in range(30)], json={})

    made = scripted(fresh, cookies=True)
    sizes = []
    for number in range(8):
        await made.api.get(f"/{number}", dict)
        assert made.api.cookies is not None
        sizes.append(len(made.api.cookies.jar))
    assert max(sizes) <= MAX_COOKIES
    assert sizes[3] == 0


async def test_a_retry_sends_the_cookies_of_now() -> None:
    answers = [httpx.Response(503, headers={"Set-Cookie": "N=1"}), httpx.Response(200, json={})]
    made = scripted(*answers, cookies=True)
    await made.api.get("/x", dict)
    assert made.wire is not None
    assert [each.headers.get("cookie") for each in made.wire.requests][1] == "N=1"


def test_making_an_api_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.kit.http.real_transport", lambda *_: pytest.fail("it opened the transport"))
    Api(integration(), Services(clock=FakeClock()))


async def test_headers_that_are_no_ascii_are_no_trouble() -> None:
    async with peer(reply(b"{}", "X-Plant: M\xfcnchen", "X-Request-Id: r\xe9q")) as vendor, real(vendor.url) as api:
        response = await api.send(api.build("GET", "/x"), repeatable=False)
        assert response.headers["x-plant"] == "M\xfcnchen"
