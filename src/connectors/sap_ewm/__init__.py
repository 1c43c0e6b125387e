"""SAP Extended Warehouse Management: its released OData services, V2 and V4. See the README beside."""

from connectors.sap_ewm.connector import SapEwm

CONNECTOR = SapEwm

__all__ = ["CONNECTOR", "SapEwm"]
