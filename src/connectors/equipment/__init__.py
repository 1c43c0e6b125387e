"""Manufacturing equipment: what machines do now, over the protocols that machines speak.

One integration holds many machines that speak one protocol. Each protocol is a subpackage with its settings, a
`Driver` and its decoders: `octoprint`, `mtconnect`, `opcua`, `modbus`. See README.md.
"""

from connectors.equipment.connector import EquipmentConnector

CONNECTOR = EquipmentConnector

__all__ = ["CONNECTOR", "EquipmentConnector"]
