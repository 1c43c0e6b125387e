"""What a press keeps in its registers.

| where | what |
| --- | --- |
| holding 0 (40001) | state: 0 idle, 1 running, 2 paused, 3 fault, 4 maintenance |
| holding 1 (40002) | alarm code, 0 for none |
| holding 2, 3 (40003) | parts made, 32 bits, LOW word first |
| holding 4, 5 (40005) | parts wanted, 32 bits, LOW word first |
| holding 10, 11 (40011) | press force, kN, 32-bit float, high word first |
| holding 12 (40013) | temperature, 0.1 °C, signed |
| holding 20 to 28 (40021) | material number, 18 characters |
| input 0 (30001) | strokes, 0.1 per minute |
| coil 0 (00001) | lubrication on |
| discrete 0, 1 (10001) | guard closed; oil low |
"""

import struct
from typing import Final

from sandbox.world import MachineState

_STATES: Final = {"idle": 0, "running": 1, "paused": 2, "error": 3, "maintenance": 4, "off": 0}


def _low_first(value: int) -> tuple[int, int]:
    return value & 0xFFFF, value >> 16


def holding(state: MachineState) -> dict[int, int]:
    """Holding registers by address."""
    batch = state.batch
    made, wanted = _low_first(state.parts_done), _low_first(batch.parts if batch else 0)
    force = struct.unpack(">HH", struct.pack(">f", state.force_kn))
    text = (batch.sap_number.lstrip("0") if batch else "").encode().ljust(18, b"\0")
    found = {
        0: _STATES[state.mode],
        1: state.alarm,
        2: made[0],
        3: made[1],
        4: wanted[0],
        5: wanted[1],
        10: force[0],
        11: force[1],
        12: round(state.temperature_c * 10) & 0xFFFF,
    }
    return found | {20 + place: int.from_bytes(text[2 * place : 2 * place + 2], "big") for place in range(9)}


def inputs(state: MachineState) -> dict[int, int]:
    return {0: round(state.speed_rpm / 10)}


def coils(state: MachineState) -> dict[int, bool]:
    return {0: state.mode == "running"}


def discrete(state: MachineState) -> dict[int, bool]:
    return {0: state.mode != "error", 1: bool(state.warning)}
