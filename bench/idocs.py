"""IDoc packages of 1,000 documents: how fast they are cut and read beside a plain parse, and in how much memory.

`python -m bench idocs` measures these figures alone.
"""

import gc
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lxml import etree

from bench.figures import Measured, Target, at_most, figure
from connectors.kit.integration import Origin
from connectors.sap_erp.idoc import mapping, segments
from connectors.sap_erp.idoc.package import Package
from connectors.sap_erp.settings import Settings, rules_of
from unified.values import System

if TYPE_CHECKING:
    from bench.scene import Scene

ROOT: Final = Path(__file__).parents[1]
SAMPLE: Final = ROOT / "tests" / "samples" / "sap-erp" / "idoc_orders05_real.xml"
DOCUMENTS: Final = 1_000
WARM: Final = 100
CHUNK: Final = 1 << 16


def at_least(limit: float) -> Target:
    return Target(f">= {limit:g}", lambda value: value >= limit)


def chunks(documents: int) -> Iterator[bytes]:
    """A package of real purchase orders, made while it is sent."""
    text = SAMPLE.read_bytes()
    start, end = text.index(b"<IDOC"), text.rindex(b"</ORDERS05>")
    waiting = bytearray(text[:start])
    for number in range(documents):
        waiting += text[start:end].replace(b"0000000064132944", b"%016d" % number)
        while len(waiting) >= CHUNK:
            yield bytes(waiting[:CHUNK])
            del waiting[:CHUNK]
    yield bytes(waiting + b"</ORDERS05>")


@cache
def _package() -> bytes:
    return b"".join(chunks(DOCUMENTS))


def parsed() -> int:
    """A plain parse of the same bytes into a tree."""
    return len(etree.fromstring(_package()))


def cut() -> int:
    """What the receiver does before it acknowledges: documents with their control records."""
    package, found, body = Package(), 0, _package()
    for at in range(0, len(body), CHUNK):
        found += len(package.feed(body[at : at + CHUNK]))
    return found + len(package.close())


_ORIGIN: Final = Origin(integration="bench", system=System.SAP_ERP, as_of=datetime(2026, 11, 25, tzinfo=UTC))
_RULES: Final = rules_of(Settings())


@cache
def _documents() -> list[bytes]:
    package = Package()
    return [each.body for each in (*package.feed(_package()), *package.close())]


def read() -> int:
    """What is done after it: orders with their lines."""
    return len([mapping.change(segments.parsed(body), _ORIGIN, _RULES) for body in _documents()])


def _cpu(work: Callable[[], int]) -> float:
    """CPU seconds per document."""
    began = time.process_time()
    count = work()
    assert count == DOCUMENTS
    return (time.process_time() - began) / count


@cache
def _rounds() -> list[tuple[float, float, float]]:
    assert cut() == parsed() == read() == DOCUMENTS
    gc.collect()
    gc.disable()
    try:
        return [(_cpu(parsed), _cpu(cut), _cpu(read)) for _ in range(9)]
    finally:
        gc.enable()


@figure("idocs.cut", unit="1/s", baseline="documents cut out of a package per CPU second, with their control records")
def cut_rate(scene: "Scene") -> Measured:
    return Measured(tuple(1 / ours for _, ours, _ in _rounds()), max)


@figure("idocs.read", unit="1/s", baseline="purchase orders of three lines read into records per CPU second")
def read_rate(scene: "Scene") -> Measured:
    return Measured(tuple(1 / ours for _, _, ours in _rounds()), max)


@figure(
    "idocs.cut-over-parse",
    unit="x",
    target=at_least(0.4),
    baseline="documents per CPU second of lxml.etree.fromstring over the whole package",
)
def cut_over_parse(scene: "Scene") -> Measured:
    return Measured(tuple(plain / ours for plain, ours, _ in _rounds()))


def _grown_kib() -> int:
    """How much more memory a process has at most after the whole package than after its first documents."""
    package, after_warm = Package(), 0
    for chunk in chunks(DOCUMENTS):
        package.feed(chunk)
        if not after_warm and package.documents >= WARM:
            after_warm = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    package.close()
    assert package.documents == DOCUMENTS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - after_warm


@figure(
    "idocs.memory",
    unit="MiB",
    target=at_most(2),
    baseline="growth of the process from the 100th to the 1,000th document of a package of 4.4 MiB",
)
def memory(scene: "Scene") -> Measured:
    rounds = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", "from bench.idocs import _grown_kib; print(_grown_kib())"],
            cwd=ROOT, capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        rounds.append(int(done.stdout) / 1024)
    return Measured(tuple(rounds))
