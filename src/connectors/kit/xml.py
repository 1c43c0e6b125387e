"""XML of others: nothing is expanded, nothing is opened, nothing is huge.

lxml with entities, DTDs and the network off, as its FAQ advises for untrusted input, and a document type is refused
whatever it says: no vendor's format has one, and without it there is no entity, external reference or billion laughs.
"""

from functools import cache
from typing import Any, Final

from lxml import etree

from connectors.kit.errors import BadPayload

HARDENED: Final[dict[str, Any]] = {
    "resolve_entities": False,
    "load_dtd": False,
    "no_network": True,
    "huge_tree": False,
    "remove_pis": True,
}
"""Options that every parser of ours has, pull parsers included."""


@cache
def parser(**more: Any) -> etree.XMLParser:
    """A hardened parser; `more` are lxml's options beside `HARDENED`. Kept: making one costs as much as a small
    document."""
    return etree.XMLParser(**{**HARDENED, "remove_comments": True, **more})


def root_of(body: bytes, what: str = "the answer", reader: etree.XMLParser | None = None) -> etree._Element:
    """The root element. Raises `BadPayload` for what is no XML, with line and column, and for a document type."""
    refuse_bytes_with_document_type(body, what)
    try:
        root: etree._Element = etree.fromstring(body, reader or parser())
    except (etree.XMLSyntaxError, ValueError) as fault:
        why = fault.msg if isinstance(fault, etree.XMLSyntaxError) else str(fault)
        raise BadPayload(f"{what} is no XML: {' '.join(why.split())[:200]}", path="$") from None
    refuse_document_type(root, what)  # the look above misses one in an encoding like UTF-16
    return root


def refuse_bytes_with_document_type(body: bytes, what: str = "the answer") -> None:
    """Raises `BadPayload` for a body, or a piece of one, in which a document type is declared."""
    if b"<!DOCTYPE" in body:
        raise _document_type(what)


def refuse_document_type(element: Any, what: str = "the answer") -> None:
    """Raises `BadPayload` where the document of the element has a document type."""
    if element.getroottree().docinfo.doctype:
        raise _document_type(what)


def _document_type(what: str) -> BadPayload:
    return BadPayload(f"{what} has a document type (DTD), which is refused; nothing of it was read", path="$")
