"""`python -m tests.conformance attacks`: the attack list against a server of its own.

While it runs, another caller measures its waits; afterwards the server's memory, its log and every answer are
looked through.

    python -m tests.conformance.attacks --list          titles, one a line
    python -m tests.conformance.attacks - WORD…         only attacks whose titles have one of these words
    python -m tests.conformance.attacks --figures FILE  also writes `{"waits": ratio, "memory": ratio}` there
"""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import re
import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


from bench.processes import AROUND
from bench.scene import Scene
from tests.conformance.attacking import documents, http, pages, sockets  # noqa: F401 - each fills the list
from tests.conformance.attacking.listing import ATTACKS, PATIENT
from tests.conformance.attacking.ordinary import serve_ordinary
from tests.conformance.attacking.target import NEIGHBOUR, OPERATOR, TOKEN_SECRET, Neighbour, Target, p99, target
from tests.conformance.attacking.wire import SEEN, Line, request

QUIET_SECONDS = 12.0
WINDOWS = 5
RESTLESS = 0.1
"""Seconds of a p99 before the attacks, from which on the machine is too busy for a ratio to say anything."""
WAITS = 5.0
"""The neighbour's p99 while the attacks run over its p99 before."""
MEMORY = 1.1
"""The server's memory after the attacks over before."""
SETTLING_SECONDS = 45.0
ATTACK_SECONDS = 60.0
AFTERWARDS = "127.0.0.5"
"""The address from which it is looked whether the server still answers: not one whose connections are all taken."""
_LEAKS = re.compile(
    rb"Traceback|File \\?\"|site-packages|/usr/|/tmp/|/root/|/etc/passwd\b.*root:|\.py\b|line \d+, in |"
    rb"\b(?:Key|Value|Type|Attribute|Index|Recursion|Unicode\w*|Runtime|Assertion|OS|Memory|Overflow)Error\b|"
    rb"msgspec|strawberry|starlette|uvicorn|sqlite|sandbox-[a-z]+-(?:secret|token)|sandbox-signing-key|"
    + b"|".join(re.escape(each.encode()) for each in (NEIGHBOUR, OPERATOR, TOKEN_SECRET)),
)


@dataclass
class Outcome:
    """What was found. Memory in MiB: `cold` of the server that has just started, `before` of one that has served what
    its limits allow (`attacking.ordinary`), `after` of the same after the attacks. By attack: `worst` is how long the
    neighbour's questions waited that waited too long, in seconds, `grown` by how many MiB the server grew."""

    faults: list[str] = field(default_factory=list)
    quiet: float = 0.0
    attacked: float = 0.0
    cold: float = 0.0
    before: float = 0.0
    after: float = 0.0
    worst: dict[str, float] = field(default_factory=dict)
    grown: dict[str, float] = field(default_factory=dict)

    @property
    def waits(self) -> float:
        return self.attacked / self.quiet

    @property
    def memory(self) -> float:
        return self.after / self.before


class Attacker:
    """Runs attacks; has the faults of each, when it ran, and by how many MiB the server grew."""

    def __init__(self, attacked: Target) -> None:
        self._attacked = attacked
        self.faults: list[str] = []
        self.spans: dict[str, tuple[float, float]] = {}
        self.grown: dict[str, float] = {}

    async def run(self, titles: list[str]) -> None:
        """First those that wait for deadlines, side by side; then the others, one after the other. Raises `NotStarted`
        when the server has died."""
        await asyncio.gather(*(self._one(title) for title in titles if title in PATIENT))
        for title in titles:
            if title not in PATIENT:
                await self._one(title)

    async def _one(self, title: str) -> None:
        began, before = time.monotonic(), self._attacked.memory
        failed = len(self.faults)
        try:
            async with asyncio.timeout(ATTACK_SECONDS):
                await ATTACKS[title](self._attacked)
        except Exception as fault:  # noqa: BLE001 - an attack that cannot even be made is a fault of it
            self.faults.append(f"{title}: {(str(fault) or repr(fault))[:700]}")
        self.spans[title] = (began, time.monotonic())
        self.grown[title] = self._attacked.memory - before
        self._attacked.process.must_live()
        if len(self.faults) == failed and not await self._serves():
            self.faults.append(f"{title}: afterwards the server does not answer")

    async def _serves(self) -> bool:
        """Whether a new connection is answered, in the time that anything may take."""
        with contextlib.suppress(OSError, TimeoutError):
            async with await Line.open(self._attacked.port, AFTERWARDS) as line:
                await line.send(request("GET", "/health/live"))
                return (await line.answer()).status == 200
        return False


def measure(scene: Scene, titles: list[str]) -> Outcome:
    """Runs the attacks with a neighbour; raises `NotStarted` when the server dies."""
    found = Outcome()
    with target(scene) as attacked:
        found.cold = attacked.memory
        asyncio.run(serve_ordinary(attacked))
        neighbour = Neighbour(attacked)
        os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + 10)  # nobody is to wait for us
        began = time.monotonic()
        time.sleep(QUIET_SECONDS)
        found.before = attacked.memory
        start = time.monotonic()
        attacker = Attacker(attacked)
        asyncio.run(attacker.run(titles))
        end = time.monotonic()
        waits = neighbour.waits()
        found.faults += attacker.faults
        found.grown = attacker.grown
        found.quiet = quiet(waits, began, start)
        found.attacked = p99([wait for due, wait in waits if start <= due < end])
        for title, (one, other) in attacker.spans.items():
            bad = [wait for due, wait in waits if one <= due < other and wait > WAITS * found.quiet]
            found.worst[title] = sum(bad)
        settled = time.monotonic() + SETTLING_SECONDS
        found.after = attacked.memory
        while found.memory > MEMORY and time.monotonic() < settled:
            time.sleep(1)
            asyncio.run(attacked.ask("{ __typename }"))
            found.after = min(found.after, attacked.memory)
        if attacked.connections:
            found.faults.append(f"{attacked.connections} connections are still open")
        log = attacked.log.read_text(errors="replace")
    for word in ("Traceback", "Exception in ASGI", "never retrieved", "was never awaited"):
        if word in log:
            at = log.index(word)
            found.faults.append(f"the log has {word!r}: {log[max(0, at - 300) : at + 900]}")
    found.faults += _leaks()
    return found


def quiet(waits: list[tuple[float, float]], began: float, end: float) -> float:
    """The p99 before the attacks: the middle one of some windows, so that one moment in which the machine had something
    else to do, or the server gave memory back, does not pass for what is usual."""
    edges = [began + (end - began) * step / WINDOWS for step in range(WINDOWS + 1)]
    return median(p99([wait for due, wait in waits if one <= due < other]) for one, other in pairwise(edges))


def _leaks() -> list[str]:
    """What no answer may have."""
    hits = {hit[0]: raw for raw in SEEN for hit in [_LEAKS.search(raw)] if hit}
    return [f"an answer has {word!r}: {raw[:400]!r}" for word, raw in hits.items()]


def report(found: Outcome) -> None:
    for title, wait in sorted(found.worst.items(), key=lambda each: -each[1])[:12]:
        print(f"    the neighbour waits {wait:6.1f} s in all during {title}")
    for title, size in sorted(found.grown.items(), key=lambda each: -each[1])[:8]:
        print(f"    the server grows by {size:4.0f} MiB during {title}")
    print(
        f"    neighbour p99 {found.attacked * 1000:.1f} ms over {found.quiet * 1000:.1f} ms: {found.waits:.2f} "
        f"(target {WAITS:g})"
    )
    print(f"    memory {found.after:.0f} MiB over {found.before:.0f} MiB: {found.memory:.2f} (target {MEMORY:g})")
    print(f"    memory {found.cold:.0f} MiB at the start, before anything was served")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.attacks", description="The attack list.")
    parser.add_argument("--list", action="store_true", help="only says which attacks there are")
    parser.add_argument("--figures", metavar="FILE", type=Path, help="where what was measured is written as JSON")
    parser.add_argument("address", nargs="?", help="as every suite is given one; this one starts a server of its own")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only attacks whose titles have one of these")
    given = parser.parse_args(arguments)
    titles = [title for title in ATTACKS if not given.words or any(word in title for word in given.words)]
    if given.list:
        print(*titles, sep="\n")
        return 0
    os.sched_setaffinity(0, AROUND)
    with contextlib.suppress(PermissionError):  # other work on the machine is not what is measured
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    with Scene() as scene:
        _ = scene.vendors
        gc.disable()
        found = measure(scene, titles)
    if given.figures is not None:
        given.figures.write_text(json.dumps({"waits": found.waits, "memory": found.memory}))
    if found.quiet > RESTLESS:
        print(f"the machine is busy: without any attack the neighbour waits {found.quiet * 1000:.0f} ms")
    for fault in found.faults:
        print(f"FAILED {fault}")
    report(found)  # judged by `make bench`: a machine that does other work must not fail a suite
    checks = len(titles) + 2  # log and open connections, leaks
    failed = min(len(found.faults), checks)
    print(f"attacks: {checks - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
