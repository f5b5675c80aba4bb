from __future__ import annotations

from itertools import pairwise

import pytest

from superres.arguments import SCHEDULE_NAMES
from superres.schedule import SCHEDULES, cosine, halfway, linear


def test_linear_rises_holds_and_falls() -> None:
    factors = [linear(step, 100) for step in range(100)]
    assert factors[0] == 0.1
    assert factors[10:50] == [1.0] * 40
    assert factors[75] == 0.5
    assert factors[99] == 0.02
    assert [linear(step, 2) for step in range(2)] == [1.0, 1.0]


def test_cosine_rises_and_falls_symmetrically() -> None:
    factors = [cosine(step, 110) for step in range(110)]
    assert factors[:12] == pytest.approx([(i + 1) / 11 for i in range(11)] + [1.0])
    falling = factors[11:]
    assert all(a > b for a, b in pairwise(falling))
    assert all(falling[i] + falling[-i] == pytest.approx(1) for i in range(1, 50))


def test_the_step_is_in_the_middle() -> None:
    assert [halfway(step, 4) for step in range(4)] == [1.0, 1.0, 0.1, 0.1]


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 97])
def test_every_schedule_lets_every_step_learn(name: str, steps: int) -> None:
    assert all(0 < SCHEDULES[name](step, steps) <= 1 for step in range(steps))


def test_the_command_line_knows_all_schedules() -> None:
    assert tuple(SCHEDULES) == SCHEDULE_NAMES
