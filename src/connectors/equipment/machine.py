"""What the drivers share: the newest values are kept, trouble is told beside them, payloads are wrapped."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

import msgspec

from connectors.equipment.driver import (
    MACHINE_HEADER,
    RECEIVED_HEADER,
    Emit,
    Trouble,
    origin_with,
    trouble_of,
    with_trouble,
)
from connectors.equipment.facts import Facts
from connectors.kit.errors import BadPayload, VendorDown, VendorError
from connectors.kit.guarded import LastValue
from connectors.kit.integration import Integration, Origin
from connectors.kit.manifest import Payload
from connectors.kit.protocols import Raw
from connectors.kit.reconnect import Reconnect
from connectors.kit.resilience import Breaker
from connectors.kit.services import Services
from unified.records import Equipment

S = TypeVar("S", bound=msgspec.Struct)


class KnownMachine(ABC, Generic[S]):
    """A driver (see `Driver`) whose reads give a snapshot of type `S`, a msgspec struct with a field `trouble`.

    A subclass reads (`fresh`), maps (`record`) and follows; what an outage looks like is the same for all.
    """

    decoder: str
    """Name of the decoder that reads a snapshot."""

    def __init__(self, facts: Facts, *, integration: Integration, services: Services) -> None:
        self.facts = facts
        self.integration, self.services = integration, services
        self.known: LastValue[S] = LastValue(services.clock)

    # --- what a protocol gives

    @property
    @abstractmethod
    def way(self) -> Breaker:
        """The way that the machine's calls go."""

    @property
    def requests(self) -> int:
        """Calls that one read makes at most."""
        return 1

    @abstractmethod
    async def version(self) -> str:
        """What answers: one cheap call."""

    @abstractmethod
    async def fresh(self) -> S:
        """The machine's values now. Raises `VendorError`."""

    @abstractmethod
    def empty(self) -> S:
        """A snapshot of a machine of which nothing is known."""

    @abstractmethod
    def record(self, snapshot: S, origin: Origin) -> Equipment:
        """The record that a snapshot makes, whatever its trouble."""

    @abstractmethod
    async def watch(self, emit: Emit) -> None:
        """Hands on what the machine says; raises what broke the connection. Returns to be called again at once."""

    async def aclose(self) -> None:
        """Closes what the driver has open."""

    # --- what all do the same

    async def item_numbers(self) -> AsyncIterator[str]:
        """The item that the newest values tell; these protocols list no other jobs. Reads when nothing is known."""
        kept = self.known.get() or self.known.put(await self.fresh())
        job = self.record(kept.value, self.origin()).job
        if job is not None and job.item_number is not None:
            yield job.item_number

    def origin(self) -> Origin:
        """The origin of what is read now."""
        return Origin(integration=self.integration.key, system=self.integration.system, as_of=self.services.clock.now())

    async def read(self) -> Equipment:
        try:
            kept = self.known.put(await self.fresh())
        except VendorDown as error:
            if self.known.get() is None:
                raise
            return self.trouble(error)
        return self.record(kept.value, msgspec.structs.replace(self.origin(), as_of=kept.as_of))

    async def raw(self) -> Raw:
        try:
            snapshot = self.known.put(await self.fresh()).value
        except VendorError as error:
            snapshot = self.troubled(error)
        return self.wrapped(snapshot)

    def trouble(self, error: VendorError) -> Equipment:
        snapshot = self.troubled(error)
        told: Trouble = snapshot.trouble  # type: ignore[attr-defined]
        return with_trouble(self.record(snapshot, origin_with(told, self.origin())), told)

    def troubled(self, error: VendorError) -> S:
        """The newest values beside the trouble."""
        kept = self.known.get()
        told = trouble_of(error, kept.as_of if kept is not None else None)
        return msgspec.structs.replace(kept.value if kept is not None else self.empty(), trouble=told)

    def wrapped(self, snapshot: S) -> Raw:
        """The snapshot as a payload of the live plane."""
        body = msgspec.json.encode(snapshot)
        received = self.services.clock.now().isoformat()
        digest = hashlib.blake2b(body, digest_size=12).hexdigest()
        return Raw(
            delivery_id=f"{self.facts.id}/{received}/{digest}",
            decoder=self.decoder,
            payload=Payload(
                body=body,
                headers={
                    "content-type": "application/json",
                    MACHINE_HEADER: self.facts.id,
                    RECEIVED_HEADER: received,
                },
            ),
        )

    async def follow(self, emit: Emit) -> None:
        """`watch`, for ever: after an outage, or nonsense, it is tried again with growing pauses, and the machine is
        told with its trouble, once. What a person must mend is raised."""
        reconnect = Reconnect(
            integration=self.integration,
            services=self.services,
            way=self.way,
            ask=self.version,
            lost="equipment.stream_lost",
            back="equipment.stream_open",
            reopened="equipment.stream_reopened",
            facts={"machine": self.facts.id},
        )
        troubled = False

        def heard(raw: Raw) -> None:
            nonlocal troubled
            troubled = False
            reconnect.opened()
            emit(raw)

        while True:
            try:
                await self.watch(heard)
            except (VendorDown, BadPayload) as error:
                if not troubled:
                    troubled = True
                    emit(self.wrapped(self.troubled(error)))
                after = error.retry_after if isinstance(error, VendorDown) else None
                await reconnect.broke(error.message, after=after)
