"""Patterns of the settings: what cannot be meant is refused, and no name takes long."""

import time

import pytest

from connectors.kit.patterns import NamePattern


def made(text: str, *groups: str) -> NamePattern:
    return NamePattern(text, setting="name_pattern", groups=groups or ("fleet", "plate"))


def test_it_finds_the_parts_of_a_name() -> None:
    pattern = made(r"^(?P<fleet>T\d+)(?: (?P<plate>[A-Z]+ \d+))?")
    assert pattern.find("T07 KJA 123", "fleet") == "T07"
    assert pattern.find("T07 KJA 123", "plate") == "KJA 123"
    assert pattern.find("T07", "plate") is None, "a part that is not there"
    assert pattern.find("van", "fleet") is None
    assert pattern.find("T07", "driver") is None, "a group that the pattern does not have"
    assert made(r"(?P<plate>\d*)").find("x", "plate") == ""


def test_only_the_beginning_of_a_name_is_looked_at() -> None:
    pattern = made(r"(?P<plate>\d)")
    assert pattern.find("x" * 159 + "7", "plate") == "7"
    assert pattern.find("x" * 160 + "7", "plate") is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("(?P<plate>", "name_pattern is no regular expression: missing"),
        ("(?P<plate>a{99999999999})", "name_pattern is no regular expression"),
        ("(?P<plate>" + "x" * 200 + ")", "name_pattern has 211 characters; at most 200 are allowed"),
        (r"\d+", r"has neither a group `fleet` nor `plate`: write \(\?P<plate>\.\.\.\) around it"),
        ("(?P<driver>x)", "has neither a group `fleet` nor `plate`"),
        ("(?P<plate>(a+)+)", "name_pattern repeats a group, which may take for ever"),
        ("(?P<plate>(?:a|a)*)", "repeats a group"),
        ("(?P<plate>(a|b){2,})", "repeats a group"),
        ("(?P<plate>a*a*a*a*a*)", "name_pattern has more than 4 repeats that may be long"),
        ("(?P<plate>a+?a+?a+?a+?a+?)", "more than 4 repeats"),
        ("(?P<plate>a{0,99}a{0,99}a{0,99}a{0,99}a{1,99})", "more than 4 repeats"),
        ("(?P<plate>" + "a?" * 20 + "a" * 20 + ")", "or as much in short ones"),
    ],
)
def test_what_cannot_be_meant_or_may_take_for_ever_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        made(text)


def test_one_group_that_is_missing() -> None:
    with pytest.raises(ValueError, match=r"name_pattern has no group `item`: write \(\?P<item>\.\.\.\) around it"):
        made("x", "item")


@pytest.mark.parametrize(
    "text",
    [
        r"(?P<plate>[A-Z]{1,3}-[A-Z]{2} \d{1,4})",
        r"(?P<plate>[*+?{}()]+)\*\+\?\)\*",
        r"(?P<plate>[]*+]+)(?=x)(?<=y)(?!z)(?:a|b)?",
        r"(?P<plate>a*?)\)*b{3}c{4}d{5}e{6}f{7}",
        r"^(?P<fleet>[A-Za-z]{1,12} ?\d{1,4})\s{1,3}(?P<plate>[A-Z]{2,3}[ -]?\d{2,4}[ -]?[A-Z]{1,3})$",
    ],
)
def test_what_is_in_a_class_or_escaped_or_small_counts_little(text: str) -> None:
    made(text)


@pytest.mark.parametrize(
    "text",
    ["(?P<plate>a*a*a*b)", "(?P<plate>" + "a?" * 15 + "a" * 15 + "b)", "(?P<plate>a{0,9}a{0,9}a{0,9}a{0,9}b)"],
)
def test_what_is_let_in_takes_no_time(text: str) -> None:
    pattern = made(text)
    started = time.perf_counter()
    assert pattern.find("a" * 5_000_000, "plate") is None
    assert time.perf_counter() - started < 5
