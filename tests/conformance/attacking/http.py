"""Bodies, encodings, methods, headers, who asks."""

import asyncio
import gzip
import json
import time
import zlib

from tests.conformance.attacking.listing import Attack, answered, attack, table
from tests.conformance.attacking.target import KEY, OPERATOR, Target, token
from tests.conformance.attacking.wire import Line, request

GOOD = b'{"query":"{ __typename }"}'
OWN = {"X-API-Key": KEY}
MANY = 30 << 20
_HEAD = b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: " + KEY.encode() + b"\r\n"
_JSON = b"Content-Type: application/json\r\n"


def _body(row: tuple[bytes, int, str | None]) -> Attack:
    body, status, code = row

    async def run(target: Target) -> None:
        answered(await target.post(body), status, code)

    return run


table(
    "body",
    {
        "null": (b"null", 400, "BAD_REQUEST"),
        "a number": (b"42", 400, "BAD_REQUEST"),
        "a text": (b'"{ __typename }"', 400, "BAD_REQUEST"),
        "true": (b"true", 400, "BAD_REQUEST"),
        "empty array": (b"[]", 400, "BAD_REQUEST"),
        "array of null": (b"[null]", 400, "BAD_REQUEST"),
        "array of arrays": (b"[[]]", 400, "BAD_REQUEST"),
        "empty object": (b"{}", 400, "BAD_REQUEST"),
        "nothing": (b"", 400, "BAD_REQUEST"),
        "white space": (b" \n\t ", 400, "BAD_REQUEST"),
        "half an object": (b'{"query":"{ __type', 400, "BAD_REQUEST"),
        "something behind it": (GOOD + b"x", 400, "BAD_REQUEST"),
        "single quotes": (b"{'query':'{ __typename }'}", 400, "BAD_REQUEST"),
        "a comment": (b'{"query":"{ __typename }"/* */}', 400, "BAD_REQUEST"),
        "a document without JSON": (b"{ __typename }", 400, "BAD_REQUEST"),
        "NaN": (b'{"query":"{ __typename }","variables":{"a":NaN}}', 400, "BAD_REQUEST"),
        "Infinity": (b'{"query":"{ __typename }","variables":{"a":Infinity}}', 400, "BAD_REQUEST"),
        "a float beyond all floats": (b'{"query":"{ __typename }","variables":{"a":1e999}}', 400, "BAD_REQUEST"),
        "query null": (b'{"query":null}', 400, "BAD_REQUEST"),
        "query a number": (b'{"query":42}', 400, "BAD_REQUEST"),
        "query an object": (b'{"query":{}}', 400, "BAD_REQUEST"),
        "query empty": (b'{"query":""}', 400, "GRAPHQL_PARSE_FAILED"),
        "variables an array": (b'{"query":"{ __typename }","variables":[]}', 400, "BAD_REQUEST"),
        "variables a text": (b'{"query":"{ __typename }","variables":"{}"}', 400, "BAD_REQUEST"),
        "operationName a number": (b'{"query":"{ __typename }","operationName":7}', 400, "BAD_REQUEST"),
        "extensions a text": (b'{"query":"{ __typename }","extensions":"x"}', 400, "BAD_REQUEST"),
        "documentId an object": (b'{"documentId":{}}', 400, "BAD_REQUEST"),
        "invalid UTF-8": (b'{"query":"{ \xff\xfe }"}', 400, "BAD_REQUEST"),
        "overlong UTF-8": (b'{"query":"\xc0\xaf"}', 400, "BAD_REQUEST"),
        "UTF-16": ('{"query":"{ __typename }"}'.encode("utf-16"), 400, "BAD_REQUEST"),
        "byte order mark": (b"\xef\xbb\xbf" + GOOD, 400, "BAD_REQUEST"),
        "NUL": (b"\0" * 64, 400, "BAD_REQUEST"),
        "a lone surrogate": (b'{"query":"{ __typename }","operationName":"\\ud800"}', 400, "BAD_REQUEST"),
        "arrays 100,000 deep": (b"[" * 100_000 + b"]" * 100_000, 400, "BAD_REQUEST"),
        "objects 50,000 deep": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 400, "BAD_REQUEST"),
        "variables 50,000 deep": (
            b'{"query":"{ __typename }","variables":{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}}", 400, "BAD_REQUEST",
        ),
        "100,000 variables": (
            b'{"query":"{ __typename }","variables":{' + b",".join(b'"%d":1' % n for n in range(80_000)) + b"}}",
            200, None,
        ),
        "1 MiB of one text": (b'{"query":"{ __typename }","variables":{"a":"' + b"x" * 1_000_000 + b'"}}', 200, None),
        "the same key 50,000 times": (b"{" + b'"query":"{ __typename }",' * 30_000 + GOOD[1:], 200, None),
    },
    _body,
)  # fmt: skip


@attack("body: integers of 5,000 digits as a variable")
async def _(target: Target) -> None:
    body = b'{"query":"query($n: Int!) { orders(first: $n) { __typename } }","variables":{"n":' + b"9" * 5_000 + b"}}"
    answered(await target.post(body), 400, "BAD_REQUEST")


@attack("body: integers of 4,000 digits as a variable")
async def _(target: Target) -> None:
    body = b'{"query":"query($n: Int!) { orders(first: $n) { __typename } }","variables":{"n":' + b"9" * 4_000 + b"}}"
    answer = await target.post(body)
    answered(answer, 400, "VENDOR_CALL_LIMIT")
    assert len(answer.body) < 2_000, f"the answer repeats {len(answer.body)} bytes"


# --- lengths and codings ---------------------------------------------------------------------------------


@attack("length: 30 MB, said before")
async def _(target: Target) -> None:
    async with await Line.open(target.port) as line:
        await line.send(request(headers=OWN, length=str(MANY)))
        answered(await line.answer(), 413, "PAYLOAD_TOO_LARGE")


@attack("length: 30 MB, sent at once")
async def _(target: Target) -> None:
    async with await Line.open(target.port) as line:
        sending = asyncio.ensure_future(line.send(request(headers=OWN, length=str(MANY)) + b"x" * MANY))
        answered(await line.answer(), 413, "PAYLOAD_TOO_LARGE")
        assert await line.closed(), "the connection stays open"
        sending.cancel()


@attack("length: 30 MB in chunks, unsaid")
async def _(target: Target) -> None:
    async with await Line.open(target.port) as line:
        head = request(headers=OWN | {"Content-Length": "", "Transfer-Encoding": "chunked"})
        await line.send(head)
        sending = asyncio.ensure_future(_chunks(line, 65_536, MANY // 65_536))
        answered(await line.answer(), 413, "PAYLOAD_TOO_LARGE")
        assert await line.closed(), "the connection stays open"
        sending.cancel()


async def _chunks(line: Line, size: int, count: int, every: float = 0.0) -> None:
    for _ in range(count):
        if not await line.send(b"%x\r\n" % size + b"x" * size + b"\r\n"):
            return
        await asyncio.sleep(every)


@attack("length: a body that goes on after its refusal ends with the connection", patient=True)
async def _(target: Target) -> None:
    async with await Line.open(target.port) as line:
        await line.send(request(headers={"Content-Length": "", "Transfer-Encoding": "chunked"}))
        answered(await line.answer(), 401, "UNAUTHENTICATED")
        began = time.monotonic()
        sending = asyncio.ensure_future(_chunks(line, 1_000, 10_000, 0.05))
        assert await line.closed(15), "the connection stays open"
        assert time.monotonic() - began < 12
        sending.cancel()


@attack("slow: chunks that never end", patient=True)
async def _(target: Target) -> None:
    async with await Line.open(target.port) as line:
        await line.send(request(headers=OWN | {"Content-Length": "", "Transfer-Encoding": "chunked"}))
        sending = asyncio.ensure_future(_chunks(line, 1, 1_000, 0.2))
        answered(await line.answer(15), 408, "BODY_TIMEOUT")
        assert await line.closed(), "the connection stays open"
        sending.cancel()


@attack("slow: chunks with extensions of 1 MB", patient=True)
async def _(target: Target) -> None:
    async with await Line.open(target.port) as line:
        await line.send(_HEAD + _JSON + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 1_000_000 + b"\r\n{\r\n")
        answered(await line.answer(15), 408, "BODY_TIMEOUT")


@attack("slow: a body that stops half way", patient=True)
async def _(target: Target) -> None:
    async with await Line.open(target.port) as line:
        await line.send(request(body=GOOD[:10], headers=OWN, length="100"))
        answered(await line.answer(15), 408, "BODY_TIMEOUT")


@attack("slow: headers, a byte at a time", patient=True)
async def _(target: Target) -> None:
    async with await Line.open(target.port) as line:
        began = time.monotonic()

        async def drip() -> None:
            for byte in request(headers=OWN | {"X-Slow": "s" * 1_000}):
                if not await line.send(bytes([byte])):
                    return
                await asyncio.sleep(0.2)

        sending = asyncio.ensure_future(drip())
        assert await line.closed(15), "the connection stays open"
        assert time.monotonic() - began > 3
        sending.cancel()


@attack("slow: a connection that says nothing", patient=True)
async def _(target: Target) -> None:
    async with await Line.open(target.port) as line:
        assert await line.closed(15), "the connection stays open"


@attack("slow: a second request that never comes whole", patient=True)
async def _(target: Target) -> None:
    async with await Line.open(target.port) as line:
        await line.send(request(body=GOOD, headers=OWN))
        answered(await line.answer(), 200)
        await line.send(b"POST /graphql HTTP/1.1\r\nHost: 127")
        assert await line.closed(15), "the connection stays open"


@attack("slow: 200 connections that drip headers", patient=True)
async def _(target: Target) -> None:
    lines = await asyncio.gather(*(Line.open(target.port, "127.0.0.3") for _ in range(200)))
    try:
        for line in lines:
            await line.send(b"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
        ended = await asyncio.gather(*(line.closed(18) for line in lines))
        assert all(ended), f"{ended.count(False)} connections stay open"
    finally:
        for line in lines:
            line.close()


def _length(row: tuple[bytes, int]) -> Attack:
    raw, status = row

    async def run(target: Target) -> None:
        async with await Line.open(target.port) as line:
            await line.send(raw)
            answer = await line.answer()
            assert answer.status == status, f"{answer}, not {status}"
            assert await line.closed(), "the connection stays open"

    return run


table(
    "smuggling",
    {
        "Content-Length and Transfer-Encoding": (
            _HEAD + _JSON + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            400,
        ),
        "two Content-Lengths": (_HEAD + _JSON + b"Content-Length: 26\r\nContent-Length: 2\r\n\r\n" + GOOD, 400),
        "Content-Length negative": (_HEAD + _JSON + b"Content-Length: -1\r\n\r\n" + GOOD, 400),
        "Content-Length no number": (_HEAD + _JSON + b"Content-Length: 0x1a\r\n\r\n" + GOOD, 400),
        "Content-Length beyond 64 bits": (_HEAD + _JSON + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", 400),
        "Transfer-Encoding unknown": (_HEAD + _JSON + b"Transfer-Encoding: xchunked\r\n\r\n" + GOOD, 400),
        "Transfer-Encoding chunked not last": (
            _HEAD + _JSON + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400,
        ),
        "a blank before the colon": (_HEAD + _JSON + b"Content-Length : 26\r\n\r\n" + GOOD, 400),
        "a folded header": (_HEAD + _JSON + b"X-A: b\r\n c\r\nContent-Length: 26\r\n\r\n" + GOOD, 400),
        "a chunk of 2^64 bytes": (_HEAD + _JSON + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nx", 400),
        "a chunk size that is none": (_HEAD + _JSON + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nx\r\n", 400),
        "a header without a name": (_HEAD + b": x\r\n\r\n", 400),
        "a NUL in a header": (_HEAD + b"X-A: a\0b\r\n\r\n", 400),
        "a name with a bracket": (_HEAD + b"X(A): a\r\n\r\n", 400),
        "bare carriage return": (_HEAD + b"X-A: a\rX-B: b\r\n\r\n", 400),
        "no HTTP at all": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64 + b"\r\n\r\n", 400),
        "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        "HTTP/9.9": (b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n", 400),
        "no version": (b"GET /\r\n\r\n", 400),
        "an unknown method": (b"STEAL /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        "a method in small letters": (b"post /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        "a path with a line break": (b"GET /graph\nql HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
    },
    _length,
)  # fmt: skip


def _headers(row: tuple[bytes, int]) -> Attack:
    raw, status = row

    async def run(target: Target) -> None:
        async with await Line.open(target.port) as line:
            sending = asyncio.ensure_future(line.send(raw))
            answer = await line.answer()
            assert answer.status == status, f"{answer}, not {status}"
            assert await line.closed(), "the connection stays open"
            sending.cancel()

    return run


table(
    "headers",
    {
        "one of 1 MB": (_HEAD + b"X-A: " + b"a" * 1_000_000 + b"\r\n\r\n", 431),
        "one of 30 MB": (_HEAD + b"X-A: " + b"a" * MANY, 431),
        "a name of 1 MB": (_HEAD + b"X-" + b"a" * 1_000_000 + b": 1\r\n\r\n", 431),
        "20,000 of them": (_HEAD + b"".join(b"X-%d: 1\r\n" % n for n in range(20_000)) + b"\r\n", 431),
        "cookies of 500 KB": (_HEAD + b"Cookie: " + b"a=b; " * 100_000 + b"\r\n\r\n", 431),
        "an address of 1 MB": (b"GET /graphql?query=" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        "an address of 30 MB": (b"GET /" + b"a" * MANY, 431),
        "trailers of 1 MB": (
            _HEAD + _JSON + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X-A: 1\r\n" * 120_000 + b"\r\n", 431,
        ),
    },
    _headers,
)  # fmt: skip


@attack("headers: 10,000 requests at once on one connection")
async def _(target: Target) -> None:
    """Pipelined: answered a few at a time, or the connection is ended; nothing piles up."""
    async with await Line.open(target.port) as line:
        before = target.memory
        await line.send(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 10_000)
        while (answer := await line.answer()).status == 200:
            pass
        assert answer.status in (0, 400), answer
        assert await line.closed()
        assert target.memory - before < 30, f"{target.memory - before:.0f} MiB more"


def _packed(row: tuple[bytes, str, int, str]) -> Attack:
    body, coding, status, code = row

    async def run(target: Target) -> None:
        answered(await target.post(body, {"Content-Encoding": coding}), status, code)

    return run


_BOMB = zlib.compressobj(9, zlib.DEFLATED, 31)
_BOMB_BYTES = b"".join(_BOMB.compress(b"\0" * (1 << 20)) for _ in range(200)) + _BOMB.flush()

table(
    "packing",
    {
        "a gzip bomb of 200 MB": (_BOMB_BYTES, "gzip", 413, "PAYLOAD_TOO_LARGE"),
        "a deflate bomb of 50 MB": (zlib.compress(b" " * (50 << 20), 9), "deflate", 413, "PAYLOAD_TOO_LARGE"),
        "gzip in gzip": (gzip.compress(gzip.compress(GOOD)), "gzip", 400, "BAD_REQUEST"),
        "gzip damaged": (gzip.compress(GOOD)[:12] + b"\xff" * 12, "gzip", 400, "BAD_REQUEST"),
        "gzip cut": (gzip.compress(GOOD)[:-6], "gzip", 400, "BAD_REQUEST"),
        "gzip with a wrong sum": (gzip.compress(GOOD)[:-8] + b"\0" * 8, "gzip", 400, "BAD_REQUEST"),
        "gzip and something behind it": (gzip.compress(GOOD) + b"x" * 9, "gzip", 400, "BAD_REQUEST"),
        "gzip of nothing": (b"", "gzip", 400, "BAD_REQUEST"),
        "not packed": (GOOD, "gzip", 400, "BAD_REQUEST"),
        "twice": (gzip.compress(gzip.compress(GOOD)), "gzip, gzip", 415, "UNSUPPORTED_MEDIA_TYPE"),
        "brotli": (GOOD, "br", 415, "UNSUPPORTED_MEDIA_TYPE"),
        "an unknown coding": (GOOD, "x" * 500, 415, "UNSUPPORTED_MEDIA_TYPE"),
    },
    _packed,
)


def _typed(content_type: str) -> Attack:
    async def run(target: Target) -> None:
        answered(await target.post(GOOD, {"Content-Type": content_type}), 415, "UNSUPPORTED_MEDIA_TYPE")

    return run


table(
    "content type",
    {
        "none": "",
        "text/plain": "text/plain",
        "a form": "application/x-www-form-urlencoded",
        "multipart": "multipart/form-data; boundary=x",
        "application/graphql": "application/graphql",
        "UTF-16": "application/json; charset=utf-16",
        "Latin-1": 'application/json; charset="iso-8859-1"',
        "a charset that is none": "application/json; charset=../../etc/passwd",
        "almost JSON": "application/jsonp",
        "two": "text/plain, application/json",
        "of 8,000 characters": "application/" + "j" * 8_000,
    },
    _typed,
)


def _method(row: tuple[str, int]) -> Attack:
    method, status = row

    async def run(target: Target) -> None:
        async with await Line.open(target.port) as line:
            await line.send(request(method, headers=OWN))
            answer = await line.head() if method == "HEAD" else await line.answer()
            assert answer.status == status, answer
            assert "allow" in answer.headers

    return run


table(
    "method",
    {name: (name, 405) for name in ("PUT", "PATCH", "DELETE", "TRACE", "HEAD", "PROPFIND", "QUERY")},
    _method,
)


@attack("method: GET with a mutation")
async def _(target: Target) -> None:
    answer = await target.get("/graphql?query=mutation%7B__typename%7D")
    assert answer.status in (400, 405), answer


@attack("method: CONNECT to another host")
async def _(target: Target) -> None:
    answer = await target.raw(b"CONNECT vendor.example:443 HTTP/1.1\r\nHost: vendor.example:443\r\n\r\n")
    assert answer.status in (400, 404, 405), answer


@attack("method: upgrade to h2c")
async def _(target: Target) -> None:
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"}
    answered(await target.raw(request(body=GOOD, headers=OWN | upgrade)), 400, "BAD_REQUEST")


def _accepted(row: tuple[str, int, str | None]) -> Attack:
    accept, status, code = row

    async def run(target: Target) -> None:
        answered(await target.post(GOOD, {"Accept": accept}), status, code)

    return run


table(
    "accept",
    {
        "HTML": ("text/html", 406, "NOT_ACCEPTABLE"),
        "nothing at all": ("*/*;q=0", 406, "NOT_ACCEPTABLE"),
        "a q-value that is none": ("application/json;q=nan", 406, "NOT_ACCEPTABLE"),
        "a q-value below zero": ("application/json;q=-1", 406, "NOT_ACCEPTABLE"),
        "a q-value of 1e999": ("application/json;q=1e999", 406, "NOT_ACCEPTABLE"),
        "only commas": ("," * 8_000, 406, "NOT_ACCEPTABLE"),
        "an open quote": ('application/json;a="' + "x" * 4_000, 200, None),
        "3,000 types": (",".join(f"a/b{n}" for n in range(3_000)) + ",*/*", 406, "NOT_ACCEPTABLE"),
        "JSON behind a stream that is wanted less": ("text/event-stream;q=0.1,application/json", 200, None),
    },
    _accepted,
)


@attack("accept: 8,000 codings")
async def _(target: Target) -> None:
    answered(await target.post(GOOD, {"Accept-Encoding": ",".join(f"c{n};q=0.{n}" for n in range(900))}), 200)


@attack("accept: a subscription as JSON")
async def _(target: Target) -> None:
    answered(await target.ask("subscription { vehicleChanged { id } }"), 406, "NOT_ACCEPTABLE")


# --- addresses -------------------------------------------------------------------------------------------


def _address(row: tuple[str, int, str | None]) -> Attack:
    path, status, code = row

    async def run(target: Target) -> None:
        answered(await target.get(path), status, code)

    return run


table(
    "query string",
    {
        "nothing": ("/graphql", 400, "BAD_REQUEST"),
        "variables that are no JSON": ("/graphql?query=%7B__typename%7D&variables=%7B", 400, "BAD_REQUEST"),
        "variables that are an array": ("/graphql?query=%7B__typename%7D&variables=%5B%5D", 400, "BAD_REQUEST"),
        "variables 5,000 deep": (
            "/graphql?query=%7B__typename%7D&variables=" + "[" * 5_000 + "]" * 5_000, 400, "BAD_REQUEST",
        ),
        "extensions that are a text": ("/graphql?query=%7B__typename%7D&extensions=%22x%22", 400, "BAD_REQUEST"),
        "bytes that are no UTF-8": ("/graphql?query=%ff%fe%80", 400, "GRAPHQL_PARSE_FAILED"),
        "percent signs that say nothing": ("/graphql?query=%zz%", 400, "GRAPHQL_PARSE_FAILED"),
        "NUL": ("/graphql?query=%00", 400, "GRAPHQL_PARSE_FAILED"),
        "5,000 parameters": ("/graphql?" + "&".join(f"a{n}" for n in range(5_000)), 400, "BAD_REQUEST"),
    },
    _address,
)  # fmt: skip


# --- who asks --------------------------------------------------------------------------------------------


def _credentials(row: tuple[dict[str, str], int, str]) -> Attack:
    headers, status, code = row

    async def run(target: Target) -> None:
        answer = await target.raw(request(body=GOOD, headers=headers))
        answered(answer, status, code)
        if status == 401:
            assert answer.headers["www-authenticate"].startswith(("Bearer", "ApiKey"))

    return run


def _bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


_GOOD_TOKEN = token()
_HEADER, _CLAIMS, _SIGNATURE = _GOOD_TOKEN.split(".")

table(
    "credentials",
    {
        "none": ({}, 401, "UNAUTHENTICATED"),
        "an unknown key": ({"X-API-Key": "guess"}, 401, "UNAUTHENTICATED"),
        "half a key": ({"X-API-Key": KEY[:-1]}, 401, "UNAUTHENTICATED"),
        "a key of 30,000 characters": ({"X-API-Key": "k" * 30_000}, 401, "UNAUTHENTICATED"),
        "a key that is no ASCII": ({"X-API-Key": "\xff\xfe\xc3("}, 401, "UNAUTHENTICATED"),
        "two at once": ({"X-API-Key": KEY} | _bearer(_GOOD_TOKEN), 400, "BAD_REQUEST"),
        "a key without the scope": ({"X-API-Key": OPERATOR}, 403, "FORBIDDEN"),
        "a password": ({"Authorization": "Basic YWRtaW46YWRtaW4="}, 401, "UNAUTHENTICATED"),
        "an empty token": (_bearer(""), 401, "UNAUTHENTICATED"),
        "no token": (_bearer("x.y"), 401, "UNAUTHENTICATED"),
        "a token without signature": (_bearer(f"{_HEADER}.{_CLAIMS}."), 401, "UNAUTHENTICATED"),
        "alg none": (_bearer(f"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{_CLAIMS}."), 401, "UNAUTHENTICATED"),
        "another signature": (_bearer(f"{_HEADER}.{_CLAIMS}.{_SIGNATURE[::-1]}"), 401, "UNAUTHENTICATED"),
        "another payload": (_bearer(f"{_HEADER}.{_CLAIMS[:-4]}AAAA.{_SIGNATURE}"), 401, "UNAUTHENTICATED"),
        "expired": (_bearer(token(exp=int(time.time()) - 5)), 401, "UNAUTHENTICATED"),
        "never expiring": (_bearer(token(exp=None)), 401, "UNAUTHENTICATED"),
        "expiring at no time": (_bearer(token(exp=10**30)), 401, "UNAUTHENTICATED"),
        "not valid yet": (_bearer(token(nbf=int(time.time()) + 500)), 401, "UNAUTHENTICATED"),
        "for another audience": (_bearer(token(aud="other")), 401, "UNAUTHENTICATED"),
        "of another issuer": (_bearer(token(iss="https://evil.example")), 401, "UNAUTHENTICATED"),
        "of another organisation": (_bearer(token(org="south' OR 1=1 --")), 401, "UNAUTHENTICATED"),
        "an organisation that is an object": (_bearer(token(org={"$ne": None})), 401, "UNAUTHENTICATED"),
        "a token without scope": (_bearer(token(scope="")), 403, "FORBIDDEN"),
        "scopes that are none": (_bearer(token(scope=7)), 401, "UNAUTHENTICATED"),
        "a token of 20,000 characters": (_bearer("e" * 20_000), 401, "UNAUTHENTICATED"),
        "a key file as kid": (
            _bearer("eyJhbGciOiJIUzI1NiIsImtpZCI6Ii4uLy4uLy4uL2Rldi9udWxsIn0." + _CLAIMS + ".AAAA"),
            401, "UNAUTHENTICATED",
        ),
    },
    _credentials,
)  # fmt: skip


def _page(row: tuple[dict[str, str], int, str | None]) -> Attack:
    headers, status, code = row

    async def run(target: Target) -> None:
        answer = await target.post(GOOD, headers)
        answered(answer, status, code)
        assert "access-control-allow-origin" not in answer.headers

    return run


table(
    "another site",
    {
        "by its origin": ({"Origin": "https://evil.example"}, 403, "ORIGIN_NOT_ALLOWED"),
        "without an origin of its own": ({"Origin": "null"}, 403, "ORIGIN_NOT_ALLOWED"),
        "as a form": (
            {"Origin": "https://evil.example", "Content-Type": "text/plain"}, 403, "ORIGIN_NOT_ALLOWED",
        ),
        "a browser's GET": ({"Sec-Fetch-Site": "cross-site"}, 403, "ORIGIN_NOT_ALLOWED"),
        "of the same domain": ({"Sec-Fetch-Site": "same-site"}, 403, "ORIGIN_NOT_ALLOWED"),
        "an origin with a user": ({"Origin": "http://127.0.0.1@evil.example"}, 403, "ORIGIN_NOT_ALLOWED"),
        "an origin that cannot be read": ({"Origin": "http://[::1"}, 403, "ORIGIN_NOT_ALLOWED"),
    },
    _page,
)  # fmt: skip


@attack("another site: a preflight")
async def _(target: Target) -> None:
    asking = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = await target.raw(request("OPTIONS", headers=asking))
    assert answer.status == 403, answer
    assert not any(name.startswith("access-control-") for name in answer.headers)


@attack("another site: a WebSocket")
async def _(target: Target) -> None:
    async with await target.socket({"Origin": "https://evil.example"}) as socket:
        assert await socket.until_closed() == 4403


# --- many ------------------------------------------------------------------------------------------------


@attack("many: 1,000 connections of one address")
async def _(target: Target) -> None:
    """So many are not taken; those that are not are told."""
    lines = await asyncio.gather(*(Line.open(target.port) for _ in range(1_000)), return_exceptions=True)
    opened = [line for line in lines if isinstance(line, Line)]
    raw = request("GET", "/health/live")
    try:

        async def ask(line: Line) -> int:
            await line.send(raw)
            return (await line.answer()).status

        told = await asyncio.gather(*(ask(line) for line in opened))
        assert set(told) == {200, 503}, f"{set(told)}"
        assert told.count(200) <= 500, f"{told.count(200)} of 1,000 connections are served"
    finally:
        for line in opened:
            line.close()
        await asyncio.sleep(2)


@attack("many: 2,000 connections that are opened and closed")
async def _(target: Target) -> None:
    for _ in range(40):
        lines = await asyncio.gather(*(Line.open(target.port) for _ in range(50)))
        for line in lines:
            line.close()


@attack("many: 300 operations of one caller at once")
async def _(target: Target) -> None:
    """Refused beyond what one caller may; none fails."""
    query = {"query": "{ vehicles(first: 200) { nodes { id name position { latitude longitude } } } }"}
    answers = await asyncio.gather(*(target.post(query) for _ in range(300)))
    told = {answer.status: answer.code for answer in answers}
    assert told.keys() <= {200, 429}, told
    assert 200 in told, told
    assert told.get(429, "CONCURRENCY_LIMIT") == "CONCURRENCY_LIMIT", told


@attack("many: 3,000 refusals")
async def _(target: Target) -> None:
    async def refused(line: Line) -> None:
        for _ in range(60):
            await line.send(request(body=b"null", headers=OWN))
            answered(await line.answer(), 400, "BAD_REQUEST")

    lines = await asyncio.gather(*(Line.open(target.port) for _ in range(50)))
    try:
        await asyncio.gather(*(refused(line) for line in lines))
    finally:
        for line in lines:
            line.close()


@attack("many: clients that go before they are answered")
async def _(target: Target) -> None:
    body = json.dumps({"query": "{ orders(first: 50) { nodes { id lines { item { id } } } } }"}).encode()
    for _ in range(20):
        lines = await asyncio.gather(*(Line.open(target.port) for _ in range(10)))
        for line in lines:
            await line.send(request(body=body, headers=OWN))
        for line in lines:
            line.close()


@attack("many: half-closed connections")
async def _(target: Target) -> None:
    lines = await asyncio.gather(*(Line.open(target.port) for _ in range(100)))
    try:
        for line in lines:
            await line.send(b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            line.writer.write_eof()
        assert all(await asyncio.gather(*(line.closed(15) for line in lines)))
    finally:
        for line in lines:
            line.close()
