"""What clients see: names, descriptions, nullability. No logic."""

from graph import enums

__all__ = ["enums"]
