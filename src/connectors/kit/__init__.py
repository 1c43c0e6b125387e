"""What all connectors share: one way out to a vendor, one error tree, one way to say what a connector can do."""
