"""Objects by their ids, and what this operation has seen of them already."""

from collections.abc import Iterable, Sequence
from typing import Any

from connectors.kit.protocols import LISTINGS
from resolvers.context import Context
from resolvers.loaders.loader import Found, Loader, Loads, at_home
from unified import ids
from unified.ids import GlobalId
from unified.records import Kind, Record

WHOLE = frozenset({Kind.ITEM, Kind.VEHICLE, Kind.UNIT, Kind.EQUIPMENT, Kind.GEOFENCE, Kind.LOCATION})
"""Kinds whose rows in a list say all that a read by id does: what a list of this operation showed is not read again."""

_KINDS = {kind.value: kind for kind in Kind}


def _method(key: GlobalId) -> str:
    return LISTINGS[_KINDS[key.kind]].read_method


class ById:
    """Made for one operation of a context."""

    def __init__(self, context: Context) -> None:
        self.sources, self.pace = context.sources, context.pace
        self._passed: list[Sequence[Record]] = []

    def forget(self) -> None:
        """Lets go of the loaders, which know these, and of what was seen."""
        for name, each in list(vars(self).items()):
            if isinstance(each, Loader):
                del self.__dict__[name]
        self._passed.clear()

    def saw(self, rows: Sequence[Record]) -> None:
        """Rows that a list of this operation showed: the crosswalk learns of them, joins need not read them again."""
        self._passed.append(rows)
        for row in rows:
            self.sources.crosswalk.meet(row)

    @Loads
    async def records(self, keys: list[GlobalId]) -> Found[GlobalId, Record]:
        found: Found[GlobalId, Record] = Found()
        keys = [key for key in keys if key.kind in _KINDS]
        found.update(self._shown(keys))

        async def read(connector: Any, block: Sequence[GlobalId]) -> list[tuple[GlobalId, Record]]:
            kind = _KINDS[block[0].kind]
            rows = await getattr(connector, _method(block[0]))([key.external_id for key in block])
            for row in rows:
                self.sources.crosswalk.meet(row)
            return [(GlobalId(kind.value, row.source.integration, row.source.external_id), row) for row in rows]

        rest = [key for key in keys if key not in found]
        found.update(await at_home(self.sources, rest, _method, read, apart=lambda key: key.kind))
        return found

    def _shown(self, keys: Iterable[GlobalId]) -> dict[GlobalId, Record]:
        wanted = {ids.encode(*key): key for key in keys if self._passed and _KINDS[key.kind] in WHOLE}
        shown = (row for rows in self._passed for row in rows) if wanted else ()
        return {wanted[row.id]: row for row in shown if row.id in wanted}
