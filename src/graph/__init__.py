"""What clients see: names, descriptions, nullability. No logic."""
