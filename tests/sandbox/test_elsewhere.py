"""The sandbox on other ports: its configuration names none of the usual ones."""

import re
import tomllib
from pathlib import Path

import pytest

from runtime.settings import load
from sandbox import elsewhere
from sandbox.elsewhere import PORTS, configuration, free_ports


def test_free_ports_are_different_ones() -> None:
    assert len(set(free_ports(20))) == 20


def test_the_configuration_names_the_given_ports_and_files_only(tmp_path: Path) -> None:
    ports = {flag: 40_001 + number for number, flag in enumerate(PORTS)}
    text = configuration(ports, tmp_path, 40_100)
    assert {int(each) for each in re.findall(r"127\.0\.0\.1:(\d+)", text)} == set(ports.values())
    assert "var/sandbox" not in text
    trackers = [each for each in tomllib.loads(text)["integrations"] if each["system"] == "gt02"]
    assert [each["settings"]["port"] for each in trackers] == [40_100]
    config = tmp_path / "crossdock.toml"
    config.write_text(text)
    settings = load(config, {})
    assert settings.store.url == f"sqlite:///{tmp_path}/crossdock.db"
    assert len(settings.integrations) == len(load(elsewhere.CONFIG, {}).integrations)


@pytest.mark.parametrize("more", ['base_url = "http://127.0.0.1:8999"', 'file = "../var/sandbox/x"'])
def test_what_it_does_not_know_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str) -> None:
    other = tmp_path / "other.toml"
    other.write_text(f"{elsewhere.CONFIG.read_text()}\n{more}\n")
    monkeypatch.setattr(elsewhere, "CONFIG", other)
    with pytest.raises(ValueError, match=r"names what sandbox/elsewhere.py does not know"):
        configuration(dict.fromkeys(PORTS, 40_000), tmp_path, 40_100)
