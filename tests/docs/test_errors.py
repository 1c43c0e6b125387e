"""docs/errors.md has every code that a client can meet, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"[A-Z]+(_[A-Z]+)+|FORBIDDEN|UNAUTHENTICATED|TRUNCATED|UNSORTABLE")
REFUSE = {"LimitExceeded", "Refused", "_refused", "_refuse", "refusal", "_error", "_coded"}
"""What is called with a code to refuse something."""
PLACES = ("graph", "resolvers", "server", "connectors/kit")


def given() -> set[str]:
    """Codes that the code gives: as `code`, or to one of `REFUSE`."""
    found: set[str] = set()
    for place in PLACES:
        for path in (ROOT / "src" / place).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                for value in _codes(node):
                    if isinstance(value, ast.Constant) and CODE.fullmatch(str(value.value)):
                        found.add(value.value)
    return found


def _codes(node: ast.AST) -> Iterator[ast.expr | None]:
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any("code" in (getattr(each, "id", None), getattr(each, "attr", None)) for each in targets):
            yield node.value
    elif isinstance(node, ast.Dict):
        yield from (
            value
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant) and key.value == "code"
        )
    elif isinstance(node, ast.Call) and {getattr(node.func, "id", None), getattr(node.func, "attr", None)} & REFUSE:
        yield from node.args


def shown() -> set[str]:
    """Codes in the first column of the page's table."""
    lines = (ROOT / "docs" / "errors.md").read_text().splitlines()
    return {code for line in lines if line.startswith("| `") for code in re.findall(r"`(\w+)`", line.split("|")[1])}


def test_every_code_is_on_the_page() -> None:
    told = (ROOT / "docs" / "errors.md").read_text()
    assert len(given()) > 50
    assert [code for code in sorted(given()) if f"`{code}`" not in told] == []


def test_every_code_on_the_page_is_given() -> None:
    text = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    assert len(shown()) > 50
    assert [code for code in sorted(shown()) if f'"{code}"' not in text] == []
