from __future__ import annotations

import pytest

from dsice.errors import InvalidInput
from dsice.units import duration, seconds


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
        (0.34, "0.3 s"),
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
