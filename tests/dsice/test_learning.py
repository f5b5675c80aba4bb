"""Studies that learn from earlier ones, with real processes and files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dsice as package
from dsice.exchange.learning import read, related_studies
from dsice.explain.related import relations_of
from dsice.search import make_search
from dsice.search.why import Role
from dsice.study.config import load
from dsice.study.state import Study

Dsice = Callable[..., "subprocess.CompletedProcess[str]"]
StudyFile = Callable[..., Path]

PROGRAM = """#!/bin/sh
echo "{\\"y\\": $((($1 - 6) * ($1 - 6) + ($2 - 2) * ($2 - 2))), \\"size\\": $1}"
"""
SLOW = PROGRAM.replace("#!/bin/sh\n", "#!/bin/sh\nsleep 0.2\n")
GRID = "a = { integers = [0, 9] }\nb = { integers = [0, 9] }"


@pytest.fixture
def earlier(dsice: Dsice, study_file: StudyFile, tmp_path: Path) -> Path:
    """A finished study of 30 trials in ``runs/earlier``."""
    study_file(top='minimize = "y"', grid=GRID, run="parallel = 4\ntrials = 30", program=PROGRAM)
    done = dsice("run", "study.toml", "--in", "runs/earlier")
    assert done.returncode == 0, done.stderr
    return tmp_path / "runs" / "earlier"


def first_points(directory: Path, count: int = 4) -> list[tuple[Any, ...]]:
    return [tuple(trial.params.values()) for trial in Study.open(directory).trials[:count]]


def test_a_study_goes_on_after_kills_with_its_sources_deleted(
    dsice: Dsice, study_file: StudyFile, earlier: Path, tmp_path: Path
) -> None:
    study_file(
        top='minimize = "y"\nlearn_from = ["runs/earlier"]',
        grid=GRID,
        run="parallel = 4\ntrials = 24",
        program=SLOW,
    )
    journal = tmp_path / "runs" / "later" / "journal.jsonl"
    command = [sys.executable, "-m", "dsice.cli", "run", "study.toml", "--in", "runs/later"]
    for ends in (3, 8):
        driver = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while not journal.exists() or journal.read_text().count('"event":"ended"') < ends:
            assert driver.poll() is None
        driver.kill()
        driver.wait()
        if earlier.exists():
            shutil.rmtree(earlier)
    done = dsice("run", "study.toml", "--in", "runs/later")
    assert done.returncode == 0, done.stderr
    study = Study.open(journal.parent)
    assert len(study.finished) == 24
    (source,) = study.sources
    assert (source.name, len(source.results)) == ("runs/earlier", 30)
    search = make_search("dsice", study.config.grid, study.goal, capacity=4, sources=[source.given])
    for trial, ended in study.history:
        if ended:
            search.tell(trial.point, trial.metrics)
        else:
            assert search.ask() == [trial.point]


def test_the_first_trials_are_near_the_best_of_the_source_and_say_so(
    dsice: Dsice, earlier: Path, tmp_path: Path
) -> None:
    planned = dsice(
        "run", "study.toml", "--in", "runs/later", "--learn-from", "runs/earlier", "--dry-run"
    )
    assert "Learns from" in planned.stdout
    assert "(30 results)" in " ".join(planned.stdout.split())
    best = min(Study.open(earlier).finished, key=lambda trial: trial.metrics["y"])
    done = dsice(
        "run", "study.toml", "--in", "runs/later", "--learn-from", "runs/earlier", "--trials", "12"
    )
    assert done.returncode == 0, done.stderr
    assert "Learns from" in done.stderr
    later = tmp_path / "runs" / "later"
    for a, b in first_points(later):
        assert abs(a - best.params["a"]) + abs(b - best.params["b"]) <= 3
    why = Study.open(later).trials[0].why
    assert why is not None
    assert why.role is Role.SOURCE
    said = " ".join(dsice("explain", later, "1").stdout.split())
    assert "the best of what it recommends, where it expects about" in said
    story = " ".join(dsice("explain", later).stdout.split())
    assert "recommended by an earlier study" in story
    assert "rank correlation of what it expected with what was measured" in story
    assert "Learns from" in dsice("status", later).stdout
    status = json.loads(dsice("status", later, "--json").stdout)
    assert status["learns_from"][0]["results"] == 30
    assert dsice("report", later).returncode == 0
    assert "What it learned from" in (later / "report.html").read_text()
    (relation,) = relations_of(Study.open(later))
    assert relation.correlation is not None
    assert relation.low <= relation.correlation <= relation.high
    assert relation.correlation > 0.5


def test_sources_are_those_of_the_beginning(dsice: Dsice, earlier: Path, tmp_path: Path) -> None:
    assert dsice("run", "study.toml", "--in", "runs/later", "--trials", "4").returncode == 0
    arguments = ("run", "study.toml", "--in", "runs/later", "--trials", "6")
    refused = dsice(*arguments, "--learn-from", "runs/earlier")
    assert refused.returncode == 2
    assert "began to learn from no source" in refused.stderr
    begun = ("run", "study.toml", "--in", "runs/other", "--trials", "4")
    assert dsice(*begun, "--learn-from", "runs/earlier").returncode == 0
    shutil.rmtree(earlier)
    again = dsice("run", "study.toml", "--in", "runs/other", "--trials", "6")
    assert again.returncode == 0, again.stderr
    assert len(Study.open(tmp_path / "runs" / "other").finished) == 6


def test_a_changed_source_is_noticed(dsice: Dsice, earlier: Path, tmp_path: Path) -> None:
    begun = ("run", "study.toml", "--in", "runs/other", "--trials", "4")
    assert dsice(*begun, "--learn-from", str(earlier)).returncode == 0
    kept = tmp_path / "runs" / "other" / "learned.json"
    kept.write_text(kept.read_text().replace('"y": ', '"y": 1'))
    refused = dsice("status", "runs/other")
    assert refused.returncode != 0
    assert "learned.json is not what the study began with" in refused.stderr
    kept.write_text("{")
    assert "learned.json is damaged" in dsice("status", "runs/other").stderr


def test_auto_learns_from_studies_of_the_same_program_beside_it(
    dsice: Dsice, study_file: StudyFile, earlier: Path, tmp_path: Path
) -> None:
    study_file(
        file="stranger.toml",
        top='minimize = "y"',
        grid="c = { integers = [0, 9] }",
        command='["{study}/program.sh", "{c}", "1"]',
        run="trials = 5",
        program=PROGRAM,
    )
    assert dsice("run", "stranger.toml", "--in", "runs/stranger").returncode == 0
    config = load(tmp_path / "study.toml")
    found = related_studies(config, tmp_path / "runs" / "later")
    assert [Path(each.name) for each in found] == [earlier]
    arguments = ("run", "study.toml", "--in", "runs/later", "--trials", "4")
    done = dsice(*arguments, "--learn-from", "auto")
    assert done.returncode == 0, done.stderr
    assert "30 results" in done.stderr
    assert len(Study.open(tmp_path / "runs" / "later").sources) == 1
    file = tmp_path / "study.toml"
    file.write_text('learn_from = "auto"\n' + file.read_text())
    blind = dsice("run", "study.toml", "--in", "runs/blind", "--trials", "4", "--no-learn")
    assert blind.returncode == 0, blind.stderr
    assert not Study.open(tmp_path / "runs" / "blind").sources


def test_tables_are_read_with_levels_of_their_own(earlier: Path, tmp_path: Path) -> None:
    table = tmp_path / "old.csv"
    rows = [f"{a},{b},{(a - 12) ** 2 + b}" for a in range(0, 30, 3) for b in range(0, 10, 2)]
    table.write_text("\n".join(["a,b,y", *rows, "30,0,nan"]))
    found = read(str(table), load(tmp_path / "study.toml"))
    assert found.grid.axes[0].levels == tuple(range(0, 33, 3))
    assert len(found.results) == 51
    assert found.results[-1] == ((10, 0), None)
    assert found.results[0] == ((0, 0), {"y": 144.0})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x,y\n1,2\n3,4\n", "has none of the parameters a, b"),
        ("a,b,z\n1,2,3\n3,4,5\n", "has no result with the metric 'y'"),
    ],
)
def test_what_teaches_nothing_is_refused(
    dsice: Dsice, earlier: Path, tmp_path: Path, content: str, said: str
) -> None:
    (tmp_path / "bad.csv").write_text(content)
    done = dsice("run", "study.toml", "--in", "runs/later", "--learn-from", "bad.csv")
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_published_form_cannot_learn(dsice: Dsice, study_file: StudyFile, earlier: Path) -> None:
    study_file(
        top='minimize = "y"\nsearch = "dsice-2018"\nlearn_from = ["runs/earlier"]',
        grid=GRID,
        run="trials = 4",
        program=PROGRAM,
    )
    done = dsice("run", "study.toml", "--in", "runs/later")
    assert done.returncode == 2
    assert "learn_from" in done.stderr


def bowl(params: dict[str, Any]) -> dict[str, float]:
    return {"y": float((params["a"] - 6) ** 2 + (params["b"] - 2) ** 2)}


def test_tune_learns(earlier: Path, tmp_path: Path) -> None:
    grid = package.Grid([package.Axis("a", range(10)), package.Axis("b", range(10))])
    study = package.tune(
        bowl,
        grid,
        "y",
        trials=6,
        directory=tmp_path / "python",
        learn_from=[earlier],
        progress=False,
    )
    assert study.sources[0].name == str(earlier)
    assert study.best.metrics["y"] <= 2
