"""What an agent has said of one machine so far: the newest observation of each data item, the active conditions."""

from collections.abc import Iterable
from operator import attrgetter

from connectors.equipment.mtconnect import wire


class Merged:
    """Observations are taken in by sequence; older ones than what is known change nothing."""

    def __init__(self) -> None:
        self.latest: dict[str, wire.Observation] = {}
        self.conditions: dict[str, dict[str, wire.Observation]] = {}
        """Data item → native code (or condition id) → what is active. A data item that is normal has one entry
        under the empty code, which tells its time."""

    def apply(self, observations: Iterable[wire.Observation]) -> bool:
        """Takes observations in, in any order. True when a value changed, times aside."""
        changed = False
        conditions: list[wire.Observation] = []
        latest = self.latest
        for each in observations:
            if each.category == "Condition":
                conditions.append(each)
                continue
            known = latest.get(each.data_item)
            if known is None or each.sequence > known.sequence:
                latest[each.data_item] = each
                changed = changed or known is None or known.value != each.value
        conditions.sort(key=attrgetter("sequence"))
        for each in conditions:
            changed = self._condition(each) or changed
        return changed

    def replace(self, observations: Iterable[wire.Observation]) -> bool:
        """Takes in an answer of /current, which holds everything: what it does not name is gone."""
        before = self._said()
        self.latest.clear()
        self.conditions.clear()
        self.apply(observations)
        return self._said() != before

    def all(self) -> list[wire.Observation]:
        """Everything known, by sequence."""
        active = [each for by_code in self.conditions.values() for each in by_code.values()]
        return sorted([*self.latest.values(), *active], key=attrgetter("sequence"))

    def _condition(self, each: wire.Observation) -> bool:
        """`Normal` without a code clears all of a data item, with a code that one only; `Unavailable` clears all."""
        active = self.conditions.get(each.data_item, {})
        if any(known.sequence > each.sequence for known in active.values()):
            return False
        key = each.condition_id or each.native_code or ""
        before = {(code, known.type, known.value) for code, known in active.items()}
        if each.type in ("Normal", "Unavailable"):
            left = {} if each.type == "Unavailable" or not key else {c: o for c, o in active.items() if c != key and c}
            now = left or {"": each}
        else:
            now = {code: known for code, known in active.items() if known.type in ("Warning", "Fault")}
            now[key] = each
        self.conditions[each.data_item] = now
        return before != {(code, known.type, known.value) for code, known in now.items()}

    def _said(self) -> tuple[object, ...]:
        return (
            {item: each.value for item, each in self.latest.items()},
            {
                item: {(code, each.type, each.value) for code, each in active.items()}
                for item, active in self.conditions.items()
            },
        )
