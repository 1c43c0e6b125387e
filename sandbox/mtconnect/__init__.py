"""An MTConnect agent of version 1.7 before the world's mills: probe, current, sample with streaming, assets.

Written from the standard (https://www.mtconnect.org/) and from answers of the reference agent 1.7. It answers in XML,
or in JSON of version 2 where that is asked for (which real agents do from version 2 on).

Not offered: writing (`PUT`), adapters, negative counts, asset queries by type.
"""

from typing import Any

from sandbox.mtconnect.agent import Agent
from sandbox.world import World

__all__ = ["Agent", "create"]


def create(world: World, **options: Any) -> Agent:
    """One agent for all mills. `buffer_size` observations are kept; `sleep` stands in for time in tests."""
    known = {name: options[name] for name in ("buffer_size", "sleep") if name in options}
    return Agent(world, **known)
