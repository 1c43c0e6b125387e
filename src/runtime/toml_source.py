"""TOML text that knows on which line each of its keys stands, for messages that people can click on."""

import re
import tomllib
from pathlib import Path
from typing import Any

KeyPath = tuple[str | int, ...]

_PART = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"^\s*(\[\[?)\s*({_DOTTED})\s*\]\]?")
_KEY = re.compile(rf"^\s*({_DOTTED})\s*=\s*(.*)$")
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'[^']*'")


class TomlSource:
    """A file's name, its tables and the lines of its keys. Raises `tomllib.TOMLDecodeError` for broken TOML."""

    def __init__(self, path: Path | None, text: str) -> None:
        self.path = path
        self.tables: dict[str, Any] = tomllib.loads(text)
        self._lines = _lines(text)

    def where(self, path: KeyPath) -> str:
        """`file:line` of the key, or of the closest table around it that has a line."""
        if self.path is None:
            return "settings"
        return f"{self.path}:{self.line(path)}"

    def line(self, path: KeyPath) -> int:
        """The line of the key, from 1; 1 for what stands nowhere."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))


def _lines(text: str) -> dict[KeyPath, int]:
    """The first line of every table and key. What stands inside a value has the line of its key."""
    found: dict[KeyPath, int] = {}
    counts: dict[KeyPath, int] = {}
    table: KeyPath = ()
    depth = 0
    closing: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if closing is not None:
            if closing in line:
                closing = None
            continue
        rest = line
        if depth == 0:
            if header := _HEADER.match(line):
                table = _resolve(_parts(header[2]), counts, array=header[1] == "[[")
                found.setdefault(table, number)
                continue
            key = _KEY.match(line)
            if key is None:
                continue
            path = table + _parts(key[1])
            for length in range(len(table) + 1, len(path) + 1):
                found.setdefault(path[:length], number)
            rest = key[2]
        closing = _opens(rest)
        bare = _QUOTED.sub("", rest).split("#", 1)[0]
        if closing is None:
            depth += sum(bare.count(each) for each in "[{") - sum(bare.count(each) for each in "]}")
    return found


def _resolve(parts: tuple[str, ...], counts: dict[KeyPath, int], *, array: bool) -> KeyPath:
    """The path of a header: `[integrations.credentials]` belongs to the last of the `[[integrations]]`."""
    path: KeyPath = ()
    for position, part in enumerate(parts):
        path = (*path, part)
        if array and position == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _opens(value: str) -> str | None:
    """The delimiter of a text of several lines that starts in `value` and does not end there."""
    for delimiter in ('"""', "'''"):
        if value.count(delimiter) == 1:
            return delimiter
    return None
