"""External ids: the same document has the same id, whichever way it came (OData, BAPI, IDoc)."""

from typing import Final

from connectors.kit.odata import joined, parts

SALES: Final = "SO"
PURCHASE: Final = "PO"
"""First part of an order's external id: both kinds have numbers of their own."""

DOCUMENT_DIGITS: Final = 10


def bare(number: str) -> str:
    """As SAP shows it: a number that is all digits without its leading zeros (`ALPHA` conversion)."""
    text = number.strip()
    return (text.lstrip("0") or text) if text.isascii() and text.isdigit() else text


def padded(number: str, digits: int = DOCUMENT_DIGITS) -> str:
    """As SAP stores it: a number that is all digits filled with zeros."""
    text = number.strip()
    return text.zfill(digits) if text.isascii() and text.isdigit() else text


def order_id(prefix: str, number: str) -> str:
    return joined(prefix, bare(number))


def orders_of(ids: list[str], prefix: str) -> list[str]:
    """The numbers among the external ids that belong to one kind of order."""
    found = (parts(each, 2) for each in dict.fromkeys(ids))
    return [each[1] for each in found if each is not None and each[0] == prefix and each[1]]
