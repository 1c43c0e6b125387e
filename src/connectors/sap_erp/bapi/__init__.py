"""BAPIs: called over SOAP or RFC behind one interface, read by content, mapped through the OData services' structs."""
