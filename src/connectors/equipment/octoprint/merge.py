"""The push socket's messages merged into one view: `current` is partial, an `event` more so."""

from typing import Any, Final

from connectors.equipment.facts import Facts
from connectors.equipment.octoprint import mapping, wire
from connectors.kit import decode
from connectors.kit.integration import Origin
from unified.records import Equipment

EVENTS: Final = ("PrinterStateChanged", "Error")
"""Events that are asked for: those that say more than the `current` message that follows within a second."""


class Merged:
    """All that one connection's messages have said so far."""

    def __init__(self) -> None:
        self.version: str | None = None
        self.state: wire.State | None = None
        self.job: wire.JobInfo | None = None
        self.progress: wire.Progress | None = None
        self.readings: dict[str, wire.Reading] = {}
        self.readings_time: float | None = None
        self.server_time: float | None = None
        self.event: wire.PushEvent | None = None
        """The last event that says more than `state` does; gone with the next `current`."""

    def apply(self, message: wire.Message) -> bool:
        """Takes a message in. True when it changes what a record says, its times aside."""
        before = self._said()
        if message.connected is not None:
            self.version = message.connected.version or self.version
        for each in (message.history, message.current):
            if each is not None:
                self._take(each)
        if message.event is not None and message.event.type in EVENTS:
            self.event = message.event
        return self.known and self._said() != before

    @property
    def known(self) -> bool:
        """Whether enough was said for a record."""
        return self.state is not None or _state_id(self.event) is not None

    def message(self) -> wire.Message:
        """All of it as one message in OctoPrint's words, which `apply` takes in again."""
        point = self._point()
        return wire.Message(
            connected=wire.Connected(version=self.version) if self.version else None,
            current=wire.Current(
                state=self.state,
                job=self.job,
                progress=self.progress,
                temps=[point] if point else [],
                server_time=self.server_time,
            ),
            event=self.event,
        )

    def snapshot(self) -> wire.Snapshot:
        """All of it in the form that the REST answers have."""
        state = self.state or wire.State()
        job = wire.JobAnswer(
            job=self.job or wire.JobInfo(),
            progress=self.progress or wire.Progress(),
            state=state.text,
            error=state.error,
        )
        temperature: dict[str, wire.Reading | list[wire.Point] | None] = {**self.readings}
        if self.readings_time is not None:
            temperature["history"] = [self._point()]
        printer = wire.Printer(state=state, temperature=temperature)
        return wire.Snapshot(printer=printer, job=job, version=self.version)

    def record(self, facts: Facts, origin: Origin) -> Equipment:
        """All of it as a record."""
        state = self.state or wire.State()
        kind, status, error = mapping.state_of(state), state.text, state.error
        state_id = _state_id(self.event)
        if state_id is not None:
            kind, status = mapping.STATE_IDS[state_id], _payload(self.event).get("state_string", status)
        elif self.event is not None:
            error = _payload(self.event).get("error", error)
        return mapping.equipment(
            facts,
            origin,
            state=kind,
            status=_text(status),
            error=_text(error),
            job=mapping.job(self.job, self.progress, facts, origin),
            sensors=mapping.sensors(self.readings, decode.epoch(self.readings_time, path="$.current.temps[-1].time")),
            updated_at=decode.epoch(self.server_time, path="$.current.serverTime"),
            version=self.version,
        )

    def _point(self) -> wire.Point:
        point: wire.Point = {**self.readings}
        if self.readings_time is not None:
            point["time"] = self.readings_time
        return point

    def _said(self) -> tuple[object, ...]:
        return self.state, self.job, self.progress, dict(self.readings), self.event

    def _take(self, current: wire.Current) -> None:
        self.state = current.state or self.state
        self.job = current.job or self.job
        self.progress = current.progress or self.progress
        self.server_time = current.server_time or self.server_time
        self.event = None
        for point in current.temps or ():
            time = point.get("time")
            self.readings_time = time if isinstance(time, int | float) else self.readings_time
            self.readings.update({name: each for name, each in point.items() if isinstance(each, wire.Reading)})


def _payload(event: wire.PushEvent | None) -> dict[str, Any]:
    return event.payload if event is not None and isinstance(event.payload, dict) else {}


def _state_id(event: wire.PushEvent | None) -> str | None:
    if event is None or event.type != "PrinterStateChanged":
        return None
    return _text(_payload(event).get("state_id"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def event_value(event: wire.PushEvent) -> mapping.PrinterEvent:
    """The event by its name."""
    return mapping.PrinterEvent(name=event.type, state_id=_state_id(event))
