"""Live changes: the fleet's snapshots compared with those before, one delivery per machine that has changed."""

import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from connectors.kit.errors import MappingFailed
from connectors.kit.manifest import Payload
from connectors.kit.protocols import Raw
from connectors.minestar import mapping, values
from connectors.minestar.mapping import Rules
from connectors.minestar.wire import AT, HEADER, Fleet, Machine

FLEET: Final = "aemp-fleet"
"""Name of the decoder."""
RECEIVED: Final = "received"
"""Header under which a delivery tells when its page was read."""
_REMEMBERED: Final = 100_000


class Changes:
    """What each machine told last. After a restart all of them are deliveries again, under the same ids."""

    def __init__(self) -> None:
        self._told: OrderedDict[str, str] = OrderedDict()

    def of(self, page: Fleet, rules: Rules, read_at: datetime) -> Iterator[Raw]:
        """Deliveries of the machines that tell something else than before, or have become silent."""
        at = read_at
        with contextlib.suppress(MappingFailed):  # the mapping tells of it
            at = mapping.taken_at(page, rules) or read_at
        for machine in page.machines:
            key = mapping.header(machine.header).key
            if key is None:
                continue
            digest = hashlib.blake2b(msgspec.json.encode(_plain(machine)), digest_size=12).hexdigest()
            mark = f"{digest}-silent" if mapping.silent(_newest(machine, rules), at, rules) else digest
            if self._told.get(key) == mark:
                continue
            headers = {"content-type": "application/json", RECEIVED: read_at.isoformat()}
            payload = Payload(body=one(machine, page.snapshot_time), headers=headers)
            yield Raw(delivery_id=f"{key}:{mark}", decoder=FLEET, payload=payload)

    def remember(self, raws: Sequence[Raw]) -> None:
        """These are delivered."""
        for raw in raws:
            key, _, mark = raw.delivery_id.rpartition(":")
            self._told[key] = mark
            self._told.move_to_end(key)
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)


def _newest(machine: Machine, rules: Rules) -> datetime | None:
    newest: datetime | None = None
    for element in machine.elements:
        with contextlib.suppress(MappingFailed):  # the mapping tells of it
            at = values.time_of(element, rules.zone, "$")
            if at is not None and (newest is None or at > newest):
                newest = at
    return newest


def one(machine: Machine, snapshot_time: str | None) -> bytes:
    """The machine as a fleet of its own, in the standard's JSON."""
    return msgspec.json.encode({"snapshotTime": snapshot_time, "Equipment": [_plain(machine)]})


def _plain(machine: Machine) -> dict[str, Any]:
    told: dict[str, Any] = {HEADER: machine.header}
    for element in machine.elements:
        row = {**element.values, **({AT: element.at} if element.at is not None else {})}
        told.setdefault(element.name, []).append(row)
    return told
