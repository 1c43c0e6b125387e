"""Reads `crossdock.toml` and the environment into `Settings`; a wrong file is refused with all of its faults.

A fault reads `file:line: key: what is wrong; write … instead`. Relative paths are relative to the file.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from runtime.settings_model import (
    ApiKeySettings,
    AuthSettings,
    IntegrationSettings,
    JwtSettings,
    LinkSettings,
    Named,
    OrganisationSettings,
    SecretText,
    ServerSettings,
    Settings,
    StoreSettings,
)
from runtime.settings_reader import Reader
from runtime.toml_source import TomlSource

__all__ = [
    "ApiKeySettings",
    "AuthSettings",
    "IntegrationSettings",
    "JwtSettings",
    "LinkSettings",
    "Named",
    "OrganisationSettings",
    "SecretText",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "StoreSettings",
    "load",
]


class SettingsError(Exception):
    """The settings cannot be used. `faults` has one line for each thing that is wrong."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of a file (null: the defaults) with the overrides of the environment. Raises `SettingsError`."""
    text = ""
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            reason = error.strerror or str(error)
            raise SettingsError(
                (f"{path}: cannot be read ({reason}); write the path of a crossdock.toml instead",)
            ) from error
        except UnicodeDecodeError as error:
            raise SettingsError((f"{path}: is not UTF-8; save the file as UTF-8 instead",)) from error
    try:
        source = TomlSource(path, text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"\(at line (\d+)", str(error))
        number = int(line[1]) if line else len(text.splitlines())  # or "at end of document"
        raise SettingsError((f"{path}:{number}: is not TOML: {error}; write key = value lines instead",)) from error
    reader = Reader(source, environ)
    settings = reader.settings()
    if settings is None or reader.faults:
        raise SettingsError(tuple(reader.faults))
    return settings
