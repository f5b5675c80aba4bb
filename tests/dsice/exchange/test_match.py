"""From rows of other programs to results of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dsice.errors import InvalidInput
from dsice.exchange.csv_file import read
from dsice.exchange.levels import Levels
from dsice.exchange.match import Matched, match
from dsice.exchange.wishes import Wishes
from dsice.grid import Axis
from dsice.study.config import StudyConfig, parse

STUDY = """
name = "match"
minimize = "time"
subject_to = ["error <= 0.5"]
allowed = "tile * unroll <= 64"
[grid]
tile = [8, 16, 32]
unroll = [1, 2, 4]
layout = {{ choice = ["aos", "soa"] }}
[trial]
command = ["run"]
"""


@pytest.fixture
def config(tmp_path: Path) -> StudyConfig:
    return parse(STUDY.replace("{{", "{").replace("}}", "}"), tmp_path)


def matched(config: StudyConfig, table: str, **wishes: Any) -> Matched:
    file = config.folder / "t.csv"
    file.write_text(table)
    return match(read(str(file), config), config.grid, config.goal, Wishes(**wishes))


def test_rows_become_results(config: StudyConfig) -> None:
    found = matched(
        config,
        "tile, unroll,layout,time,error,memory,host\n"
        "8,1,aos,1.5,0.1,7,node1\n"
        "16.0,4,soa,2.5e0,0.9,,node1\n"
        "8,1,aos,,,,\n"
        "8,2,aos,nan,0.1,,\n",
    )
    assert [(r.point, r.metrics, r.reason, r.where) for r in found.results] == [
        ((0, 0, 0), {"time": 1.5, "error": 0.1, "memory": 7.0}, "", "line 2"),
        ((1, 2, 1), {"time": 2.5, "error": 0.9}, "", "line 3"),
        ((0, 0, 0), None, "no metrics", "line 4"),
        ((0, 1, 0), None, "time is nan", "line 5"),
    ]
    assert found.left_out == {}


def test_rows_that_do_not_fit_are_left_out_and_counted(config: StudyConfig) -> None:
    table = (
        "tile,unroll,layout,time,error\n"
        "9,1,aos,1,1\n11.9,1,aos,1,1\n8,1,AOS,1,1\n32,4,aos,1,1\n8,1,aos,1,\n40,1,aos,1,1\n41,1,aos,1,1\n"
    )
    found = matched(config, table)
    assert found.results == ()
    assert found.left_out == {
        "parameter 'tile' has no such level": (4, "line 2: '9'"),
        "parameter 'layout' has no such level": (1, "line 4: 'AOS'"),
        "the rule 'tile * unroll <= 64' excludes it": (1, "line 5"),
        "metric 'error' is missing": (1, "line 6"),
    }
    near = matched(config, table, nearest=True)
    assert [r.point for r in near.results] == [(0, 0, 0), (0, 0, 0), (2, 0, 0)]
    assert near.left_out["parameter 'tile' has no such level"] == (1, "line 8: '41'")


def test_other_names_expressions_and_constants(config: StudyConfig) -> None:
    found = matched(
        config,
        "bx,u,ms,GFLOP/s,good\n8,2,1500,9,0.75\n16,1,,9,1\n",
        metrics={"time": "ms / 1000", "error": "1 - good", "speed": "GFLOP/s"},
        params={"tile": "bx", "unroll": "u", "layout": "'soa'"},
    )
    (first, second) = found.results + tuple([None] * (2 - len(found.results)))
    assert first is not None
    assert first.point == (0, 1, 1)
    assert first.metrics == {"time": 1.5, "error": 0.25, "speed": 9.0, "ms": 1500.0, "good": 0.75}
    assert second is None
    assert found.left_out == {"metric 'time' is missing": (1, "line 3")}


@pytest.mark.parametrize(
    ("table", "wishes", "said"),
    [
        ("tile,unroll,layout,error\n8,1,aos,1\n", {}, "has no metric 'time': it has tile, unroll"),
        ("tile,layout,time,error\n8,aos,1,1\n", {}, "has no param 'unroll'"),
        (
            "tile,unroll,layout,time,error\n8,1,aos,fast,1\n",
            {},
            "t.csv: line 2: metric 'time' is 'fast', which is no number",
        ),
        (
            "tile,unroll,layout,ms,error\n8,1,aos,1,1\n",
            {"metrics": {"time": "sec / 2"}},
            "--metric time=sec / 2: .*t.csv has no 'sec', but tile",
        ),
        ("tile,unroll,layout,time,error\n8,1,aos,1,1\n", {"metrics": {"time": "1 +"}}, "time=1 "),
        (
            "tile,unroll,layout,time,error\n8,1,aos,0,1\n",
            {"metrics": {"time": "1 / time"}},
            "t.csv: line 2: --metric time=1 / time: ",
        ),
        ("tile,unroll,layout,time,error\n", {"params": {"tiel": "x"}}, "no rows|no such parameter"),
        ("tile,tile,time\n1,2,3\n", {}, "two columns named 'tile'"),
        ("tile,unroll\n1,2,3\n", {}, "line 2 has more values than names"),
    ],
)
def test_mistakes_are_said_in_a_line(
    config: StudyConfig, table: str, wishes: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as error:
        matched(config, table, **wishes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "axis",
    [
        Axis("x", [0.1, 0.3, 1]),
        Axis.linear("x", 0, 1, step=0.1),
        Axis.geometric("x", 1e-6, 1, 13),
        Axis("x", [64, 32, 8]),
        Axis.choice("x", [True, False, "maybe", 2]),
        Axis("x", ["a", "A", "1", "1.0"]),
        Axis("x", [3]),
    ],
    ids=repr,
)
@pytest.mark.parametrize("nearest", [False, True])
def test_every_level_is_found_by_itself_and_by_its_text(axis: Axis, nearest: bool) -> None:
    levels = Levels(axis)
    for k, level in enumerate(axis.levels):
        assert levels.index(level, nearest) == k
        assert levels.index(f" {level} ", nearest) == k


def test_levels_bear_the_last_bits_and_no_more() -> None:
    levels = Levels(Axis.linear("x", 0, 1, step=0.1))
    assert levels.index(0.1 + 0.2) == levels.index(repr(0.1 + 0.2)) == 3
    assert levels.index(0.3000001) is None
    assert levels.index("true") is None
    assert levels.index(None) is None
    assert levels.index(float("nan"), nearest=True) is None
    assert Levels(Axis("x", [True, 7])).index("TRUE".lower()) == 0
    both = Levels(Axis.choice("x", [1, "1"]))
    assert (both.index(1), both.index("1"), both.index(" 1")) == (0, 1, None)


def test_nearest_stays_within_the_axis() -> None:
    levels = Levels(Axis("x", [8, 1, 4, 2]))
    assert [levels.index(v, nearest=True) for v in (0.4, 0.6, 1.5, 3.1, 6.5, 9.9, 10.1)] == [
        *(None, 1, 1, 2, 0, 0, None)
    ]
    assert Levels(Axis.choice("x", [1, 2])).index(1.2, nearest=True) is None
    assert Levels(Axis("x", [3])).index(3.1, nearest=True) is None
