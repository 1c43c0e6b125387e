"""What every protocol gives for one machine; the connector knows machines only through this."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec

from connectors.equipment.facts import Facts
from connectors.kit import decode
from connectors.kit.errors import RateLimited, VendorDown, VendorError
from connectors.kit.integration import Origin
from connectors.kit.manifest import Payload
from connectors.kit.protocols import Raw
from connectors.kit.redaction import text as redacted
from unified.records import Equipment, EquipmentState

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

    @property
    def requests(self) -> int:
        """Calls that one `read` makes at most."""
        ...

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

    def item_numbers(self) -> AsyncIterator[str]:
        """Item numbers that the machine's jobs tell: of all that it holds ready, where the protocol lists them."""
        ...

    async def aclose(self) -> None: ...


def received_at(payload: Payload, otherwise: datetime) -> datetime:
    """When the payload arrived, by its header."""
    try:
        return datetime.fromisoformat(payload.headers.get(RECEIVED_HEADER, "")).astimezone(UTC)
    except ValueError:
        return otherwise


class Trouble(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why there is no fresh answer. `down`: nothing answers, rather than something wrong."""

    message: str
    down: bool
    at: str | None = None
    """When the values beside it were read, ISO 8601."""


def trouble_of(error: VendorError, known_at: datetime | None) -> Trouble:
    """The trouble that an error means; `known_at` is when the values beside it were read."""
    return Trouble(
        message=redacted(error.message),
        down=isinstance(error, VendorDown) and not isinstance(error, RateLimited),
        at=known_at.isoformat() if known_at is not None else None,
    )


def origin_with(trouble: Trouble | None, origin: Origin) -> Origin:
    """The origin of values that are told beside a trouble: stale, of when they were read."""
    if trouble is None or trouble.at is None:
        return origin
    at = decode.moment(trouble.at, path="$.trouble.at") or origin.as_of
    return msgspec.structs.replace(origin, as_of=at, stale=True)


def with_trouble(found: Equipment, trouble: Trouble | None) -> Equipment:
    """The record under its trouble: OFFLINE when nothing answers, else the last state."""
    if trouble is None:
        return found
    state = EquipmentState.OFFLINE if trouble.down else found.state
    return msgspec.structs.replace(found, state=state, error_message=trouble.message)
