"""`python -m tests.conformance root-fields`: Schemathesis over every root field.

Queries come from Schemathesis' GraphQL mode; subscriptions from the generator that it uses, asked as streams. Each
answer is checked by Schemathesis and against the GraphQL-over-HTTP specification.
"""

import json
import re
import sys
from collections.abc import Callable
from typing import Any

import graphql
import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import nodes, queries
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

EXAMPLES = 15
"""Generated operations for each root field."""
STREAM_SECONDS = 3.0
ACCEPT = "application/graphql-response+json"
_CODE = re.compile(r"^[A-Z][A-Z0-9_]{2,40}$")
_REFUSED = (400, 406)
_SCALARS = {
    "DateTime": st.datetimes().map(lambda moment: f"{moment.isoformat(timespec='seconds')}Z"),
    "Date": st.dates().map(lambda day: day.isoformat()),
    "Decimal": st.decimals(-1_000_000, 1_000_000, places=3).map(str),
    "JSON": st.text(max_size=20),
    "_Any": st.just("x"),
    "federation__FieldSet": st.just("id"),
    "federation__Scope": st.just("x"),
    "link__Import": st.just("x"),
}
Verdict = list[str]


def conforming(status: int, content_type: str, text: str) -> Verdict:
    """What an answer does wrong; empty when nothing."""
    if not content_type.startswith(ACCEPT):
        return [f"it is {content_type or 'without a content type'}, not {ACCEPT}"]
    try:
        answer = json.loads(text)
    except ValueError:
        return ["it is no JSON"]
    wrong = []
    if not isinstance(answer, dict) or set(answer) - {"data", "errors", "extensions"}:
        return [f"it is no answer: {text[:200]}"]
    errors = answer.get("errors")
    if "errors" in answer and (not isinstance(errors, list) or not errors):
        wrong.append("`errors` is empty or no list")
    if status == 200 and "data" not in answer:
        wrong.append("it has no `data`, though it was executed")
    if status in _REFUSED and ("data" in answer or not errors):
        wrong.append("it has `data`, or no errors, though it was refused")
    if status not in (200, *_REFUSED):
        wrong.append(f"its status is {status}")
    for each in errors or []:
        wrong += _error(each)
    return wrong


def _error(error: Any) -> Verdict:
    if not isinstance(error, dict) or set(error) - {"message", "locations", "path", "extensions"}:
        return [f"an error is of another shape: {error!r:.200}"]
    wrong = []
    if not isinstance(error.get("message"), str):
        wrong.append("an error has no message")
    for place in error.get("locations", []):
        if not (place.get("line", 0) >= 1 and place.get("column", 0) >= 1):
            wrong.append(f"an error is at {place}")
    if any(not isinstance(step, str | int) for step in error.get("path", [])):
        wrong.append(f"an error has the path {error['path']}")
    code = (error.get("extensions") or {}).get("code")
    if not isinstance(code, str) or not _CODE.match(code):
        wrong.append(f"an error has the code {code!r}")
    if code == "INTERNAL_SERVER_ERROR":
        wrong.append(f"an internal error: {error}")
    return wrong


def _often(check: Callable[[Any], None], strategy: st.SearchStrategy[Any]) -> None:
    """The check for each of `EXAMPLES` values, the same ones at each run."""
    settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(given(strategy)(check))()  # fmt: skip


def query_field(operation: Any) -> int:
    """Checks one root field of Query; gives how many operations were sent. Raises at the first wrong answer."""
    sent = 0

    def check(case: Any) -> None:
        nonlocal sent
        response = case.call(headers={"Accept": ACCEPT})
        sent += 1
        wrong = conforming(response.status_code, response.headers.get("content-type", [""])[0], response.text)
        assert not wrong, f"{wrong}: {response.status_code} for {case.body!r:.700}"
        if response.status_code == 200:
            # these two take every error of a field for a fault of the server or of the schema, also that of a wrong
            # cursor; `conforming` knows which are
            case.validate_response(response, excluded_checks=[not_a_server_error, positive_data_acceptance])

    _often(check, operation.as_strategy())
    return sent


def subscription_field(client: httpx.Client, schema: graphql.GraphQLSchema, name: str) -> int:
    """The same for a root field of Subscription: a stream that begins, or a refusal."""
    sent = 0

    def check(document: str) -> None:
        nonlocal sent
        body = {"query": f"subscription {document}"}
        headers = {"Accept": f"text/event-stream, {ACCEPT};q=0.9"}
        with client.stream("POST", "/graphql", json=body, headers=headers) as response:
            sent += 1
            media = response.headers.get("content-type", "")
            if response.status_code == 200 and media.startswith("text/event-stream"):
                text = _first_event(response)
                # a source that cannot be opened is told in the stream, as a request error: without `data`
                wrong = conforming(200 if '"data"' in text else 400, ACCEPT, text) if text else []
            elif media.startswith("text/event-stream"):
                wrong = [f"a stream of status {response.status_code}"]
            else:
                wrong = conforming(response.status_code, media, response.read().decode())
            assert not wrong, f"{wrong}: {response.status_code} for {document[:700]}"

    scalars = {scalar: strategy.map(nodes.String) for scalar, strategy in _SCALARS.items()}
    _often(check, queries(schema, fields=[name], custom_scalars=scalars))
    return sent


def _first_event(response: httpx.Response) -> str:
    """The data of the first event; empty when none comes in time."""
    try:
        for line in response.iter_lines():
            if line.startswith("data: ") and len(line) > len("data: "):
                return line.removeprefix("data: ")
            if line.startswith("event: complete"):
                return ""
    except httpx.ReadTimeout:
        return ""
    return ""


def main(address: str) -> int:
    url = f"{address}/graphql"
    for scalar, strategy in _SCALARS.items():
        schemathesis.graphql.scalar(scalar, strategy.map(nodes.String))
    passed = failed = sent = 0
    with httpx.Client(base_url=address, timeout=httpx.Timeout(20, read=STREAM_SECONDS)) as client:
        sdl = client.get("/schema.graphql").text
        checks: list[tuple[str, Callable[[], int]]] = []
        for found in schemathesis.graphql.from_url(url).get_all_operations():
            operation = found.ok()
            checks.append((operation.label, lambda operation=operation: query_field(operation)))
        known = graphql.build_schema(sdl, assume_valid=True)
        fields = known.query_type.fields if known.query_type else {}
        asked = {label.removeprefix("Query.") for label, _ in checks}
        missing = {name for name in fields if not name.startswith("_")} - asked
        if missing:
            failed += 1
            print(f"FAILED Schemathesis leaves out {', '.join(sorted(missing))}")
        # the generator makes queries; what it makes of a schema whose root is Subscription are subscriptions
        streams = known.to_kwargs() | {"query": known.subscription_type, "subscription": None}
        rooted = graphql.GraphQLSchema(**streams)
        for name in known.subscription_type.fields if known.subscription_type else ():
            label = f"Subscription.{name}"
            checks.append((label, lambda name=name: subscription_field(client, rooted, name)))
        for label, check in checks:
            try:
                sent += check()
                passed += 1
            except (Exception, BaseExceptionGroup) as fault:  # noqa: BLE001 - whatever it is, the others are checked
                failed += 1
                print(f"FAILED {label}: {str(fault)[:1_500]}")
    print(f"    {sent} operations")
    print(f"root-fields: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
