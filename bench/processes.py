"""Processes under measurement: started on a core of their own, their CPU taken from `/proc`."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

if not hasattr(os, "sched_getaffinity"):
    raise SystemExit("the benchmarks need Linux: they pin processes to cores and take CPU times from /proc")

ROOT: Final = Path(__file__).resolve().parent.parent
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_CORES: Final = sorted(os.sched_getaffinity(0))
ANY: Final = frozenset(_CORES)
UNDER_TEST: Final = frozenset(_CORES[:1])
"""The core of the server and of its baseline, one of which is idle while the other is measured."""
AROUND: Final = frozenset(_CORES[1:]) or UNDER_TEST
"""The cores of the vendors and of the client."""


class NotStarted(Exception):
    """A process ended, or said nothing, before it was ready; holds the end of its output."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


class Process:
    """A child of ours. Its output goes to `log`; leaving it ends it."""

    def __init__(self, command: Sequence[str], *, log: Path, cores: frozenset[int], environ: Mapping[str, str]) -> None:
        self._log = log
        with log.open("wb") as output:
            self.started = time.perf_counter()
            self._child = subprocess.Popen(command, cwd=ROOT, env=dict(environ), stdout=output, stderr=output)
        self.run_on(cores)

    def run_on(self, cores: frozenset[int]) -> None:
        """From now on it, or its first thread where it has several, runs on these cores only."""
        os.sched_setaffinity(self._child.pid, cores)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def thread_seconds(self) -> float:
        """User and system time of the threads that live, to the nanosecond."""
        rows = [(each / "schedstat").read_text() for each in Path(f"/proc/{self._child.pid}/task").iterdir()]
        return sum(int(row.split()[0]) for row in rows) / 1e9

    def cpu_seconds(self) -> float:
        """User and system time of all its threads so far, in steps of 10 ms."""
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def wait_for(self, port: int, seconds: float = 30.0) -> None:
        """Returns when the port accepts. Raises `NotStarted`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.must_live()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.02)
        raise NotStarted(f"nothing listens on port {port} after {seconds:g} s:\n{self._said()}")

    def must_live(self) -> None:
        if self._child.poll() is not None:
            raise NotStarted(f"ended with status {self._child.returncode}:\n{self._said()}")

    def _said(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]
