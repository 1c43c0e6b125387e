"""Reads single values of the settings and notes what is wrong with them, with the place and a way out."""

import difflib
import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import msgspec

from runtime.settings_model import SecretText
from runtime.toml_source import KeyPath, TomlSource

S = TypeVar("S", bound=msgspec.Struct)
Special = Callable[[KeyPath, Any], Any]

WRONG = object()
"""Stands for a value that has a fault: the fault is noted, the struct around it is not made."""

_FORMS = '{ env = "NAME" } or { file = "/run/secrets/name" }'

_TYPE = re.compile(r"`([^`]*?)(?=[` ])`?")
_WORDS = {"str": "a text", "int": "a number", "float": "a number", "bool": "true or false", "array": "a list"}


class Values:
    """`faults` is in the order in which things were found. Paths of files are relative to the settings file."""

    def __init__(self, source: TomlSource, environ: Mapping[str, str]) -> None:
        self.faults: list[str] = []
        self.source = source
        self.environ = environ
        self.base = source.path.absolute().parent if source.path is not None else Path.cwd()

    def fault(self, path: KeyPath, what: str, write: str, *, where: str | None = None) -> None:
        """Notes that the key is wrong and what to write instead."""
        name = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        self.faults.append(f"{where or self.source.where(path)}: {name}: {what}; write {write} instead")

    def struct(
        self, path: KeyPath, table: dict[str, Any], into: type[S], *, hidden: Collection[str] = (), **special: Special
    ) -> S | None:
        """The table as a struct. Every field that is wrong or missing is a fault; null when there is one.

        A `special` function reads its field; `hidden` fields are no keys of the file.
        """
        fields = {each.name: each for each in msgspec.structs.fields(into) if each.name not in hidden}
        good = self.unknown(path, table, fields)
        values: dict[str, Any] = {}
        for name, field in fields.items():
            at = (*path, name)
            if name not in table:
                if field.required:
                    self.fault(path, f"{name} is missing", f"{name} = …")
                    good = False
                continue
            value = special[name](at, table[name]) if name in special else self.converted(at, table[name], field.type)
            good = good and value is not WRONG
            values[name] = value
        return into(**values) if good else None

    def unknown(self, path: KeyPath, table: Mapping[str, Any], allowed: Collection[str]) -> bool:
        """Notes every key that nobody reads; true when there is none."""
        strangers = [key for key in table if key not in allowed]
        for key in strangers:
            self.fault((*path, key), "there is no such key", nearest(key, allowed))
        return not strangers

    def table(self, path: KeyPath, raw: Any) -> dict[str, Any]:
        """The table, empty when it is none."""
        if isinstance(raw, dict):
            return raw
        self.fault(path, f"is {_kind(raw)}, not a table", "a table")
        return {}

    def tables(self, path: KeyPath, raw: Any) -> list[dict[str, Any]]:
        """The tables of an array of tables."""
        if isinstance(raw, list):
            return [self.table((*path, position), each) for position, each in enumerate(raw)]
        self.fault(path, f"is {_kind(raw)}, not a list of tables", f"[[{'.'.join(map(str, path))}]]")
        return []

    def converted(self, path: KeyPath, raw: Any, into: Any) -> Any:
        """The value as the type, or `WRONG`."""
        try:
            return msgspec.convert(raw, into)
        except msgspec.ValidationError as error:
            # " - at `$[0]`" goes: our own path says where
            words = str(error).split(" - at ")[0].replace("Expected", "must be").replace(", got", ", not")
            what = _TYPE.sub(lambda hit: _WORDS.get(hit[1], hit[1]), words)
            self.fault(path, what, _write_of(into))
            return WRONG

    def choice(self, path: KeyPath, raw: Any, choices: Mapping[str, Any], what: str) -> Any:
        """The value that a word stands for, or `WRONG` with the words that are known."""
        if isinstance(raw, str) and raw in choices:
            return choices[raw]
        self.fault(path, f"there is no {what} {raw!r}", nearest(str(raw), choices))
        return WRONG

    def secret(self, path: KeyPath, raw: Any) -> Any:
        """A secret from the environment, a file, or written plainly; `WRONG` when it is missing or empty."""
        match raw:
            case {"env": str() as name, **rest} if not rest:
                text = self.environ.get(name)
                if not text:
                    state = "not set" if text is None else "empty"
                    self.fault(path, f"the environment variable {name} is {state}", f"export {name}=…, or another name")
                    return WRONG
                plain = False
            case {"file": str() as name, **rest} if not rest:
                text = self._content(path, name)
                if text is None:
                    return WRONG
                plain = False
            case str():
                text, plain = raw, True
            case _:  # what was written stays out of the message: it may be the secret
                self.fault(path, f"is {_kind(raw)}, not a secret", _FORMS)
                return WRONG
        if not text:
            self.fault(path, "the secret is empty", _FORMS)
            return WRONG
        return SecretText(text, plain=plain)

    def file(self, path: KeyPath, raw: Any) -> Any:
        """The absolute path of a file that can be read, or `WRONG`."""
        if not isinstance(raw, str) or not raw:
            self.fault(path, f"is {_kind(raw)}, not a path", "the path of a file")
            return WRONG
        return self.base / raw if self._content(path, raw) is not None else WRONG

    def folder(self, path: KeyPath, raw: Any) -> Any:
        """The absolute path of a folder, or `WRONG`."""
        if not isinstance(raw, str) or not raw:
            self.fault(path, f"is {_kind(raw)}, not a path", "the path of a folder")
            return WRONG
        if not (self.base / raw).is_dir():
            self.fault(path, f"there is no folder {raw}", "the path of a folder")
            return WRONG
        return self.base / raw

    def url(self, path: KeyPath, raw: Any) -> Any:
        """An address with scheme and host and without credentials, or `WRONG`."""
        example = "an address like https://vendor.example"
        parts = _split(raw)
        if parts is None:
            self.fault(path, "is no address", example)
            return WRONG
        if parts.username is not None or parts.password is not None:
            self.fault(
                path, "has credentials in it, and addresses are logged", f"{example}, with the rest in credentials"
            )
            return WRONG
        return raw

    def _content(self, path: KeyPath, name: str) -> str | None:
        """The text of a file without the line break at its end."""
        try:
            return (self.base / name).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            self.fault(path, f"the file {name} cannot be read ({reason})", "the path of a file")
            return None


def nearest(word: str, known: Collection[str]) -> str:
    """What may have been meant: the nearest known word first, or all of them."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    if close and len(known) > 1:
        return f"{close[0]} (known: {', '.join(known)})"
    return f"one of {', '.join(known)}" if known else "nothing: there are none"


def loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _split(raw: Any) -> SplitResult | None:
    if not isinstance(raw, str):
        return None
    try:
        parts = urlsplit(raw)
        _ = parts.port
    except ValueError:  # a port that is no number, a bracket that is not closed
        return None
    return parts if parts.scheme and parts.hostname else None


def _kind(raw: Any) -> str:
    names = {str: "a text", bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "a table"}
    return names.get(type(raw), f"a {type(raw).__name__}")


def _write_of(into: Any) -> str:
    """The `extra` text of an annotated type, looked for in a union too."""
    for each in (into, *getattr(into, "__args__", ())):
        for meta in getattr(each, "__metadata__", ()):
            if isinstance(meta, msgspec.Meta) and meta.extra and "write" in meta.extra:
                return str(meta.extra["write"])
    return "a value of that type"
