"""Documents by their id: trusted ones from a folder, automatic ones as clients register them.

Trusted: `documentId` of the request (or Apollo's hash) names a document that was read at start. Three forms of
files are read: `*.graphql` (ids: `sha256:<hex>` of the text, the hex alone, and the file's name), Relay's
`persisted_queries.json` (id → text) and Apollo's manifest (`apollo-persisted-query-manifest`).

Automatic (Apollo's protocol): `extensions.persistedQuery.sha256Hash` names a document; unknown ones are asked
for, and kept once they have proved valid, least used first out.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from graphql import GraphQLError

from graph.engine.documents import RequestRefused
from graph.engine.request import GraphQLRequest

_HEX = re.compile(r"^[0-9a-f]{64}$")
KEPT_CHARACTERS = 4 << 20
OVERHEAD = 300
"""Characters that an automatic document counts for beside its text: many small ones take memory, too."""
LONGEST_ID = 300


class BadManifest(Exception):
    """A file of trusted documents that cannot be used; says which and why."""


class PersistedDocuments:
    """`trusted`: id → text. `only_trusted` refuses every other document. `automatic` takes Apollo's."""

    def __init__(
        self, trusted: Mapping[str, str] | None = None, *, only_trusted: bool = False, automatic: bool = True
    ) -> None:
        self._trusted = dict(trusted or {})
        self._texts = frozenset(self._trusted.values())
        self._only_trusted, self._automatic = only_trusted, automatic
        self._known: OrderedDict[str, str] = OrderedDict()
        self._characters = 0

    def text(self, request: GraphQLRequest) -> str:
        """The document that a request means. Raises `RequestRefused`."""
        if request.document_id is not None:
            return self._by_id(request.document_id)
        digest = self._digest(request)
        if digest is not None:
            return self._by_digest(digest, request.query)
        if request.query is None:
            raise _refused("the request has no `query`", "BAD_REQUEST", "request")
        return self._allowed(request.query)

    def peek(self, request: GraphQLRequest) -> str | None:
        """The document that a request will mean; null where it will be refused."""
        try:
            return self.text(request)
        except RequestRefused:
            return None

    def proved(self, request: GraphQLRequest, text: str) -> None:
        """The document is valid: an automatic one is kept from now on."""
        digest = self._digest(request)
        if digest is None or not self._automatic or request.query is None or digest in self._known:
            return
        self._known[digest] = text
        self._characters += len(text) + OVERHEAD
        while self._characters > KEPT_CHARACTERS:
            _, oldest = self._known.popitem(last=False)
            self._characters -= len(oldest) + OVERHEAD

    def _by_id(self, given: str) -> str:
        found = self._trusted.get(given) if len(given) <= LONGEST_ID else None
        if found is None:
            raise _refused(f"there is no document {given[:80]!r} here", "DOCUMENT_NOT_FOUND", "documents")
        return found

    def _by_digest(self, digest: str, query: str | None) -> str:
        if query is not None:
            if hashlib.sha256(query.encode()).hexdigest() != digest:
                raise _refused("`sha256Hash` is not the hash of `query`", "BAD_REQUEST", "request")
            return self._allowed(query)
        found = self._trusted.get(digest)
        if found is None and self._automatic and digest in self._known:
            self._known.move_to_end(digest)
            found = self._allowed(self._known[digest])
        if found is not None:
            return found
        if not self._automatic or self._only_trusted:
            raise _refused("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED", "documents")
        raise _refused("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND", "documents")

    def _allowed(self, text: str) -> str:
        if self._only_trusted and text not in self._texts:
            raise _refused(
                "only documents that were registered here are answered; send their `documentId`",
                "DOCUMENT_NOT_TRUSTED",
                "documents",
            )
        return text

    @staticmethod
    def _digest(request: GraphQLRequest) -> str | None:
        given = request.extensions.get("persistedQuery")
        if given is None:
            return None
        if not isinstance(given, dict) or given.get("version") != 1:
            raise _refused("`persistedQuery` is an object with `version` 1", "BAD_REQUEST", "request")
        digest = given.get("sha256Hash")
        if not isinstance(digest, str) or not _HEX.match(digest):
            raise _refused("`sha256Hash` is 64 hexadecimal digits in lower case", "BAD_REQUEST", "request")
        return digest


def _refused(message: str, code: str, stage: str) -> RequestRefused:
    return RequestRefused([GraphQLError(message, extensions={"code": code})], stage)


def read_folder(folder: Path) -> dict[str, str]:
    """All trusted documents of a folder, by all of their ids. Raises `BadManifest`."""
    if not folder.is_dir():
        raise BadManifest(f"{folder}: there is no such folder of documents")
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".graphql", ".gql"):
            text = _read(path)
            _add(found, path, {path.stem: text, path.relative_to(folder).with_suffix("").as_posix(): text})
            _add(found, path, _hashes(text))
        elif path.suffix == ".json":
            _add(found, path, _manifest(path))
    return found


def _add(found: dict[str, str], path: Path, more: Mapping[str, str]) -> None:
    for key, text in more.items():
        if found.get(key, text) != text:
            raise BadManifest(f"{path}: the id {key!r} names another document already")
        found[key] = text


def _hashes(text: str) -> dict[str, str]:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {digest: text, f"sha256:{digest}": text}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise BadManifest(f"{path}: cannot be read ({fault})") from None


def _manifest(path: Path) -> dict[str, str]:
    try:
        given: Any = msgspec.json.decode(_read(path))
    except msgspec.DecodeError as fault:
        raise BadManifest(f"{path}: is not JSON ({fault})") from None
    if isinstance(given, dict) and given.get("format") == "apollo-persisted-query-manifest":
        operations = given.get("operations")
        if not isinstance(operations, list) or not all(
            isinstance(each, dict) and isinstance(each.get("id"), str) and isinstance(each.get("body"), str)
            for each in operations
        ):
            raise BadManifest(f"{path}: each of Apollo's `operations` needs a text `id` and a text `body`")
        named: dict[str, str] = {each["id"]: each["body"] for each in operations}
    elif isinstance(given, dict) and all(isinstance(text, str) for text in given.values()):
        named = given
    else:
        raise BadManifest(f"{path}: is neither Relay's map of ids to documents nor Apollo's manifest")
    hashed: dict[str, str] = {}
    for text in named.values():
        hashed |= _hashes(text)
    return hashed | named
