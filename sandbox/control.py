"""The sandbox's own endpoints: what runs, how to make it fail, and a page that says so."""

import html
import ipaddress
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.standin import DELAY_MAX_MS, Failure, StandIn

_BODY_MAX: Final = 64 * 1024
_TIMES_MAX: Final = 1000


class Wrong(ValueError):
    """A control request that cannot be meant; its text goes back with 400."""


def _flag(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise Wrong(f"{key}: expected true or false, got {value!r}")
    return value


def _action(key: str, value: object) -> bool:
    if value is not True:
        raise Wrong(f"{key}: expected true, got {value!r}")
    return True


def _number(key: str, value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Wrong(f"{key}: expected a whole number from {low} to {high}, got {value!r}")
    return value


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise Wrong(f"{key}: expected text, got {value!r}")
    return value


def _known(where: str, given: Mapping[str, object], known: Sequence[str]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise Wrong(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(known)}")


_FAILURE_KEYS: Final = ("status", "headers", "body", "delay_ms", "half_body", "drop", "method", "path", "times")
_CHANGE_KEYS: Final = (
    "down", "delay_ms", "fail_next", "half_body", "expire_sessions", "close_sockets", "reset",
)  # fmt: skip


def _failures(given: object) -> list[Failure]:
    if not isinstance(given, list):
        raise Wrong(f"fail_next: expected a list, got {given!r}")
    found: list[Failure] = []
    for place, row in enumerate(given):
        where = f"fail_next[{place}]"
        if not isinstance(row, dict):
            raise Wrong(f"{where}: expected an object, got {row!r}")
        _known(where, row, _FAILURE_KEYS)
        headers = row.get("headers", {})
        if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
            raise Wrong(f"{where}.headers: expected an object of texts, got {headers!r}")
        failure = Failure(
            status=_number(f"{where}.status", row["status"], 200, 599) if "status" in row else None,
            headers=headers,
            body=row.get("body", ""),
            delay_s=_number(f"{where}.delay_ms", row.get("delay_ms", 0), 0, DELAY_MAX_MS) / 1000,
            half_body=_flag(f"{where}.half_body", row.get("half_body", False)),
            drop=_flag(f"{where}.drop", row.get("drop", False)),
            method=_text(f"{where}.method", row["method"]).upper() if "method" in row else None,
            path=_text(f"{where}.path", row["path"]) if "path" in row else None,
        )
        if failure.status is None and not (failure.drop or failure.half_body or failure.delay_s):
            raise Wrong(f"{where}: says nothing to do; give status, drop, half_body or delay_ms")
        found += [failure] * _number(f"{where}.times", row.get("times", 1), 1, _TIMES_MAX)
        if len(found) > _TIMES_MAX:
            raise Wrong(f"fail_next: more than {_TIMES_MAX} in all")
    return found


def apply(change: object, stand_ins: Sequence[StandIn]) -> None:
    """All of it or, when anything is wrong, nothing. `reset` comes first, `expire_sessions` last.

    Raises:
        Wrong: with a text for the person who sent it.
    """
    if not isinstance(change, dict):
        raise Wrong(f"expected a JSON object, got {change!r}")
    _known("control", change, _CHANGE_KEYS)
    for key in ("reset", "expire_sessions", "close_sockets"):
        if key in change:
            _action(key, change[key])
    down = _flag("down", change["down"]) if "down" in change else None
    delay = _number("delay_ms", change["delay_ms"], 0, DELAY_MAX_MS) if "delay_ms" in change else None
    half = _number("half_body", change["half_body"], 0, _TIMES_MAX) if "half_body" in change else None
    failures = _failures(change["fail_next"]) if "fail_next" in change else None
    for one in stand_ins:
        faults = one.faults
        if "reset" in change:
            faults.reset()
        if delay is not None:
            faults.delay_ms = delay
        if half is not None:
            faults.half_body = half
        if failures is not None:
            faults.fail_next[:] = failures
        if down is not None:
            faults.down = down
        if "close_sockets" in change:
            faults.close_sockets()
        if "expire_sessions" in change:
            faults.expire_sessions()


def _refusal(request: Request) -> Response | None:
    """Only this machine may look or change, wherever the sandbox listens."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    mapped = getattr(address, "ipv4_mapped", None) or address
    if mapped is not None and mapped.is_loopback:
        return None
    return JSONResponse({"error": "the control endpoints answer to this machine only"}, 403)


class Control:
    """`GET /`, `GET /_control`, and `GET` and `POST /_control/{name}`.

    A name stands for that stand-in or, like `octoprint`, for all below it (`octoprint/printer-1`, ...).
    """

    def __init__(self, stand_ins: Sequence[StandIn]) -> None:
        self._stand_ins = tuple(stand_ins)
        self.routes: list[Route] = [
            Route("/", self._page),
            Route("/_control", self._overview),
            Route("/_control/{name:path}", self._one, methods=["GET", "POST"]),
        ]

    def _named(self, name: str) -> list[StandIn]:
        return [one for one in self._stand_ins if one.name == name or one.name.startswith(f"{name}/")]

    async def _overview(self, request: Request) -> Response:
        return _refusal(request) or JSONResponse({"stand_ins": [one.describe() for one in self._stand_ins]})

    async def _one(self, request: Request) -> Response:
        if refusal := _refusal(request):
            return refusal
        name: str = request.path_params["name"]
        chosen = self._named(name)
        if not chosen:
            known = ", ".join(one.name for one in self._stand_ins)
            return JSONResponse({"error": f"no stand-in {name!r}; running are {known}"}, 404)
        if request.method == "POST":
            # A page in a browser cannot send this content type elsewhere without asking first.
            if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
                return JSONResponse({"error": "send it as Content-Type: application/json"}, 415)
            body = b""
            async for chunk in request.stream():
                body += chunk
                if len(body) > _BODY_MAX:
                    return JSONResponse({"error": f"more than {_BODY_MAX} bytes"}, 413)
            try:
                apply(json.loads(body), chosen)
            except ValueError as exc:
                text = str(exc) if isinstance(exc, Wrong) else f"not JSON: {exc}"
                return JSONResponse({"error": text}, 400)
        told: list[dict[str, Any]] = [one.describe(recent=request.method == "GET") for one in chosen]
        return JSONResponse({"stand_ins": told})

    async def _page(self, request: Request) -> Response:
        base = str(request.base_url).rstrip("/")
        return HTMLResponse(_PAGE.format(rows="\n".join(_row(one, base) for one in self._stand_ins)))


_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Crossdock sandbox</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }}
pre {{ background: #f3f3f3; padding: .5rem; overflow-x: auto; margin: .2rem 0 }}
h2 {{ font-size: 1rem; margin: 1.4rem 0 .2rem }}
</style></head><body>
<h1>Crossdock sandbox</h1>
<p>Stand-ins of vendor systems over one little world. State as JSON: <a href="/_control">/_control</a>.</p>
{rows}
</body></html>
"""


def _row(one: StandIn, base: str) -> str:
    where = ", ".join([*([f"{base}/{one.name}/"] if one.mounted else []), *one.addresses])
    send = f"curl -H 'Content-Type: application/json' {base}/_control/{one.name} -d"
    lines = (f"{send} '{{\"down\": true}}'", f"{send} '{{\"down\": false}}'")
    state = "down" if one.faults.down else "up"
    return (
        f"<h2>{html.escape(one.name)} ({state}, {one.faults.total_calls()} calls)</h2>"
        f"<div>{html.escape(where)}</div><pre>{html.escape(chr(10).join(lines))}</pre>"
    )
