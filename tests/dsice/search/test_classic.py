from collections.abc import Callable
from typing import Any

import pytest

from dsice import make_search
from dsice.errors import InvalidInput
from dsice.goal import Goal
from dsice.grid import Axis, Grid, Point

GOAL = Goal(minimize="y")
Cost = Callable[..., float]


def grid_of(*shape: int, allowed: Any = None) -> Grid:
    return Grid([Axis.integers(f"x{i}", 0, n - 1) for i, n in enumerate(shape)], allowed)


def trace(
    name: str, grid: Grid, cost: Cost, known: tuple[Point, ...] = (), **options: Any
) -> list[list[Point]]:
    """The proposals of a whole search, round by round."""
    search = make_search(name, grid, GOAL, **options)
    for point in known:
        search.tell(point, {"y": cost(*point)})
    rounds = []
    while points := search.ask(10_000):
        rounds.append(points)
        for point in points:
            search.tell(point, {"y": cost(*point)})
    assert search.finished
    assert search.reason
    return rounds


@pytest.mark.parametrize("name", ["dsice-2017", "dsice-2018"])
def test_one_axis(name: str) -> None:
    # The base is the centre 7, its better neighbour 6. The line starts at 0, 14, 4, 9; all lies on
    # a straight line, so the spline's argmin is 0 at three updates, between which the first
    # settings left are measured. The base moves to 0; its one line has been travelled.
    assert trace(name, grid_of(15), lambda x: x) == [
        [(7,), (8,), (6,)],
        [(0,), (14,), (4,), (9,)],
        [(1,)],
        [(2,)],
    ]


def test_one_axis_radial() -> None:
    # 16 levels: the base 8 and the start of its only line in one round.
    assert trace("dsice-2024", grid_of(16), lambda x: x) == [
        [(8,), (0,), (15,), (5,), (10,)],
        [(1,)],
        [(2,)],
    ]


def test_staged_directions_on_a_plane() -> None:
    # cost = x + y: every line is straight, the optimum is the corner (0, 0).
    assert trace("dsice-2018", grid_of(5, 5), lambda x, y: x + y) == [
        # The base and its neighbours along the axes; (1, 2) is the first of the best.
        [(2, 2), (3, 2), (1, 2), (2, 3), (2, 1)],
        # Start 0, 4, 1, 2 of the line y = 2; with that, the line is complete.
        [(0, 2), (4, 2)],
        # Base (0, 2); the line y = 2 is travelled, so only the line x = 0 has neighbours.
        [(0, 3), (0, 1)],
        [(0, 0), (0, 4)],
        # Base (0, 0); the line x = 0 is travelled.
        [(1, 0)],
        [(4, 0), (2, 0)],
        [(3, 0)],
        # The line y = 0 did not move the base: two axes at once.
        [(1, 1)],
        [(4, 4)],
        [(3, 3)],
    ]


def test_all_neighbours_on_a_plane() -> None:
    assert trace("dsice-2017", grid_of(5, 5), lambda x, y: x + y) == [
        # The best of all eight neighbours is (1, 1).
        [(2, 2), (3, 2), (1, 2), (2, 3), (2, 1), (3, 3), (3, 1), (1, 3), (1, 1)],
        # Start 0, 4, 1, 2 of the diagonal, and it is complete.
        [(0, 0), (4, 4)],
        # Base (0, 0); the diagonal is travelled. (1, 0) is the first of the best.
        [(1, 0), (0, 1)],
        [(4, 0), (2, 0)],
        [(3, 0)],
        # The line y = 0 did not move the base: the end, the line x = 0 is never explored.
    ]


def test_radial_on_a_plane() -> None:
    assert trace("dsice-2024", grid_of(5, 5), lambda x, y: x + y) == [
        # The base, then the starts 0, 4, 1, 2 of both axes in turns, then of both diagonals.
        [
            *[(2, 2), (0, 2), (2, 0), (4, 2), (2, 4), (1, 2), (2, 1)],
            *[(0, 0), (0, 4), (4, 4), (4, 0), (1, 1), (1, 3)],
        ],
        # Each line has its setting 3 left.
        [(3, 2), (2, 3), (3, 3), (3, 1)],
        # Base (0, 0): both axes again; the diagonal is travelled, the other has a single point.
        [(1, 0), (0, 1)],
        [(3, 0), (0, 3)],
    ]


@pytest.mark.parametrize(("name", "first"), [("dsice-2017", 81), ("dsice-2018", 9)])
def test_the_first_round_is_the_centre_and_its_neighbours(name: str, first: int) -> None:
    points = make_search(name, grid_of(15, 16, 16, 16), GOAL).ask(1000)
    assert len(points) == first
    assert points[0] == (7, 8, 8, 8)


def test_the_radial_form_starts_on_forty_lines() -> None:
    points = make_search("dsice-2024", grid_of(15, 16, 16, 16), GOAL).ask(1000)
    # Four to a line and the base; no start of the lines through the centre is the base itself.
    assert len(points) == 1 + 40 * 4
    changed = [sum(a != b for a, b in zip(p, points[0], strict=True)) for p in points]
    assert changed == sorted(changed)


def test_levels_rise_only_after_a_line_that_leads_nowhere() -> None:
    # The base is the optimum. 4-D: 8, 24, 32 and 16 neighbours, 40 lines, one explored per level.
    rounds = trace("dsice-2018", grid_of(5, 5, 5, 5), lambda *x: sum((k - 2) ** 2 for k in x))
    neighbours = [len(points) for points in rounds if len(points) > 5]
    assert neighbours == [1 + 8, 24, 32, 16]


def test_the_base_moves_even_by_way_of_a_worse_neighbour() -> None:
    # On 11 levels the neighbours 4 and 6 of the base are both worse, the line's end is better.
    cost = [0.0, 5, 6, 7, 8, 1, 9, 9, 9, 9, 9]
    rounds = trace("dsice-2018", grid_of(11), lambda x: cost[x])
    assert rounds[0] == [(5,), (6,), (4,)]
    assert (0,) in rounds[1]


def test_a_centre_that_is_not_allowed_is_replaced_by_the_nearest_point() -> None:
    grid = grid_of(5, 5, allowed="x0 != 2 and x1 != 2")
    assert make_search("dsice-2018", grid, GOAL).ask(1) == [(1, 1)]
    nowhere = make_search("dsice-2018", grid_of(3, 3, allowed="x0 > 5"), GOAL)
    assert nowhere.ask(5) == []
    assert nowhere.reason == "the rule allows no point of the grid"


def test_prior_knowledge_moves_the_first_base() -> None:
    known = tuple((x, 1) for x in range(5))
    rounds = trace("dsice-2018", grid_of(5, 5), lambda x, y: x + y, known=known)
    # Base (0, 1): its neighbours not known yet; then the start of the line x = 0.
    assert rounds[:2] == [[(0, 2), (0, 0)], [(0, 4)]]


def test_capacity_is_shared_among_the_lines() -> None:
    # One line: an update suggests as many settings as can be measured at once.
    assert trace("dsice-2018", grid_of(15), lambda x: x, capacity=8)[2:] == [
        [(k,) for k in (1, 2, 3, 5, 10, 11, 12, 13)]
    ]
    assert trace("dsice-2018", grid_of(15), lambda x: x, capacity=8, batch=1)[2:] == [
        [(1,)],
        [(2,)],
    ]
    # Two lines through the base of a plane, when the diagonals are left out.
    rounds = trace("dsice-2024", grid_of(15, 15), lambda x, y: x + y, capacity=4, max_changes=1)
    assert rounds[1] == [(1, 7), (7, 1), (2, 7), (7, 2)]


def test_the_library_s_way_of_counting() -> None:
    rounds = trace("dsice-2018", grid_of(15), lambda x: x, batch=2, count_measurements=True)
    assert rounds[2:] == [[(1,), (2,)]]


def test_options_change_the_fit_only() -> None:
    def cost(x: int, y: int) -> float:
        return float((x - 3) ** 2 + (y - 11) ** 2 + (x * y) % 3)

    for options in ({"alpha": "abic"}, {"alpha": 10.0}, {"reference": 1e6}):
        rounds = trace("dsice-2018", grid_of(15, 16), cost, **options)
        assert min(cost(*point) for points in rounds for point in points) <= 2


def test_an_infeasible_region_is_left() -> None:
    goal = Goal(minimize="y", subject_to=["z <= 10"])
    search = make_search("dsice-2018", grid_of(15, 16), goal)
    while points := search.ask(100):
        for x, y in points:
            search.tell((x, y), {"y": -x - y, "z": x + y})
    best = search.history.best()
    assert best is not None
    assert sum(best) == 10


@pytest.mark.parametrize(
    "options",
    [
        {"batch": 0},
        {"batch": 1.5},
        {"alpha": 0.0},
        {"alpha": "best"},
        {"reference": float("inf")},
        {"max_changes": 0},
        {"count_measurements": 1},
    ],
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        make_search("dsice-2018", grid_of(3, 3), GOAL, **options)


def test_many_axes_change_a_few_at_a_time_where_all_directions_are_tried_at_once() -> None:
    grid = grid_of(*[3] * 15)
    # 30 + 420 + 3640 + 21840 directions change up to four of 15 axes; a fifth adds 96096.
    assert len(make_search("dsice-2017", grid, GOAL).ask(10**6)) == 1 + 25930
    for name in ("dsice-2017", "dsice-2024"):
        with pytest.raises(InvalidInput, match="at most 4 of 15"):
            make_search(name, grid, GOAL, max_changes=5)
    for name in ("dsice-2017", "dsice-2018", "dsice-2024"):
        assert len(make_search(name, grid, GOAL, max_changes=1).ask(10**6)) == 1 + 30
    assert len(make_search("dsice-2018", grid, GOAL).ask(10**6)) == 1 + 30
