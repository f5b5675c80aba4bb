from __future__ import annotations

import pytest

from dsice.errors import InvalidInput
from dsice.units import apart, count, duration, hours, number, percent, seconds, setting


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90 s", 90), ("10 min", 600), ("2h", 7200), ("0.5 d", 43200), (12, 12), (0.25, 0.25)],
)
def test_seconds(text: object, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["10 parsecs", "", "min", "-3 s", 0, -1, True, None, "1 h 5 min"])
def test_not_a_duration(text: object) -> None:
    with pytest.raises(InvalidInput, match="is no duration: write '90 s'"):
        seconds(text)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 s"),
        (0.0021234, "2.12 ms"),
        (0.34, "0.34 s"),
        (3.7184, "3.72 s"),
        (9.999, "10 s"),
        (59.7, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (7260, "2 h 1 min"),
        (90061, "1 d 1 h"),
        (655200, "7 d 14 h"),
    ],
)
def test_duration(amount: float, text: str) -> None:
    assert duration(amount) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (4.1191, "4.12"),
        (-4.1191, "-4.12"),
        (0.8804, "0.88"),
        (12.0, "12"),
        (0.000316227, "0.000316"),
        (0.0000316227, "3.16e-05"),
        (9.9951, "10"),
        (1234.56, "1235"),
        (999_999.4, "999999"),
        (999_999.6, "1e+06"),
        (12_345_678, "1.23e+07"),
        (1e300, "1e+300"),
        (5e-324, "4.94e-324"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
    ],
)
def test_measured_numbers_have_three_significant_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_a_number_stays_on_its_side_of_a_limit() -> None:
    assert number(12.504, 12.5) == "12.504"
    assert number(12.4996, 12.5) == "12.4996"
    assert number(12.5, 12.5) == "12.5"
    assert number(13.0004, 12.5) == "13"
    assert number(1.0000000000000002, 1.0) == "1.0000000000000002"
    assert number(0.1, 0.1) == "0.1"


def test_unequal_numbers_are_told_apart() -> None:
    assert apart(4.02, 8.74) == ["4.02", "8.74"]
    assert apart(0.8804, 0.8801) == ["0.8804", "0.8801"]
    assert apart(3.0, 3.0) == ["3", "3"]
    assert apart(1.0, 1.0 + 2**-52) == ["1.0", "1.0000000000000002"]


def test_what_was_set_keeps_its_digits() -> None:
    given = (0.00316227766017, 0.000078125, 12.4845, 8.0, True, 262144, "soa")
    assert list(map(setting, given)) == [
        *("0.00316228", "7.8125e-05", "12.4845", "8", "true", "262144", "soa")
    ]


def test_shares_counts_and_machine_time() -> None:
    assert [percent(share) for share in (0, 0.004, 0.256, 0.996, 1)] == [
        *("0 %", "under 1 %", "26 %", "over 99 %", "100 %")
    ]
    assert [count(1, "trial"), count(2048, "trial"), count(2, "is", "are")] == [
        *("1 trial", "2,048 trials", "2 are")
    ]
    assert [hours(3600 * h) for h in (4905, 181.7, 12.34, 0.25, 0.05)] == [
        *("4,905", "182", "12.3", "0.25", "0.05")
    ]
