"""The bus: carries events from where they come in to whoever listens."""

from runtime.bus.memory import MemoryBus
from runtime.bus.protocol import DEFAULT_LIMIT, Bus, topic

__all__ = ["DEFAULT_LIMIT", "Bus", "MemoryBus", "topic"]
