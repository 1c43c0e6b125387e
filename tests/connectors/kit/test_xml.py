"""XML of others: refused is what could open a file, call a host or grow; the rest is read, or has a place."""

import re
import time

import pytest
from lxml import etree

from connectors.kit.errors import BadPayload
from connectors.kit.xml import HARDENED, parser, refuse_document_type, root_of

LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + each, b"&%c;" % (97 + each) * 10) for each in range(9))
    + b"]><l>&j;</l>"
)
EXTERNAL = b'<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/hostname">]><l>&x;</l>'
PARAMETER = b'<!DOCTYPE l [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x.dtd">%x;]><l/>'
PLAIN = b'<!DOCTYPE l SYSTEM "http://127.0.0.1:1/l.dtd"><l/>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("body", [LAUGHS, EXTERNAL, PARAMETER, PLAIN])
def test_a_document_type_is_refused_in_any_encoding(body: bytes, encoding: str) -> None:
    given = body.decode().replace('<?xml version="1.0"?>', "").encode(encoding)
    began = time.process_time()
    with pytest.raises(BadPayload) as caught:
        root_of(given, "the message")
    assert re.fullmatch(
        r"the message (has a document type \(DTD\), which is refused; nothing of it was read|is no XML: .*)",
        caught.value.message,
    )
    assert caught.value.path == "$"
    assert time.process_time() - began < 1, "nothing was expanded"


def test_an_entity_that_nobody_declared_is_no_xml() -> None:
    with pytest.raises(BadPayload, match="the answer is no XML: Entity 'x' not defined, line 1, column 7"):
        root_of(b"<l>&x;</l>")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "line 1, column 1|empty"),
        (b"<l>\n<m></l>", "line 2, column 8"),
        (b"<l>\0</l>", "line 1"),
        (b"{}", "line 1, column 1"),
        (b"<a>" * 300 + b"</a>" * 300, "depth"),
    ],
)
def test_what_is_no_xml_is_told_with_its_place(body: bytes, place: str) -> None:
    with pytest.raises(BadPayload, match=f"the answer is no XML: .*({place})"):
        root_of(body)


def test_comments_and_instructions_are_left_out() -> None:
    assert etree.tostring(root_of(b"<l><!-- c --><?p i?><m/></l>")) == b"<l><m/></l>"


def test_a_pull_parser_is_held_to_the_same_rules() -> None:
    pull = etree.XMLPullParser(events=("start",), **HARDENED)
    pull.feed(PLAIN)
    _, element = next(iter(pull.read_events()))
    with pytest.raises(BadPayload, match="the IDoc has a document type"):
        refuse_document_type(element, "the IDoc")


def test_a_parser_is_made_once() -> None:
    assert parser(encoding="utf-8") is parser(encoding="utf-8")
    assert parser() is not parser(encoding="utf-8")
