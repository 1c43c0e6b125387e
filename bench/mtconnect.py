"""MTConnect: how fast samples are decoded beside a plain parse of the same bytes.

`python -m bench mtconnect` measures these figures alone.
"""

import gc
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from lxml import etree

from bench.figures import Measured, Target, figure
from connectors.equipment.mtconnect.merge import Merged
from connectors.equipment.mtconnect.payloads import document
from connectors.equipment.mtconnect.wire import Streams

if TYPE_CHECKING:
    from bench.scene import Scene

ROUNDS: Final = 9
SECONDS: Final = 0.2
"""CPU time of one side of a round."""
AXES: Final = (("Rotary", "C", "SpindleSpeed"), ("Linear", "X", "Position"), ("Linear", "Y", "Position"))
OBSERVATIONS: Final = 400
"""Of one part of the stream: three axes that report twenty times a second, and an event now and then."""


def _row(element: str, item: str, name: str, sequence: int, value: str) -> str:
    at = f"2026-11-21T22:21:{20 + sequence // 60 % 40:02d}.{sequence % 60 * 16_666:06d}Z"
    return (
        f'          <{element} dataItemId="{item}" name="{name}" sequence="{sequence}" subType="ACTUAL" '
        f'timestamp="{at}">{value}</{element}>\n'
    )


def _part() -> bytes:
    """A document as the reference agent 1.7 writes it, observations grouped by component."""
    components = ""
    each = OBSERVATIONS // (len(AXES) + 1)
    for place, (kind, axis, element) in enumerate(AXES):
        rows = "".join(
            _row(element, f"{axis.lower()}2", f"{axis}act", 1_000 + number * 4 + place, f"{number * 0.125:g}")
            for number in range(each)
        )
        components += (
            f'      <ComponentStream component="{kind}" name="{axis}" componentId="{axis.lower()}1">\n'
            f"        <Samples>\n{rows}        </Samples>\n      </ComponentStream>\n"
        )
    rows = "".join(_row("Line", "cn4", "line", 1_000 + number * 4 + 3, str(number)) for number in range(each))
    components += (
        '      <ComponentStream component="Path" name="path" componentId="pth">\n'
        f"        <Events>\n{rows}        </Events>\n      </ComponentStream>\n"
    )
    space = "urn:mtconnect.org:MTConnectStreams:1.7"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<MTConnectStreams xmlns:m="{space}" xmlns="{space}" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="{space} '
        'http://schemas.mtconnect.org/schemas/MTConnectStreams_1.7.xsd">\n'
        '  <Header creationTime="2026-11-21T22:21:20Z" sender="agent" instanceId="1795299672" version="1.7.0.7" '
        'deviceModelChangeTime="2026-11-21T22:21:12.403536Z" bufferSize="131072" nextSequence="1400" '
        'firstSequence="1" lastSequence="1399"/>\n'
        f'  <Streams>\n    <DeviceStream name="VMC-3Axis" uuid="000">\n{components}    </DeviceStream>\n'
        "  </Streams>\n</MTConnectStreams>\n"
    ).encode()


PART: Final = _part()


def decoded() -> int:
    """What the connector makes of a part: observations, checked, and the newest of each data item."""
    told = document(PART)
    assert isinstance(told, Streams)
    Merged().apply(told.observations)
    return len(told.observations)


def parsed() -> int:
    """The plain parse: lxml's tree."""
    return len(etree.fromstring(PART))


def _per_second(run: Callable[[], int]) -> float:
    """Calls per CPU second."""
    count, begun = 0, time.process_time()
    while (passed := time.process_time() - begun) < SECONDS:
        run()
        count += 1
    return count / passed


@figure(
    "mtconnect.decoding",
    unit="x",
    target=Target(">= 0.4", lambda value: value >= 0.4),
    baseline="documents per CPU second that lxml parses plainly, of the same bytes",
)
def decoding(_scene: "Scene | None") -> Measured:
    gc.collect()
    decoded(), parsed()
    return Measured(tuple(_per_second(decoded) / _per_second(parsed) for _ in range(ROUNDS)))


@figure("mtconnect.observations", unit="k/s", baseline="thousand observations decoded per CPU second")
def observations(_scene: "Scene | None") -> Measured:
    return Measured(tuple(_per_second(decoded) * OBSERVATIONS / 1_000 for _ in range(ROUNDS)), max)
