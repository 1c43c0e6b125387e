"""What web/ holds: examples that open as tabs, and a lock file that names no registry."""

import json
import re
from pathlib import Path

import pytest
from graphql import OperationDefinitionNode, parse

WEB = Path(__file__).parents[2] / "web"
EXAMPLES = sorted((WEB / "examples").glob("*.graphql"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_a_title_and_one_operation(example: Path) -> None:
    text = example.read_text("utf-8")
    title = re.match(r"# (\S.*)\n", text)
    assert title is not None, "the first line is a comment: the tab's title"
    assert len(title[1]) <= 36, "longer titles are cut (web/graphiql/tab-title.js)"
    assert [type(node) for node in parse(text).definitions].count(OperationDefinitionNode) == 1


def test_variables_belong_to_an_example_and_name_what_it_declares() -> None:
    for path in (WEB / "examples").glob("*.variables.json"):
        example = path.with_name(path.name.removesuffix(".variables.json") + ".graphql")
        assert example in EXAMPLES, f"{path.name} has no {example.name}"
        declared = {
            variable.variable.name.value
            for node in parse(example.read_text("utf-8")).definitions
            if isinstance(node, OperationDefinitionNode)
            for variable in node.variable_definitions or ()
        }
        assert set(json.loads(path.read_text("utf-8"))) <= declared


def test_a_query_comes_first_and_a_subscription_is_there() -> None:
    """web/test/graphiql.mjs runs the first tab and looks for a subscription."""
    kinds = [
        node.operation.value
        for example in EXAMPLES
        for node in parse(example.read_text("utf-8")).definitions
        if isinstance(node, OperationDefinitionNode)
    ]
    assert kinds[0] == "query"
    assert "subscription" in kinds


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((WEB / "package-lock.json").read_text("utf-8"))
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    assert [name for name, package in lock["packages"].items() if name and "integrity" not in package] == []
