"""Graph types, one module per area."""
