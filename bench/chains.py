"""The vendors' own log of one query, and which of its calls waited for each other."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """One call that a vendor answered; times in seconds of the machine's monotonic clock."""

    method: str
    path: str
    began: float
    ended: float


def slowest_chain(calls: Sequence[Call]) -> list[Call]:
    """Of all calls of one query those that waited for each other and took longest together.

    A call can have waited only for one that had ended when it began; that is all that is assumed.
    """
    ordered = sorted(calls, key=lambda call: call.ended)
    best: list[tuple[float, list[Call]]] = []
    for call in ordered:
        before = max(
            (found for found in best if found[1][-1].ended <= call.began), default=(0.0, []), key=lambda found: found[0]
        )
        best.append((before[0] + call.ended - call.began, [*before[1], call]))
    return max(best, key=lambda found: found[0])[1]
