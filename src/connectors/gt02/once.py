"""Telling a thing once, however often it happens."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

from connectors.kit.services import Clock

AGAIN_SECONDS: Final = 3_600.0
KEYS_MOST: Final = 2_000


class Once:
    """Remembers what has been told in the last hour, of so many things."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: OrderedDict[Hashable, float] = OrderedDict()

    def first(self, *key: Hashable) -> bool:
        """Whether it is to be told now."""
        now = self._clock.monotonic()
        told = self._told.get(key)
        if told is not None and now - told < AGAIN_SECONDS:
            return False
        self._told[key] = now
        self._told.move_to_end(key)
        while len(self._told) > KEYS_MOST:
            self._told.popitem(last=False)
        return True
