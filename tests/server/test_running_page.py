"""docs/running.md tells every event of the log and every metric, and none that is no more."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from connectors.kit.errors import TimedOut
from connectors.kit.outcomes import CANCELLED, OK, Outcome, OutcomeKind, label_of
from runtime.telemetry import PrometheusMetrics

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
LEVELS = frozenset({"info", "warning", "error"})
EVENT = re.compile(r"[a-z][a-z_]*\.[a-z][a-z_]*")
NO_EVENTS = frozenset({"server.cursor_key", "server.cli"})
"""Texts of the code that look like an event and are something else: a key of the settings, a module."""


def rows(section: str, heading: str) -> Iterator[list[str]]:
    """Cells of the tables of a section whose first column has that heading."""
    text = PAGE.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == heading:
            inside = True
        elif inside and not cells[0].startswith("---"):
            yield cells


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def texts(node: ast.AST) -> Iterator[str]:
    """Texts of a module, but for the names of the store's statements."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("Operation"):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for each in ast.iter_child_nodes(node):
        yield from texts(each)


def logged() -> set[str]:
    """Events that the code logs: what calls of a log begin with, and what is handed to such calls under another name,
    which looks the same."""
    modules = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "src").rglob("*.py")]
    direct = {
        call.args[0].value
        for module in modules
        for call in ast.walk(module)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in LEVELS
        if call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    }
    areas = {each.partition(".")[0] for each in direct}
    named = {text for module in modules for text in texts(module) if EVENT.fullmatch(text)}
    return direct | {each for each in named - NO_EVENTS if each.partition(".")[0] in areas}


def test_every_event_of_the_log_is_told_once() -> None:
    told = [event for cells in rows("The log", "event") for event in codes(cells[0])]
    assert sorted(told) == sorted(logged())


def test_events_handed_on_under_another_name_are_found_too() -> None:
    assert logged() >= {"vendor.socket_lost", "equipment.stream_open", "vendor.bad_export", "vendor.clock_ahead"}


def test_every_metric_is_told_with_its_labels() -> None:
    metrics = PrometheusMetrics()
    metrics.vendor_call("plm", "ok", 0.1)
    metrics.unknown_code("teamcenter", "status", "odd")
    metrics.breaker("plm", "OPEN")
    metrics.events_ingested("plm", 1, 1.0)
    metrics.operation("query", "ok", 0.1)
    shown = {
        f"{family.name}_total" if family.type == "counter" else family.name: {
            label for sample in family.samples for label in sample.labels if label != "le"
        }
        for family in metrics.registry.collect()
        if family.name.startswith("crossdock_")
    }
    assert {codes(cells[0])[0]: set(codes(cells[1])) for cells in rows("Metrics", "metric")} == shown


def test_every_outcome_of_a_vendor_call_is_told() -> None:
    told = [label for cells in rows("Metrics", "`outcome` of a vendor call") for label in codes(cells[0])]
    made = {Outcome(kind=kind).label for kind in OutcomeKind} | {label_of(TimedOut("late")), CANCELLED, OK.label}
    assert sorted(told) == sorted(made)
