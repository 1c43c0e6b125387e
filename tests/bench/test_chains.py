"""What the benchmarks conclude from the vendors' log, and how a figure is judged."""

import pytest

from bench.chains import Call, slowest_chain
from bench.figures import FIGURES, Figure, Measured, at_most, exactly, figure


def call(path: str, began: float, ended: float) -> Call:
    return Call("GET", path, began, ended)


class TestSlowestChain:
    def test_calls_side_by_side_count_once(self) -> None:
        together = [call("/orders", 0.0, 0.2), call("/devices", 0.0, 0.25)]
        assert slowest_chain(together) == [call("/devices", 0.0, 0.25)]

    def test_a_call_waits_only_for_one_that_had_ended(self) -> None:
        calls = [call("/a", 0.0, 0.2), call("/b", 0.19, 0.3), call("/c", 0.2, 0.35)]
        assert slowest_chain(calls) == [call("/a", 0.0, 0.2), call("/c", 0.2, 0.35)]

    def test_of_several_chains_the_one_that_took_longest_not_the_one_with_most_calls(self) -> None:
        many = [call("/a", 0.0, 0.1), call("/b", 0.1, 0.2), call("/c", 0.2, 0.3)]
        long = [call("/x", 0.0, 0.4)]
        assert slowest_chain(many + long) == long
        assert slowest_chain([*many, call("/d", 0.3, 0.5)]) == [*many, call("/d", 0.3, 0.5)]

    def test_time_between_the_calls_is_not_theirs(self) -> None:
        chain = slowest_chain([call("/a", 0.0, 0.2), call("/b", 0.5, 0.7)])
        assert sum(each.ended - each.began for each in chain) == pytest.approx(0.4)


class TestFigure:
    def test_a_missed_target_is_said(self) -> None:
        judged = Figure("x", "s", at_most(1.5), "", lambda _: Measured((1.0,)))
        assert [judged.verdict(value) for value in (1.5, 1.51)] == ["ok", "MISSED"]
        assert [exactly(3).holds(value) for value in (3.0, 2.0)] == [True, False]
        assert at_most(1.15).text == "<= 1.15"

    def test_without_target_it_only_informs(self) -> None:
        assert Figure("x", "ms", None, "", lambda _: Measured((1.0,))).verdict(99.0) == "-"

    def test_the_middle_round_counts_and_the_best_where_it_is_said(self) -> None:
        assert Measured((1.0, 9.0, 2.0)).value == 2.0
        assert Measured((1.0, 9.0, 2.0), min).value == 1.0

    def test_a_name_is_given_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bench.figures.FIGURES", {})
        figure("some.thing", unit="s", baseline="")(lambda _: Measured((1.0,)))
        with pytest.raises(ValueError, match=r"two figures some\.thing"):
            figure("some.thing", unit="s", baseline="")(lambda _: Measured((1.0,)))
        assert "some.thing" not in FIGURES
