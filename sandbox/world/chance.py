"""Chance that comes out the same every time, and the invented names drawn with it."""

import hashlib
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

T = TypeVar("T")

ANCHOR: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""Where the cycles of all moving things begin. Earlier times work too; laps are then negative."""

FIRST_NAMES: Final = (
    "Adaeze", "Bola", "Chidi", "Dayo", "Efe", "Funmi", "Gozie", "Halima", "Ifeoma", "Jide", "Kemi",
    "Ladi", "Musa", "Ngozi", "Obinna", "Peju", "Rashidat", "Segun", "Tunde", "Uche", "Wale", "Yinka",
    "Zainab", "Amina",
)  # fmt: skip
LAST_NAMES: Final = (
    "Abiodun", "Bello", "Chukwu", "Danjuma", "Eze", "Fashola", "Garba", "Hassan", "Ibe", "Johnson", "Kalu",
    "Lawal", "Mohammed", "Nwosu", "Okafor", "Popoola", "Salami", "Taiwo", "Udo", "Williams", "Yusuf",
)  # fmt: skip

_UID_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789$_"


class Chance:
    """Draws that depend on the seed only.

    Of `random.Random` only `random()` is promised to stay the same between Python versions, so everything
    here is made from it.
    """

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def happens(self, probability: float) -> bool:
        return self._random.random() < probability

    def below(self, count: int) -> int:
        return int(self._random.random() * count)

    def between(self, low: int, high: int) -> int:
        """Both ends included."""
        return low + self.below(high - low + 1)

    def span(self, low: float, high: float) -> float:
        return low + (high - low) * self._random.random()

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]

    def picks(self, choices: Sequence[T], count: int) -> list[T]:
        """Distinct ones, in the order drawn; all of them if there are fewer than asked for."""
        left = list(choices)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]

    def person(self) -> tuple[str, str]:
        return self.pick(FIRST_NAMES), self.pick(LAST_NAMES)

    def phone(self) -> str:
        """An invented number in E.164; the block +234 700 555 is not in use."""
        return f"+234700555{self.between(0, 9999):04d}"


def vendor_uid(seed: str) -> str:
    """14 characters as Teamcenter writes them; the same seed gives the same uid."""
    digest = hashlib.sha256(seed.encode()).digest()
    return "".join(_UID_LETTERS[byte & 63] for byte in digest[:10]) + "DyBA"


def seconds(at: datetime) -> float:
    """Seconds since the anchor."""
    return (at - ANCHOR).total_seconds()


def moment(since_anchor: float) -> datetime:
    return ANCHOR + timedelta(seconds=since_anchor)
