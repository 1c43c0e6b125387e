"""What a figure is, and the list of all that are known."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bench.scene import Scene


@dataclass(frozen=True)
class Target:
    """What a value must be; `text` is how the line shows it."""

    text: str
    holds: Callable[[float], bool]


def at_most(limit: float) -> Target:
    return Target(f"<= {limit:g}", lambda value: value <= limit)


def exactly(wanted: float) -> Target:
    return Target(f"= {wanted:g}", lambda value: value == wanted)


@dataclass(frozen=True)
class Measured:
    """One value per round, and which of them counts. Other work on the machine makes single rounds worse: the middle
    one is told where both sides of a ratio suffer alike, the best one (`min`) for a time that can only be lengthened.
    """

    rounds: tuple[float, ...]
    pick: Callable[[tuple[float, ...]], float] = median

    @property
    def value(self) -> float:
        return self.pick(self.rounds)


@dataclass(frozen=True)
class Figure:
    """`baseline` says what a ratio is over, or how the value comes about. A figure without target only informs."""

    name: str
    unit: str
    target: Target | None
    baseline: str
    measure: "Callable[[Scene], Measured]"

    def verdict(self, value: float) -> str:
        if self.target is None:
            return "-"
        return "ok" if self.target.holds(value) else "MISSED"


FIGURES: Final[dict[str, Figure]] = {}
"""By name, in the order in which they are measured and printed."""


def figure(
    name: str, *, unit: str, baseline: str, target: Target | None = None
) -> "Callable[[Callable[[Scene], Measured]], Callable[[Scene], Measured]]":
    """Puts the function into the list under this name."""

    def register(measure: "Callable[[Scene], Measured]") -> "Callable[[Scene], Measured]":
        if name in FIGURES:
            raise ValueError(f"there are two figures {name}")
        FIGURES[name] = Figure(name, unit, target, baseline, measure)
        return measure

    return register
