"""The runner passes nothing over: a suite is well only when it says that enough checks passed, and ends so."""

import os
import sys
import time
from pathlib import Path

import pytest

from tests.conformance import __main__ as runner


def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, *, least: int = 2, seconds: float = 20
) -> runner.Result:
    """A suite of this program; the interpreter stands in for Node."""
    monkeypatch.setattr(runner, "LOGS", tmp_path)
    program = tmp_path / "suite.mjs"
    program.write_text(text)
    suite = runner.Suite("made up", str(program), least, seconds)
    return runner.run(suite, sys.executable, {**os.environ, "CROSSDOCK": "http://127.0.0.1:1"})


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("print('x: 2 passed, 0 failed')", None),
        ("print('noise'); print('x: 3 passed, 0 failed')", None),
        ("import sys; print(sys.argv[1]); print('x: 2 passed, 0 failed')", None),
        ("print('x: 1 passed, 0 failed')", "ran 1 checks of 2"),
        ("print('x: 0 passed, 0 failed')", "ran 0 checks of 2"),
        ("print('x: 2 passed, 1 failed')", "1 checks failed"),
        ("import sys; print('x: 2 passed, 0 failed'); sys.exit(3)", "ended with 3"),
        ("print('x: 2 passed, 0 failed'); print('then it died')", "ended with 0 and without a count"),
        ("print('x: 2 passed, 0 failed, 4 skipped')", "ended with 0 and without a count"),
        ("", "ended with 0 and without a count"),
        ("raise SystemExit('no')", "ended with 1 and without a count"),
    ],
)
def test_what_a_suite_says_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, fault: str | None
) -> None:
    assert run(tmp_path, monkeypatch, text).fault == fault


def test_a_suite_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)"
    )
    result = run(tmp_path, monkeypatch, text, seconds=1)
    assert result.fault == "not done after 1 s"
    child = Path(f"/proc/{result.said}/stat")
    for _ in range(200):
        if not child.exists() or child.read_text().split()[2] == "Z":
            break
        time.sleep(0.01)
    else:
        pytest.fail("what the suite started is still there")


def test_what_a_failing_suite_wrote_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runner._shown(run(tmp_path, monkeypatch, "print('why'); print('x: 0 passed, 1 failed')"))
    said = capsys.readouterr().out
    assert "--- made up:\nwhy\nx: 0 passed, 1 failed\n" in said
    runner._shown(run(tmp_path, monkeypatch, "print('quiet'); print('x: 2 passed, 0 failed')"))
    assert "quiet" not in capsys.readouterr().out


def test_an_unknown_suite_is_refused() -> None:
    with pytest.raises(SystemExit, match="there is no suite nonsense; there are: http-audits, "):
        runner.main(["nonsense"])


def test_each_suite_has_a_program_and_a_least_count() -> None:
    assert len({suite.name for suite in runner.SUITES}) == len(runner.SUITES)
    for suite in runner.SUITES:
        file = suite.program if suite.program.endswith(".mjs") else suite.program.rpartition(".")[2] + ".py"
        assert (runner.HERE / file).exists(), suite.name
        assert suite.least > 0, suite.name
