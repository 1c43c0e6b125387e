"""The folder into which MineStar Fleet exports: which files are taken, and what is known from them.

A file is taken when its size has not changed for a while: it is written while we look. Rows are corrected later and
exported again: of rows with the same OID the newest counts. All of it is in memory, bounded; a restart reads the
folder again.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

from connectors.kit.errors import BadPayload, TimedOut, VendorDown
from connectors.kit.integration import Integration, Origin
from connectors.kit.services import Services
from connectors.minestar import csvfiles
from connectors.minestar.csvfiles import Found
from connectors.minestar.settings import Settings, zone
from unified.keys import equipment_key
from unified.records import EquipmentDelay, HaulCycle

LOOK_SECONDS: Final = 5.0
"""How often the folder is looked at, at most."""
FILES_MOST: Final = 5_000
"""Of the folder, the newest first."""
FILE_LARGEST: Final = 64 << 20
ROWS_KEPT: Final = 200_000
"""Of a kind, the newest first."""
_DATE: Final = "started_at"


class _Signature(NamedTuple):
    size: int
    written: int
    """Nanoseconds."""


class _Seen(NamedTuple):
    signature: _Signature
    since: float
    """When it was first seen like this, by the monotonic clock."""


class _Kept(NamedTuple):
    found: Found
    changed_at: datetime


@dataclass(frozen=True)
class View:
    """What is known: newest first, by id, and by machine (canonical key of its name)."""

    cycles: Sequence[HaulCycle] = ()
    delays: Sequence[EquipmentDelay] = ()
    cycle_by_id: dict[str, HaulCycle] = field(default_factory=dict)
    delay_by_id: dict[str, EquipmentDelay] = field(default_factory=dict)
    cycles_of: dict[str, list[HaulCycle]] = field(default_factory=dict)
    delays_of: dict[str, list[EquipmentDelay]] = field(default_factory=dict)
    files: int = 0


class Exports:
    """One folder."""

    def __init__(self, folder: str, settings: Settings, integration: Integration, services: Services) -> None:
        self._folder, self._integration, self._services = Path(folder), integration, services
        self._stable_seconds = settings.stable_seconds
        site = None if settings.site_zone is None else zone(settings.site_zone, "site_zone")
        self._forms = csvfiles.Forms(site, settings.export_time_format)
        self._seen: dict[str, _Seen] = {}
        self._taken: dict[str, _Signature] = {}
        self._rows: dict[str, dict[str, _Kept]] = {"cycles": {}, "delays": {}}
        self._view = View()
        self._looked_at: float | None = None
        self._looking: asyncio.Task[None] | None = None
        self._trouble: str | None = None

    async def known(self) -> View:
        """What the folder tells, at most `LOOK_SECONDS` old. A folder that cannot be read any more is told of in the
        log, and what is known serves on. Raises `VendorDown` when nothing is known, `TimedOut`."""
        clock = self._services.clock
        if self._looked_at is None or clock.monotonic() - self._looked_at >= LOOK_SECONDS:
            await self._look()
        if self._trouble is not None and self._view.files == 0:
            raise VendorDown(self._trouble, integration=self._integration.key)
        return self._view

    async def _look(self) -> None:
        """One look at a time. A disk that hangs costs its callers their deadline, and one thread."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_once())
        limit = self._integration.deadline_seconds
        try:
            async with asyncio.timeout(limit):
                await asyncio.shield(self._looking)
        except TimeoutError:
            raise TimedOut(
                f"{self._integration.key}: `export_folder` {self._folder} was not read within {limit:g} s",
                integration=self._integration.key,
            ) from None

    async def _look_once(self) -> None:
        first = self._looked_at is None
        if await self._scanned() and first:  # what is there already need not wait for the next look
            await self._services.clock.sleep(self._stable_seconds)
            await self._scanned()
        self._looked_at = self._services.clock.monotonic()

    async def _scanned(self) -> bool:
        """Whether there are files that may still be written."""
        clock, log, key = self._services.clock, self._services.log, self._integration.key
        now, origin = clock.monotonic(), self._origin()
        told: list[tuple[str, dict[str, object]]] = []
        try:
            waiting = await asyncio.to_thread(
                self._scan, now, origin, lambda event, **facts: told.append((event, facts))
            )
        except OSError as fault:
            why = f"{key}: cannot read `export_folder` {self._folder}: {fault.strerror or type(fault).__name__}"
            if self._trouble is None:
                log.warning("vendor.unavailable", integration=key, error=why)
            self._trouble = why
            return False
        if self._trouble is not None:
            self._trouble = None
            log.info("vendor.available", integration=key, address=str(self._folder))
        for event, facts in told:
            log.warning(event, integration=key, **facts)
        return waiting

    def _origin(self) -> Origin:
        return Origin(
            integration=self._integration.key, system=self._integration.system, as_of=self._services.clock.now()
        )

    def _scan(self, now: float, origin: Origin, tell: Callable[..., object]) -> bool:
        """In a thread of its own."""
        there = self._there()
        self._seen = {name: seen for name, seen in self._seen.items() if name in there}
        self._taken = {name: taken for name, taken in self._taken.items() if name in there}
        waiting, took = False, False
        for name, signature in sorted(there.items(), key=lambda each: each[1].written):
            if self._taken.get(name) == signature:
                continue
            seen = self._seen.get(name)
            if seen is None or seen.signature != signature:
                self._seen[name] = _Seen(signature, now)
                waiting = True
            elif now - seen.since >= self._stable_seconds:
                self._taken[name] = signature
                took |= self._take(name, signature, origin, tell)
            else:
                waiting = True
        if took or self._view.files != len(self._taken):
            self._view = self._viewed()
        return waiting

    def _there(self) -> dict[str, _Signature]:
        """The folder's CSV files; links are not followed."""
        found: list[tuple[str, _Signature]] = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if not entry.name.lower().endswith(".csv") or not entry.is_file(follow_symlinks=False):
                    continue
                facts = entry.stat(follow_symlinks=False)
                found.append((entry.name, _Signature(facts.st_size, facts.st_mtime_ns)))
        found.sort(key=lambda each: each[1].written, reverse=True)
        return dict(found[:FILES_MOST])

    def _take(self, name: str, signature: _Signature, origin: Origin, tell: Callable[..., object]) -> bool:
        """Whether the file brought something. One that cannot be read is told of, and costs the others nothing."""
        if signature.size > FILE_LARGEST:
            tell("vendor.bad_export", file=name, error=f"larger than {FILE_LARGEST >> 20} MiB; export shorter times")
            return False
        written = datetime.fromtimestamp(signature.written / 1e9, UTC)
        try:
            with open(self._folder / name, "rb") as file:
                body = file.read(FILE_LARGEST + 1)
            export = csvfiles.read(body, self._forms, origin, changed_at=written)
        except (BadPayload, OSError) as fault:
            tell("vendor.bad_export", file=name, error=str(fault))
            return False
        if export.bad:
            tell("vendor.bad_rows", file=name, count=len(export.bad), error=export.bad[0].message)
        rows = self._rows[export.kind]
        for found in export.found:
            changed_at = found.record.updated_at or written
            before = rows.get(found.record.source.external_id)
            if before is None or (changed_at >= before.changed_at and found.text != before.found.text):
                rows[found.record.source.external_id] = _Kept(found, changed_at)
        if len(rows) > ROWS_KEPT:
            newest = sorted(rows, key=lambda oid: getattr(rows[oid].found.record, _DATE), reverse=True)[:ROWS_KEPT]
            self._rows[export.kind] = {oid: rows[oid] for oid in newest}
        return bool(export.found)

    def _viewed(self) -> View:
        def newest_first(kind: str) -> list[Any]:
            rows = [kept.found.record for kept in self._rows[kind].values()]
            rows.sort(key=lambda each: each.source.external_id)
            rows.sort(key=attrgetter(_DATE), reverse=True)
            return rows

        cycles: list[HaulCycle] = newest_first("cycles")
        delays: list[EquipmentDelay] = newest_first("delays")
        cycles_of: defaultdict[str, list[HaulCycle]] = defaultdict(list)
        delays_of: defaultdict[str, list[EquipmentDelay]] = defaultdict(list)
        for cycle in cycles:
            cycles_of[equipment_key(cycle.truck)].append(cycle)
        for delay in delays:
            delays_of[equipment_key(delay.equipment)].append(delay)
        return View(
            cycles=cycles,
            delays=delays,
            cycle_by_id={each.source.external_id: each for each in cycles},
            delay_by_id={each.source.external_id: each for each in delays},
            cycles_of=dict(cycles_of),
            delays_of=dict(delays_of),
            files=len(self._taken),
        )

    async def aclose(self) -> None:
        if self._looking is not None and not self._looking.done():
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
