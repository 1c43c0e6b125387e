"""`crossdock scaffold`: a connector for a new vendor system, with stand-in, tests, samples and docs, in a checkout.

What it makes works as it is, against its own stand-in, for a small generic REST vendor; the engineer then bends it at
the places marked `Bend`. Most of a system is found by convention (its package, its stand-in, its docs page); what has
to be told are the enumeration of systems, its description in the graph and the sandbox's configuration.

Templates are text: `every/` mirrors the checkout, `kinds/<plural>.txt` has the parts that differ by kind of record,
each after a line `=== name`. `PACKAGE`, `SYSTEM` and `KIND` in paths and `@@name@@` in texts are replaced.
"""

import ast
import keyword
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from connectors.kit.protocols import LISTINGS
from unified.records import BY_KIND
from unified.values import System

TEMPLATES: Final = Path(__file__).with_name("templates")
LONGEST_NAME: Final = 30
LONGEST_TITLE: Final = 40
SECONDS: Final = 120.0
"""Longest wait for one of the tools that are run."""
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_TITLE: Final = re.compile(r"\w(?:[\w .,&+/()'-]*[\w).])?")
_PLACEHOLDER: Final = re.compile(r"@@(\w+)@@")
_SECTION: Final = re.compile(r"^=== (.+)\n", re.MULTILINE)

VALUES: Final = Path("src/unified/values.py")
ENUMS: Final = Path("src/graph/enums.py")
SANDBOX: Final = Path("crossdock.sandbox.toml")
_SYSTEMS: Final = re.compile(r'(class System\(Enum\):\n(?:.*\n)*?(?: {4}[A-Z][A-Z0-9_]* = "[a-z0-9-]+"\n)+)')
_DESCRIPTIONS: Final = re.compile(r"(\n    \(System, .*\{\n(?:        .*\n)+)")


class ScaffoldFault(Exception):
    """Nothing was written, unless the message says otherwise; it says what to do."""


def kinds() -> list[str]:
    """The kinds of record that there are templates for, as `--kind` takes them."""
    return sorted(each.stem for each in (TEMPLATES / "kinds").glob("*.txt"))


def checkout() -> Path:
    """The checkout that this code runs from. Raises `ScaffoldFault` for an installed package."""
    root = Path(__file__).resolve().parents[2]
    needed = ("pyproject.toml", VALUES, ENUMS, SANDBOX, "sandbox/standin.py", "tests/connectors/contract.py")
    if not all((root / each).exists() for each in needed):
        raise ScaffoldFault(
            f"a scaffold is added to a checkout of Crossdock, and {Path(__file__).parent} is in none; "
            "clone the repository and run `make scaffold system=NAME` there"
        )
    return root


def scaffold(name: str, *, title: str | None = None, kind: str = "vehicles") -> list[Path]:
    """Makes the system and gives the files written, relative to the checkout. Everything is checked beforehand."""
    root = checkout()
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:LONGEST_NAME].rstrip("-")
        raise ScaffoldFault(
            f"{name!r} is no name of a system: write small letters, digits and single dashes, a letter first, "
            f"at most {LONGEST_NAME} characters, such as {better or 'acme-fleet'}"
        )
    title = name.replace("-", " ").title() if title is None else title
    if len(title) > LONGEST_TITLE or not _TITLE.fullmatch(title):
        raise ScaffoldFault(
            f"{title!r} is no title: write letters, digits, blanks and any of . , & + / ( ) ' - in one line, "
            f"at most {LONGEST_TITLE} characters"
        )
    if name in [each.value for each in System]:
        raise ScaffoldFault(f"there is a system {name} already ({VALUES}); choose another name")
    if kind not in kinds():
        raise ScaffoldFault(
            f"there is no template for {kind!r}; write one of {', '.join(kinds())}: the nearest one, and bend it"
        )
    made = _files(name, title, kind)
    package = _package(name)
    # a directory or module of another kind under the name (`kit`, `world`, `control`) is in the way as well
    places = [Path("src/connectors", package), Path("sandbox", package), Path("sandbox", f"{package}.py"), *made]
    taken = next((each for each in places if (root / each).exists()), None)
    if taken is not None:
        raise ScaffoldFault(f"{taken} is there already; choose another name, or remove it")
    words, code = (_class(name), package), [text for path, text in made.items() if path.suffix == ".py"]
    if any(map(keyword.iskeyword, words)) or any(_bound(text, word) > 1 for word in words for text in code):
        raise ScaffoldFault(
            f"{name!r} is a word of Python or of the code that is made; choose a longer name, such as {name}-api"
        )
    edited = _edits(root, name, title)
    for path, text in (made | edited).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    modules = [str(path) for path in made if path.suffix == ".py"]
    _run(root, "ruff", "check", "--select", "I", "--fix", "--quiet", *modules)
    _run(root, "ruff", "format", "--quiet", *modules)
    _run(root, "server.cli", "schema", "export")
    _run(root, "server.cli", "catalogue", "write")
    return [*made, *edited, Path("schema.graphql")]


def _package(name: str) -> str:
    return name.replace("-", "_")


def _class(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def _files(name: str, title: str, kind: str) -> dict[Path, str]:
    """The new files and their texts, before they are formatted."""
    values = _values(name, title, kind)
    made: dict[Path, str] = {}
    for template in (TEMPLATES / "every").rglob("*.txt"):
        path = str(template.relative_to(TEMPLATES / "every").with_suffix(""))
        for token, word in (("PACKAGE", values["package"]), ("SYSTEM", name), ("KIND", kind)):
            path = path.replace(token, word)
        made[Path(path)] = _filled(template.read_text(encoding="utf-8"), values)
    return dict(sorted(made.items()))


def _values(name: str, title: str, kind: str) -> dict[str, str]:
    """What the placeholders stand for."""
    listing = next(each for each in LISTINGS.values() if each.plural == kind.replace("-", "_"))
    facts = {
        "system": name,
        "package": _package(name),
        "Class": _class(name),
        "ENUM": _package(name).upper(),
        "title": title,
        "KIND": listing.kind.name,
        "Record": BY_KIND[listing.kind].__name__,
        "Filter": listing.filter.__name__,
        "plural": listing.plural,
        "path": kind,
        "singular": re.sub(r"(?<=[a-z])(?=[A-Z])", "_", listing.kind.value).lower(),
        "things": kind.replace("-", " "),
    }
    pieces = _SECTION.split((TEMPLATES / "kinds" / f"{kind}.txt").read_text(encoding="utf-8"))[1:]
    sections = zip(pieces[::2], pieces[1::2], strict=True)
    return facts | {section.replace(" ", "_"): _filled(text, facts).rstrip("\n") for section, text in sections}


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda hit: values[hit[1]], text)


def _bound(code: str, word: str) -> int:
    """How often a module gives something that name: more than once and one hides the other."""
    count = 0
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.ImportFrom(names=names) | ast.Import(names=names):
                count += sum((each.asname or each.name) == word for each in names)
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                count += name == word
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                count += name == word
    return count


def _edits(root: Path, name: str, title: str) -> dict[Path, str]:
    """The registration: files of the checkout with the system added to them."""
    member = _package(name).upper()
    return {
        VALUES: _added(root, VALUES, _SYSTEMS, f'    {member} = "{name}"\n', "the enumeration System"),
        ENUMS: _added(root, ENUMS, _DESCRIPTIONS, f'        "{member}": "{title}.",\n', "the descriptions of System"),
        SANDBOX: _with_integration((root / SANDBOX).read_text(encoding="utf-8"), name),
    }


def _added(root: Path, path: Path, place: re.Pattern[str], line: str, what: str) -> str:
    text = (root / path).read_text(encoding="utf-8")
    found = place.search(text)
    if found is None:
        raise ScaffoldFault(f"{path}: {what} is not where it used to be; mend {Path(__file__).name}")
    return text[: found.end(1)] + line + text[found.end(1) :]


def _with_integration(text: str, name: str) -> str:
    """The sandbox's configuration with an integration of the new system at its end."""
    taken = {each["key"] for each in tomllib.loads(text)["integrations"]}
    key = name if name not in taken else f"{name}-sandbox"
    return (
        f'{text.rstrip()}\n\n[[integrations]]\nkey = "{key}"\nsystem = "{name}"\n'
        f'base_url = "http://127.0.0.1:8100/{name}"\n[integrations.credentials]\n'
        f'client_id = "sandbox-{name}-client"\nclient_secret = "sandbox-{name}-secret"\n'
    )


def _run(root: Path, module: str, *arguments: str) -> None:
    """A tool of the checkout. Raises `ScaffoldFault` with what it said."""
    command: Sequence[str] = (sys.executable, "-m", module, *arguments)
    environ = {**os.environ, "PYTHONPATH": str(root / "src")}
    try:
        done = subprocess.run(  # noqa: S603 - our own tools, with names that were checked
            command, cwd=root, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ScaffoldFault(f"the files are written, but {module} did not end within {SECONDS:g} s") from None
    if done.returncode:
        said = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-8:])
        raise ScaffoldFault(
            f"the files are written, but `{module} {arguments[0]}` failed; mend it, then run "
            f"`make format` and `make schema`:\n{said}"
        )
