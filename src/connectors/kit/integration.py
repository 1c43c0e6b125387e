"""An integration: one configured account at a vendor system. Made from `crossdock.toml` by the runtime."""

from datetime import datetime
from typing import Any

import msgspec

from unified.records import Source
from unified.values import System


class Secret:
    """Text that shows itself nowhere: not in logs, not in errors, not in `repr`. `reveal()` is the way in."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself; hand it to the wire only."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


class Integration(msgspec.Struct, frozen=True, kw_only=True):
    """`key` is immutable (ids are made of it); `credentials` and `settings` are the connector's own, checked
    against its manifest when the server starts."""

    key: str
    system: System
    organisation: str = "default"
    base_url: str = ""
    credentials: dict[str, Secret] = {}
    settings: dict[str, Any] = {}
    deadline_seconds: float = 10.0
    """Longest wait of one vendor call, its retries included."""
    rate_per_second: float | None = None
    """Calls per second; null takes the connector's own."""
    poll_seconds: float = 15.0
    masters: frozenset[str] = frozenset()
    """Subjects (`ITEM`, `VEHICLE`) that this integration is the master of."""


class Origin(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where and when a payload was read; makes the `Source` of each record in it."""

    integration: str
    system: System
    as_of: datetime
    stale: bool = False

    def source(self, external_id: str, vendor_status: str | None = None) -> Source:
        """The source of the record with the vendor's id `external_id`."""
        return Source(
            integration=self.integration,
            system=self.system,
            external_id=external_id,
            vendor_status=vendor_status,
            as_of=self.as_of,
            stale=self.stale,
        )
