"""One machine in an OPC UA server: its node map, what browsing finds, its subscription."""

import asyncio
import contextlib
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
from asyncua import ua
from asyncua.ua.object_ids import ObjectIds

from connectors.equipment.driver import Emit
from connectors.equipment.facts import Facts
from connectors.equipment.machine import KnownMachine
from connectors.equipment.opcua import browse, values
from connectors.equipment.opcua.payloads import SNAPSHOT
from connectors.equipment.opcua.server import Link, Server, quiet
from connectors.equipment.opcua.settings import NodePoint, OpcUa, node_name
from connectors.equipment.points import Identity, Taken, shortest
from connectors.equipment.settings import Machine, Settings
from connectors.kit.errors import BadRequest, NotFound, VendorDown
from connectors.kit.integration import Integration, Origin, Secret
from connectors.kit.resilience import Breaker
from connectors.kit.services import Services
from unified.records import Equipment

_TEXT_MOST: Final = 500
_YEAR_NONE: Final = 1601
"""The year that OPC UA's times begin with: it stands for "no time"."""
_QUEUE: Final = 1
_LIFETIME: Final = 600
_KEEP_ALIVE: Final = 10


class Watched(NamedTuple):
    """What is read of a machine over one connection: names of values, and their nodes in the same order."""

    names: list[str]
    nodes: list[ua.NodeId]
    layout: browse.Layout | None
    numbers: dict[ua.NodeId, float | None]
    """State (as CurrentState/Id names it) → its StateNumber, as far as they were asked."""


class OpcUaMachine(KnownMachine[values.Snapshot]):
    """See `Driver`. The server's connection is shared by its machines."""

    decoder = SNAPSHOT

    def __init__(
        self,
        machine: Machine,
        facts: Facts,
        server: Server,
        nodes: Sequence[NodePoint],
        *,
        discover: bool,
        integration: Integration,
        services: Services,
        push_seconds: float,
    ) -> None:
        super().__init__(facts, integration=integration, services=services)
        self._server, self._points, self._discover = server, tuple(nodes), discover
        self._node = machine.node
        self._map = machine.map or ""
        self._push_seconds = push_seconds
        self._watched: tuple[Link, Watched] | None = None
        self._finding = asyncio.Lock()

    @property
    def way(self) -> Breaker:
        return self._server.guard.breaker

    async def version(self) -> str:
        async def ask(link: Link) -> str:
            info = [ObjectIds.Server_ServerStatus_BuildInfo_ProductName,
                    ObjectIds.Server_ServerStatus_BuildInfo_SoftwareVersion]  # fmt: skip
            told = [browse.text_of(each) for each in await link.read([ua.NodeId(ua.Int32(each)) for each in info])]
            return " ".join(["OPC UA:", *(each for each in told if each)])

        return await self._server.call("read of the server's product name", ask)

    async def fresh(self) -> values.Snapshot:
        return await self._server.call("read of the machine's values", self._read)

    def empty(self) -> values.Snapshot:
        return values.Snapshot(map=self._map)

    def record(self, snapshot: values.Snapshot, origin: Origin) -> Equipment:
        return values.record(snapshot, self._points, self.facts, origin)

    async def aclose(self) -> None:
        await self._server.aclose()

    # --- reads

    async def _read(self, link: Link) -> values.Snapshot:
        watched, told = await self._read_all(link)
        return self._snapshot(watched, told)

    async def _read_all(self, link: Link) -> tuple[Watched, dict[ua.NodeId, ua.DataValue]]:
        watched = await self._known_nodes(link)
        told = dict(zip(watched.nodes, await link.read(watched.nodes), strict=True))
        await self._learn(link, watched, told)
        return watched, told

    async def _known_nodes(self, link: Link) -> Watched:
        """What to read, found once per connection, also by a read and the subscription that begin side by side: another
        connection may have other namespace indices."""
        async with self._finding:
            if self._watched is not None and self._watched[0] is link:
                return self._watched[1]
            try:
                watched = await self._find(link)
            except (ua.uaerrors.BadNodeIdUnknown, ua.uaerrors.BadNodeIdInvalid):
                raise BadRequest(
                    f"the server does not know the node {self._node} of machine {self.facts.id!r}; correct `node`",
                    vendor_code="BadNodeIdUnknown",
                ) from None
            self._watched = (link, watched)
            return watched

    async def _find(self, link: Link) -> Watched:
        layout = await self._layout(link)
        names = [each.name for each in self._points]
        nodes = [self._node_of(link, each, layout) for each in self._points]
        if layout is None:
            return Watched(names, nodes, None, {})
        mapped = set(nodes)
        for name, node in layout.sensors.items():
            if node not in mapped and name not in names:
                names.append(name)
                nodes.append(node)
        for group in (*layout.states.values(), layout.state_ids.values(), layout.texts.values()):
            nodes += group
        if not nodes:
            raise NotFound(
                f"machine {self.facts.id!r} has neither state nor sensors with units in the server; name its nodes in "
                "a `map`"
            )
        return Watched(names, nodes, layout, {})

    async def _layout(self, link: Link) -> browse.Layout | None:
        """What lies below the machine's node; null for a machine whose map names every node by itself."""
        if self._node is not None:
            machine = link.resolve(node_name(self._node))
        elif self._points and all(each.node is not None for each in self._points):
            return None
        else:
            machine = await browse.the_only_machine(link, self.facts.id)
        return await browse.layout(link, machine, discover=self._discover)

    def _node_of(self, link: Link, point: NodePoint, layout: browse.Layout | None) -> ua.NodeId:
        if point.node is not None:
            return link.resolve(node_name(point.node))
        path = tuple((point.path or "").strip("/").split("/"))
        found = layout.paths.get(path) if layout is not None else None
        if found is None:
            raise BadRequest(
                f"machine {self.facts.id!r} has no variable {point.path!r} below its node; correct {point.name!r}",
                vendor_code="BadNoMatch",
            )
        return found

    def _snapshot(self, watched: Watched, told: Mapping[ua.NodeId, ua.DataValue]) -> values.Snapshot:
        found = {
            name: taken(told[node]) for name, node in zip(watched.names, watched.nodes, strict=False) if node in told
        }
        layout = watched.layout
        if layout is None:
            return values.Snapshot(map=self._map, values=found)
        texts = [text for node in layout.texts.values() if (text := browse.text_of(told[node])) is not None]
        for machine in (*layout.states, *(each for each in layout.state_ids if each not in layout.states)):
            state = _state(watched, layout, machine, told)
            if state is not None:
                found[machine] = state
        return values.Snapshot(
            map=self._map,
            identity=layout.identity if layout.identity != Identity() else None,
            status="; ".join(dict.fromkeys(texts))[:_TEXT_MOST] or None,
            units={name: unit for name, unit in layout.units.items() if name in found},
            values=found,
        )

    async def _learn(self, link: Link, watched: Watched, told: Mapping[ua.NodeId, ua.DataValue]) -> None:
        """Asks the StateNumber of the states that were not met before."""
        for state in _unknown_states(watched, told):
            watched.numbers[state] = None
            for each in await browse.children(link, [browse.Found((), state, False)]):
                if each.path[-1] == "StateNumber":
                    number = taken((await link.read([each.node]))[0]).value
                    watched.numbers[state] = float(number) if isinstance(number, int | float) else None

    # --- the subscription

    async def watch(self, emit: Emit) -> None:
        """Subscribes to all values. The first notification carries them as they are; then what changes comes at most
        once per publishing interval, which the server may revise. Raises `VendorDown` when the connection breaks."""
        news = _News()

        async def begin(link: Link) -> tuple[Link, Watched, Any]:
            watched = await self._known_nodes(link)
            params = ua.CreateSubscriptionParameters()
            params.RequestedPublishingInterval = self._push_seconds * 1_000
            params.RequestedLifetimeCount = _LIFETIME
            params.RequestedMaxKeepAliveCount = _KEEP_ALIVE
            params.MaxNotificationsPerPublish = 1_000
            params.PublishingEnabled = True
            subscription = await link.client.create_subscription(params, news)
            nodes = [link.client.get_node(each) for each in watched.nodes]
            handles = await subscription.subscribe_data_change(nodes, queuesize=_QUEUE)
            refused = [
                f"{link.spell(node)} {handle.name}"
                for node, handle in zip(watched.nodes, handles, strict=True)
                if isinstance(handle, ua.StatusCode)
            ]
            if refused:
                self.services.log.warning(
                    "equipment.nodes_refused",
                    integration=self.integration.key,
                    machine=self.facts.id,
                    nodes="; ".join(refused[:10]),
                    count=len(refused),
                )
            return link, watched, subscription

        link, watched, subscription = await self._server.call("subscription", begin)
        try:
            read, told = await self._server.call("read of the machine's values", self._read_all)
            if read is not watched:  # over another connection, where nodes have other ids
                raise self._ended(None)
            said: Mapping[str, Taken] | None = None
            while True:
                snapshot = self._snapshot(watched, told)
                if said is None or _said(snapshot.values) != _said(said):
                    said = snapshot.values
                    emit(self.wrapped(self.known.put(snapshot).value))
                await self._next(link, news)
                told |= news.take()
                if _unknown_states(watched, told):
                    await self._server.call("read of state numbers", partial(self._learn, watched=watched, told=told))
        finally:
            if link.stands:
                with contextlib.suppress(TimeoutError, OSError, RuntimeError):
                    async with asyncio.timeout(2):
                        await subscription.delete()

    async def _next(self, link: Link, news: "_News") -> None:
        """Until there is news. Raises `VendorDown` when the connection is lost."""
        waits = [asyncio.create_task(news.there.wait()), asyncio.create_task(link.lost.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        if not link.stands or news.ended is not None:
            self._server.drop(link)
            raise self._ended(news.ended)

    def _ended(self, why: str | None) -> VendorDown:
        return VendorDown(
            f"{self.integration.key}: {self._server.url} ended the subscription of machine {self.facts.id}"
            + (f": {why}" if why else ""),
            integration=self.integration.key,
        )


class _News:
    """Takes what a subscription brings; of each node the newest value only."""

    def __init__(self) -> None:
        self.there = asyncio.Event()
        self.ended: str | None = None
        self._values: dict[ua.NodeId, ua.DataValue] = {}

    def datachange_notification(self, node: Any, _value: Any, data: Any) -> None:
        self._values[node.nodeid] = data.monitored_item.Value
        self.there.set()

    def status_change_notification(self, status: Any) -> None:
        told = status.Status if isinstance(status, ua.StatusChangeNotification) else status
        self.ended = told.name if isinstance(told, ua.StatusCode) else "the server changed its status"
        self.there.set()

    def take(self) -> dict[ua.NodeId, ua.DataValue]:
        self.there.clear()
        found, self._values = self._values, {}
        return found


def _state(
    watched: Watched, layout: browse.Layout, machine: str, told: Mapping[ua.NodeId, ua.DataValue]
) -> Taken | None:
    """A state machine's number: as the server tells it, else that of the state that its Id names. Never by its text,
    which is in the server's language. Null while it has no state."""
    for each in layout.states.get(machine, ()):
        number = taken(told[each])
        if number.value is not None:
            return number
    node = layout.state_ids.get(machine)
    state = _state_id(told.get(node)) if node is not None else None
    if node is None or state is None:
        return None
    return msgspec.structs.replace(taken(told[node]), value=watched.numbers.get(state))


def _state_id(told: ua.DataValue | None) -> ua.NodeId | None:
    state = told.Value.Value if told is not None and told.Value is not None else None
    return state if isinstance(state, ua.NodeId) and not state.is_null() else None


def _unknown_states(watched: Watched, told: Mapping[ua.NodeId, ua.DataValue]) -> list[ua.NodeId]:
    ids = watched.layout.state_ids.values() if watched.layout is not None else ()
    states = [_state_id(told.get(node)) for node in ids]
    return [each for each in states if each is not None and each not in watched.numbers]


def _said(found: Mapping[str, Taken]) -> dict[str, tuple[object, object]]:
    return {name: (each.value, each.quality) for name, each in found.items()}


def taken(told: ua.DataValue) -> Taken:
    """A value as its machine gave it. A Null is null, whatever its status."""
    status = told.StatusCode.value if told.StatusCode is not None else 0
    at = told.SourceTimestamp or told.ServerTimestamp
    value = _plain(told.Value.Value) if told.Value is not None else None
    if isinstance(value, float) and told.Value is not None and told.Value.VariantType == ua.VariantType.Float:
        value = shortest(value)
    return Taken(
        value=value,
        quality=values.quality(status),
        at=_time(at),
    )


def _time(at: datetime | None) -> str | None:
    if at is None or at.year <= _YEAR_NONE:
        return None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).isoformat()


def _plain(value: Any) -> float | bool | str | None:
    """A value as number, truth or text; arrays and structures as text."""
    match value:
        case None | bool():
            return value
        case int() | float():
            return float(value) if math.isfinite(value) else None
        case str():
            return value[:_TEXT_MOST] or None
        case ua.LocalizedText():
            return (value.Text or "")[:_TEXT_MOST] or None
        case ua.QualifiedName():
            return (value.Name or "")[:_TEXT_MOST] or None
        case ua.NodeId():
            return None if value.is_null() else value.to_string()[:_TEXT_MOST]
        case datetime():
            return _time(value)
        case bytes():
            return value.hex()[:_TEXT_MOST]
        case list():
            return " ".join(str(_plain(each)) for each in value[:100])[:_TEXT_MOST] or None
    return str(value)[:_TEXT_MOST]


def machines(
    settings: Settings, credentials: Mapping[str, Secret], *, integration: Integration, services: Services
) -> dict[str, OpcUaMachine]:
    """The machines of an integration, by id; those with the same url share its session."""
    quiet()
    options = settings.opcua or OpcUa()
    servers: dict[str, Server] = {}
    found: dict[str, OpcUaMachine] = {}
    for machine in settings.machines:
        server = servers.get(machine.url)
        if server is None:
            server = servers[machine.url] = Server(
                machine.url, options, credentials, integration=integration, services=services
            )
        found[machine.id] = OpcUaMachine(
            machine,
            settings.facts(machine),
            server,
            settings.nodes.get(machine.map or "", ()),
            discover=options.discover,
            integration=integration,
            services=services,
            push_seconds=settings.push_seconds,
        )
    return found
