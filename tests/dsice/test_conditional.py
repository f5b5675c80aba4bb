"""Conditional parameters from the study file to every view, other programs and back."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

import dsice as dsice_package
from dsice.errors import InvalidInput
from dsice.grid import Axis, Grid
from dsice.optuna import DsiceSampler
from dsice.report.facts import Facts
from dsice.report.summary import columns, table
from dsice.search import make_search
from dsice.study.config import load, parse
from dsice.study.state import Study
from dsice.study.task import Status
from tests.conftest import Dsice

PROGRAM = """
import json, os, pathlib, sys
params = json.loads(pathlib.Path(os.environ["DSICE_PARAMS"]).read_text())
given = dict(item.removeprefix("--").split("=") for item in sys.argv[1:])
assert given.keys() == params.keys(), (given, params)
assert ("momentum" in params) == (params["optimizer"] == "sgd")
assert os.environ.get("MOMENTUM", "") == given.get("momentum", "")
seen = pathlib.Path(__file__).with_name("seen")
with seen.open("a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
loss = {"adam": 0.5, "sgd": 0.1}[params["optimizer"]] + (params["lr"] - 2) ** 2
loss += (params.get("momentum", 0.6) - 0.6) ** 2 + 0.05 * params.get("nesterov", True)
print(json.dumps({"loss": loss, "size": params["lr"]}))
"""

STUDY = """
name = "conditional"
minimize = "loss"
first = [{{ optimizer = "adam", lr = 3 }}]
allowed = "momentum + lr < 3.7"
{top}
[grid]
momentum = {{ linear = [0, 0.9], levels = 4, when = "optimizer == 'sgd'" }}
optimizer = {{ choice = ["adam", "sgd"] }}
nesterov = {{ values = [false, true], when = "optimizer == 'sgd'" }}
lr = [1, 2, 3]
[trial]
command = {command}
env = {{ MOMENTUM = "{{momentum}}" }}
[run]
{run}
"""
NAMES = ("momentum", "optimizer", "nesterov", "lr")
POINTS = 3 + 2 * 4 * 3 - 2  # 0.9 + 3 is excluded, with nesterov and without


@pytest.fixture
def write(tmp_path: Path) -> Any:
    (tmp_path / "train.py").write_text(PROGRAM)

    def write(top: str = "", run: str = "parallel = 2", **more: str) -> Path:
        items = [f"--{name}={{{name}}}" for name in NAMES]
        command = more.get("command") or json.dumps([sys.executable, "{study}/train.py", *items])
        path = tmp_path / "study.toml"
        path.write_text(STUDY.format(top=top, run=run, command=command))
        return path

    return write


def test_a_study(write: Any, dsice: Dsice, tmp_path: Path) -> None:
    write(run="trials = 6")
    planned = dsice("run", "study.toml", "--dry-run")
    assert "Grid        27 points, 25 allowed" in planned.stdout
    assert "4 levels: 0.0, 0.3, 0.6, 0.9, where optimizer == 'sgd'" in planned.stdout
    for options in ((), ("--trials", 100)):  # the second one goes on with the first
        done = dsice("run", "study.toml", "--in", "out", *options)
        assert done.returncode == 0, done.stderr
    assert "every allowed point is measured" in done.stdout
    seen = (tmp_path / "seen").read_text().splitlines()
    assert len(seen) == len(set(seen)) == POINTS
    assert seen[0] == "--optimizer=adam --lr=3"
    assert "optimizer=sgd nesterov=false lr=2" in dsice("status", "out").stdout
    study = Study.open(tmp_path / "out")
    assert study.best.params == {"momentum": 0.6, "optimizer": "sgd", "nesterov": False, "lr": 2}
    assert study.trials[0].params == {"optimizer": "adam", "lr": 3}
    # Tables show a dash; every view has something to show.
    facts = Facts.of(study)
    heads, rows = columns(facts), table(facts)
    places = [heads.index(name) for name in NAMES]
    assert [rows[0].cells[k].text for k in places] == ["–", "adam", "–", "3"]
    assert dsice("report", "out").returncode == 0
    for number in ((), (1,), (8,)):
        explained = dsice("explain", "out", *number)
        assert explained.returncode == 0, explained.stderr
    # To a table and back: what does not apply is empty, and nothing is measured again.
    assert dsice("export", "out", "--csv", "out.csv").returncode == 0
    with (tmp_path / "out.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert {line["momentum"] for line in lines if line["optimizer"] == "adam"} == {""}
    for source in ("out.csv", "out"):
        (tmp_path / "seen").unlink(missing_ok=True)
        known = dsice("import", "study.toml", source, "--in", f"from-{source}")
        assert known.returncode == 0, known.stderr
        again = dsice("run", "study.toml", "--in", f"from-{source}", "--trials", 3)
        assert "every allowed point is measured" in again.stdout + again.stderr
        assert not (tmp_path / "seen").exists()


def test_a_sweep_answers_each_bound_and_measures_where_parameters_apply(
    write: Any, dsice: Dsice, tmp_path: Path
) -> None:
    write(run="trials = 10\nparallel = 2")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    options = ("--bound", "size", "1:3", "--at", "1,2,3", "--trials", 8, "--json")
    done = dsice("sweep", "out", *options)
    assert done.returncode == 0, done.stderr
    trials = Study.open(tmp_path / "out").trials
    assert [trial.number for trial in trials if trial.sweep == 1] == list(range(11, 19))
    # The program itself requires that it gets momentum and nesterov exactly where they apply.
    assert {trial.status for trial in trials} == {Status.DONE}
    seen = (tmp_path / "seen").read_text().splitlines()
    assert len(seen) == len(set(seen)) == 18
    rows = json.loads(done.stdout)["bounds"]
    assert [row["limit"] for row in rows] == [1, 2, 3]
    for row in rows:
        kept = [t.metrics["loss"] for t in trials if t.metrics["size"] <= row["limit"]]
        assert row["objective"] == min(kept)


@pytest.mark.parametrize("gaps", [False, True])
def test_a_simulation_plays_each_program_once(
    write: Any, dsice: Dsice, tmp_path: Path, gaps: bool
) -> None:
    config = load(write(run="trials = 14"))
    grid = config.grid
    losses = {p: 2 * p[1] + abs(p[3] - 1) + 0.3 * p[0] - 0.1 * p[2] for p in grid}
    with (tmp_path / "t.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*NAMES, "loss", "seconds"], restval="")
        writer.writeheader()
        rows = sorted(losses.items())
        for point, loss in rows[::2] if gaps else rows:
            writer.writerow(grid.params(point) | {"loss": loss, "seconds": 60 + point[3]})
    command = ("simulate", "study.toml", "--table", "t.csv", "--repetitions", 1)
    done = dsice(*command, "--parallel", "1,2", "--json")
    assert done.returncode == 0, done.stderr
    one, two = json.loads(done.stdout)["slots"]
    assert one["speed_up"]["median"] == 1 < two["speed_up"]["median"] <= 2
    if gaps:  # what is between is drawn from a model
        return
    search = make_search("dsice", grid, config.goal)
    asked = list(config.first)
    while len(asked) < 14:
        search.tell(asked[-1], {"loss": losses[asked[-1]]})
        asked += search.ask(1)
    assert len(set(asked)) == 14
    assert one["best"]["100%"]["median"] == pytest.approx(min(losses[p] for p in asked))
    assert one["wall_hours"]["median"] == pytest.approx(sum(60 + p[3] for p in asked) / 3600)


def test_a_table_may_say_anything_of_what_does_not_apply(
    write: Any, dsice: Dsice, tmp_path: Path
) -> None:
    """Scripts write the defaults of all their options."""
    write()
    (tmp_path / "runs.csv").write_text(
        "optimizer,momentum,nesterov,lr,loss\nadam,0.123,x,1,5\nadam,,,2,4\nsgd,0.3,false,2,3\n"
        "sgd,,false,2,3\n"
    )
    done = dsice("import", "study.toml", "runs.csv", "--in", "out")
    assert done.returncode == 0, done.stderr
    assert "parameter 'momentum'" in done.stdout
    study = Study.open(tmp_path / "out")
    assert [each.params for each in study.known] == [
        {"optimizer": "adam", "lr": 1},
        {"optimizer": "adam", "lr": 2},
        {"momentum": 0.3, "optimizer": "sgd", "nesterov": False, "lr": 2},
    ]


def test_to_optuna_and_back(write: Any, dsice: Dsice, tmp_path: Path) -> None:
    write(run="trials = 12")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    place = f"sqlite:///{tmp_path}/out.db"
    assert dsice("export", "out", "--optuna", place).returncode == 0
    exported = optuna.load_study(study_name="conditional", storage=place)
    study = Study.open(tmp_path / "out")
    assert [trial.params for trial in exported.trials] == [trial.params for trial in study.trials]
    for trial in exported.trials:
        assert trial.distributions.keys() == trial.params.keys()
    known = dsice("import", "study.toml", place, "--in", "back")
    assert known.returncode == 0, known.stderr
    back = Study.open(tmp_path / "back").known
    assert [each.params for each in back] == [trial.params for trial in study.trials]


def test_the_sampler_takes_a_conditional_grid() -> None:
    axes = [
        Axis.range("momentum", 0, 0.9, 4, when="optimizer == 'sgd'"),
        Axis.choice("optimizer", ["adam", "sgd"]),
        Axis("lr", [1, 2, 3]),
    ]
    grid = Grid(axes, "momentum < 0.9")

    def objective(trial: optuna.Trial) -> float:
        optimizer = trial.suggest_categorical("optimizer", ["adam", "sgd"])
        lr = trial.suggest_int("lr", 1, 3)
        momentum = trial.suggest_float("momentum", 0, 0.9) if optimizer == "sgd" else 0.5
        return float((momentum - 0.6) ** 2 + lr)

    study = optuna.create_study(sampler=DsiceSampler(search_space=grid, seed=0))
    study.optimize(objective, n_trials=40)
    found = [frozenset(trial.params.items()) for trial in study.trials]
    assert len(found) == len(set(found)) == 3 + 3 * 3
    assert {len(trial.params) for trial in study.trials} == {2, 3}
    momentum = {trial.params.get("momentum") for trial in study.trials}
    assert momentum == {None, 0.0, 0.3, 0.6}
    assert {trial.distributions["optimizer"] for trial in study.trials} == {
        CategoricalDistribution(["adam", "sgd"])
    }
    assert FloatDistribution(0, 0.9) in [t.distributions.get("momentum") for t in study.trials]


def test_a_function_gets_what_applies(tmp_path: Path) -> None:
    grid = dsice_package.Grid(
        [
            dsice_package.Axis.choice("optimizer", ["adam", "sgd"]),
            dsice_package.Axis.log("lr", 1e-3, 1e-1, 3),
            dsice_package.Axis.range("momentum", 0, 0.9, 4, when="optimizer == 'sgd'"),
        ]
    )

    def train(params: dict[str, Any]) -> dict[str, float]:
        assert ("momentum" in params) == (params["optimizer"] == "sgd")
        return {"loss": params["lr"] + params.get("momentum", 1.0)}

    study = dsice_package.tune(
        train,
        grid,
        "loss",
        first=[{"optimizer": "adam", "lr": 3e-2}],
        directory=tmp_path / "out",
        progress=False,
    )
    assert len(study.trials) == 3 + 12
    assert study.trials[0].params == {"optimizer": "adam", "lr": 0.01}
    assert dsice_package.load(tmp_path / "out").config.grid.size == 15


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('"--momentum={momentum}"', '"--momentum", "{momentum}"'), "'--momentum={momentum}'"),
        (("optimizer == 'sgd'\" }\noptimizer", 'nesterov" }\noptimizer'), "conditional too"),
        (("optimizer == 'sgd'\" }\noptimizer", 'sgd" }\noptimizer'), "when = 'sgd' reads 'sgd'"),
        (("linear = [0, 0.9], levels = 4", "levels = 4"), "flag; found none"),
    ],
)
def test_what_is_refused(write: Any, change: tuple[str, str], words: str) -> None:
    text = write().read_text()
    assert change[0] in text
    with pytest.raises(InvalidInput) as error:
        parse(text.replace(*change), Path("/x"))
    assert words in str(error.value)
