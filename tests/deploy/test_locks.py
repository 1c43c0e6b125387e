"""Nothing is installed but what was locked, by its hash, whatever a registry gives."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON_LOCKS = ("requirements.lock", "requirements-dev.lock")
NODE_LOCKS = ("web/package-lock.json", "tests/conformance/package-lock.json")


@pytest.mark.parametrize("name", PYTHON_LOCKS)
def test_each_python_package_is_locked_by_its_hashes(name: str) -> None:
    wanted = re.sub(r"\\\n", " ", (ROOT / name).read_text())
    rows = [row for row in wanted.splitlines() if row.strip() and not row.startswith("#")]
    assert len(rows) > 20
    for row in rows:
        assert re.match(r"^[A-Za-z0-9._-]+(\[[^\]]+\])?==\S+", row), row
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", row), row


@pytest.mark.parametrize("name", NODE_LOCKS)
def test_each_package_of_node_is_locked_by_its_hash(name: str) -> None:
    packages = {key: each for key, each in json.loads((ROOT / name).read_text())["packages"].items() if key}
    assert len(packages) > 20
    for key, package in packages.items():
        assert package["integrity"].startswith("sha512-"), key


@pytest.mark.parametrize("name", [*PYTHON_LOCKS, *NODE_LOCKS])
def test_the_locks_name_no_registry(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "index-url" not in text
    assert '"resolved"' not in text


@pytest.mark.parametrize("name", ["Makefile", "Dockerfile"])
def test_nothing_is_installed_but_what_is_locked(name: str) -> None:
    """pip by `--require-hashes`, but for the project itself; npm by `ci`, which changes no lock."""
    text = (ROOT / name).read_text()
    lines = re.findall(r".*\bpip install\b.*", text)
    locked = [line for line in lines if re.search(r"--require-hashes -r requirements(-dev)?\.lock$", line)]
    assert len(locked) == 1
    for line in lines:
        assert line in locked or line.endswith("--no-deps -e ."), line
    assert not re.search(r"\bnpm (install|i|add)\b", text)


def test_no_package_of_node_runs_a_program_when_it_is_installed() -> None:
    assert "npm ci --ignore-scripts" in (ROOT / "Dockerfile").read_text()
    for name in ("web/build.py", "tests/conformance/__main__.py"):
        assert '"ci", "--ignore-scripts"' in (ROOT / name).read_text(), name


def test_the_image_does_not_run_as_root() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    users = [line for line in lines if line.startswith("USER ")]
    assert users == ["USER 10001"]
    assert lines.index("USER 10001") < next(n for n, line in enumerate(lines) if line.startswith("CMD "))
