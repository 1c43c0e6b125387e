"""A package of IDocs, cut into documents while it arrives: of a thousand documents one is in memory at a time."""

from typing import Any, Final

import msgspec
from lxml import etree

from connectors.kit.errors import BadPayload
from connectors.kit.xml import HARDENED, refuse_document_type
from connectors.sap_erp.idoc.segments import Control, control_of

MOST_BYTES: Final = 4 << 20
"""Of one document."""
MOST_DOCUMENTS: Final = 10_000
"""In one package."""


class Document(msgspec.Struct, frozen=True):
    """One IDoc as XML of its own (`<IDOC>…</IDOC>`), and what its control record says."""

    control: Control
    body: bytes


class Package:
    """Feed it bytes, take documents. Nothing is opened or expanded; a document type is refused."""

    def __init__(self) -> None:
        self._parser = etree.XMLPullParser(
            events=("start", "end"),
            tag="IDOC",
            remove_comments=True,
            **HARDENED,
        )
        self._since = 0
        self._began = self._checked = False
        self.documents = 0

    def feed(self, chunk: bytes) -> list[Document]:
        """The documents that this chunk completes. Raises `BadPayload` with the number of the faulty one."""
        found: list[Document] = []
        for start in range(0, len(chunk), 1 << 16):
            piece = chunk[start : start + (1 << 16)]
            self._since += len(piece)
            if self._since > MOST_BYTES:
                raise self._fault(f"is longer than {MOST_BYTES >> 20} MiB")
            try:
                self._parser.feed(piece)
                found += self._taken()
            except etree.XMLSyntaxError as fault:
                raise self._fault(f"is no XML: {fault.msg}") from None
        self._began = self._began or bool(chunk)
        return found

    def close(self) -> list[Document]:
        """The documents that only the end completes. Raises `BadPayload` for a package that breaks off or has none."""
        try:
            if self._began:
                self._parser.close()
            found = self._taken()
        except etree.XMLSyntaxError as fault:
            raise self._fault(f"breaks off: {fault.msg}") from None
        if not self.documents:
            raise BadPayload("there is no IDOC element in what was sent", path="$")
        return found

    def _taken(self) -> list[Document]:
        found: list[Document] = []
        for event, each in self._parser.read_events():
            element: Any = each
            if not self._checked:
                self._check(element)
            if event != "end":
                continue
            if self.documents >= MOST_DOCUMENTS:
                raise self._fault(f"is one too many: a package may have {MOST_DOCUMENTS}")
            found.append(self._document(element))
            self.documents += 1
            self._since = 0
            _drop(element)
        return found

    def _check(self, element: Any) -> None:
        self._checked = True
        refuse_document_type(element, "the IDoc")

    def _document(self, element: Any) -> Document:
        element.tail = None
        try:
            control = control_of(element)
        except BadPayload as fault:
            raise self._fault(f"has no usable control record: {fault.message}") from None
        return Document(control, etree.tostring(element, encoding="utf-8"))

    def _fault(self, text: str) -> BadPayload:
        return BadPayload(f"document {self.documents + 1} of the package {text}", path=f"$.IDOC[{self.documents}]")


def _drop(element: Any) -> None:
    """Frees the document and what stands before it; the parents stay, since the parser is inside of them."""
    parent = element.getparent()
    element.clear()
    if parent is not None:
        while element.getprevious() is not None:
            del parent[0]
