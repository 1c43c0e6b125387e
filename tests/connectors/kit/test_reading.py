"""Decoder tables: payloads told by their names, whatever they hold."""

import msgspec
import pytest

from connectors.kit.errors import BadPayload
from connectors.kit.integration import Origin
from connectors.kit.manifest import Payload
from connectors.kit.reading import having, reading, top_names
from tests.connectors.contract import NOW
from unified.values import System

ORIGIN = Origin(integration="depot", system=System.TRACCAR, as_of=NOW)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b'{"a": {"c": 1}, "b": [2]}', {"a", "b"}),
        (b' \n{"a": 1}\n', {"a"}),
        (b'{\n"a": 1,\n"b": 2\n}', {"a", "b"}),
        (b'{"a": 1}\n{"b": 2}\n', {"a"}),
        (b"{}", set()),
        (b'[{"a": 1}]', set()),
        (b'"a"', set()),
        (b"", set()),
        (b"\xff\xfe{", set()),
        (b'{"a": "\xff"}', {"a"}),
        (b'{"\xff": 1}', set()),
        (b'{"a": 1', set()),
        (b'{"a":' * 100_000, set()),
    ],
)
def test_names_at_the_top(body: bytes, names: set[str]) -> None:
    """Recognising never raises."""
    assert top_names(body) == names
    assert having(*names)(Payload(body=body))
    assert not having("z", *names)(Payload(body=body))


class Row(msgspec.Struct):
    n: int


def test_reading_goes_through_the_kits_decoder() -> None:
    read = reading(Row, lambda row, origin: [origin.source(str(row.n))])  # type: ignore[list-item]
    assert list(read(Payload(body=b'{"n": "7"}'), ORIGIN)) == [ORIGIN.source("7")]
    with pytest.raises(BadPayload, match=r"at `\$\.n`: Expected `int`"):
        list(read(Payload(body=b'{"n": []}'), ORIGIN))
