"""Cursor on Target: how fast events are decoded beside a plain parse of the same bytes.

`python -m bench cot` measures these figures alone.
"""

import gc
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree

from lxml import etree

from bench.figures import Measured, Target, figure
from connectors.c4isr import cot, decoders
from connectors.c4isr.stream import Framing
from connectors.kit.integration import Origin
from unified.values import System

if TYPE_CHECKING:
    from bench.scene import Scene

SAMPLES: Final = Path(__file__).parents[1] / "tests" / "samples" / "c4isr"
MIX: Final = (("cot-itak.xml", 12), ("cot-uas.xml", 3), ("cot-emergency.xml", 1), ("cot-free-form.xml", 1))
"""Recorded events and how often each: most of a stream are positions, some drawings are among them."""
ROUNDS: Final = 15
SECONDS: Final = 0.15
"""CPU time of one side of a round."""
ORIGIN: Final = Origin(integration="bench", system=System.C4ISR, as_of=datetime(2026, 11, 25, 9, 30, tzinfo=UTC))


def _events() -> list[bytes]:
    """As they come over the socket: without a declaration."""
    found: list[bytes] = []
    for name, count in MIX:
        events, _ = cot.cut((SAMPLES / name).read_bytes())
        found += events * count
    return found


EVENTS: Final = _events()
STREAM: Final = b"\n".join(EVENTS) + b"\n"


def decoded() -> int:
    """What the connector makes of the bytes of a socket: events cut out, checked, with their detail as a tree."""
    framing, count = Framing(), 0
    framing.feed(STREAM)
    while (body := framing.next()) is not None:
        cot.parse(body)
        count += 1
    return count


def recorded() -> int:
    """Records and events of the graph, of the same bytes."""
    framing, count = Framing(), 0
    framing.feed(STREAM)
    while (body := framing.next()) is not None:
        count += len(list(decoders.told(cot.parse(body), ORIGIN)))
    return count


def parsed() -> int:
    """Cut at the end tag, lxml's tree of each event: it is in C, and no name or value of it is a text of Python yet."""
    count = 0
    for body in STREAM.split(cot.END)[:-1]:
        etree.fromstring(body.lstrip() + cot.END)
        count += 1
    return count


def read_by_library() -> int:
    """The plain parse: cut at the end tag, the standard library's ElementTree of each event, with its names and
    attributes; it is what programs for CoT mostly use."""
    count = 0
    for body in STREAM.split(cot.END)[:-1]:
        ElementTree.fromstring(body.lstrip() + cot.END)
        count += 1
    return count


def _per_second(run: Callable[[], int]) -> float:
    """Events per CPU second."""
    count, begun = 0, time.process_time()
    while (passed := time.process_time() - begun) < SECONDS:
        count += run()
    return count / passed


@cache
def _rounds() -> list[tuple[float, float]]:
    """Events per CPU second of the connector and of the plain parse, in turns."""
    assert decoded() == read_by_library() == parsed() == len(EVENTS)
    gc.collect()
    gc.disable()
    try:
        return [(_per_second(decoded), _per_second(read_by_library)) for _ in range(ROUNDS)]
    finally:
        gc.enable()


@figure(
    "cot.decoding",
    unit="x",
    target=Target(">= 0.4", lambda value: value >= 0.4),
    baseline="events per CPU second that ElementTree parses into its tree, of the same bytes",
)
def decoding(_scene: "Scene | None") -> Measured:
    return Measured(tuple(ours / plain for ours, plain in _rounds()))


@figure("cot.decoding-lxml", unit="x", baseline="events per CPU second of which lxml has a tree in C, unread")
def decoding_lxml(_scene: "Scene | None") -> Measured:
    gc.collect()
    return Measured(tuple(_per_second(decoded) / _per_second(parsed) for _ in range(ROUNDS)))


@figure("cot.events", unit="k/s", baseline="thousand events decoded per CPU second")
def events(_scene: "Scene | None") -> Measured:
    return Measured(tuple(ours / 1_000 for ours, _ in _rounds()), max)


@figure("cot.records", unit="k/s", baseline="thousand events per CPU second, from the socket's bytes to records")
def event_records(_scene: "Scene | None") -> Measured:
    gc.collect()
    assert recorded() >= len(EVENTS)
    return Measured(tuple(_per_second(recorded) / 1_000 for _ in range(ROUNDS)), max)
