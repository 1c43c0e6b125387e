"""The one-object query: an order by its id, ten fields, one vendor call."""

from functools import cache

from bench.figures import Measured, at_most, figure
from bench.measuring import DELAY_MS, cpu_pairs, late_queries, over_chain
from bench.queries import FEDERATED, ONE
from bench.scene import Scene


@cache
def _wanted(scene: Scene) -> dict[str, str]:
    return {"id": scene.server.client.data(FEDERATED)["orders"]["nodes"][0]["id"]}


@cache
def _cpu(scene: Scene) -> list[tuple[float, float]]:
    return cpu_pairs(scene, ONE, _wanted(scene))


@figure("one.latency", unit="x", target=at_most(1.05), baseline=f"its one vendor call of {DELAY_MS} ms")
def latency(scene: Scene) -> Measured:
    return over_chain(late_queries(scene, scene.server, ONE, _wanted(scene)))


@figure("one.cpu", unit="ms", baseline="CPU of the server per query")
def cpu(scene: Scene) -> Measured:
    return Measured(tuple(server for server, _ in _cpu(scene)))


@figure(
    "one.cpu-ratio",
    unit="x",
    target=at_most(4.5),
    baseline="CPU of hand-written code for the same answer from the same call",
)
def cpu_ratio(scene: Scene) -> Measured:
    return Measured(tuple(server / baseline for server, baseline in _cpu(scene)))
