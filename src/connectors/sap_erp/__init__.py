"""SAP ERP and S/4HANA: OData services, BAPIs over SOAP or RFC, IDocs. See the README beside."""

from connectors.sap_erp.connector import SapErp

CONNECTOR = SapErp

__all__ = ["CONNECTOR", "SapErp"]
