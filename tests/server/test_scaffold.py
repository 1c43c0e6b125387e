"""`crossdock scaffold` in a copy of the checkout: what it makes passes the checks and its own tests as it is."""

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from server import scaffold
from server.scaffold import LONGEST_NAME, LONGEST_TITLE, ScaffoldFault, kinds

ROOT = Path(__file__).parents[2]
NEEDED = ("pyproject.toml", "schema.graphql", "crossdock.sandbox.toml", "src", "sandbox", "docs/systems",
          "tests/__init__.py", "tests/connectors/__init__.py", "tests/connectors/contract.py",
          "tests/sandbox/__init__.py")  # fmt: skip
MADE = [
    "docs/systems/acme-fleet.md",
    "sandbox/acme_fleet/__init__.py",
    "sandbox/acme_fleet/rows.py",
    "src/connectors/acme_fleet/README.md",
    "src/connectors/acme_fleet/__init__.py",
    "src/connectors/acme_fleet/answers.py",
    "src/connectors/acme_fleet/decoders.py",
    "src/connectors/acme_fleet/mapping.py",
    "src/connectors/acme_fleet/settings.py",
    "src/connectors/acme_fleet/wire.py",
    "tests/connectors/test_acme_fleet.py",
    "tests/connectors/test_acme_fleet_samples.py",
    "tests/samples/acme-fleet/INDEX.md",
    "tests/samples/acme-fleet/error.429.json",
    "tests/samples/acme-fleet/vehicles.json",
    "tests/sandbox/test_acme_fleet.py",
]
EDITED = ["crossdock.sandbox.toml", "schema.graphql", "src/graph/enums.py", "src/unified/values.py"]


def copied(into: Path) -> Path:
    """What of the checkout the command and its results need."""
    unwanted = shutil.ignore_patterns("__pycache__", "static")
    for each in NEEDED:
        (into / each).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / each).is_dir():
            shutil.copytree(ROOT / each, into / each, ignore=unwanted)
        else:
            shutil.copy(ROOT / each, into / each)
    return into


def run(tree: Path, *command: str) -> str:
    """What a Python module printed in the tree; it must end well."""
    environ = {**os.environ, "PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=tree, env=environ, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def texts(tree: Path) -> dict[str, bytes]:
    """All files but the tools' caches."""
    files = {str(each.relative_to(tree)): each for each in tree.rglob("*") if each.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(".")}


def lines_added(before: bytes, after: str) -> list[str]:
    """The lines of `after` that are not in `before`; nothing else may have changed."""
    old, new = before.decode().splitlines(), after.splitlines()
    added = [line for line in new if line not in old]
    assert [line for line in new if line not in added] == old
    return added


def python_files(files: Sequence[str]) -> list[str]:
    return [each for each in files if each.endswith(".py")]


@pytest.fixture(scope="module")
def before() -> dict[str, bytes]:
    """What was in the checkout; filled by `tree`."""
    return {}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, before: dict[str, bytes]) -> Path:
    """A checkout with the system `acme-fleet` added."""
    made = copied(tmp_path_factory.mktemp("checkout"))
    before.update(texts(made))
    printed = run(made, "server.cli", "scaffold", "acme-fleet", "--title", "Acme's Fleet (EU)")
    after = texts(made)
    assert sorted(after.keys() - before.keys()) == MADE
    changed = {each for each, text in before.items() if after[each] != text}
    # pages of other systems are renewed where they are not what their connectors say
    assert {each for each in changed if not each.startswith("docs/systems/")} == set(EDITED)
    assert printed.splitlines()[: len(MADE)] == MADE
    assert "docs/adding-a-system.md" in printed
    return made


# --- what it writes


def test_a_system_is_told_in_three_places(tree: Path, before: dict[str, bytes]) -> None:
    def added(path: str) -> list[str]:
        return lines_added(before[path], (tree / path).read_text())

    assert added("src/unified/values.py") == ['    ACME_FLEET = "acme-fleet"']
    assert added("src/graph/enums.py") == ['        "ACME_FLEET": "Acme\'s Fleet (EU).",']
    after = tomllib.loads((tree / "crossdock.sandbox.toml").read_text())
    assert after["integrations"].pop() == {
        "key": "acme-fleet",
        "system": "acme-fleet",
        "base_url": "http://127.0.0.1:8100/acme-fleet",
        "credentials": {"client_id": "sandbox-acme-fleet-client", "client_secret": "sandbox-acme-fleet-secret"},
    }
    assert after == tomllib.loads(before["crossdock.sandbox.toml"].decode())


def test_nothing_is_left_of_the_templates(tree: Path) -> None:
    assert [each for each in MADE if "@@" in (tree / each).read_text()] == []
    assert "Acme's Fleet (EU)" in (tree / "docs/systems/acme-fleet.md").read_text()


def test_ruff_finds_nothing(tree: Path) -> None:
    files = python_files([*MADE, *EDITED])
    run(tree, "ruff", "check", "--no-cache", *files)
    run(tree, "ruff", "format", "--no-cache", "--check", *files)


def test_mypy_finds_nothing(tree: Path) -> None:
    run(tree, "mypy", "--cache-dir", os.devnull, "-p", "connectors.acme_fleet")


def test_imports_go_one_way(tree: Path) -> None:
    """The contract of the connectors covers the new one, without having been told of it."""
    check = ("importlinter.cli", "--no-cache")
    assert "no connector imports another KEPT" in run_imports(tree, *check)
    decoders = tree / "src/connectors/acme_fleet/decoders.py"
    kept = decoders.read_text()
    decoders.write_text(kept + "import connectors.traccar\n")
    try:
        assert "connectors.acme_fleet is not allowed to import connectors.traccar" in run_imports(tree, *check)
    finally:
        decoders.write_text(kept)


def run_imports(tree: Path, module: str, *arguments: str) -> str:
    code = f"from {module} import lint_imports_command; lint_imports_command()"
    environ = {**os.environ, "PYTHONPATH": "src"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tree, env=environ, capture_output=True, text=True, timeout=60
    )
    return done.stdout + done.stderr


def test_its_own_tests_pass(tree: Path) -> None:
    printed = run(tree, "pytest", "-n", "0", *[each for each in python_files(MADE) if each.startswith("tests/")])
    assert " passed" in printed
    assert "failed" not in printed


def test_the_schema_and_the_pages_tell_of_it(tree: Path) -> None:
    assert run(tree, "server.cli", "schema", "diff") == ""
    assert run(tree, "server.cli", "catalogue", "check") == ""
    assert '\n  """Acme\'s Fleet (EU)."""\n  ACME_FLEET\n' in (tree / "schema.graphql").read_text()


def test_its_samples_are_decoded(tree: Path) -> None:
    folder = "tests/samples/acme-fleet"
    printed = run(tree, "server.cli", "decode", "acme-fleet", f"{folder}/vehicles.json")
    rows = [json.loads(each) for each in printed.splitlines()]
    assert [(each["kind"], each["source"]["externalId"], each["state"]) for each in rows] == [
        ("Vehicle", "v17", "MOVING"),
        ("Vehicle", "v18", "UNKNOWN"),
    ]
    fault = run(tree, "server.cli", "decode", "acme-fleet", f"{folder}/error.429.json", "--status", "429")
    assert (json.loads(fault)["outcome"], json.loads(fault)["code"]) == ("THROTTLED", "quota_exceeded")


def test_doctor_finds_it_well_when_the_sandbox_runs(tree: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--port", "0", "--only", "acme_fleet", "--state-dir", str(tmp_path)],
        cwd=tree, env={**os.environ, "PYTHONPATH": "src"}, stdout=subprocess.PIPE, text=True,
    ) as sandbox:  # fmt: skip
        try:
            assert sandbox.stdout is not None
            address = sandbox.stdout.readline().removeprefix("sandbox ready on ").strip()
            whole = (tree / "crossdock.sandbox.toml").read_text()
            own = "[[integrations]]" + whole.rpartition("[[integrations]]")[2]
            config = tmp_path / "crossdock.toml"
            config.write_text(own.replace("http://127.0.0.1:8100", address))
            printed = run(tree, "server.cli", "doctor", "--config", str(config))
        finally:
            sandbox.terminate()
    assert "): Acme's Fleet (EU), 48 vehicles (" in printed
    assert printed.endswith("Everything works.\n")


# --- what it refuses


FORM = "write small letters, digits and single dashes, a letter first, at most 30 characters, such as"
TITLE = "write letters, digits, blanks and any of . , & + / ( ) ' - in one line, at most 40 characters"
TAKEN = "is there already; choose another name, or remove it"
WORD = "is a word of Python or of the code that is made; choose a longer name, such as"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("traccar", {}, "there is a system traccar already (src/unified/values.py); choose another name"),
        ("acme-fleet", {}, f"src/connectors/acme_fleet {TAKEN}"),
        ("kit", {}, f"src/connectors/kit {TAKEN}"),
        ("world", {}, f"sandbox/world {TAKEN}"),
        ("control", {}, f"sandbox/control.py {TAKEN}"),
        ("Acme Fleet", {}, f"'Acme Fleet' is no name of a system: {FORM} acme-fleet"),
        ("4-acme_fleet-", {}, f"'4-acme_fleet-' is no name of a system: {FORM} acme-fleet"),
        ("../x", {}, f"'../x' is no name of a system: {FORM} x"),
        ("…", {}, f"'…' is no name of a system: {FORM} acme-fleet"),
        ("a" * 31, {}, f"'{'a' * 31}' is no name of a system: {FORM} {'a' * 30}"),
        ("class", {}, f"'class' {WORD} class-api"),
        ("none", {}, f"'none' {WORD} none-api"),
        ("connector", {}, f"'connector' {WORD} connector-api"),
        ("httpx", {}, f"'httpx' {WORD} httpx-api"),
        ("acme", {"title": "The `Fleet`"}, f"'The `Fleet`' is no title: {TITLE}"),
        ("acme", {"title": "A\nB"}, f"'A\\nB' is no title: {TITLE}"),
        ("acme", {"title": ""}, f"'' is no title: {TITLE}"),
        ("acme", {"kind": "boms"}, f"there is no template for 'boms'; write one of {', '.join(kinds())}: "
         "the nearest one, and bend it"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused_and_nothing_is_written(
    tree: Path, monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, str], message: str
) -> None:
    monkeypatch.setattr(scaffold, "checkout", lambda: tree)
    there = sorted(tree.rglob("*"))
    with pytest.raises(ScaffoldFault) as caught:
        scaffold.scaffold(name, **options)
    assert str(caught.value) == message
    assert sorted(tree.rglob("*")) == there


def test_a_place_that_is_gone_is_told_before_anything_is_written(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in ("src/unified/values.py", "src/graph/enums.py", "crossdock.sandbox.toml"):
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tree / each, tmp_path / each)
    enums = tmp_path / "src/graph/enums.py"
    enums.write_text(enums.read_text().replace("(System,", "(Systems,"))
    there = texts(tmp_path)
    monkeypatch.setattr(scaffold, "checkout", lambda: tmp_path)
    with pytest.raises(ScaffoldFault, match=r"src/graph/enums.py: the descriptions of System is not where it used to"):
        scaffold.scaffold("acme")
    assert texts(tmp_path) == there


def test_without_a_checkout_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "lib" / "site-packages" / "server" / "scaffold.py"
    monkeypatch.setattr(scaffold, "__file__", str(installed))
    with pytest.raises(ScaffoldFault) as caught:
        scaffold.scaffold("acme")
    assert str(caught.value) == (
        f"a scaffold is added to a checkout of Crossdock, and {installed.parent} is in none; "
        "clone the repository and run `make scaffold system=NAME` there"
    )


def test_the_command_says_what_was_wrong_and_fails(tree: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "server.cli", "scaffold", "Acme"],
        cwd=tree, env={**os.environ, "PYTHONPATH": "src"}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("'Acme' is no name of a system: ")


# --- every kind


def longest(kind: str) -> tuple[str, str]:
    """The longest name and title that are taken."""
    return f"{kind}-{'x' * 30}"[:LONGEST_NAME], f"{kind} {'W' * 40}"[:LONGEST_TITLE]


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_has_all_its_parts(kind: str) -> None:
    name, title = longest(kind)
    for path, text in scaffold._files(name, title, kind).items():
        assert "@@" not in text, path
        if path.suffix == ".py":
            assert ast.get_docstring(ast.parse(text)), path
        elif path.suffix == ".json":
            json.loads(text)


@pytest.mark.peers
@pytest.mark.timeout(600)
def test_every_kind_passes_all_checks(tmp_path: Path) -> None:
    """All of them in one checkout, under the longest names."""
    tree = copied(tmp_path)
    for kind in kinds():
        name, title = longest(kind)
        run(tree, "server.cli", "scaffold", name, "--title", title, "--kind", kind)
    packages = [longest(kind)[0].replace("-", "_") for kind in kinds()]
    own = [str(each.relative_to(tree)) for each in tree.rglob("*.py") if any(one in str(each) for one in packages)]
    assert len(own) == 11 * len(kinds())
    run(tree, "ruff", "check", "--no-cache", *own)
    run(tree, "ruff", "format", "--no-cache", "--check", *own)
    run(tree, "mypy", "--cache-dir", os.devnull, *[part for each in packages for part in ("-p", f"connectors.{each}")])
    run(tree, "pyright", "--pythonpath", sys.executable, *[each for each in own if not each.startswith("tests/")])
    assert "no connector imports another KEPT" in run_imports(tree, "importlinter.cli", "--no-cache")
    assert run(tree, "server.cli", "schema", "diff") == ""
    run(tree, "pytest", "-n", "0", "--timeout", "300", *[each for each in own if each.startswith("tests/")])
