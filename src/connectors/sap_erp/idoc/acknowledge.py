"""The answer to a package: HTTP 200 once every document is kept, and an ALEAUD01 for who reads the body."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from lxml import etree

from connectors.sap_erp.idoc.segments import Control

ADDED: Final = "50"
"""IDoc added: it is stored here and will be worked off."""
IGNORED: Final = "68"
"""Error, no further processing: of a type or a sender that is not read."""


class Taken(msgspec.Struct, frozen=True):
    """What became of one document."""

    docnum: str
    status: str


def aleaud(first: Control, taken: Sequence[Taken], now: datetime) -> bytes:
    """An ALE audit document from the receiver of `first` to its sender: one E1STATE for each document."""
    root = etree.Element("ALEAUD01")
    idoc = etree.SubElement(root, "IDOC", BEGIN="1")
    control = etree.SubElement(idoc, "EDI_DC40", SEGMENT="1")
    for name, value in (
        ("TABNAM", "EDI_DC40"),
        ("MANDT", first.mandt),
        ("DIRECT", "2"),
        ("IDOCTYP", "ALEAUD01"),
        ("MESTYP", "ALEAUD"),
        ("SNDPOR", first.rcvpor),
        ("SNDPRT", first.rcvprt),
        ("SNDPRN", first.rcvprn),
        ("RCVPOR", first.sndpor),
        ("RCVPRT", first.sndprt),
        ("RCVPRN", first.sndprn),
        ("CREDAT", f"{now:%Y%m%d}"),
        ("CRETIM", f"{now:%H%M%S}"),
    ):
        if value:
            etree.SubElement(control, name).text = value
    head = etree.SubElement(idoc, "E1ADHDR", SEGMENT="1")
    etree.SubElement(head, "MESTYP").text = first.mestyp
    for each in taken:
        state = etree.SubElement(head, "E1STATE", SEGMENT="1")
        etree.SubElement(state, "DOCNUM").text = each.docnum
        etree.SubElement(state, "STATUS").text = each.status
    return etree.tostring(root, xml_declaration=True, encoding="utf-8")
