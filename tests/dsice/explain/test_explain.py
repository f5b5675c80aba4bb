"""Explanations of real runs agree with their journals."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsice.explain.effects import effects_of
from dsice.explain.line import When, line_of
from dsice.explain.moment import search_before
from dsice.explain.trial import explanation_of
from dsice.explain.walk import roles_of, walk_of
from dsice.search.why import Role, Why
from dsice.study.state import Study
from dsice.study.task import Status

Dsice = Callable[..., "subprocess.CompletedProcess[str]"]
StudyFile = Callable[..., Path]

# (a - 3)^2 + (b - 6)^2 + a b c with c in 0, 1; z = a; fails in a corner.
PROGRAM = """#!/bin/sh
if [ $1 -gt 7 ] && [ $2 -gt 7 ]; then exit 1; fi
y=$((($1 - 3) * ($1 - 3) + ($2 - 6) * ($2 - 6) + $1 * $2 * $3))
echo "{\\"y\\": $y, \\"z\\": $1}"
"""
GRID = (
    "a = { integers = [0, 9] }\nb = { integers = [0, 9] }\nc = { choice = [0, 1] }\nd = [1, 2, 3]"
)


STUDY = """
name = "small"
minimize = "y"
subject_to = ["z <= 5"]
search = { name = "dsice", repeats = 1 }
[grid]
GRID
[trial]
command = ["{study}/program.sh", "{a}", "{b}", "{c}", "{d}"]
[run]
parallel = 2
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real study of 34 trials in two sessions that differ in how many trials run at once."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "program.sh").write_text(PROGRAM)
    (folder / "program.sh").chmod(0o755)
    (folder / "study.toml").write_text(STUDY.replace("GRID", GRID))
    for parallel, trials in ((2, 20), (3, 34)):
        budget = ["--parallel", str(parallel), "--trials", str(trials)]
        command = [sys.executable, "-m", "dsice.cli", "run", "study.toml", "--in", "out", *budget]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return folder / "out"


def events(directory: Path) -> list[dict[str, Any]]:
    return list(map(json.loads, (directory / "journal.jsonl").read_text().splitlines()))


def test_every_trial_of_a_real_run(directory: Path, dsice: Dsice) -> None:
    study = Study.open(directory)
    journal = events(directory)
    proposed = {e["trial"]: e for e in journal if e["event"] == "trial"}
    ended = {e["trial"]: e for e in journal if e["event"] == "ended" and e["verdict"] != "again"}
    assert len(study.trials) == len(ended) == 34
    earlier = None
    improved = set()
    for each in study.incumbents_for(study.goal):
        if each.best.point != earlier and each.latest.point == each.best.point:
            improved.add(each.latest.number)
        earlier = each.best.point
    walk = walk_of(study)
    lines = 0
    for trial in study.trials:
        found = explanation_of(study, trial.number, walk)
        said = proposed[trial.number]["why"]
        assert found.why is not None
        assert found.why.as_json() == said
        assert found.metrics == ended[trial.number].get("metrics", {})
        assert found.improved == (trial.number in improved)
        assert len(found.pending) == said["pending"]
        known = {t.point for t in study.finished if _ended_before(journal, t.number, trial.number)}
        assert len(known) == said["known"]
        assert (found.why.role in (Role.AXIS, Role.OBLIQUE, Role.LEARNED)) == ("through" in said)

        # The search that the journal makes anew, asked then, proposes the same for the same reason.
        search = search_before(study, trial)
        expected = search.forecast([trial.point])
        assert search.ask() == [trial.point]
        again = search.why(trial.point)
        assert again is not None
        same_but_for_rounding(again, found.why)
        if found.line is None:
            continue
        lines += 1
        assert expected is not None
        itself = [p for p in found.line.positions if any(s.trial == trial.number for s in p.trials)]
        assert [p.point for p in itself] == [trial.point]
        assert itself[0].expected is not None
        assert itself[0].expected.mean == pytest.approx(expected[0].estimate.mean)
        assert found.forecast is not None
        assert expected[0].estimate.mean == pytest.approx(found.forecast.estimate.mean)
        assert expected[0].score == pytest.approx(found.forecast.score, rel=1e-6)
        if found.line.through_trial is not None:
            assert study.trials[found.line.through_trial - 1].point == found.line.through
        for position in found.line.positions:
            for seen in position.trials:
                there = study.trials[seen.trial - 1]
                assert there.point == position.point
                assert seen.value == there.metrics.get("y")
                before = _ended_before(journal, seen.trial, trial.number)
                assert (seen.when is When.BEFORE) == (before and there.status is Status.DONE)
                assert (seen.when is When.ITSELF) == (seen.trial == trial.number)
    assert lines > 15

    for number in (1, study.best.number, 34):
        text = dsice("explain", directory, number)
        assert text.returncode == 0, text.stderr
        assert f"Trial {number} was " in text.stdout
        data = json.loads(dsice("explain", directory, number, "--json").stdout)
        assert data["metrics"] == study.trials[number - 1].metrics
        assert data["why"]["role"] == proposed[number]["why"]["role"]


def _ended_before(journal: list[dict[str, Any]], number: int, trial: int) -> bool:
    """Whether a trial had ended when another was proposed."""
    order = [(e["event"], e.get("trial")) for e in journal]
    return ("ended", number) in order and order.index(("ended", number)) < order.index(
        ("trial", trial)
    )


def same_but_for_rounding(a: Why, b: Why) -> None:
    one, other = a.as_json(), b.as_json()
    expected = one.pop("expected", {}), other.pop("expected", {})
    assert one == other
    flat = [list(_flat(each)) for each in expected]
    assert [x for x in flat[0] if isinstance(x, str)] == [x for x in flat[1] if isinstance(x, str)]
    numbers = [[x for x in each if isinstance(x, float)] for each in flat]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-6, abs=1e-12)


def _flat(data: Any) -> Any:
    if isinstance(data, dict):
        data = list(data.values())
    if isinstance(data, list):
        for each in data:
            yield from _flat(each)
    else:
        yield data


def test_expectations_are_worked_out_from_what_was_known_then(
    directory: Path, tmp_path: Path
) -> None:
    """A journal that was cut off before a trial knows nothing of later results."""
    whole = Study.open(directory)
    lines = (directory / "journal.jsonl").read_text().splitlines(keepends=True)
    for number in (12, 20, 21, 33):
        cut = next(k for k, line in enumerate(lines) if json.loads(line).get("trial") == number)
        shutil.copytree(directory, tmp_path / "then", dirs_exist_ok=True)
        (tmp_path / "then" / "journal.jsonl").write_text("".join(lines[:cut]))
        trial = whole.trials[number - 1]
        search = search_before(Study.open(tmp_path / "then"), None)
        forecasts = search.forecast([trial.point])
        assert trial.why is not None
        if trial.why.forecast is not None:
            assert forecasts is not None
            assert forecasts[0].estimate.mean == pytest.approx(trial.why.forecast.estimate.mean)
            assert forecasts[0].chance == pytest.approx(trial.why.forecast.chance)


def test_the_story_of_a_real_run(directory: Path, dsice: Dsice) -> None:
    study = Study.open(directory)
    walk = walk_of(study)
    roles = roles_of(study, walk)
    assert sum(each.proposed for each in roles) == 34
    assert sum(each.improved for each in roles) == sum(step.improved for step in walk)
    assert (walk[-1].trial, walk[-1].point) == (study.best.number, study.best.point)
    assert walk[-1].value == study.best.metrics["y"]
    for one, other in itertools.pairwise(walk):
        assert one.point != other.point
        by = study.trials[other.by - 1]
        assert by.point == (other.point if other.improved else one.point)
    text = dsice("explain", directory)
    assert text.returncode == 0, text.stderr
    assert "The walk of the best point" in text.stdout
    assert "What each parameter does to y" in text.stdout
    assert "What each parameter does to z" in text.stdout
    data = json.loads(dsice("explain", directory, "--json").stdout)
    assert [step["trial"] for step in data["walk"]] == [step.trial for step in walk]
    assert {each["metric"] for each in data["effects"]} == {"y", "z"}


def test_journals_from_before_are_explained_as_far_as_they_go(
    directory: Path, dsice: Dsice, tmp_path: Path
) -> None:
    shutil.copytree(directory, tmp_path / "old")
    journal = tmp_path / "old" / "journal.jsonl"
    old = [event for event in events(directory) if event["event"] != "study"]
    for event in old:
        del event["crc"], event["session"]
        if event["event"] == "trial":
            event.pop("why", None)
    journal.write_text("".join(json.dumps(event) + "\n" for event in old))
    text = dsice("explain", "old", 30)
    assert text.returncode == 0, text.stderr
    assert "did not take down why" in text.stdout
    assert "It measured y " in text.stdout or "It failed" in text.stdout
    assert "unknown: the journal does not say" in dsice("explain", "old").stdout
    assert line_of(Study.open(tmp_path / "old"), 30, []) is None
    more = dsice("run", directory.parent / "study.toml", "--in", "old", "--trials", 36)
    assert more.returncode == 0, more.stderr
    assert explanation_of(Study.open(tmp_path / "old"), 36, ()).why is not None


def test_studies_that_have_only_begun(dsice: Dsice, study_file: StudyFile, tmp_path: Path) -> None:
    study_file(run="trials = 3", top='minimize = "y"\nsearch = "random"')
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    for arguments, words in (
        (("out", 4), "has no trial 4: its trials are 1 to 3"),
        (("out", 0), "has no trial 0"),
        (("nowhere",), "holds no study"),
    ):
        refused = dsice("explain", *arguments)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert words in refused.stderr
        assert refused.stderr.count("\n") == 1
    text = dsice("explain", "out")
    assert text.returncode == 0, text.stderr
    assert "drawn blindly" in text.stdout
    assert "Too few results" in text.stdout
    journal = tmp_path / "out" / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    cut = next(k for k, line in enumerate(lines) if '"ended"' in line)
    journal.write_text("".join(lines[:cut]))  # as if the first trial were running
    running = dsice("explain", "out", 1)
    assert "It has not ended yet." in running.stdout
    journal.write_text("".join(lines[:2]))
    nothing = dsice("explain", "out")
    assert nothing.returncode == 2
    assert "has no trials yet" in nothing.stderr


def test_effects_are_those_of_the_model_averaged_over_the_grid(directory: Path) -> None:
    """Against averages over all points of the grid, taken one by one."""
    from dsice.explain import effects as module

    study = Study.open(directory)
    found = effects_of(study)
    assert found is not None
    captured: list[Any] = []
    original = module._Decomposition.effects

    def watched(self: Any, most: int) -> Any:
        captured.append(self)
        return original(self, most)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module._Decomposition, "effects", watched)
        effects_of(study)
    (model,) = captured
    shape = study.config.grid.shape
    everywhere = np.array(list(itertools.product(*map(range, shape))), dtype=np.intp)
    covariance = model._anova.covariance(everywhere, model._points)
    values = (covariance @ model._pull).reshape(shape)
    variance = values.var()
    axes = range(len(shape))
    alone = {}
    for axis, effect in enumerate(found.effects):
        others = tuple(other for other in axes if other != axis)
        alone[axis] = values.mean(axis=others) - values.mean()
        assert effect.mean == pytest.approx(alone[axis])
        assert effect.share == pytest.approx(alone[axis].var() / variance)
        assert effect.total == pytest.approx(values.var(axis=axis).mean() / variance)
    for pair in found.interactions:
        i, j = (study.config.grid.names.index(name) for name in pair.axes)
        others = tuple(other for other in axes if other not in (i, j))
        both = values.mean(axis=others) - values.mean()
        both = both - alone[i][:, None] - alone[j][None, :]
        np.testing.assert_allclose(np.array(pair.mean), both, atol=1e-9)
        assert pair.share == pytest.approx((both**2).mean() / variance)
    shares = [effect.share for effect in found.effects]
    assert sum(shares) + sum(p.share for p in found.interactions) + found.beyond == pytest.approx(1)
    by_axis = {effect.axis: effect for effect in found.effects}
    assert by_axis["d"].total < 0.03  # the program does not read it
    assert min(by_axis[name].total for name in "ab") > 0.1
