"""Numbers as programs print them."""

from __future__ import annotations

import math

import pytest

from dsice.quantity import number_in


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [
        ("0.93", "", 0.93),
        (" -1e-3 ", "", -0.001),
        (".5", "", 0.5),
        ("1,234,567.5", "", 1234567.5),
        ("1.5D+03", "", 1500.0),  # Fortran's
        ("12", "MB", 12.0),  # already in it
        ("1.3 ms", "s", 0.0013),
        ("1.3ms", "us", 1300.0),
        ("7 µs", "ms", 0.007),
        ("3m2.5s", "s", 182.5),  # bash's time
        ("3 min 20 s", "s", 200.0),
        ("1:02.5", "s", 62.5),  # GNU time's
        ("1:00:00", "h", 1.0),
        ("1.2 TFLOP/s", "GFLOP/s", 1200.0),
        ("2.5e+00 Gflops", "Mflops", 2500.0),
        ("512 KiB", "MB", 0.524288),
        ("120.5 kb/s", "Mb/s", 0.1205),
        ("93 %", "%", 93.0),
    ],
)
def test_what_is_read(text: str, unit: str, number: float) -> None:
    assert number_in(text, unit) == number


@pytest.mark.parametrize(
    ("text", "unit", "message"),
    [
        ("abc", "", "'abc' is no number"),
        ("0.9.", "", "'0.9.' is no number"),
        ("3,14", "", "'3,14' is no number"),
        ("1.3 ms", "", "'1.3 ms' is no number; say which 'unit' it is to be in"),
        ("5 apples", "s", "'apples' cannot be put into 's'"),
        ("5 MB", "s", "'MB' cannot be put into 's'"),
        ("5 s", "MB", "'s' cannot be put into 'MB'"),
        ("1 MB 2 kB", "MB", "is no number of MB"),
        ("1e999999999 ms", "s", "is too large or too small"),
        ("9" * 1000, "", "is too long for a number"),
    ],
)
def test_what_is_refused(text: str, unit: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        number_in(text, unit)


def test_no_number_is_one_too() -> None:
    assert math.isnan(number_in("nan"))
    assert number_in("-inf") == -math.inf
    assert number_in("1e999999999") == math.inf
