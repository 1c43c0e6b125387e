"""The federated query: 50 orders × lines × item × stock at three sites, and the vehicle of each order."""

from functools import cache
from typing import Final

from bench.chains import Call, slowest_chain
from bench.figures import Measured, at_most, exactly, figure
from bench.measuring import DELAY_MS, cpu_pairs, late_queries, over_chain
from bench.queries import FEDERATED
from bench.scene import Scene

FEWEST_CALLS: Final = 10
"""Two lists of orders, one batch of 133 items, devices and positions, and stock in pages of at most 100 rows: three
of the first SAP EWM system, two of the second."""


@cache
def _late(scene: Scene) -> list[tuple[float, list[Call]]]:
    """Seconds of each query, and its vendor calls, while vendors answer after `DELAY_MS`."""
    return late_queries(scene, scene.server, FEDERATED, {})


@cache
def _cpu(scene: Scene) -> list[tuple[float, float]]:
    return cpu_pairs(scene, FEDERATED, {})


@figure(
    "federated.latency", unit="x", target=at_most(1.15), baseline=f"slowest chain of vendor calls of {DELAY_MS} ms each"
)
def latency(scene: Scene) -> Measured:
    return over_chain(_late(scene))


@figure(
    "federated.levels", unit="calls", target=exactly(3), baseline="calls of the slowest chain: orders, items, stock"
)
def levels(scene: Scene) -> Measured:
    """By what is asked for, the last part of the path: the pages of one list, of which a vendor names the next only
    in the one before, count once."""
    chains = [slowest_chain(calls) for _, calls in _late(scene)]
    return Measured(tuple(float(len({call.path.rpartition("/")[2] for call in chain})) for chain in chains))


@figure("federated.chain", unit="calls", baseline="calls of the slowest chain, each page of a list by itself")
def chain(scene: Scene) -> Measured:
    return Measured(tuple(float(len(slowest_chain(calls))) for _, calls in _late(scene)))


@figure("federated.calls", unit="calls", target=exactly(FEWEST_CALLS), baseline="vendor calls per query")
def calls(scene: Scene) -> Measured:
    return Measured(tuple(float(len(calls)) for _, calls in _late(scene)))


@figure("federated.cpu", unit="ms", baseline="CPU of the server per query")
def cpu(scene: Scene) -> Measured:
    return Measured(tuple(server for server, _ in _cpu(scene)))


@figure(
    "federated.cpu-ratio",
    unit="x",
    target=at_most(8),
    baseline="CPU of hand-written code for the same answer from the same calls",
)
def cpu_ratio(scene: Scene) -> Measured:
    return Measured(tuple(server / baseline for server, baseline in _cpu(scene)))
