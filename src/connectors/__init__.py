"""Connectors: one package per vendor system, and the kit that they share."""
