"""Which connectors there are. A connector's package is named as its system, with underscores; it exports
`CONNECTOR`, its class."""

from functools import cache
from importlib import import_module

from connectors.kit.protocols import Connector
from unified.values import System


@cache
def connector_class(system: System) -> type[Connector]:
    """The connector of a vendor system; imported on first use, since vendors' libraries are slow to load."""
    module = import_module("connectors." + system.value.replace("-", "_"))
    found: type[Connector] = module.CONNECTOR
    return found
