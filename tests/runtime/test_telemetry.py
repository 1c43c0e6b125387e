"""Logs without secrets, numbers in a registry of their own."""

import io
import json
import logging
import time
from collections.abc import Iterator

import prometheus_client
import pytest
import structlog

from runtime.settings import SecretText
from runtime.telemetry import PrometheusMetrics, configure_logging, logger, redacted


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_what_was_bound(stream: io.StringIO) -> None:
    configure_logging(stream=stream)
    logger(integration="plm").warning("vendor.unavailable", status=503)
    (line,) = lines(stream)
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {"event": "vendor.unavailable", "integration": "plm", "status": 503, "level": "warning"}


def test_on_a_terminal_a_line_is_key_value(stream: io.StringIO) -> None:
    configure_logging(stream=stream, json=False)
    logger().info("server.started", port=8000, password="hidden")
    assert stream.getvalue().rstrip().endswith("server.started password=*** port=8000")


def test_what_is_below_the_level_is_left_out(stream: io.StringIO) -> None:
    configure_logging(stream=stream, level="warning")
    log = logger()
    log.info("quiet")
    log.error("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_secrets_are_masked_by_the_names_of_their_keys(stream: io.StringIO) -> None:
    configure_logging(stream=stream)
    logger().info(
        "request",
        headers={"Authorization": "Bearer x", "accept": "json", "X-API-Key": "k"},
        parts=[{"client_secret": "s", "id": 1}],
        given=SecretText("hidden"),
    )
    (line,) = lines(stream)
    assert line["headers"] == {"Authorization": "***", "accept": "json", "X-API-Key": "***"}
    assert line["parts"] == [{"client_secret": "***", "id": 1}]
    assert line["given"] == "SecretText(***)"


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "passwd",
        "passphrase",
        "access_token",
        "apiKey",
        "api_key",
        "cookie",
        "signature",
        "JWT",
        "private_key",
    ],
)
def test_a_name_that_sounds_secret_is_masked(name: str) -> None:
    assert redacted({name: "x"}) == {name: "***"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no answer of postgresql://ann:hidden@db/x", "no answer of postgresql://***@db/x"),
        ("connect(password='hidden', host='db')", "connect(password='***', host='db')"),
        ("sent Authorization: Bearer hidden.hidden", "sent Authorization: Bearer ***"),
        ("GET /x?access_token=hidden&id=7", "GET /x?access_token=***&id=7"),
        ("{'client_secret': 'hidden', 'id': 7}", "{'client_secret': '***', 'id': 7}"),
        ("the token is from another issuer", "the token is from another issuer"),
    ],
)
def test_what_looks_like_a_secret_in_a_text_is_masked(stream: io.StringIO, text: str, shown: str) -> None:
    configure_logging(stream=stream)
    logger().error("task.crashed", exc_info=RuntimeError(text), parts=[text])
    (line,) = lines(stream)
    assert (line["exception"], line["parts"]) == (f"RuntimeError: {shown}", [shown])


@pytest.mark.parametrize("piece", ["a-", "token", "://a:", "bearer ", " "])
def test_no_text_takes_long_to_be_looked_through(piece: str) -> None:
    """A vendor's text may be in an exception; 200 KB of it must not hold the server up."""
    started = time.perf_counter()
    redacted({"text": piece * (200_000 // len(piece))})
    assert time.perf_counter() - started < 2


def test_a_line_begins_with_when_how_bad_and_what(stream: io.StringIO) -> None:
    configure_logging(stream=stream)
    logger(integration="plm").info("vendor.available", address="https://plm.example")
    logging.getLogger("uvicorn.error").error("it broke\n")
    ours, theirs = lines(stream)
    assert list(ours) == ["timestamp", "level", "event", "integration", "address"]
    assert list(theirs)[:3] == ["timestamp", "level", "event"]
    assert theirs["event"] == "it broke"


def test_other_names_are_not_masked() -> None:
    assert redacted({"key": "plm", "passenger": "p", "status": 1}) == {"key": "plm", "passenger": "p", "status": 1}


def test_libraries_speak_in_the_same_lines(stream: io.StringIO) -> None:
    configure_logging(stream=stream)
    logging.getLogger("uvicorn.error").info("not this")
    logging.getLogger("uvicorn.error").error("it broke")
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("it broke", "error", "uvicorn.error")


def test_an_exception_is_told_with_its_traceback(stream: io.StringIO) -> None:
    configure_logging(stream=stream)
    logger().error("task.crashed", exc_info=ValueError("boom"))
    (line,) = lines(stream)
    assert line["exception"] == "ValueError: boom"


def test_on_a_terminal_too(stream: io.StringIO) -> None:
    configure_logging(stream=stream, json=False)
    logger().error("task.crashed", task="poll", exc_info=ValueError("boom"))
    assert stream.getvalue().splitlines()[0].endswith("[error    ] task.crashed task=poll")
    assert stream.getvalue().endswith("ValueError: boom\n")


def test_every_number_is_counted_under_its_labels() -> None:
    metrics = PrometheusMetrics()
    metrics.vendor_call("plm", "ok", 0.02)
    metrics.vendor_call("plm", "ok", 3.0)
    metrics.vendor_call("plm", "down", 0.5)
    metrics.unknown_code("teamcenter", "status", "weird")
    metrics.unknown_code("teamcenter", "status", "weird")
    metrics.breaker("plm", "CLOSED")
    metrics.breaker("plm", "OPEN")
    metrics.events_ingested("traccar", 7, 1_700_000_000.0)
    metrics.inbox(3, 1)
    metrics.bus_coalesced(5)
    metrics.operation("query", "ok", 0.01)
    metrics.subscription_opened()
    metrics.subscription_opened()
    metrics.subscription_closed()

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    assert value("crossdock_vendor_calls_total", integration="plm", outcome="ok") == 2
    assert value("crossdock_vendor_calls_total", integration="plm", outcome="down") == 1
    assert value("crossdock_vendor_call_seconds_bucket", integration="plm", le="0.025") == 1
    assert value("crossdock_vendor_call_seconds_sum", integration="plm") == 3.52
    assert value("crossdock_unknown_codes_total", system="teamcenter", field="status", value="weird") == 2
    assert value("crossdock_breaker_state", integration="plm", crossdock_breaker_state="OPEN") == 1
    assert value("crossdock_breaker_state", integration="plm", crossdock_breaker_state="CLOSED") == 0
    assert value("crossdock_events_ingested_total", integration="traccar") == 7
    assert value("crossdock_inbox_pending") == 3
    assert value("crossdock_inbox_dead") == 1
    assert value("crossdock_bus_coalesced_total") == 5
    assert value("crossdock_graphql_operations_total", type="query", outcome="ok") == 1
    assert value("crossdock_graphql_operation_seconds_count", type="query", outcome="ok") == 1
    assert value("crossdock_last_event_timestamp_seconds", integration="traccar") == 1_700_000_000
    assert value("crossdock_subscriptions_open") == 1


def test_codes_that_no_table_knows_are_read_when_the_numbers_are() -> None:
    metrics, counts = PrometheusMetrics(), [("traccar", "Connectivity", "asleep", 2), ("sap-ewm", "Progress", "", 1)]

    def read() -> list[tuple[str, str, str, int]]:
        return counts

    def shown() -> list[str]:
        lines = metrics.render().decode().splitlines()
        return [line for line in lines if line.startswith("crossdock_unknown_codes_total{")]

    assert shown() == []
    metrics.unknown_codes(read)
    metrics.unknown_codes(read)  # each connector gives it
    assert shown() == [
        'crossdock_unknown_codes_total{field="Connectivity",system="traccar",value="asleep"} 2.0',
        'crossdock_unknown_codes_total{field="Progress",system="sap-ewm",value="(empty)"} 1.0',
    ]
    counts[0] = ("traccar", "Connectivity", "asleep", 3)
    assert shown()[0].endswith(" 3.0")


def test_a_vendor_that_sends_ever_new_codes_fills_no_memory_and_shows_no_secret() -> None:
    metrics = PrometheusMetrics()
    for number in range(150):
        metrics.unknown_code("uber", "event_type", f"code {number:03} " + "x" * 100)
    metrics.unknown_code("uber", "status", "api_key=hidden")
    for number in range(300):
        metrics.unknown_code("minestar", f"$.x{number}", "odd")
    lines = [
        line for line in metrics.render().decode().splitlines() if line.startswith("crossdock_unknown_codes_total{")
    ]
    assert len([line for line in lines if 'field="event_type"' in line]) == 101
    assert 'crossdock_unknown_codes_total{field="event_type",system="uber",value="(others)"} 50.0' in lines
    assert f'{{field="event_type",system="uber",value="code 000 {"x" * 51}"}} 1.0' in "".join(lines)
    assert 'crossdock_unknown_codes_total{field="status",system="uber",value="api_key=***"} 1.0' in lines
    assert 'crossdock_unknown_codes_total{field="(others)",system="minestar",value="odd"} 102.0' in lines
    assert len([line for line in lines if 'system="minestar"' in line]) == 199


def test_the_registry_is_its_own() -> None:
    """Two servers in one process (tests) do not meet, and the global registry stays as it was."""
    first, second = PrometheusMetrics(), PrometheusMetrics()
    first.bus_coalesced(1)
    assert b"crossdock_bus_coalesced_total 1.0\n" in first.render()
    assert b"crossdock_bus_coalesced_total 0.0\n" in second.render()
    assert b"crossdock" not in prometheus_client.generate_latest()
    assert first.content_type.startswith("text/plain")
