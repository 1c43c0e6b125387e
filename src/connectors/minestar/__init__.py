"""MineStar and ISO 15143-3 (AEMP 2.0): mobile machines of Cat and every other maker; MineStar Fleet's exports.

One reader for all providers: settings say how an account's addresses are written and how it signs in. See README.md.
"""

from connectors.minestar.connector import MineStar

CONNECTOR = MineStar

__all__ = ["CONNECTOR", "MineStar"]
