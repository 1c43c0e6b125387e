"""What can go wrong with the store, by what the caller should do.

StoreError
├── StoreDown   the database cannot be reached or is closed: do not acknowledge, try again
└── BadRow      the database refuses one row of what was handed in: our bug, or data that it cannot hold
"""


class StoreError(Exception):
    """The store did not do what was asked."""


class StoreDown(StoreError):
    """The database cannot be reached, is busy for too long, or is closed."""


class BadRow(StoreError):
    """One row cannot be written; the other rows of the batch were."""
