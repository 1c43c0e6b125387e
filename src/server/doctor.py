"""`crossdock doctor`: what of a configuration works, what does not, and what to do. It changes nothing."""

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
from msgspec.structs import asdict
from sqlalchemy.exc import DBAPIError

from connectors.kit.errors import BadPayload, ConnectorError, VendorError
from connectors.kit.protocols import WebhookReceiver
from connectors.kit.services import Services
from connectors.kit.transport import BROKE_OFF, NO_HTTP, NO_TLS, REFUSED, UNKNOWN_HOST, UNTRUSTED
from resolvers.sources import Handle, ask
from runtime import identity
from runtime.clock import SystemClock
from runtime.identity import Unauthenticated
from runtime.settings import Settings, SettingsError
from runtime.store import current, newest
from server.serving import CannotServe, bind
from server.wiring import ConfigurationFault, connect

STORE_SECONDS = 5.0
PORT_SECONDS = 2.0
LIVE = b'{"live":true}'
"""What `/health/live` of a Crossdock answers."""
_MOST_NAMED = 5


class State(Enum):
    OK = "ok"
    NOTE = "note"
    FAIL = "FAIL"


class Finding(NamedTuple):
    """`do`: what to do about it; empty when nothing is to be done."""

    state: State
    text: str
    do: str = ""


async def examine(read: Callable[[], Settings], show: Callable[[str], None], *, name: str) -> bool:
    """Shows all findings, each as soon as it is known. False when something does not work."""
    bad = 0

    def tell(title: str, findings: list[Finding]) -> None:
        nonlocal bad
        show(title)
        for each in findings:
            bad += each.state is State.FAIL
            show(f"  {each.state.value:4}  {each.text}")
            for line in filter(None, each.do.splitlines()):
                show(f"        → {line}")

    try:
        settings = read()
        organisations = connect(settings, Services())
    except (SettingsError, ConfigurationFault) as fault:
        tell("Configuration", [Finding(State.FAIL, line) for line in str(fault).splitlines()])
        show(f"\n{name} cannot be used as it is.")
        return False
    handles = [handle for sources in organisations.values() for handle in sources]
    try:
        tell("Configuration", list(_configuration(settings, name)))
        tell("Server", [await _port(settings)])
        tell("Store", [await _store(settings.store.url)])
        tell("Who may ask", await _access(settings))
        tell("Limits", list(_limits(settings)))
        tell("Integrations", await asyncio.gather(*(_integration(handle, settings) for handle in handles)))
    finally:
        await asyncio.gather(*(handle.connector.aclose() for handle in handles), return_exceptions=True)
    show(f"\n{_count(bad, 'check')} failed." if bad else "\nEverything works.")
    return not bad


def _configuration(settings: Settings, name: str) -> Iterator[Finding]:
    off = sum(not each.enabled for each in settings.integrations)
    yield Finding(
        State.OK,
        f"{name}: {_count(len(settings.integrations), 'integration')}{f' ({off} switched off)' if off else ''} of "
        f"{_count(len(settings.organisations), 'organisation')}",
    )
    if not settings.integrations:
        yield Finding(State.NOTE, "there is nothing to ask", "add an [[integrations]] table; docs/systems has examples")
    plain = settings.plain_secrets()
    if plain:
        rest = f" and {len(plain) - _MOST_NAMED} more" if len(plain) > _MOST_NAMED else ""
        named = ", ".join(plain[:_MOST_NAMED]) + rest
        yield Finding(
            State.NOTE,
            f"{_count(len(plain), 'secret')} in the file itself: {named}",
            'fine to try things out; otherwise write { env = "NAME" } or { file = "/run/secrets/name" } instead',
        )
    if settings.server.cursor_key is None:
        yield Finding(
            State.NOTE,
            "no [server] cursor_key: cursors of lists end with the process, and replicas do not know each other's",
            'write cursor_key = { env = "CROSSDOCK_CURSOR_KEY" }, 32 random characters or more',
        )


async def _port(settings: Settings) -> Finding:
    """Whether `serve` gets its port. A Crossdock that answers there is fine: it is being looked at while it runs."""
    host, port = settings.server.host, settings.server.port
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    try:
        bind(settings.server).close()
    except CannotServe as fault:
        if await _is_crossdock(address):
            return Finding(State.OK, f"{address}: a Crossdock runs there already")
        return Finding(State.FAIL, f"{settings.place(('server', 'port'))}: {str(fault).partition(';')[0]}",
                       str(fault).partition("; ")[2])  # fmt: skip
    return Finding(State.OK, f"{address}: free")


async def _is_crossdock(address: str) -> bool:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PORT_SECONDS)) as session,
            session.get(f"{address}/health/live", allow_redirects=False) as answer,
        ):
            return answer.status == 200 and await answer.content.read(100) == LIVE
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


async def _store(url: str) -> Finding:
    scheme, _, place = url.partition("://")
    shown = place[1:] if scheme == "sqlite" else "PostgreSQL"
    if scheme == "sqlite" and (known := await asyncio.to_thread(_file, Path(place[1:]))) is not None:
        return known
    try:
        async with asyncio.timeout(STORE_SECONDS):
            revision = await current(url)
    except TimeoutError:
        text = f"{shown}: does not answer within {STORE_SECONDS:g} s"
        return Finding(State.FAIL, text, "start it, or correct [store] url")
    except (DBAPIError, OSError) as fault:
        why = getattr(fault, "orig", None) or fault
        return Finding(State.FAIL, f"{shown}: cannot be opened: {why}", "start it, or correct [store] url")
    if revision == newest():
        return Finding(State.OK, f"{shown}: tables at revision {revision}, the newest")
    was = f"tables at revision {revision}" if revision else "no tables yet"
    return Finding(State.OK, f"{shown}: {was}; the next start brings them to {newest()}")


def _file(file: Path) -> Finding | None:
    """What is to be said of a SQLite file before it is opened; null when it can be."""
    if file.exists() and not file.is_file():
        return Finding(State.FAIL, f"{file} is no file", "write the path of a file in [store] url")
    there = next(each for each in (file, *file.parents) if each.exists())
    if not os.access(there, os.R_OK | os.W_OK) or not os.access(there if there.is_dir() else there.parent, os.W_OK):
        return Finding(State.FAIL, f"{file}: this user may not write there", "mend the folder's rights, or [store] url")
    return None if there == file else Finding(State.OK, f"{file}: will be made at the first start")


async def _access(settings: Settings) -> list[Finding]:
    authenticator = identity.from_settings(settings, clock=SystemClock())
    try:
        found = [Finding(State.OK, line) for line in await authenticator.check()]
    except Unauthenticated as fault:
        jwt = settings.auth.jwt if settings.auth else None
        where = (jwt.jwks_url or jwt.jwks_file) if jwt else None
        do = "check jwks_url (or jwks_file) of [auth.jwt], and that it can be reached from here"
        return [Finding(State.FAIL, f"{fault.message} ({where})", do)]
    finally:
        await authenticator.aclose()
    if settings.auth is None:
        do = "add [[auth.api_keys]] or [auth.jwt] before anybody else is to use it"
        found.append(Finding(State.NOTE, "nobody has to say who they are; therefore only this machine is served", do))
    return found


def _limits(settings: Settings) -> Iterator[Finding]:
    server = settings.server
    for text in (
        f"a GraphQL request: {_size(server.max_body_bytes)} (max_body_bytes)",
        f"a webhook: {_size(server.webhook_max_bytes)} (webhook_max_bytes)",
        f"a WebSocket says who it is within {server.connection_init_seconds:g} s (connection_init_seconds)",
        f"deliveries are remembered for {settings.store.inbox_retention_days:g} days (inbox_retention_days)",
        f"the schema is {'shown' if server.introspection else 'hidden'} (introspection)",
    ):
        yield Finding(State.OK, text)
    limits, usual = asdict(settings.limits), asdict(type(settings.limits)())
    shown = ", ".join(f"{name} {value:,g}" for name, value in limits.items())
    yield Finding(State.OK, f"an operation ([limits]): {shown}")
    other = [f"{name} (by default {usual[name]:,g})" for name, value in limits.items() if value != usual[name]]
    if other:
        advice = "docs/endpoint.md says what each protects from"
        yield Finding(State.NOTE, f"other limits than by default: {', '.join(other)}", advice)


async def _integration(handle: Handle, settings: Settings) -> Finding:
    """The fault and the way out, or what answered."""
    title, connector = handle.connector.manifest.title, handle.connector
    try:
        asked = await ask(handle, lambda one: one.check())
    except Exception as fault:  # noqa: BLE001  a bug of one connector must not hide what is true of the others
        text = f"{handle.key} ({title}): the check itself failed ({type(fault).__name__})"
        return Finding(State.FAIL, text, "this is a fault of Crossdock; report it with the log of `crossdock serve`")
    if asked.error is not None:
        message = asked.error.message.removeprefix(f"{handle.key}: ")
        do = _wrong_address(handle, asked.error, settings) or asked.error.hint
        return Finding(State.FAIL, f"{handle.key} ({title}): {message}", do)
    hooks = f"; webhooks come to /webhooks/{handle.key}" if isinstance(connector, WebhookReceiver) else ""
    return Finding(State.OK, f"{handle.key} ({title}): {asked.value} ({asked.latency_ms} ms){hooks}")


def _wrong_address(handle: Handle, error: ConnectorError, settings: Settings) -> str:
    """What to do where it is the address that looks wrong; empty where something else does."""
    keys, url = _address_in(handle, error.message)
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return ""
    at, host = f"{parts.hostname}:{port}", parts.hostname
    what = next((words for reason, words in _ADVICE.items() if reason in error.message), "")
    if parts.scheme == "http" and (BROKE_OFF in error.message or NO_HTTP in error.message):
        what = "what listens at {at} may speak TLS only, or be no HTTP server: try https://, or another port"
    elif not what and isinstance(error, VendorError) and error.status == 404:
        what = "{host} answers and has nothing at this path: check the path"
    elif not what and isinstance(error, BadPayload):
        what = "something else than {title} may answer at {at} (a proxy, a log-in page, another program)"
    if not what:
        return ""
    told = what.format(at=at, host=host, title=handle.connector.manifest.title)
    name = ".".join(each for each in keys if isinstance(each, str))
    return f"{told}\ncheck {name}: {settings.place_in(handle.key, *keys)}"


_ADVICE = {
    UNKNOWN_HOST: "the host {host} is not known here: is it misspelt, or only known in another network?",
    REFUSED: "nothing listens at {at}: is it the right port, and does the vendor system run?",
    NO_TLS: "what listens at {at} speaks no TLS: try http://, or another port",
    UNTRUSTED: "the certificate of {at} is for another host, has run out, or is signed by a CA that this machine does "
    "not trust",
}


def _address_in(handle: Handle, message: str) -> tuple[tuple[str | int, ...], str]:
    """The key of the setting whose address the message tells of, and the address: `base_url`, or one among the
    settings, such as a machine's `url`."""
    given: list[tuple[tuple[str | int, ...], str]] = [(("base_url",), handle.integration.base_url)]
    given += _addresses(handle.integration.settings, ("settings",))
    told = [each for each in given if each[1] and each[1].rstrip("/") in message]
    return max(told, key=lambda each: len(each[1]), default=given[0])


def _addresses(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    match value:
        case dict():
            for name, each in value.items():
                yield from _addresses(each, (*path, name))
        case list():
            for place, each in enumerate(value):
                yield from _addresses(each, (*path, place))
        case str() if re.match(r"[a-z.+]+://", value):
            yield path, value


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _size(count: int) -> str:
    return f"{count / (1 << 20):g} MiB" if count >= 1 << 20 else f"{count / (1 << 10):g} KiB"
