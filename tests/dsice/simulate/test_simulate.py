"""``dsice simulate`` as a user meets it."""

from __future__ import annotations

import csv
import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dsice.goal import Goal
from dsice.grid import Axis, Grid
from dsice.search import make_search
from dsice.simulate.answer import Answer, Quartiles, Row
from dsice.simulate.campaign import Campaign, Played
from dsice.simulate.learning import Gain
from dsice.simulate.play import Terms
from dsice.simulate.source import from_table
from dsice.simulate.world import Lasting, Result, Tabulated, Timed
from dsice.study.config import load

Dsice = Callable[..., "subprocess.CompletedProcess[str]"]
StudyFile = Callable[..., Path]

TOP = 'minimize = "y"\nsubject_to = ["z <= 8"]'


def value(a: int, b: int) -> float:
    return (a - 7.0) ** 2 + (b - 2.0) ** 2 + 0.5 * a * b


def write_table(path: Path, skip: Callable[[int, int], bool] = lambda a, b: False) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["b", "a", "z", "y", "seconds", "remark"])
        for a in range(10):
            for b in range(10):
                if not skip(a, b):
                    writer.writerow([f"{b}.0", a, a, value(a, b), 60 + a, ""])


def files(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_complete_table_is_played_as_it_is(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    study_file(top=TOP, run="trials = 12")
    write_table(tmp_path / "table.csv")
    before = files(tmp_path)
    command = ["simulate", "study.toml", "--table", "table.csv", "--repetitions", 1]
    done = dsice(*command, "--parallel", "1,3", "--json")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert files(tmp_path) == before
    one, three = json.loads(done.stdout)["slots"]

    grid = Grid([Axis.integers("a", 0, 9), Axis.integers("b", 0, 9)])
    search = make_search("dsice", grid, Goal(minimize="y", subject_to=["z <= 8"]))
    best: list[float] = []
    seconds = 0.0
    for _ in range(12):
        (point,) = search.ask(1)
        found = value(*point)
        search.tell(point, {"y": found, "z": float(point[0])})
        seconds += 60 + point[0]
        if point[0] <= 8:
            best.append(min([found, *best[-1:]]))
        else:
            best.append(best[-1])
    assert one["wall_hours"]["median"] == pytest.approx(seconds / 3600)
    assert [one["best"][share]["median"] for share in ("25%", "50%", "100%")] == [
        best[2],
        best[5],
        best[11],
    ]
    assert (one["speed_up"]["median"], three["slots"]) == (1.0, 3)
    assert 2 < three["speed_up"]["median"] <= 3

    plain = dsice(*command)
    assert "y after 12" in plain.stdout
    assert "has all points of the grid" in plain.stdout
    assert "more slots pay up to 20: from there to 40" in plain.stdout
    assert "[5/5] plays" in plain.stderr


def test_a_table_with_gaps_is_a_history(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    study_file(top=TOP)
    write_table(tmp_path / "table.csv", skip=lambda a, b: (a + b) % 3 > 0)
    done = dsice("simulate", "study.toml", "--table", "table.csv", "--parallel", "1,2")
    assert done.returncode == 0
    assert "agrees with 34 rows of table.csv" in done.stdout
    assert "Durations have a model of their own" in done.stdout


def test_a_table_may_be_written_as_for_imports(study_file: StudyFile, tmp_path: Path) -> None:
    config = load(study_file(top='minimize = "y"', grid="a = [0.5, 1]\nb = { choice = [true] }"))
    tables = [
        "a,b,y,seconds,state\n0.5,true,0.25,1.5,done\n1,true,,2,failed\n0.5,true,,,running\n",
        "a;b;y;seconds;state\n0,5;TRUE;0,25;1,5;finished\n1;TRUE;7;2;crashed\n",
        "\ta\tb\ty\tseconds\n0\t0.5\tTRUE\t0.25\t1.5\n1\t1\tTRUE\t\t2\n",
    ]
    for text in tables:
        (tmp_path / "t.csv").write_text(text, encoding="utf-16")
        worlds = from_table(config, tmp_path / "t.csv").worlds
        assert isinstance(worlds, Tabulated)
        assert worlds.rows == {(0, 0): [Result({"y": 0.25}, 1.5)], (1, 0): [Result(None, 2.0)]}


def test_a_duration_answers_what_concerns_time(dsice: Dsice, study_file: StudyFile) -> None:
    study_file(more='[stage.check]\ncommand = ["true"]', run="trials = 100")
    done = dsice("simulate", "study.toml", "--duration", "1 h", "--parallel", 40, "--json")
    found = json.loads(done.stdout)
    assert [row["slots"] for row in found["slots"]] == [1, 10, 20, 40, 80]
    assert [row["wall_hours"]["median"] for row in found["slots"]] == [100, 10, 5, 3, 2]
    assert [row["speed_up"]["median"] for row in found["slots"]] == pytest.approx(
        [1, 10, 20, 100 / 3, 50]
    )
    assert found["goal"] is None
    assert "Not counted: what the stages take (check)" in " ".join(found["worlds"])
    queued = dsice(
        "simulate", "study.toml", "--duration", "1 h", "--queue", "30 min", "--parallel", "10,20"
    )
    assert "nothing is known of quality" in queued.stdout
    assert " 15 " in queued.stdout


def test_the_own_history_is_found_and_left_alone(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    stage = "[stage.check]\ncommand = ['sh', '{study}/check.sh']"
    (tmp_path / "check.sh").write_text("sleep 0.1; echo '{\"z\": 8}'\n")
    study_file(
        top='minimize = "y"\nsubject_to = ["z <= stage.check.z"]',
        more=stage,
        run="trials = 12\nparallel = 2",
    )
    assert dsice("run", "study.toml").returncode == 0
    before = files(tmp_path)
    done = dsice("simulate", "study.toml", "--trials", 30, "--parallel", "1,4")
    assert done.returncode == 0, done.stderr
    assert files(tmp_path) == before
    assert "small: minimize y subject to z <= 8" in done.stdout
    assert "agrees with 12 trials of" in done.stdout
    assert "Stages come first and take" in done.stdout
    assert "y after 30" in done.stdout
    longer = dsice("simulate", "study.toml", "--duration", "9 h", "--parallel", "1,2", "--json")
    one, two = json.loads(longer.stdout)["slots"]
    assert one["wall_hours"]["median"] == pytest.approx(12 * 9, abs=0.1)
    assert two["wall_hours"]["median"] == pytest.approx(6 * 9, abs=0.1)
    study_file(grid="a = { integers = [0, 4] }\nb = { integers = [0, 9] }", file="other.toml")
    other = dsice("simulate", "other.toml", "--history", "runs/small")
    assert other.returncode == 2
    assert "is a history of another grid" in other.stderr


def test_mistakes_get_one_line(dsice: Dsice, study_file: StudyFile, tmp_path: Path) -> None:
    study_file(top=TOP)

    def said(*arguments: object) -> str:
        done = dsice("simulate", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1 or "usage:" in done.stderr
        return done.stderr

    assert "Give --history DIR, --table FILE.csv or --duration" in said("study.toml")
    assert "holds no study" in said("study.toml", "--history", "nowhere")
    assert "cannot read none.csv: No such file" in said("study.toml", "--table", "none.csv")
    assert "--spread needs --duration" in said("study.toml", "--spread", "0.3")
    assert "accepted are 0 to 3" in said("study.toml", "--duration", "1 h", "--spread", "-1")
    assert "'x' is no whole number" in said("study.toml", "--parallel", "4,x")
    study_file(run="parallel = 2", file="endless.toml")
    assert "give --trials N" in said("endless.toml", "--duration", "1 h")
    study_file(top='minimize = "y"\nsearch = "dsice-2024"', file="rounds.toml")
    assert "proposes rounds" in said("rounds.toml", "--duration", "1 h")
    study_file(
        top='minimize = "y"\nsubject_to = ["z <= stage.check.z"]',
        more='[stage.check]\ncommand = ["true"]',
        file="staged.toml",
    )
    write_table(tmp_path / "table.csv")
    assert "needs the result of stage 'check'" in said("staged.toml", "--table", "table.csv")
    study_file(top='minimize = "speed"', file="metric.toml")
    assert "lacks a column 'speed': it has b, a" in said("metric.toml", "--table", "table.csv")
    rows = (tmp_path / "table.csv").read_text().splitlines()
    for line, complaint in (
        ("10,1,1,1,60,", "line 2: '10' is no level of parameter 'b'"),
        ("1,1,1,wrong,60,", "line 2: y = 'wrong' is no finite number"),
        ("1,1,1,1,-60,", "line 2: seconds = '-60' is no duration"),
    ):
        (tmp_path / "bad.csv").write_text("\n".join([rows[0], line]))
        assert complaint in said("study.toml", "--table", "bad.csv")
    (tmp_path / "bad.csv").write_text("\n".join(rows[:4]))
    assert "3 measured trials: a model needs at least 10" in said(
        "study.toml", "--table", "bad.csv"
    )
    (tmp_path / "bad.csv").write_text("a,b,y,z\n1,1,1,1\n")
    assert "lacks a column 'seconds'" in said("study.toml", "--table", "bad.csv")


def test_the_answer_says_where_slots_stop_paying() -> None:
    grid = Grid([Axis.integers("a", 0, 9)])
    campaign = Campaign(
        grid, Goal(maximize="y"), "random", {}, 0, Timed(Lasting(1)), Terms(4, stages=100.0)
    )

    def played(slots: int, wall: float, best: list[float], repetition: int) -> Played:
        ends = [wall * (k + 1) / 4 for k in range(4)]
        return Played(slots, repetition, wall, 700.0, ends, best, cpu=0.4)

    found = Answer.of(
        campaign,
        [
            *(played(1, 800.0, [-1, -2, -2, -10], r) for r in range(3)),
            *(played(2, 400.0, [-1, -2, -9.95, -9.95], r) for r in range(3)),
            *(played(4, 370.0, [-1, -2, -2, -9], r) for r in range(3)),
        ],
        judged=True,
    )
    one, two, four = found.rows
    assert [row.speed_up.median for row in found.rows] == [1.0, 2.0, 800 / 370]
    assert [two.efficiency, found.cpu] == pytest.approx([1.0, 0.1])
    assert [best.median for best in one.best] == [1, 2, 10]
    assert (two.near, two.reached) == (Quartiles(300, 300, 300), 3)
    assert four.near is not None
    assert (four.near.median, four.reached) == (float("inf"), 0)
    assert four.worse == pytest.approx(0.1)
    said = found.sentences()
    assert "more slots pay up to 2: from there to 4, twice as many save only 7 % of" in said[0]
    assert "from there to 4, twice as many save nothing" in said[1]
    assert "With 4 slots the best after all trials is 10 % worse than with 1 slot" in said[2]
    assert json.loads(json.dumps(found.as_json()))["slots"][2]["near_best_hours"]["median"] is None


def test_nothing_feasible_is_no_best() -> None:
    inf = float("inf")
    campaign = Campaign(
        Grid([Axis.integers("a", 0, 9)]), Goal("y"), "random", {}, 0, Timed(Lasting(1)), Terms(1)
    )
    plays = [Played(slots, 0, 10.0 / slots, 10.0, [10.0], [inf], 0.0) for slots in (1, 2)]
    found = Answer.of(campaign, plays, judged=True)
    row: Row = found.rows[0]
    assert (row.best[-1].median, row.reached) == (inf, 0)
    assert len(found.sentences()) == 1


def test_what_learning_is_worth_is_played_in_the_same_worlds(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    study_file(top='minimize = "y"\nlearn_from = ["old.csv"]', run="trials = 12\nparallel = 1")
    write_table(tmp_path / "table.csv")
    known = [(a, b) for a in range(10) for b in range(10) if (a + 2 * b) % 3]
    rows = [f"{a},{b},{2 * value(a, b) + 1}" for a, b in known]
    (tmp_path / "old.csv").write_text("\n".join(["a,b,y", *rows]))
    before = files(tmp_path)
    command = ["simulate", "study.toml", "--table", "table.csv", "--repetitions", 1]
    done = dsice(*command, "--parallel", "1", "--json")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert files(tmp_path) == before

    grid = Grid([Axis.integers("a", 0, 9), Axis.integers("b", 0, 9)])
    old = [((a, b), {"y": 2 * value(a, b) + 1}) for a, b in known]

    def curve(**options: Any) -> list[float]:
        search = make_search("dsice", grid, Goal(minimize="y"), **options)
        best: list[float] = []
        for _ in range(12):
            (point,) = search.ask(1)
            search.tell(point, {"y": value(*point)})
            best.append(min([value(*point), *best[-1:]]))
        return best

    informed, alone = curve(sources=[(grid, old, "old.csv")]), curve()
    answer = json.loads(done.stdout)
    found = answer["learning"]
    assert answer["learned_from"] == ["old.csv"]
    assert (found["slots"], found["trials"]) == (1, list(range(1, 13)))
    assert [each["median"] for each in found["best"]] == informed
    assert [each["median"] for each in found["best_without"]] == alone
    assert informed[0] < alone[0]
    needed = 1 + next(k for k, best in enumerate(informed) if best <= alone[-1])
    assert found["trials_to_best_without"]["median"] == needed
    assert answer["slots"][0]["best"]["100%"]["median"] == informed[-1]

    plain = dsice(*command, "--parallel", 1)
    assert "Learns from old.csv (66 results)." in plain.stdout
    assert "with 1 slot: the best y so far" in plain.stdout
    assert "The best that 12 trials find without it is found with it in" in plain.stdout
    study_file(top='minimize = "y"', run="trials = 12\nparallel = 2")
    assert "learning" not in json.loads(dsice(*command, "--parallel", 1, "--json").stdout)


def test_learning_that_never_catches_up_says_so() -> None:
    def played(best: list[float]) -> Played:
        return Played(4, 0, 1.0, 1.0, [1.0] * len(best), best, 0.0)

    least, most = Goal(minimize="y"), Goal(maximize="y")

    def gain(informed: list[float], alone: list[float], goal: Goal = least) -> Gain:
        return Gain.of(goal, 4, [played(informed)], [played(alone)])

    worse = gain([5.0, 4.0], [5.0, 3.0])
    assert worse.as_json()["trials_to_best_without"]["median"] is None
    assert worse.sentences() == [
        "What 2 trials find without it is not found with it, in most worlds."
    ]
    none = gain([math.inf, 1.0], [math.inf, math.inf])
    assert none.as_json()["best_without"][1]["median"] is None
    assert "nothing that keeps the bounds" in none.sentences()[0]
    largest = gain([-3.0], [-2.0, -3.0], most)
    assert [each.median for each in largest.informed] == [3.0, 3.0]
    assert largest.catching.median == 1
