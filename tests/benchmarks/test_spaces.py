import importlib.util

import pytest

from benchmarks import spaces


@pytest.mark.parametrize("name", spaces.SPACES)
def test_published_spaces_are_counted_exactly(name: str) -> None:
    space = spaces.SPACES[name]
    grid = space.grid()
    assert grid.counts().allowed == space.allowed
    assert grid.nearest(grid.centre) is not None


def test_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    here = lambda how, name, repeat: spaces.measure(how, name)  # noqa: E731
    monkeypatch.setattr(spaces, "measure_apart", here)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    head, _, row = spaces.table(["dedispersion"], 1)
    assert head.count("|") == row.count("|")
    assert row.startswith("| dedispersion | 2.23e+04 | 11,130 | - | ")


def test_a_wrong_count_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(spaces.HOW, "dsice", lambda space: 7)
    with pytest.raises(AssertionError, match="finds 7, not 11130"):
        spaces.measure("dsice", "dedispersion")
