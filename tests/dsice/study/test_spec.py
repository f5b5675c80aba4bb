"""From trials to jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsice.launch.job import Kind
from dsice.study.config import parse
from dsice.study.directory import StudyDirectory
from dsice.study.facts import Trial
from dsice.study.spec import resources_of
from dsice.study.state import Study
from dsice.study.task import Attempt

FILE = """
name = "s"
minimize = "y"
[grid]
a = [1, 2]
[trial]
command = ["true"]
{trial}
[run]
on = "slurm"
[run.slurm]
time = "1 h"
{slurm}
"""


@pytest.mark.parametrize(
    ("trial", "slurm", "ends", "memory"),
    [
        ("", 'memory = "8 GB x attempt"', [], "8 GB"),
        ("", 'memory = "8 GB x attempt"', [Kind.OUT_OF_MEMORY], "16 GB"),
        ("", 'memory = "8 GB x attempt"', [Kind.PREEMPTED, Kind.OUT_OF_MEMORY], "16 GB"),
        ("", 'memory = "8 GB"', [Kind.OUT_OF_MEMORY], None),
        ('resources = { memory = "1 GB x attempt" }', 'memory = "9 GB"', [Kind.PREEMPTED], "1 GB"),
        ('resources = { memory = "1 GB" }', 'memory = "9 GB x attempt"', [], "1 GB"),
    ],
)
def test_a_trial_whose_memory_was_exceeded_gets_more(
    tmp_path: Path, trial: str, slurm: str, ends: list[Kind], memory: str | None
) -> None:
    config = parse(FILE.format(trial=trial, slurm=slurm), tmp_path)
    attempts = [Attempt(number, 0.0, kind=kind) for number, kind in enumerate(ends, 1)]
    study = Study(config, StudyDirectory.at(tmp_path))
    found = resources_of(study, Trial(study, attempts, number=1, point=(0,)))
    assert found.get("memory") == memory
