"""IDocs as XML: packages read as they come, documents as structs in SAP's words, mapped to records, acknowledged."""
