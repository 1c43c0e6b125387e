"""`crossdock decode` of what people really have: error answers, damaged files, samples with their heads."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.kit.registry import connector_class
from server.cli import app
from unified.values import System

SAMPLES = Path(__file__).parents[1] / "samples"
ERROR = b'{"error": {"code": "X/001", "message": {"lang": "en", "value": "No such order"}}}'


def shown(folder: Path, system: str, body: bytes, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit status and the last line."""
    file = folder / "sample"
    file.write_bytes(body)
    done = CliRunner().invoke(app, ["decode", system, str(file), *options])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("body", "message", "path", "hint"),
    [
        (b"", "the payload is empty", "$", "Save the body as it came"),
        (b" \r\n", "the payload is empty", "$", "Save the body as it came"),
        (b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", "the sample has a head and no body", "$", "Save the body"),
        (b'{"d": {"results": [{"A": 1}', "the payload is damaged: no JSON: Expecting ',' delimiter",
         "line 1, column 28", "cut off or changed"),
        (b"<feed>\n<entry></feed>", "the payload is damaged: no XML: mismatched tag", "line 2, column 10", "cut off"),
        (gzip.compress(b"{}"), "the payload is packed (gzip)", "$", "gunzip"),
        (b"\xff\xfe\x00\x01", "the payload is no text", "byte 0", "--list"),
        (ERROR, "the payload is of no kind that is recognised", "$", "--status 404"),
        (b'{"a": 1}', "the payload is of no kind that is recognised", "$", "--as"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_place_and_way_out(
    tmp_path: Path, body: bytes, message: str, path: str, hint: str
) -> None:
    status, told = shown(tmp_path, "sap-ewm", body)
    assert (status, told["kind"], told["path"]) == (2, "Error", path)
    assert told["message"].startswith(message)
    assert hint in told["hint"]


def test_an_error_answer_with_its_status_is_explained(tmp_path: Path) -> None:
    assert shown(tmp_path, "sap-ewm", ERROR, "--status", "404") == (
        0,
        {"kind": "Outcome", "outcome": "ABSENT", "code": "X/001", "message": "No such order", "retryAfter": None},
    )


@pytest.mark.parametrize("line", ["\r\n", "\n"])
@pytest.mark.parametrize("request_head", ["", "GET https://erp/x\nAccept: application/json\n\n"])
def test_a_sample_with_its_head_needs_no_status(tmp_path: Path, line: str, request_head: str) -> None:
    """As `curl -i` writes it, and as support sends it: with the request before the answer."""
    head = f"HTTP/1.1 404 Not Found{line}Content-Type: application/json{line}Content-Encoding: gzip{line}{line}"
    status, told = shown(tmp_path, "sap-ewm", (request_head + head).encode() + ERROR)
    assert (status, told["outcome"], told["message"]) == (0, "ABSENT", "No such order")


def test_a_good_answer_with_its_head_is_read_as_without(tmp_path: Path) -> None:
    sample = (SAMPLES / "sap-erp" / "odata_v4_sales_orders.http").read_bytes()
    body = sample.replace(b"\r\n", b"\n").partition(b"\n\n")[2]
    with_head, without = shown(tmp_path, "sap-erp", sample), shown(tmp_path, "sap-erp", body)
    for _, told in (with_head, without):
        told["source"].pop("asOf")
    assert with_head == without
    assert (with_head[0], with_head[1]["kind"]) == (0, "Order")


def test_what_is_no_header_is_said(tmp_path: Path) -> None:
    status, told = shown(tmp_path, "sap-ewm", b"{}", "--header", "nonsense")
    assert (status, told["message"]) == (2, "'nonsense' is no header")


@pytest.mark.parametrize("system", [each.value for each in System])
def test_no_damaged_file_brings_a_decoder_down(tmp_path: Path, system: str) -> None:
    """Told, with exit status 2 where nothing can be read, whatever it is said to be; never a trace."""
    noise = random.Random(7)
    files = [
        b"",
        noise.randbytes(300),
        b"{",
        b"[]",
        b"{}",
        b"null",
        b"7",
        b"<a>",
        b"<a/>",
        b"[[[]]]",
        ERROR,
        b"\xff" * 9,
    ]
    kinds = [each.name for each in connector_class(System(system)).manifest.decoders]
    for body in files:
        for options in ([], *(["--as", kind] for kind in kinds)):
            file = tmp_path / "sample"
            file.write_bytes(body)
            done = CliRunner().invoke(app, ["decode", system, str(file), *options])
            assert done.exit_code in (0, 2), (body, options, done.exception)
