from __future__ import annotations

import json

import pytest

from dsice.goal import Bound
from dsice.report import words


def test_what_does_not_show_is_made_visible() -> None:
    assert words.plain("a\x1b[31m\x00\x7f") == "a␛[31m␀\ufffd"
    assert words.plain("\u202egnp\ufeff\ud800") == "\ufffdgnp\ufffd\ufffd"
    assert words.plain("two\nlines\tand a tab") == "two\nlines\tand a tab"


def test_plain_text_can_always_be_encoded() -> None:
    words.plain(json.loads(r'"\ud83d alone"')).encode()


def test_scripts_that_need_joiners_keep_them() -> None:
    assert words.plain("می\u200cخواهم") == "می\u200cخواهم"


def test_long_texts_are_cut() -> None:
    assert words.plain("x" * 300, limit=10) == "x" * 9 + "…"


def test_bounds_are_written_as_people_do() -> None:
    assert words.bound(Bound.parse("rmse <= 12.5")) == "rmse ≤ 12.5"
    assert words.bound(Bound.parse("fps>30")) == "fps > 30"
    assert words.bound(Bound.parse("rmse <= 1.02*stage.a.rmse")) == "rmse <= 1.02*stage.a.rmse"


@pytest.mark.parametrize(
    ("factor", "text"),
    [(27.3, "1/27"), (216, "1/216"), (8, "1/8"), (1.94, "1/1.9"), (0.98, "1/1"), (0.5, "2 times")],
)
def test_fractions_are_the_posters(factor: float, text: str) -> None:
    assert words.fraction(factor) == text


def test_numbers_and_parameters_are_short() -> None:
    assert words.number(12.483951) == "12.484"
    assert words.parameter(0.00316227766017) == "0.00316228"
    assert [words.parameter(v) for v in (True, 7, "soa")] == ["true", "7", "soa"]
    assert words.count(1, "trial") == "1 trial"
    assert words.count(2, "trial") == "2 trials"


def test_moments_never_fail() -> None:
    assert words.moment(1e30) == "unknown"
    assert words.moment(1_700_000_000).startswith("2023-11-1")


def test_machine_time_is_in_hours() -> None:
    assert [words.hours(3600 * h) for h in (4905, 181.7, 12.34, 0.05)] == [
        *("4,905", "182", "12.3", "0.05")
    ]
