"""Manufacturing equipment: what machines do now, over the protocols that machines speak.

One integration holds many machines. Each protocol is a subpackage with a `Driver` and its decoders; so far
there is `octoprint`. See README.md.
"""

from connectors.equipment.connector import EquipmentConnector

CONNECTOR = EquipmentConnector

__all__ = ["CONNECTOR", "EquipmentConnector"]
