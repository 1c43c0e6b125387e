"""The connector: many machines behind one integration, each reached through its protocol's driver."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from connectors.equipment import octoprint
from connectors.equipment.driver import MACHINE_HEADER, Describe, Driver, received_at
from connectors.equipment.facts import Facts, ItemPattern
from connectors.equipment.modbus import payloads as modbus
from connectors.equipment.mtconnect import payloads as mtconnect
from connectors.equipment.mtconnect.machine import machines as mtconnect_machines
from connectors.equipment.opcua import payloads as opcua
from connectors.equipment.settings import Settings
from connectors.kit.calls import Calls
from connectors.kit.errors import AuthFailed, BadRequest, VendorDown, VendorError
from connectors.kit.http import Outcome
from connectors.kit.integration import Integration, Origin, Secret
from connectors.kit.manifest import Credential, Decoder, Manifest
from connectors.kit.paging import OffsetCursor
from connectors.kit.protocols import Connector, Identity, Polled, Raw
from connectors.kit.services import Services, current_reading
from unified.events import Changed, Event
from unified.keys import Subject
from unified.queries import EquipmentFilter, ListQuery, SourcePage
from unified.records import Equipment, EquipmentState, EquipmentType
from unified.values import System

if TYPE_CHECKING:
    import httpx

_AT_ONCE: Final = 16
"""Machines that are called side by side."""
_WAITING_MOST: Final = 1_000
"""Live messages that wait for the reader; then the oldest go."""
_REFUSED_PAUSE: Final = 300.0
"""Seconds until a machine is tried again that answered something wrong."""


def _stranger(equipment_type: EquipmentType) -> Describe:
    """Facts of a machine of which only the id is known, for `crossdock decode`."""

    def describe(machine: str | None) -> Facts:
        name = machine or "machine"
        return Facts(id=name, name=name, equipment_type=equipment_type, items=ItemPattern())

    return describe


def _explain(response: "httpx.Response") -> Outcome | None:
    """What an error answer means, of whichever protocol: for `crossdock decode`, which does not know it."""
    return mtconnect.explain(response) if mtconnect.is_error(response.content) else octoprint.explain(response)


class EquipmentConnector(Connector):
    """Reads degrade per machine, except a read of exactly one: see `read_equipment`."""

    manifest: ClassVar[Manifest] = Manifest(
        system=System.EQUIPMENT,
        title="Manufacturing equipment (OctoPrint, MTConnect, OPC UA, Modbus)",
        summary="State, job, readings and faults of machines, live: 3D printers, CNC machines, PLCs, lines.",
        documentation="https://docs.octoprint.org/en/master/api/",
        credentials=(
            Credential(
                name="*",
                description="API keys, users and passwords, under any names; the settings say which is which",
                required=False,
            ),
        ),
        settings=Settings,
        needs_base_url=False,
        batch_size=50,
        decoders=(
            *octoprint.decoders(_stranger(EquipmentType.PRINTER_3D)),
            *mtconnect.decoders(_stranger(EquipmentType.CNC_MILL)),
            *opcua.decoders(_stranger(EquipmentType.OTHER), lambda _: ()),
            *modbus.decoders(_stranger(EquipmentType.PLC), lambda _: ()),
        ),
        explain=_explain,
        ground_truth=(
            "OctoPrint: seen on 1.11.8 with its virtual printer. MTConnect: answers recorded from the reference agent "
            "1.7, the XSDs, the agent's own tests for its JSON. OPC UA: the official NodeSets on an asyncua server. "
            "Modbus: the pymodbus simulator and the specification. No real machine was attached."
        ),
    )

    def __init__(self, integration: Integration, services: Services) -> None:
        super().__init__(integration, services)
        settings = msgspec.convert(integration.settings, Settings)
        self._facts = {machine.id: settings.facts(machine) for machine in settings.machines}
        self._drivers: dict[str, Driver] = dict(self._made(settings))
        self._decoders: dict[str, Decoder] = {each.name: each for each in self._known_decoders(settings)}
        self._calls = asyncio.Semaphore(_AT_ONCE)

    def _made(self, settings: Settings) -> Mapping[str, Driver]:
        """A driver for each machine. Raises `ValueError` for a credential that is not there."""
        integration, services = self.integration, self.services
        match settings.protocol:
            case "octoprint":
                return {
                    machine.id: octoprint.OctoPrintMachine(
                        machine,
                        self._facts[machine.id],
                        self._credential(machine.api_key or "", f"api_key of machine {machine.id!r}"),
                        integration=integration,
                        services=services,
                        push_seconds=settings.push_seconds,
                    )
                    for machine in settings.machines
                }
            case "mtconnect":
                keys = {
                    machine.id: self._credential(machine.api_key, f"api_key of machine {machine.id!r}")
                    for machine in settings.machines
                    if machine.api_key is not None
                }
                return mtconnect_machines(settings, keys, integration=integration, services=services)
            case "opc-ua":
                # Its library takes most of a second to load, which only who speaks it should pay
                from connectors.equipment.opcua.machine import machines as opcua_machines

                options = settings.opcua
                names = (options.user, options.password, options.key_password) if options is not None else ()
                credentials = {name: self._credential(name, f"opcua names {name!r}") for name in names if name}
                return opcua_machines(settings, credentials, integration=integration, services=services)
            case "modbus":
                from connectors.equipment.modbus.machine import machines as modbus_machines

                return modbus_machines(settings, integration=integration, services=services)

    def _known_decoders(self, settings: Settings) -> Sequence[Decoder]:
        """The decoders over our own machines."""

        def describe(machine: str | None) -> Facts:
            return self._facts.get(machine or "") or _stranger(EquipmentType.OTHER)(machine)

        return (
            *octoprint.decoders(describe),
            *mtconnect.decoders(describe),
            *opcua.decoders(describe, lambda name: settings.nodes.get(name, ())),
            *modbus.decoders(describe, lambda name: settings.registers.get(name, ())),
        )

    def _credential(self, name: str, where: str) -> Secret:
        found = self.integration.credentials.get(name)
        if not found:
            known = ", ".join(sorted(self.integration.credentials)) or "none"
            raise ValueError(
                f"integration {self.integration.key!r}: {where}: it names the credential {name!r}, which is not there "
                f"or empty; there are: {known}"
            )
        return found

    def calls(self, method: str) -> Calls:
        """A read of machines costs what their protocol does; a list reads all those that the settings tell apart."""
        each = [driver.requests for driver in self._drivers.values()]
        if method == "list_equipment":
            return Calls(once=sum(each), each=0)
        return Calls(each=0, per_key=max(each, default=0))

    async def check(self) -> str:
        """Asks every machine its version, side by side. Raises when none answers well."""
        answers = await asyncio.gather(*(each.version() for each in self._drivers.values()), return_exceptions=True)
        told: dict[str, list[str]] = {}
        wrong: list[VendorError] = []
        for machine, answer in zip(self._drivers, answers, strict=True):
            if isinstance(answer, VendorError):
                wrong.append(answer)
                told.setdefault(answer.message, []).append(machine)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                told.setdefault(answer, []).append(machine)
        if len(wrong) == len(answers):
            raise wrong[0]
        return "; ".join(f"{what} ({', '.join(machines)})" for what, machines in told.items())

    async def aclose(self) -> None:
        for driver in self._drivers.values():
            await driver.aclose()

    # --- reads

    async def read_equipment(self, ids: Sequence[str]) -> list[Equipment]:
        """Machines by their ids.

        A read of exactly ONE machine raises what its protocol raises (`AuthFailed`, `BadPayload`, `VendorDown`
        while no earlier values are known). Of several, as in `list_equipment`, none spoils the others: one
        that does not answer is OFFLINE with the reason in `error_message`, and its last known values, stale.
        """
        drivers = [self._drivers[each] for each in dict.fromkeys(ids) if each in self._drivers]
        if len(drivers) != 1 or len(set(ids)) != 1:
            return await self._read_each(drivers)
        found = await drivers[0].read()
        reading = current_reading.get()
        if found.source.stale and reading is not None:
            reading.note_stale(found.source.as_of, VendorDown(found.error_message or "no answer"))
        return [found]

    async def list_equipment(self, query: ListQuery[EquipmentFilter], cursor: str | None) -> SourcePage[Equipment]:
        """Machines in the order of the settings. What the settings tell is filtered before any call."""
        try:
            start = OffsetCursor.read(cursor)
        except ValueError as error:
            raise BadRequest(f"{self.integration.key}: {error}", integration=self.integration.key) from None
        told = msgspec.structs.replace(query.filter, states=None, updated_after=None)
        fitting = [driver for driver in self._drivers.values() if told.matches(self._unread(driver.facts))]
        end = start + max(1, min(query.limit, self.manifest.batch_size))
        return SourcePage(
            records=await self._read_each(fitting[start:end]),
            next=str(end) if end < len(fitting) else None,
            total=len(fitting) if told == query.filter else None,
        )

    def _unread(self, known: Facts) -> Equipment:
        origin = Origin(
            integration=self.integration.key, system=self.integration.system, as_of=self.services.clock.now()
        )
        return Equipment(
            source=origin.source(known.id),
            name=known.name,
            equipment_type=known.equipment_type,
            model=known.model,
            state=EquipmentState.UNKNOWN,
        )

    async def _read_each(self, drivers: Sequence[Driver]) -> list[Equipment]:
        """When none of them answers that is no live answer: it is noted as old, with the reason."""

        async def one(driver: Driver) -> tuple[Equipment, VendorError | None]:
            async with self._calls:
                try:
                    found = await driver.read()
                except VendorError as error:
                    return driver.trouble(error), error
            return found, VendorDown(found.error_message or "no answer") if found.source.stale else None

        read = await asyncio.gather(*(one(driver) for driver in drivers))
        wrong = [error for _, error in read if error is not None]
        reading = current_reading.get()
        if wrong and len(wrong) == len(read) and reading is not None:
            reading.note_stale(min(found.source.as_of for found, _ in read), wrong[0])
        return [found for found, _ in read]

    async def identities(self) -> AsyncIterator[Identity]:
        """Items that the machines' jobs mention: OctoPrint lists its files, one call per machine; of the others it
        is the job they are at. A machine that fails is left out; when all fail the last error is raised."""
        numbers: dict[str, None] = {}
        failed: list[VendorError] = []
        for driver in self._drivers.values():
            try:
                async for number in driver.item_numbers():
                    numbers[number] = None
            except VendorError as error:
                failed.append(error)
        if len(failed) == len(self._drivers):
            raise failed[-1]
        for number in numbers:
            yield Identity(subject=Subject.ITEM, number=number)

    # --- live

    async def poll(self, cursor: str | None) -> Polled:  # noqa: ARG002
        """All machines now, whatever the cursor: the net under the sockets. A machine in trouble is told too."""

        async def one(driver: Driver) -> Raw:
            async with self._calls:
                return await driver.raw()

        return Polled(raws=tuple(await asyncio.gather(*(one(driver) for driver in self._drivers.values()))))

    async def stream(self) -> AsyncIterator[Raw]:
        """What all machines push, merged. A machine whose key is refused is told as trouble and tried again
        later; `AuthFailed` is raised when every machine's is."""
        waiting: asyncio.Queue[Raw | BaseException] = asyncio.Queue(_WAITING_MOST)
        refused: dict[str, AuthFailed] = {}

        def put(what: Raw | BaseException) -> None:
            if waiting.full():
                waiting.get_nowait()
                self.services.log.warning("equipment.stream_dropped", integration=self.integration.key)
            waiting.put_nowait(what)

        async def follow(machine: str, driver: Driver) -> None:
            def emit(raw: Raw) -> None:
                refused.pop(machine, None)
                put(raw)

            while True:
                try:
                    await driver.follow(emit)
                except VendorError as error:
                    self.services.log.warning(
                        "equipment.push_refused",
                        integration=self.integration.key,
                        machine=machine,
                        error=error.message,
                    )
                    put(await driver.raw())
                    if isinstance(error, AuthFailed):
                        refused[machine] = error
                        if len(refused) == len(self._drivers):
                            put(error)
                await self.services.clock.sleep(_REFUSED_PAUSE)

        def ended(task: asyncio.Task[None]) -> None:
            fault = None if task.cancelled() else task.exception()
            if fault is not None:
                put(fault)

        tasks = [asyncio.create_task(follow(*each)) for each in self._drivers.items()]
        for task in tasks:
            task.add_done_callback(ended)
        try:
            while True:
                what = await waiting.get()
                if isinstance(what, BaseException):
                    raise what
                yield what
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def events(self, raw: Raw) -> Sequence[Event]:
        """The machine as the payload tells it. Ordered by when it arrived: the printers' clocks are not to be
        trusted. A machine that is no longer in the settings has no events."""
        if raw.payload.headers.get(MACHINE_HEADER) not in self._facts:
            return []
        now = self.services.clock.now()
        origin = Origin(integration=self.integration.key, system=self.integration.system, as_of=now)
        at = received_at(raw.payload, now)
        return [
            Changed(record=each, occurred_at=at)
            for each in self._decoders[raw.decoder].read(raw.payload, origin)
            if isinstance(each, Equipment)
        ]
