"""Logs and numbers. Logs are an event name and key-values.

Secrets are masked here: by the names of their keys, and in texts (an exception may quote an address with a password)
by how they look.
"""

import logging
import re
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Protocol, TextIO, cast

import msgspec
import structlog
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

MASK = "***"
_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)|secret|token|api[-_]?key|authorization|cookie|signature|credential|jwt|private[-_]?key",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"(?i)(?P<scheme>\b(?:bearer|basic|apikey)\s+)[a-z0-9+/=._~-]{6,}"
    r"|(?P<user>://)[^/\s:@]*:[^/\s@]+@"
    r"|(?P<name>(?:password|passwd|secret|token|api[-_]?key|signature)[\w-]{0,40}[\"']?\s{0,5}[=:]\s{0,5}[\"']?)"
    r"[^\s\"'&,;)}]+"
)
_FIRST = ("timestamp", "level", "event")
_OTHERS = "(others)"
_FIELDS_MOST, _VALUES_MOST, _VALUE_LONGEST = 200, 100, 60
"""Of unknown codes: fields that are told apart, codes of each, characters of a code."""
_BREAKER_STATES = ["CLOSED", "HALF_OPEN", "OPEN"]
_CALL_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_OPERATION_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Log(Protocol):
    """An event name and key-values, never prose."""

    def info(self, event: str, **values: object) -> object: ...

    def warning(self, event: str, **values: object) -> object: ...

    def error(self, event: str, **values: object) -> object: ...


def configure_logging(*, stream: TextIO, level: str = "info", json: bool | None = None) -> None:
    """Sends all logs, those of libraries too, to the stream: a line of JSON each, or key=value on a terminal.

    `json` null looks at the stream. To be called once, before loggers are made.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    as_json = not stream.isatty() if json is None else json
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redacted,
        _ordered,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(serializer=_json)
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared[:-1], _stripped, _ordered],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # libraries speak up when something is wrong; what they do all day is not for this log
    root.setLevel(max(threshold, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        # uvicorn gives its loggers handlers of their own unless it is told not to; its lines belong here too
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.NOTSET)


def logger(**bound: object) -> Log:
    """A logger with these values in each of its lines."""
    return cast(Log, structlog.get_logger().bind(**bound))


def redacted(values: Mapping[Any, Any]) -> dict[Any, Any]:
    """The mapping with secrets masked: values of secret-sounding keys, and what looks like one in texts."""
    return {
        name: MASK if isinstance(name, str) and _SECRET_NAME.search(name) else _inside(value)
        for name, value in values.items()
    }


def _inside(value: Any) -> Any:
    if isinstance(value, Mapping):
        return redacted(value)
    if isinstance(value, list | tuple):
        return [_inside(each) for each in value]
    return _SECRET_TEXT.sub(_masked, value) if isinstance(value, str) else value


def _masked(hit: re.Match[str]) -> str:
    if hit["user"]:
        return f"{hit['user']}{MASK}@"
    return f"{hit['scheme'] or hit['name']}{MASK}"


def _redacted(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return redacted(event)


def _stripped(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Libraries end some of their lines with a line break."""
    event["event"] = str(event["event"]).rstrip()
    return event


def _ordered(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """When, how bad and what come first, for who reads the lines as they are."""
    return {name: event[name] for name in _FIRST if name in event} | dict(event)


def _json(value: object, **_options: object) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


class _CodeCounts(Collector):
    """Codes that nobody knows: those that are counted elsewhere, read when the numbers are, and those told here."""

    def __init__(self) -> None:
        self.reads: dict[Callable[[], Iterable[tuple[str, str, str, int]]], None] = {}
        """A set that keeps its order."""
        self._told: dict[tuple[str, str], Counts[str]] = {}

    def tell(self, system: str, field: str, value: str) -> None:
        """Counts one. A vendor can send any number of different ones: what is new beyond the bounds is counted
        together, as `(others)`."""
        place = (
            (system, field) if (system, field) in self._told or len(self._told) < _FIELDS_MOST else (system, _OTHERS)
        )
        counts = self._told.setdefault(place, Counts())
        shown = _SECRET_TEXT.sub(_masked, value[: 2 * _VALUE_LONGEST])[:_VALUE_LONGEST]
        counts[shown if shown in counts or len(counts) < _VALUES_MOST else _OTHERS] += 1

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(
            "crossdock_unknown_codes",
            "Codes of vendors that are not known; they became UNKNOWN, or what came with them was passed over.",
            labels=["system", "field", "value"],
        )
        sums: Counts[tuple[str, str, str]] = Counts()
        for read in self.reads:
            for system, field, value, times in read():
                sums[system, field, value] += times
        for (system, field), counts in self._told.items():
            for value, times in counts.items():
                sums[system, field, value] += times
        for (system, field, value), times in sums.items():
            family.add_metric([system, field, value or "(empty)"], times)
        yield family


class PrometheusMetrics:
    """Counters for what a person will ask later, in a registry of their own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory, CPU, open files
        self._calls = Counter(
            "crossdock_vendor_calls", "Calls of vendors.", ["integration", "outcome"], registry=self.registry
        )
        self._call_seconds = Histogram(
            "crossdock_vendor_call_seconds",
            "How long vendors take.",
            ["integration"],
            buckets=_CALL_SECONDS,
            registry=self.registry,
        )
        self._breakers = Enum(
            "crossdock_breaker_state",
            "Whether a vendor is called (CLOSED) or left alone (OPEN).",
            ["integration"],
            states=_BREAKER_STATES,
            registry=self.registry,
        )
        self._code_counts = _CodeCounts()
        self.registry.register(self._code_counts)
        self._ingested = Counter(
            "crossdock_events_ingested", "Events that came in.", ["integration"], registry=self.registry
        )
        self._ingested_at = Gauge(
            "crossdock_last_event_timestamp_seconds",
            "When the last event came in.",
            ["integration"],
            registry=self.registry,
        )
        self._inbox_pending = Gauge("crossdock_inbox_pending", "Deliveries that wait.", registry=self.registry)
        self._inbox_dead = Gauge("crossdock_inbox_dead", "Deliveries that were given up.", registry=self.registry)
        self._coalesced = Counter(
            "crossdock_bus_coalesced", "Events that slow readers lost to newer ones.", registry=self.registry
        )
        self._operations = Counter(
            "crossdock_graphql_operations", "GraphQL operations.", ["type", "outcome"], registry=self.registry
        )
        self._operation_seconds = Histogram(
            "crossdock_graphql_operation_seconds",
            "How long GraphQL operations take; subscriptions, how long they live.",
            ["type", "outcome"],
            buckets=_OPERATION_SECONDS,
            registry=self.registry,
        )
        self._subscriptions = Gauge(
            "crossdock_subscriptions_open", "Subscriptions that are open.", registry=self.registry
        )

        # the series of what is counted for each query, by their labels: to look them up costs more than to count
        self._called: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        self._operated: dict[tuple[str, str], tuple[Counter, Histogram]] = {}

    def vendor_call(self, integration: str, outcome: str, seconds: float) -> None:
        series = self._called.get((integration, outcome))
        if series is None:
            series = self._calls.labels(integration, outcome), self._call_seconds.labels(integration)
            self._called[integration, outcome] = series
        count, duration = series
        count.inc()
        duration.observe(seconds)

    def unknown_code(self, system: str, field: str, value: str) -> None:
        """One came that is in no table. Secrets in it are masked, and how many different ones are told is bounded."""
        self._code_counts.tell(system, field, value)

    def unknown_codes(self, read: Callable[[], Iterable[tuple[str, str, str, int]]]) -> None:
        """From now on the counts of vendors' codes that no table knows are read whenever the numbers are: system,
        field, code, times. Their tables bound how many codes there are, so that the code may be a label."""
        self._code_counts.reads[read] = None

    def breaker(self, integration: str, state: str) -> None:
        """`CLOSED`, `HALF_OPEN` or `OPEN`."""
        self._breakers.labels(integration).state(state)

    def events_ingested(self, integration: str, count: int, at: float) -> None:
        """`at`: when, in seconds since 1970."""
        self._ingested.labels(integration).inc(count)
        self._ingested_at.labels(integration).set(at)

    def inbox(self, pending: int, dead: int) -> None:
        self._inbox_pending.set(pending)
        self._inbox_dead.set(dead)

    def bus_coalesced(self, count: int) -> None:
        self._coalesced.inc(count)

    def operation(self, type: str, outcome: str, seconds: float) -> None:
        """`type`: query, mutation, subscription, or unknown when it was refused before that was clear.

        `outcome`: ok, partial (errors, but some root field has a value), failed (errors only), refused (not executed).
        """
        series = self._operated.get((type, outcome))
        if series is None:
            series = self._operations.labels(type, outcome), self._operation_seconds.labels(type, outcome)
            self._operated[type, outcome] = series
        count, duration = series
        count.inc()
        duration.observe(seconds)

    def subscription_opened(self) -> None:
        self._subscriptions.inc()

    def subscription_closed(self) -> None:
        self._subscriptions.dec()

    def render(self) -> bytes:
        """All numbers as Prometheus reads them."""
        return generate_latest(self.registry)
