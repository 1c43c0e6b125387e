"""Documents by their id: Apollo's automatic ones, and trusted ones from a folder."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from graph.engine.documents import RequestRefused
from graph.engine.persisted import BadManifest, PersistedDocuments, read_folder
from graph.engine.request import GraphQLRequest

TEXT = "{ __typename }"
OTHER = "{ items { nodes { id } } }"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def automatic(text: str | None, of: str = TEXT, **more: Any) -> GraphQLRequest:
    return GraphQLRequest(query=text, extensions={"persistedQuery": {"version": 1, "sha256Hash": digest(of)} | more})


def code(documents: PersistedDocuments, request: GraphQLRequest) -> str:
    with pytest.raises(RequestRefused) as caught:
        documents.text(request)
    extensions: Any = caught.value.errors[0].extensions
    return f"{caught.value.stage}/{extensions['code']}"


def test_an_automatic_document_is_asked_for_once_and_known_from_then_on() -> None:
    documents = PersistedDocuments()
    assert code(documents, automatic(None)) == "documents/PERSISTED_QUERY_NOT_FOUND"
    assert documents.text(automatic(TEXT)) == TEXT
    assert code(documents, automatic(None)) == "documents/PERSISTED_QUERY_NOT_FOUND"  # not proved valid yet
    documents.proved(automatic(TEXT), TEXT)
    assert documents.text(automatic(None)) == TEXT


def test_a_hash_of_another_document_poisons_nothing() -> None:
    documents = PersistedDocuments()
    assert code(documents, automatic(OTHER)) == "request/BAD_REQUEST"
    assert code(documents, automatic(None)) == "documents/PERSISTED_QUERY_NOT_FOUND"


@pytest.mark.parametrize(
    "given", [1, [], {}, {"version": 2, "sha256Hash": digest(TEXT)}, {"version": 1}, {"version": 1, "sha256Hash": "x"}]
)
def test_a_malformed_hash_is_a_bad_request(given: Any) -> None:
    request = GraphQLRequest(query=TEXT, extensions={"persistedQuery": given})
    assert code(PersistedDocuments(), request) == "request/BAD_REQUEST"


def test_the_least_used_documents_are_forgotten_when_there_are_too_many() -> None:
    documents = PersistedDocuments()
    texts = [f"# {n}{'x' * 1_000_000}" for n in range(5)]
    for text in texts[:4]:
        documents.proved(automatic(text, text), text)
    assert documents.text(automatic(None, texts[0])) == texts[0]
    documents.proved(automatic(texts[4], texts[4]), texts[4])
    assert documents.text(automatic(None, texts[0])) == texts[0]
    assert code(documents, automatic(None, texts[1])) == "documents/PERSISTED_QUERY_NOT_FOUND"


def test_only_trusted_refuses_all_others() -> None:
    documents = PersistedDocuments({"a": TEXT, digest(TEXT): TEXT}, only_trusted=True)
    assert documents.text(GraphQLRequest(document_id="a")) == TEXT
    assert documents.text(GraphQLRequest(query=TEXT)) == TEXT
    assert documents.text(automatic(None)) == TEXT
    assert code(documents, GraphQLRequest(query=OTHER)) == "documents/DOCUMENT_NOT_TRUSTED"
    assert code(documents, automatic(OTHER, OTHER)) == "documents/DOCUMENT_NOT_TRUSTED"
    assert code(documents, automatic(None, OTHER)) == "documents/PERSISTED_QUERY_NOT_SUPPORTED"
    assert code(documents, GraphQLRequest(document_id="b")) == "documents/DOCUMENT_NOT_FOUND"


def test_without_automatic_documents_clients_are_told_to_send_the_text() -> None:
    documents = PersistedDocuments(automatic=False)
    assert code(documents, automatic(None)) == "documents/PERSISTED_QUERY_NOT_SUPPORTED"
    assert documents.text(automatic(TEXT)) == TEXT


def test_a_folder_is_read_in_all_three_forms(tmp_path: Path) -> None:
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "Items.graphql").write_text(OTHER)
    (tmp_path / "relay.json").write_text(json.dumps({"md5-of-relay": TEXT}))
    operation = {"id": "apollo-id", "name": "T", "type": "query", "body": "{ t: __typename }"}
    manifest = {"format": "apollo-persisted-query-manifest", "version": 1, "operations": [operation]}
    (tmp_path / "apollo.json").write_text(json.dumps(manifest))
    found = read_folder(tmp_path)
    for key in ("Items", "list/Items", digest(OTHER), f"sha256:{digest(OTHER)}"):
        assert found[key] == OTHER
    assert found["md5-of-relay"] == found[digest(TEXT)] == TEXT
    assert found["apollo-id"] == found[f"sha256:{digest('{ t: __typename }')}"] == "{ t: __typename }"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[", "is not JSON"),
        ("[]", "neither Relay's map"),
        ('{"a": 1}', "neither Relay's map"),
        ('{"format": "apollo-persisted-query-manifest", "operations": [{"id": 1}]}', "needs a text `id`"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_named(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(BadManifest, match=why) as caught:
        read_folder(tmp_path)
    assert "bad.json" in str(caught.value)


def test_two_documents_of_one_id_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"x": TEXT}))
    (tmp_path / "b.json").write_text(json.dumps({"x": OTHER}))
    with pytest.raises(BadManifest, match="names another document already"):
        read_folder(tmp_path)
