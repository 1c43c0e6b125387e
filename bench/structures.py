"""Items with their structures, and structures in a list, through the whole path while the vendor answers in 50 ms.

Each PLM is measured as the master for items in a server of its own: Oracle Fusion, whose structures are read level by
level, and Teamcenter, which explodes them itself.
"""

import json
import re
import time
from functools import cache
from typing import Any, Final

from bench.chains import Call
from bench.figures import Measured, at_most, exactly, figure
from bench.measuring import late_queries
from bench.processes import UNDER_TEST, free_port
from bench.scene import READY_SECONDS, Broken, Client, Scene, Served

DELAY_MS: Final = 50
ITEMS: Final = """{ items(first: 100) { nodes { number
    bom { itemNumber lines { level itemNumber quantity totalQuantity unit hasChildren } } } } }"""
BOMS: Final = """query($numbers: [String!]!) { boms(first: 50, filter: { itemNumbers: $numbers }) { nodes {
    itemNumber lines { level itemNumber quantity totalQuantity unit hasChildren } } } }"""


@cache
def _served(scene: Scene, key: str) -> tuple[Served, dict[str, Any]]:
    """Crossdock over one PLM, once it knows its items; and the variables of the list of structures."""
    port = free_port()
    settings = scene.settings(f"structures-{key}", port, only=(key,), vendors=scene.vendors)
    masters = f'[masters]\nITEM = "{key}"\n'
    text = re.sub(r"(?m)^\[masters\]\n(?:[A-Z_]+ = .*\n)+", masters, settings.read_text())
    # a hundred different items: of two plants, each number would come twice
    settings.write_text(re.sub(r"(?m)^organizations = .*$", 'organizations = ["IBA"]', text))
    scene.delay(0)
    process = scene.start(f"server-{key}", scene.serve_command(settings), cores=UNDER_TEST)
    process.wait_for(port)
    served = Served(process, Client(port))
    end = time.monotonic() + READY_SECONDS
    while True:
        nodes = served.client.data(ITEMS)["items"]["nodes"]
        made = [node["number"] for node in nodes if node["bom"]]
        if len(nodes) == 100 and len(made) >= 50:
            return served, {"numbers": made[:50]}
        process.must_live()
        if time.monotonic() > end:
            raise Broken(f"{key} has {len(nodes)} items with {len(made)} structures after {READY_SECONDS:g} s")
        time.sleep(0.25)


@cache
def _late(scene: Scene, key: str, query: str) -> list[tuple[float, list[Call]]]:
    served, numbers = _served(scene, key)
    variables = numbers if query is BOMS else {}
    if query is BOMS:
        found = json.loads(served.client.ask(query, variables))
        if len(found["data"]["boms"]["nodes"]) != 50:
            raise Broken(f"{key} gives {len(found['data']['boms']['nodes'])} structures, not 50")
    return late_queries(scene, served, query, variables, delay_ms=DELAY_MS)


def _seconds(scene: Scene, key: str, query: str) -> Measured:
    return Measured(tuple(seconds for seconds, _ in _late(scene, key, query)), min)


def _calls(scene: Scene, key: str, query: str) -> Measured:
    return Measured(tuple(float(len(calls)) for _, calls in _late(scene, key, query)))


@figure(
    "structures.fusion-items",
    unit="s",
    target=at_most(1),
    baseline=f"100 items of Oracle Fusion with their structures to the bottom, which answers in {DELAY_MS} ms",
)
def fusion_items(scene: Scene) -> Measured:
    return _seconds(scene, "fusion", ITEMS)


@figure("structures.fusion-items-calls", unit="calls", target=exactly(6), baseline="vendor calls of that query")
def fusion_items_calls(scene: Scene) -> Measured:
    return _calls(scene, "fusion", ITEMS)


@figure(
    "structures.fusion-boms",
    unit="s",
    target=at_most(2),
    baseline=f"50 structures of Oracle Fusion in a list, which answers in {DELAY_MS} ms",
)
def fusion_boms(scene: Scene) -> Measured:
    return _seconds(scene, "fusion", BOMS)


@figure("structures.fusion-boms-calls", unit="calls", target=exactly(7), baseline="vendor calls of that query")
def fusion_boms_calls(scene: Scene) -> Measured:
    return _calls(scene, "fusion", BOMS)


@figure(
    "structures.plm-items",
    unit="s",
    target=at_most(1),
    baseline=f"100 items of Teamcenter with their structures to the bottom, which answers in {DELAY_MS} ms",
)
def plm_items(scene: Scene) -> Measured:
    return _seconds(scene, "plm", ITEMS)


@figure(
    "structures.plm-boms",
    unit="s",
    target=at_most(2),
    baseline=f"50 structures of Teamcenter in a list, which answers in {DELAY_MS} ms",
)
def plm_boms(scene: Scene) -> Measured:
    return _seconds(scene, "plm", BOMS)
