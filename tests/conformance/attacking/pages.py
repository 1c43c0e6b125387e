"""Webhooks, metrics, documentation, static files, and addresses that are none."""

import hashlib
import hmac
import json

from tests.conformance.attacking.listing import Attack, answered, attack, table
from tests.conformance.attacking.target import KEY, OPERATOR, Target
from tests.conformance.attacking.wire import Line, request


def _hook(row: tuple[str, bytes, dict[str, str], int]) -> Attack:
    path, body, headers, status = row

    async def run(target: Target) -> None:
        answer = await target.raw(request(path=path, body=body, headers=headers))
        assert answer.status == status, f"{answer}, not {status}"

    return run


_EVENT = json.dumps({"event_type": "trips.status_changed", "event_id": "1", "event_time": 1}).encode()


def _signed(body: bytes, key: bytes) -> dict[str, str]:
    return {"X-Uber-Signature": hmac.new(key, body, hashlib.sha256).hexdigest()}


table(
    "webhook",
    {
        "unsigned": ("/webhooks/uber", _EVENT, {}, 401),
        "signed with nothing": ("/webhooks/uber", _EVENT, {"X-Uber-Signature": ""}, 401),
        "signed with an empty key": ("/webhooks/uber", _EVENT, _signed(_EVENT, b""), 401),
        "signed with another key": ("/webhooks/uber", _EVENT, _signed(_EVENT, b"guess"), 401),
        "another body than was signed": (
            "/webhooks/uber", _EVENT + b" ", _signed(_EVENT, b"sandbox-signing-key"), 401,
        ),
        "a signature that is no ASCII": ("/webhooks/uber", _EVENT, {"X-Uber-Signature": "\xff" * 64}, 401),
        "signed, and no JSON": ("/webhooks/uber", b"{", _signed(b"{", b"sandbox-signing-key"), 400),
        "signed, and no object": ("/webhooks/uber", b"[1]", _signed(b"[1]", b"sandbox-signing-key"), 400),
        "signed, and 5,000 deep": (
            "/webhooks/uber", b"[" * 5_000 + b"]" * 5_000,
            _signed(b"[" * 5_000 + b"]" * 5_000, b"sandbox-signing-key"), 400,
        ),
        "too large": ("/webhooks/uber", b"x" * 1_500_000, {}, 413),
        "of an integration that takes none": ("/webhooks/plm", b"{}", {}, 404),
        "of an integration that is not there": ("/webhooks/nobody", b"{}", {}, 404),
        "an IDoc without a password": ("/webhooks/erp", b"<IDOC/>", {"Content-Type": "text/xml"}, 401),
        "an IDoc with entities": (
            "/webhooks/erp",
            b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
            {"Content-Type": "text/xml", "Authorization": "Basic SURPQ1NFTkRFUjpzYW5kYm94LWlkb2MtcGFzc3dvcmQ="},
            400,
        ),
        "an IDoc that laughs": (
            "/webhooks/erp",
            b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
            + b"".join(b'<!ENTITY %c "&%c;&%c;&%c;&%c;">' % (98 + n, *[97 + n] * 4) for n in range(20))
            + b"]><a>&u;</a>",
            {"Content-Type": "text/xml", "Authorization": "Basic SURPQ1NFTkRFUjpzYW5kYm94LWlkb2MtcGFzc3dvcmQ="},
            400,
        ),
    },
    _hook,
)  # fmt: skip


@attack("webhook: a body that never comes", patient=True)
async def _(target: Target) -> None:
    async with await Line.open(target.port) as line:
        await line.send(request(path="/webhooks/uber", length="100"))
        answered(await line.answer(15), 408, "BODY_TIMEOUT")


@attack("webhook: 500 unsigned")
async def _(target: Target) -> None:
    async with await Line.open(target.port) as line:
        for _ in range(500):
            await line.send(request(path="/webhooks/uber", body=_EVENT))
            assert (await line.answer()).status == 401


def _path(row: tuple[str, int]) -> Attack:
    path, status = row

    async def run(target: Target) -> None:
        answer = await target.raw(request("GET", path))
        assert answer.status == status, f"{answer}, not {status}"
        assert b"root:" not in answer.body
        assert b"[server]" not in answer.body
        assert b"import " not in answer.body

    return run


table(
    "address",
    {
        "docs out of the folder": ("/docs/../pyproject.toml", 404),
        "docs out of the folder, encoded": ("/docs/%2e%2e/%2e%2e/%2e%2e/etc/passwd", 404),
        "docs out of the folder, twice encoded": ("/docs/%252e%252e/%252e%252e/etc/passwd", 404),
        "docs with backslashes": ("/docs/..%5c..%5cetc%5cpasswd", 404),
        "docs absolute": ("/docs//etc/passwd", 404),
        "docs with NUL": ("/docs/endpoint%00.md", 404),
        "docs of 8,000 letters": ("/docs/" + "a" * 8_000, 404),
        "docs of no UTF-8": ("/docs/%ff%fe", 404),
        "docs with a page in it": ("/docs/<script>alert(1)</script>", 404),
        "static out of the folder": ("/graphiql/assets/../../app.py", 404),
        "static out of the folder, encoded": ("/graphiql/assets/%2e%2e/%2e%2e/app.py", 404),
        "static absolute": ("/graphiql/assets//etc/passwd", 404),
        "static with NUL": ("/graphiql/assets/%00", 404),
        "a name of 300 letters in static": ("/graphiql/assets/" + "a" * 300, 404),
        "the configuration": ("/crossdock.toml", 404),
        "git": ("/.git/config", 404),
        "an address of another host": ("http://vendor.example/graphql", 401),
        "two slashes": ("//graphql", 404),
        "a webhook out of its place": ("/webhooks/..%2fgraphql", 404),
        "nothing": ("*", 404),
    },
    _path,
)


@attack("address: a redirect that does not lead away")
async def _(target: Target) -> None:
    for path in ("/docs/endpoint", "/docs//evil.example/%2e%2e/endpoint", "//evil.example/docs/endpoint"):
        answer = await target.raw(request("GET", path))
        place = answer.headers.get("location", "/")
        assert place.startswith("/") and not place.startswith("//"), place  # noqa: PT018


@attack("metrics: without the scope")
async def _(target: Target) -> None:
    answered(await target.raw(request("GET", "/metrics")), 401, "UNAUTHENTICATED")
    answered(await target.raw(request("GET", "/metrics", headers={"X-API-Key": KEY})), 403, "FORBIDDEN")


@attack("metrics: names that clients choose do not become series")
async def _(target: Target) -> None:
    for n in range(50):
        await target.ask(f"query Name{n} {{ __typename }}")
        await target.get(f"/nothing/{n}")
    answer = await target.raw(request("GET", "/metrics", headers={"X-API-Key": OPERATOR}))
    assert answer.status == 200, answer
    assert b"Name1" not in answer.body
    assert b"/nothing" not in answer.body
    assert len(answer.body) < 200_000


@attack("health: a body of 1 MB")
async def _(target: Target) -> None:
    async with await Line.open(target.port) as line:
        await line.send(request("GET", "/health/live", b"x" * 1_000_000, {"Content-Length": "1000000"}))
        answered(await line.answer(), 200)
