"""What stands around the server: the image, the compose file, the balancer, the settings of the replicas."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.settings import load

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)


def test_the_first_run_says_that_it_takes_a_while_before_it_does(tmp_path: Path) -> None:
    """In a checkout without an environment; its Python is one that tells what it was called for."""
    for name in ("Makefile", "pyproject.toml", "requirements-dev.lock"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "python $1 $2"\n[ "$1" = -c ]\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "--silent", "run", f"PYTHON={python}"],
        cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    version, told, then = done.stdout.splitlines()
    assert version.startswith("python -c import sys")
    assert "about a minute" in told
    assert then == "python -m venv"


def test_the_compose_file_fits_the_specification() -> None:
    done = _run(
        str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "--no-cache", "docker-compose.yml"
    )
    assert done.returncode == 0, done.stdout


def test_the_dockerfile_passes_its_linter() -> None:
    done = _run(str(BIN / "hadolint"), "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")


def test_the_balancer_takes_its_configuration() -> None:
    if shutil.which("haproxy") is None:
        pytest.skip("haproxy is not installed")
    done = _run("haproxy", "-c", "-f", "deploy/haproxy.cfg")
    assert done.returncode == 0, done.stderr


def test_all_that_the_image_copies_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    named = [name for line in lines for name in line.split()]
    assert "sandbox" in named
    for name in named:
        assert (ROOT / name).exists(), name
        assert name not in ignored, name


@pytest.mark.parametrize("profile", ["sandbox", "scale"])
def test_a_profile_has_all_that_it_depends_on(profile: str) -> None:
    mine = {name for name, service in SERVICES.items() if profile in service["profiles"]}
    for name in mine:
        assert set(SERVICES[name].get("depends_on", {})) <= mine, name
        network = SERVICES[name].get("network_mode", "")
        if network.startswith("service:"):
            assert network.removeprefix("service:") in mine
    assert {"sandbox": {"vendors", "server", "door"}, "scale": {"replica", "balancer", "postgres", "redis", "kafka"}}[
        profile
    ] == mine


def test_mounted_files_exist_and_no_secret_has_a_default() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            place = volume.split(":")[0]
            if place.startswith("./"):
                assert (ROOT / place).is_file(), place
            else:
                assert place in COMPOSE["volumes"]
        for value in service.get("environment", {}).values():
            for default in re.findall(r"\$\{[A-Z_]+:-(.*?)\}", value):
                assert default == ""


def test_the_replicas_settings_are_refused_without_their_secrets_and_read_with_them() -> None:
    path = ROOT / "deploy" / "scale.toml"
    environment = {
        "CROSSDOCK_HOST": "0.0.0.0",
        "CROSSDOCK_DATABASE_URL": "postgresql://crossdock:secret@postgres:5432/crossdock",
        "CROSSDOCK_API_KEY": "a-key-of-twenty-characters-or-more",
        "CROSSDOCK_CURSOR_KEY": "0123456789abcdef0123456789abcdef",
    }
    settings = load(path, environment)
    assert settings.auth is not None
    assert [each.name for each in settings.auth.api_keys] == ["first"]
    with pytest.raises(Exception, match="CROSSDOCK_API_KEY"):
        load(path, {**environment, "CROSSDOCK_API_KEY": ""})
