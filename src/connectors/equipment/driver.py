"""What every protocol gives for one machine; the connector knows machines only through this."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from connectors.equipment.settings import Facts
from connectors.kit.errors import VendorError
from connectors.kit.manifest import Payload
from connectors.kit.protocols import Raw
from unified.records import Equipment

MACHINE_HEADER: Final = "x-crossdock-machine"
"""Header of a raw payload: the id of the machine that it is from."""
RECEIVED_HEADER: Final = "x-crossdock-received"
"""Header of a raw payload: when it arrived, ISO 8601. It orders a machine's events: printers' own clocks are
often wrong (a Raspberry Pi has no battery for one)."""

Describe = Callable[[str | None], Facts]
"""The facts of the machine with this id; the null id stands for a payload that does not say."""
Emit = Callable[[Raw], None]


class Driver(Protocol):
    """One machine over one protocol."""

    facts: Facts

    async def version(self) -> str:
        """What answers (`OctoPrint 1.11.8`): one cheap signed call."""
        ...

    async def read(self) -> Equipment:
        """The machine now. While it does not answer: its last known values, stale and OFFLINE; raises the
        `VendorError` when there are none."""
        ...

    async def raw(self) -> Raw:
        """What `read` reads, as a payload for the live plane; trouble is a payload too. Never raises a
        `VendorError`."""
        ...

    def trouble(self, error: VendorError) -> Equipment:
        """The machine when `read` raised: OFFLINE when it does not answer, UNKNOWN when it answers wrongly."""
        ...

    async def follow(self, emit: Emit) -> None:
        """Hands on what the machine pushes, for ever, through outages too. Raises `VendorError` only for what
        does not pass by itself."""
        ...

    def job_names(self) -> AsyncIterator[str]:
        """Names of all jobs that the machine holds ready."""
        ...

    async def aclose(self) -> None: ...


def received_at(payload: Payload, otherwise: datetime) -> datetime:
    """When the payload arrived, by its header."""
    try:
        return datetime.fromisoformat(payload.headers.get(RECEIVED_HEADER, "")).astimezone(UTC)
    except ValueError:
        return otherwise
