"""The threat model names, in each of its lines, tests that there are."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.conformance.__main__ import HERE, SUITES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "threat-model.md"
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in PAGE.read_text().splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| could"))
]
NAMED = sorted({name for row in ROWS for name in re.findall(r"`([^`]+)`", row[-1])})
ALSO = {"http-audits": ("http-checks.mjs",), "apollo-gateway": ("federation.mjs",), "hive-gateway": ("federation.mjs",)}
"""Files that hold checks of a suite beside its program."""


@cache
def functions(path: Path) -> set[str]:
    """The tests of a file, those of its classes too."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)}


@cache
def titles(suite: str) -> str:
    """The text in which the checks of a suite have their titles."""
    programs = {each.name: each.program for each in SUITES}
    program = programs[suite]
    file = program if program.endswith(".mjs") else program.rpartition(".")[2] + ".py"
    return "\n".join((HERE / each).read_text() for each in (file, *ALSO.get(suite, ())))


def test_each_line_says_what_stops_it_and_what_shows_it() -> None:
    assert len(ROWS) > 40
    for row in ROWS:
        assert len(row) == 3, row
        assert all(row), row
        assert re.fullmatch(r"`[^`]+`(, `[^`]+`)*", row[-1]), row


@pytest.mark.parametrize("name", NAMED)
def test_what_a_line_names_is_there(name: str) -> None:
    if name.startswith("tests/"):
        path, _, test = name.partition("::")
        assert test.startswith("test_"), name
        assert test in functions(ROOT / path), f"{path} has no {test}"
        return
    suite, _, title = name.partition(": ")
    if suite == "attacks":
        from tests.conformance.attacking import documents, http, pages, sockets  # noqa: F401 - each fills the list
        from tests.conformance.attacking.listing import ATTACKS

        assert title in ATTACKS
    else:
        assert re.search(rf"""['"]{re.escape(title)}['"]""", titles(suite)), f"{suite} has no check {title!r}"


def test_the_documentation_leads_there() -> None:
    assert "(docs/threat-model.md)" in (ROOT / "README.md").read_text()
