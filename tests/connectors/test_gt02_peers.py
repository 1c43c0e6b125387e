"""The decoder beside npm's `gt06-parser`, an independent reader of GT06, on the real frames that it takes.

`npm ci` installs it on first use. Where that cannot be done the test is skipped, or fails when
`CROSSDOCK_REQUIRE_SERVICES=1`. It refuses wrong checksums and knows the types 12, 13 and 16 only; cells are not
compared (it reads four bytes of cell id), nor IMEIs (it keeps the sixteenth digit).
"""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.gt02 import gt06
from connectors.gt02.frames import Frame, frames

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
PEER = ROOT / "tests" / "peers" / "gt06-parser"
SAMPLES = ROOT / "tests" / "samples" / "gt02"


def _unavailable(reason: str) -> None:
    if os.environ.get("CROSSDOCK_REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _installed() -> None:
    if not shutil.which("node") or not shutil.which("npm"):
        _unavailable("node and npm are needed for gt06-parser")
    locked = hashlib.sha256((PEER / "package-lock.json").read_bytes()).hexdigest()
    mark = PEER / "node_modules" / ".crossdock-lock"
    if mark.exists() and mark.read_text() == locked:
        return
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=PEER, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    if done.returncode:
        _unavailable(f"npm ci failed: {done.stderr.strip()[-300:]}")
    mark.write_text(locked)


def _frames() -> list[Frame]:
    texts = [path.read_text() for path in sorted(SAMPLES.glob("gt06-*.hex"))]
    texts += [json.loads(line)["hex"] for line in (SAMPLES / "corpus-gt06.jsonl").read_text().splitlines()]
    found = [frames(bytes.fromhex(text))[0] for text in dict.fromkeys(text.strip() for text in texts)]
    return [
        frame
        for frame in found
        if frame.raw[0] == 0x78 and frame.type in (0x12, 0x13, 0x16) and frame.good_crc and not frame.empty
    ]


async def test_places_times_and_states_are_those_of_gt06_parser() -> None:
    await asyncio.to_thread(_installed)
    told = _frames()
    process = await asyncio.create_subprocess_exec(
        "node", "read.js", cwd=PEER, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    out, _ = await process.communicate("\n".join(frame.raw.hex() for frame in told).encode())
    rows: list[dict[str, Any]] = [json.loads(line) for line in out.decode().splitlines()]
    assert len(rows) == len(told) == 22
    assert sum("fault" in row for row in rows) == 3, "it reads past the end of three that are shorter or longer"
    compared = {0x12: 0, 0x13: 0, 0x16: 0}
    for frame, row in zip(told, rows, strict=True):
        if "fault" in row:
            continue
        compared[frame.type] += 1
        report = gt06.read(frame)
        if frame.type == 0x13:
            terminal = row["terminal"]
            assert (terminal["raw"], terminal["acc"], terminal["charging"], terminal["oilDisconnected"]) == (
                report.status, report.ignition, report.charging, report.blocked,
            )  # fmt: skip
            continue
        place, fix = row.get("location", row), report.fix
        assert fix is not None
        assert datetime.fromtimestamp(place["datetime"] / 1000, UTC) == fix.at
        assert (place["latitude"], place["longitude"]) == pytest.approx((fix.latitude, fix.longitude), abs=1e-6)
        assert (place["speed"], place["course"], place["satellites"], place["gpsFixed"]) == (
            fix.speed_kmh, fix.course_deg, report.satellites, fix.valid,
        )  # fmt: skip
    assert compared == {0x12: 7, 0x13: 6, 0x16: 6}
