"""Settings of MTConnect integrations."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class MTConnect(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`[integrations.settings.mtconnect]`."""

    heartbeat_seconds: Annotated[float, Meta(ge=1, le=60)] = 10.0
    """How often the agent says that nothing happened; a stream silent for three times as long is dead."""
    format: Literal["xml", "json"] = "xml"
    """Form that is asked for. Agents before version 2 know XML only; what comes is read by what it is."""
    assets: bool = True
    """Whether cutting tools and other assets are read too."""
