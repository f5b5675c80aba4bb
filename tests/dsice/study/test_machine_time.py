"""The budget of machine time: its unit, what is used, and that nothing overruns it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsice.launch.job import JobSpec, Kind, Outcome
from dsice.launch.simulated import SimulatedLauncher, VirtualClock
from dsice.study.config import parse, with_budget
from dsice.study.directory import StudyDirectory
from dsice.study.driver import Driver
from dsice.study.journal import Journal
from dsice.study.machine_time import room, share_of, unit_of, used
from dsice.study.places import slots_of
from dsice.study.preview import preview
from dsice.study.state import Study
from dsice.study.summary import as_json, machine_time_text

TEXT = """
name = "s"
minimize = "y"
search = "random"
[grid]
a = { integers = [0, 999] }
[trial]
command = ["true", "{a}"]
timeout = "2 h"
"""


@pytest.mark.parametrize(
    ("run", "unit", "share"),
    [
        ("", "job-hours", 1),
        ("gpus = 4", "GPU-hours", 1),
        ("gpus = 4\ngpus_per_trial = 0.5", "GPU-hours", 0.5),
        ('on = "slurm"', "job-hours", 1),
        ('on = "slurm"\nslurm = { cpus = 8, nodes = 2 }', "core-hours", 16),
        ('on = "slurm"\nslurm = { cpus = 8, gres = "gpu:a100:2" }', "GPU-hours", 2),
        ('on = "pjm"\npjm = { nodes = 3 }', "node-hours", 3),
        ('on = "allocation"\nallocation = { cpus = 4 }', "core-hours", 4),
        ('on = "allocation"\nallocation = { gpus = 2 }', "GPU-hours", 2),
    ],
)
def test_the_unit_is_what_jobs_are_known_to_have(
    tmp_path: Path, run: str, unit: str, share: float
) -> None:
    config = parse(f"{TEXT}[run]\n{run}", tmp_path)
    assert (unit_of(config), share_of(config)) == (unit, share)


def test_room() -> None:
    assert room(budget=10, spent=4, running=1, each=2) == 2
    assert room(budget=10, spent=4.5, running=1, each=2) == 1
    assert room(budget=10, spent=11, running=0, each=2) == 0
    assert room(budget=10, spent=9, running=40, each=0) > 1000  # nothing is known
    assert room(budget=10, spent=10, running=0, each=0) == 0
    # A time limit longer than the budget says little: one trial is tried.
    assert room(budget=10, spent=0, running=0, each=24, measured=False) == 1
    assert room(budget=10, spent=0, running=1, each=24, measured=False) == 0
    assert room(budget=10, spent=10, running=0, each=24, measured=False) == 0


def session(folder: Path, clock: VirtualClock, trials: int | None = None) -> Study:
    """Run a session in virtual time: the stage takes half an hour, each trial 10 to 20 minutes."""
    text = (
        f'{TEXT}expected = "20 min"\n[stage.first]\ncommand = ["true", "x"]\ntimeout = "1 h"\n'
        '[run]\non = "slurm"\nparallel = 4\njob_hours = 10\nslurm = { gpus = 2 }\n'
    )
    config = with_budget(parse(text, folder), trials=trials)
    place = StudyDirectory.at(folder / "out")

    def program(spec: JobSpec) -> tuple[Outcome, float]:
        if spec.command[1] == "x":
            return Outcome(Kind.OK), 1800.0
        number = int(spec.command[1])
        failed = number % 7 == 0
        minutes = 10 + number % 11
        ended = Outcome(Kind.EXIT, "exit code 1") if failed else Outcome(Kind.OK, metrics={"y": 1})
        return ended, 60.0 * minutes

    place.path.mkdir(exist_ok=True)
    with Journal(place.journal, clock.now) as journal:
        study = Study(config, place).apply(journal.replay())
        launcher = SimulatedLauncher(clock, program)
        return Driver(study, config.run, journal, launcher, clock).run()


def test_nothing_begins_that_would_overrun_it_over_all_sessions(tmp_path: Path) -> None:
    clock = VirtualClock(1000.0)
    assert len(session(tmp_path, clock, trials=7).trials) == 7
    study = session(tmp_path, clock)
    by_hand = 0.5 + sum(t.attempts[0].seconds for t in study.trials) / 3600
    assert used(study) == pytest.approx(2 * by_hand)  # each job has two GPUs
    # No trial takes more than 20 minutes, so less than the part of one is left over.
    assert 10 - 2 / 3 < used(study) <= 10 + 2 * 4 * 5 / 60  # four may be longer than the median
    assert study.sessions[-1].why.startswith("the 10 GPU-hours are used")
    assert len(session(tmp_path, clock).trials) == len(study.trials)
    found = as_json(study)["machine_time"]
    assert found == {"unit": "GPU-hours", "used": used(study), "budget": 10.0}
    assert machine_time_text(study).endswith(" of 10 GPU-hours")


def test_a_dry_run_says_what_it_is_enough_for(tmp_path: Path) -> None:
    text = f'{TEXT}expected = "20 min"\n[run]\non = "slurm"\njob_hours = 10\nslurm = {{ cpus = 3 }}'
    lines = "\n".join(preview(parse(text, tmp_path), tmp_path / "out").lines)
    assert "10 core-hours at most" in lines
    assert "10 core-hours are enough for 10 trials" in lines


@pytest.mark.parametrize(
    ("run", "slots"),
    [
        ("gpus = 4", 4),
        ("gpus = [0, 2]\ngpus_per_trial = 0.5", 4),
        ("gpus = 8\ngpus_per_trial = 2", 4),
        ("gpus = 8\nparallel = 3", 3),
        ("", 1),
    ],
)
def test_slots_without_the_machine(tmp_path: Path, run: str, slots: int) -> None:
    assert slots_of(parse(f"{TEXT}[run]\n{run}", tmp_path)) == slots
