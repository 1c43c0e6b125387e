"""One device behind an MTConnect agent: its model, its current values, its stream of observations."""

import contextlib
from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from connectors.equipment.driver import Emit
from connectors.equipment.facts import Facts
from connectors.equipment.machine import KnownMachine
from connectors.equipment.mtconnect import mapping, wire
from connectors.equipment.mtconnect.merge import Merged
from connectors.equipment.mtconnect.payloads import OUT_OF_RANGE, SNAPSHOT, document, expect, explain
from connectors.equipment.mtconnect.settings import MTConnect
from connectors.equipment.settings import Machine, Settings
from connectors.kit.auth import HeaderAuth
from connectors.kit.errors import BadPayload, NotFound, VendorDown, VendorError
from connectors.kit.http import Api, segment
from connectors.kit.integration import Integration, Origin, Secret
from connectors.kit.multipart import Part, parts
from connectors.kit.resilience import Breaker
from connectors.kit.services import Reading, Services, current_reading
from unified.records import Equipment

D = TypeVar("D", wire.Streams, wire.Devices, wire.Assets)

_ASSETS_MOST: Final = 200
_COUNT_MOST: Final = 2_000
"""Observations per part of the stream; what is more comes with the next part."""
_SILENT_BEATS: Final = 3


class MTConnectMachine(KnownMachine[wire.Snapshot]):
    """See `Driver`. The way to the agent is shared by its machines. A read costs one call; after a restart of the
    agent two, and one more while there are assets and they have changed."""

    decoder = SNAPSHOT

    def __init__(
        self,
        machine: Machine,
        facts: Facts,
        api: Api,
        options: MTConnect,
        *,
        integration: Integration,
        services: Services,
        push_seconds: float,
    ) -> None:
        super().__init__(facts, integration=integration, services=services)
        self.api = api
        self._wanted = machine.device
        self._options, self._push_seconds = options, push_seconds
        self._device: wire.Device | None = None
        self._model: tuple[str, str | None] | None = None
        """Instance and `deviceModelChangeTime` that the device was read under."""
        self._merged = Merged()
        self._header: wire.Header | None = None
        self._asset_count: int | None = None
        """The agent's, when its model was read."""
        self._assets: list[wire.Asset] = []
        self._assets_seen: tuple[object, ...] | None = None
        self._gap: wire.Gap | None = None
        self._streamed: wire.Header | None = None
        """Header of the newest document of the stream: where it goes on after a break."""

    @property
    def way(self) -> Breaker:
        return self.api.breaker

    # --- reads

    @property
    def requests(self) -> int:
        """The model, the values, the model again when it has changed, the assets."""
        return 4

    async def version(self) -> str:
        told = await self._get("/probe", wire.Devices)
        self._choose(told)
        device = self._device
        name = device.name if device is not None else None
        return f"MTConnect agent {told.header.version or '(no version)'}, device {name or '(no name)'}"

    async def fresh(self) -> wire.Snapshot:
        await self._current()
        return self._snapshot()

    def empty(self) -> wire.Snapshot:
        return wire.Snapshot()

    def record(self, snapshot: wire.Snapshot, origin: Origin) -> Equipment:
        told = msgspec.structs.replace(snapshot, trouble=None)
        return mapping.from_snapshot(told, self.facts, origin)

    async def aclose(self) -> None:
        await self.api.aclose()

    async def _current(self) -> None:
        """Reads /current, and /probe when the agent's model of the device is not the one we know."""
        if self._device is None:
            self._choose(await self._get("/probe", wire.Devices))
        try:
            told = await self._get(self._path("current"), wire.Streams)
        except NotFound:
            self._device = None  # the agent has other devices now: look again the next time
            raise
        if self._model != (told.header.instance_id, told.header.model_changed):
            self._choose(await self._get("/probe", wire.Devices))
            self._model = (told.header.instance_id, told.header.model_changed)
        self._header = told.header
        self._merged.replace(self._own(told))
        await self._read_assets()

    def _own(self, told: wire.Streams) -> list[wire.Observation]:
        """The observations of our device: some agents answer with all devices whatever the path."""
        device = self._device
        if device is None or device.uuid is None:
            return told.observations
        return [each for each in told.observations if each.place.device_uuid in (None, device.uuid)]

    async def _read_assets(self) -> None:
        """Reads the assets when the agent says that one was changed or removed. Their fault fails no read."""
        if not self._options.assets or self._header is None:
            return
        changes = [
            each
            for each in self._merged.latest.values()
            if each.type in ("AssetChanged", "AssetRemoved") and each.value not in (None, wire.UNAVAILABLE)
        ]
        seen = (self._header.instance_id, tuple(sorted((each.type, each.sequence) for each in changes)))
        if seen == self._assets_seen:
            return
        if not changes and self._asset_count == 0:
            self._assets, self._assets_seen = [], seen
            return
        try:
            told = await self._get("/assets", wire.Assets, {"count": str(_ASSETS_MOST)})
        except NotFound:
            found: list[wire.Asset] = []
        except VendorError as error:
            self.services.log.warning(
                "equipment.assets_unreadable",
                integration=self.integration.key,
                machine=self.facts.id,
                error=error.message,
            )
            return
        else:
            uuid = self._device.uuid if self._device is not None else None
            found = [each for each in told.assets if each.device_uuid in (None, uuid)]
        self._assets, self._assets_seen = found[:_ASSETS_MOST], seen

    def _choose(self, told: wire.Devices) -> None:
        """Our device among the agent's. Raises `NotFound` that names the devices there are."""
        self._asset_count = told.header.asset_count
        machines = [each for each in told.devices if not each.agent]
        names = ", ".join(sorted(each.name or each.uuid or each.id for each in machines)) or "none"
        if self._wanted is None and len(machines) != 1:
            raise NotFound(
                f"{self.integration.key}: the agent of machine {self.facts.id} has several devices or none; set "
                f"`device` to one of: {names}",
                integration=self.integration.key,
            )
        for each in machines:
            if self._wanted in (None, each.name, each.uuid):
                self._device = each
                self._model = (told.header.instance_id, told.header.model_changed)
                return
        raise NotFound(
            f"{self.integration.key}: the agent of machine {self.facts.id} has no device {self._wanted!r}; it has: "
            f"{names}",
            integration=self.integration.key,
        )

    def _path(self, request: str) -> str:
        device = self._device
        name = (device.name or device.uuid) if device is not None else None
        return f"/{segment(name)}/{request}" if name else f"/{request}"

    async def _get(self, path: str, wanted: type[D], params: dict[str, str] | None = None) -> D:
        """A fresh answer: the kit's last good one would bring back sequence numbers that are gone."""
        outer, mine = current_reading.get(), Reading()
        token = current_reading.set(mine)
        try:
            answer = await self.api.get(path, bytes, params=params)
        finally:
            current_reading.reset(token)
            if outer is not None:
                outer.add(mine)
        if answer.origin.stale:
            raise mine.stale_error or VendorDown(f"{self.integration.key}: no fresh answer to {path}")
        return self._document(answer.value, wanted, path)

    def _document(self, body: bytes, wanted: type[D], path: str) -> D:
        try:
            return expect(document(body), wanted)
        except BadPayload as fault:
            fault.integration = self.integration.key
            fault.message = f"{self.integration.key}: {path}: {fault.message}"
            fault.args = (fault.message,)
            raise

    def _snapshot(self) -> wire.Snapshot:
        observations = self._merged.all()
        device = self._device
        if device is not None:
            told = {each.data_item for each in observations}
            items = {item: each for item, each in device.items.items() if each.units and item in told}
            device = msgspec.structs.replace(device, items=items)
        return wire.Snapshot(
            device=device, header=self._header, observations=observations, assets=self._assets, gap=self._gap
        )

    # --- the stream

    async def watch(self, emit: Emit) -> None:
        """From where the last stream ended, else from now. Parts follow each other every `interval`; without news
        an empty one comes every heartbeat."""
        begin = self._streamed
        if begin is None:
            await self._anew(emit)
            begin = self._streamed
        assert begin is not None
        count = min(begin.buffer_size or _COUNT_MOST, _COUNT_MOST)
        params = {
            "from": str(begin.next_sequence),
            "interval": str(round(self._push_seconds * 1_000)),
            "heartbeat": str(round(self._options.heartbeat_seconds * 1_000)),
            "count": str(count),
        }
        stream = parts(
            self.api,
            self._path("sample"),
            params=params,
            silence_seconds=max(self._options.heartbeat_seconds, self._push_seconds) * _SILENT_BEATS,
        )
        told_first = True
        try:
            async with contextlib.aclosing(stream):  # type: ignore[type-var]
                async for part in stream:
                    if not await self._take(part, emit, always=told_first):
                        return
                    told_first = False
                    if part.whole:  # an agent that does not stream: ask again after a while
                        await self.services.clock.sleep(self._push_seconds)
                        return
        except VendorError as error:
            if error.vendor_code != OUT_OF_RANGE:
                raise
            await self._lost(emit, begin)
            return
        raise VendorDown(
            f"{self.integration.key}: the agent of machine {self.facts.id} ended the stream",
            integration=self.integration.key,
        )

    async def _take(self, part: Part, emit: Emit, *, always: bool) -> bool:
        """Takes a part in; false when the stream must begin anew. `always` tells the machine even when nothing
        changed: the outage before is over."""
        begin = self._streamed
        assert begin is not None
        told = document(part.body)
        if isinstance(told, wire.Errors):
            if any(each.code == OUT_OF_RANGE for each in told.errors):
                await self._lost(emit, begin)
                return False
            raise BadPayload(
                f"{self.integration.key}: the stream of machine {self.facts.id} brought an error: "
                f"{'; '.join(each.code for each in told.errors)}",
                path="$.Errors",
                integration=self.integration.key,
            )
        told = expect(told, wire.Streams)
        if told.header.instance_id != begin.instance_id or told.header.first_sequence > begin.next_sequence:
            await self._lost(emit, begin)
            return False
        if self._model != (told.header.instance_id, told.header.model_changed):
            self._device = None
            await self._anew(emit)
            return False
        self._streamed = self._header = told.header
        changed = self._merged.apply(self._own(told))
        if changed:
            await self._read_assets()
        if changed or always:
            emit(self.wrapped(self.known.put(self._snapshot()).value))
        return True

    async def _anew(self, emit: Emit) -> None:
        """Reads everything, tells it, and lets the stream go on from there."""
        await self._current()
        self._streamed = self._header
        emit(self.wrapped(self.known.put(self._snapshot()).value))

    async def _lost(self, emit: Emit, begin: wire.Header) -> None:
        """Observations are gone. Reads everything anew and says what is missing: in the log, and in the record."""
        await self._current()
        header = self._header
        assert header is not None
        restarted = header.instance_id != begin.instance_id
        first, last = begin.next_sequence, header.first_sequence - 1
        if restarted or last < first:
            restarted, first, last = True, 0, 0
        self._gap = wire.Gap(
            reason="restart" if restarted else "overrun",
            at=self.services.clock.now().isoformat(),
            first=first or None,
            last=last or None,
        )
        self.services.log.warning(
            "equipment.gap",
            integration=self.integration.key,
            machine=self.facts.id,
            reason=self._gap.reason,
            first=self._gap.first,
            last=self._gap.last,
            instance=header.instance_id,
        )
        self._streamed = header
        emit(self.wrapped(self.known.put(self._snapshot()).value))
        await self.services.clock.sleep(self._push_seconds)  # a buffer that is always too small must not spin us


def machines(
    settings: Settings, keys: Mapping[str, Secret], *, integration: Integration, services: Services
) -> dict[str, MTConnectMachine]:
    """The machines of an integration, by id; those behind one agent share the way to it. `keys`: by machine."""
    options = settings.mtconnect or MTConnect()
    accept = "application/json" if options.format == "json" else "application/xml, text/xml"
    ways: dict[tuple[str, str | None], Api] = {}
    found: dict[str, MTConnectMachine] = {}
    for machine in settings.machines:
        key = keys.get(machine.id)
        api = ways.get((machine.url, machine.api_key))
        if api is None:
            api = ways[machine.url, machine.api_key] = Api(
                integration,
                services,
                base_url=machine.url,
                auth=HeaderAuth("Authorization", key) if key is not None else None,
                explain=explain,
                headers={"Accept": accept},
            )
        found[machine.id] = MTConnectMachine(
            machine,
            settings.facts(machine),
            api,
            options,
            integration=integration,
            services=services,
            push_seconds=settings.push_seconds,
        )
    return found
