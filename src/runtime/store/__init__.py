"""What outlives the process, on SQLite or PostgreSQL: latest state, inbox, crosswalk, cursors."""

from runtime.store.crosswalk import CrosswalkRow, CrosswalkStore
from runtime.store.cursors import CursorStore
from runtime.store.database import Database
from runtime.store.errors import BadRow, StoreDown, StoreError
from runtime.store.inbox import Delivery, Inbox, InboxCounts, InboxRow
from runtime.store.latest import LatestState
from runtime.store.schema import current, downgrade, newest, upgrade

__all__ = [
    "BadRow",
    "CrosswalkRow",
    "CrosswalkStore",
    "CursorStore",
    "Database",
    "Delivery",
    "Inbox",
    "InboxCounts",
    "InboxRow",
    "LatestState",
    "StoreDown",
    "StoreError",
    "current",
    "downgrade",
    "newest",
    "upgrade",
]
