"""Frames out of bytes: split and joined anywhere, garbage between, wrong lengths and checksums; and the short cut."""

import json
import struct
import time
from datetime import UTC, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.gt02 import gt06
from connectors.gt02.frames import FRAME_MOST, Cutter, Frame, answer, crc_itu, frames, whole
from connectors.gt02.gt06_common import COMMON
from connectors.kit.errors import BadPayload

SAMPLES = Path(__file__).parents[1] / "samples" / "gt02"
CORPUS = [json.loads(line)["hex"] for line in (SAMPLES / "corpus-gt06.jsonl").read_text().splitlines()]
LOGIN = bytes.fromhex("78780d0103534190360660610003c3df0d0a")
LOCATION = bytes.fromhex("78781f120f0a140e150bc505e51e780293a9e800540000f601006e0055da00035f240d0a")
HEARTBEAT = bytes.fromhex("78780a13440604000201baaf540d0a")
WIFI = bytes.fromhex("787800691710231109200400cc080c4e2fa55a0c4ec0025a0c4e2fa6640c583918640d0a")
EXTENDED = bytes.fromhex("7979000894000000000338ba0d0a")
GT02 = bytes.fromhex("68680f0504035889905831401700df1a00000d0a")
GT02_LOCATION = bytes.fromhex("68682500a403588990510127660001100e09060a1d1b00ade1c90b79ea3000011b000000000000050d0a")
BAD_CRC = bytes.fromhex("78781f120b081d112e10cc027ac7eb0c46584900148f01cc00287d001fb8000380810d0a")


def cut(*pieces: bytes, families: frozenset[str] = frozenset(("gt02", "gt06")), final: bool = False) -> list[bytes]:
    """The frames of a stream that arrives in these pieces."""
    cutter = Cutter(families)  # type: ignore[arg-type]
    found: list[bytes] = []
    for piece in pieces:
        cutter.feed(piece)
        found += [frame.raw for frame in cutter.frames()]
    return found + [frame.raw for frame in cutter.frames(final=True)] if final else found


def test_the_manuals_checksum() -> None:
    assert crc_itu(LOGIN[2:-4]) == 0xC3DF
    assert answer(0x01, 3) == bytes.fromhex("787805010003face0d0a")


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_the_checksum_is_that_of_the_manual_bit_by_bit(data: bytes) -> None:
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ 0x8408 if register & 1 else register >> 1
    assert crc_itu(data) == register ^ 0xFFFF


@pytest.mark.parametrize(
    "stream", [[LOGIN, LOCATION, HEARTBEAT, EXTENDED], [GT02, GT02_LOCATION, GT02]], ids=["06", "02"]
)
def test_split_anywhere(stream: list[bytes]) -> None:
    data = b"".join(stream)
    assert cut(data) == stream
    assert cut(*(data[place : place + 1] for place in range(len(data)))) == stream
    for place in range(len(data)):
        assert cut(data[:place], data[place:]) == stream


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_whatever_the_segments_the_frames_are_the_same(data: st.DataObject) -> None:
    stream = data.draw(
        st.lists(st.sampled_from([LOGIN, LOCATION, HEARTBEAT, EXTENDED, BAD_CRC]), min_size=1, max_size=8)
    )
    joined = b"".join(stream)
    places = sorted(data.draw(st.sets(st.integers(1, len(joined) - 1), max_size=12)))
    pieces = [joined[a:b] for a, b in zip([0, *places], [*places, len(joined)], strict=True)]
    assert cut(*pieces) == stream


@settings(deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([LOCATION, HEARTBEAT, b"xx", b"yy", b"\r\n"]))))
def test_no_bytes_whatever_make_it_stumble(pieces: list[bytes]) -> None:
    for raw in cut(*pieces, final=True):
        assert raw[:2] in (b"xx", b"yy", b"hh")
        assert raw.endswith(b"\r\n")
        assert whole(raw).raw == raw


GARBAGE = [
    b"\x00\xff\x13\r\n",
    b"GET / HTTP/1.1\r\nHost: example\r\n\r\n",
    b"x",
    b"xx",
    b"y",
    b"xxx",
    b"xx\xff",
    b"xx\x05\x12\x00\r\n",
    bytes.fromhex("7878ff12ffee0d0a"),
    LOCATION[:20],
    LOCATION[:-2],
    EXTENDED[:-1],
    b"hh\x25\x00",
    bytes(300),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda each: each[:8].hex())
def test_garbage_between_frames_costs_no_frame(garbage: bytes) -> None:
    found = cut(LOGIN + garbage + LOCATION + HEARTBEAT)
    assert found[0] == LOGIN
    assert found[-2:] == [LOCATION, HEARTBEAT]
    assert all(whole(raw).ragged and not whole(raw).good_crc for raw in found[1:-2])


def test_garbage_that_claims_a_length_is_passed_over_when_a_whole_frame_shows() -> None:
    """`78 78 ff` claims 260 bytes; what follows is a frame by its own length and checksum."""
    cutter = Cutter()
    cutter.feed(LOGIN + b"xx\xff" + LOCATION)
    assert [frame.raw for frame in cutter.frames()] == [LOGIN, LOCATION]
    assert cutter.dropped == 3
    assert cutter.waiting == 0


def test_a_frame_that_claims_64_kib_is_not_waited_for() -> None:
    claim = b"yy\xff\xff\x94"
    assert len(cut(LOGIN, claim + b"\x00" * 10 + b"\r\n")) == 2, "it ends where it ends"
    assert cut(LOGIN, claim + b"\x00" * 10 + b"\r\n", LOCATION)[-1] == LOCATION
    cutter = Cutter()
    cutter.feed(LOGIN)
    list(cutter.frames())
    for _ in range(64):
        cutter.feed(claim + b"\x00" * 1_019)
        assert not list(cutter.frames())
        assert cutter.waiting <= FRAME_MOST + 1_024, "what claims to be endless is let go"
    cutter.feed(b"\r\n" + LOCATION)
    assert [frame.raw for frame in cutter.frames()][-1] == LOCATION


def test_the_longest_frame_that_is_waited_for() -> None:
    body = (FRAME_MOST - 6).to_bytes(2, "big") + b"\x9b" + bytes(FRAME_MOST - 6 - 5) + b"\x00\x01"
    frame = b"yy" + body + crc_itu(body).to_bytes(2, "big") + b"\r\n"
    assert cut(LOGIN, frame[:5_000], frame[5_000:]) == [LOGIN, frame]


@pytest.mark.parametrize("claimed", [0, 3, 0x12, 0x20, 0x40, 0xFF])
def test_a_wrong_length_field_with_a_right_checksum(claimed: int) -> None:
    """The checksum covers the length field: such a device counts wrongly and sums up rightly."""
    body = bytes((claimed,)) + LOCATION[3:-4]
    frame = b"xx" + body + crc_itu(body).to_bytes(2, "big") + b"\r\n"
    (only,) = frames(frame)
    assert (only.ragged, only.good_crc, only.serial) == (True, True, 3)
    assert cut(LOGIN + frame + HEARTBEAT) == [LOGIN, frame, HEARTBEAT]
    assert cut(LOGIN, frame) == [LOGIN, frame], "it is not waited for what the length claims"


def test_a_wrong_length_field_and_no_checksum_end_at_the_next_frame() -> None:
    assert cut(LOGIN + WIFI + HEARTBEAT) == [LOGIN, WIFI, HEARTBEAT]
    too_long = b"xx\x60" + LOCATION[3:-4] + b"\xff\xff\r\n"
    assert cut(LOGIN + too_long) == [LOGIN], "it may go on"
    assert cut(LOGIN + too_long + HEARTBEAT) == [LOGIN, too_long, HEARTBEAT]
    assert cut(LOGIN + too_long, final=True) == [LOGIN, too_long], "nothing more comes"


def test_an_end_mark_inside_a_frame_is_content() -> None:
    text = bytes.fromhex("79790019941b524649443a3030384642324245424133390d0a000c14930d0a")
    assert b"\r\n" in text[:-2]
    for place in range(len(text)):
        assert cut(LOGIN + text[:place], text[place:]) == [LOGIN, text]


def test_the_first_frame_decides_what_is_spoken() -> None:
    assert cut(GT02 + LOCATION + GT02) == [GT02, GT02]
    assert cut(LOGIN + GT02 + HEARTBEAT) == [LOGIN, HEARTBEAT]
    assert cut(GT02 + LOCATION, families=frozenset(("gt06",))) == [LOCATION]
    assert cut(GT02 + LOCATION, families=frozenset(("gt02",))) == [GT02]


def test_a_gt02_frame_needs_its_end_where_its_length_says() -> None:
    wrong = GT02[:2] + b"\x10" + GT02[3:]
    assert cut(GT02 + wrong + GT02) == [GT02, GT02]
    assert cut(b"hh\x0c" + bytes(12) + b"\r\n" + GT02) == [GT02], "too short for its own header"


def test_the_work_on_nonsense_is_bounded() -> None:
    """The worst that we know: starts of frames and ends, 64 KiB of them."""
    nonsense = (b"yy\x1f\xff" + b"xx" * 20 + b"\r\n") * 1_400
    began = time.process_time()
    cut(LOGIN, *(nonsense[place : place + 1_460] for place in range(0, len(nonsense), 1_460)))
    assert time.process_time() - began < 5


# --- the frames that are read in one go


def everyday(data: st.DataObject) -> Frame:
    length, type_ = data.draw(st.sampled_from(sorted(COMMON)))[2:]
    clock = data.draw(st.tuples(*(st.integers(0, most) for most in (60, 13, 32, 25, 61, 61))))
    place = data.draw(
        st.tuples(
            st.sampled_from([0, 1, 40_582_974, 162_000_000, 162_000_001]),
            st.sampled_from([0, 1, 324_000_000, 324_000_001]),
        )
    )
    speed, flags = data.draw(st.integers(0, 255)), data.draw(st.integers(0, 0xFFFF))
    located = bytes((*clock, 0xC5)) + struct.pack(">2IBH", *place, speed, flags)
    rest = data.draw(st.binary(min_size=200, max_size=200))
    if type_ in (0x16, 0x26) and data.draw(st.booleans()):
        rest = b"\x09" + rest[1:]
    content = ((b"" if type_ == 0x13 else located) + rest)[: length - 5]
    (frame,) = frames(_with_length(length, type_, content))
    return frame


def _with_length(length: int, type_: int, content: bytes) -> bytes:
    body = bytes((length, type_)) + content + b"\x00\x07"
    return b"xx" + body + crc_itu(body).to_bytes(2, "big") + b"\r\n"


@settings(deadline=None, max_examples=500)
@given(st.data(), st.sampled_from([UTC, timezone(timedelta(hours=-4))]))
def test_the_short_cut_reads_what_the_long_way_reads(data: st.DataObject, zone: timezone) -> None:
    frame = everyday(data)
    try:
        wanted = gt06.read_any(frame, zone)
    except BadPayload:
        with pytest.raises(BadPayload):
            gt06.read(frame, zone)
        return
    assert gt06.read(frame, zone) == wanted


def test_the_short_cut_is_taken() -> None:
    assert COMMON[LOCATION[:4]](LOCATION, UTC) is not None
    assert COMMON[HEARTBEAT[:4]](HEARTBEAT, UTC) is not None


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(CORPUS), st.data())
def test_a_right_checksum_over_nonsense_is_read_or_refused(text: str, data: st.DataObject) -> None:
    """Every type with random content: a report or a clear fault, nothing else."""
    original = bytes.fromhex(text)
    extended = original[0] == 0x79
    size = data.draw(st.integers(1, 90))
    head = (size + 5).to_bytes(2 if extended else 1, "big") + original[4 if extended else 3 : 5 if extended else 4]
    body = head + data.draw(st.binary(min_size=size, max_size=size)) + b"\x00\x01"
    (frame,) = frames(original[:2] + body + crc_itu(body).to_bytes(2, "big") + b"\r\n")
    model = data.draw(st.sampled_from([None, "R11", "VL103", "SEEWORLD", "LW4G-4B", "XT40", "QH302R"]))
    try:
        report = gt06.read(frame, UTC, model)
    except BadPayload:
        return
    if report.fix is not None:
        assert abs(report.fix.latitude) <= 90
        assert abs(report.fix.longitude) <= 180
        assert 0 <= report.fix.course_deg <= 360
    for cell in report.cells:
        assert cell.cid >= 0
