"""What ``dsice run --dry-run`` says, and that it does nothing."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dsice.study.config import load, with_budget
from dsice.study.preview import Preview, preview
from tests.conftest import ENVIRONMENT

Dsice = Callable[..., "subprocess.CompletedProcess[str]"]
StudyFile = Callable[..., Path]

STAGED = """
[paths]
photos = "photos"
model = "/nowhere/model.mat"
[stage.build]
command = ["make", "--from={photos}", "-f", "{study}/Makefile"]
timeout = "30 min"
"""
TRIAL = '["{study}/program.sh", "{a}", "two words", "--model={model}", "--extra=/nowhere/else"]'
# Reports, from within, every process that is started and everything that is written.
WATCHED = """
import os, sys

def watch(event, arguments):
    if "/.coverage." in str(arguments):  # of make coverage
        return
    if event in ("os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.system", "os.spawn"):
        print("STARTED", event, arguments, file=sys.stderr)
    elif event in ("subprocess.Popen", "os.mkdir", "os.rename", "os.link", "os.remove"):
        print("DONE", event, arguments, file=sys.stderr)
    elif event == "open" and isinstance(arguments[2], int):
        if arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            print("WRITTEN", arguments, file=sys.stderr)

from dsice.cli import main
sys.addaudithook(watch)
sys.exit(main())
"""


def staged(study_file: StudyFile, run: str = "trials = 5", **parts: str) -> Path:
    return study_file(more=STAGED, command=TRIAL, trial='timeout = "2 h"', run=run, **parts)


def previewed(path: Path, on: str = "local") -> tuple[str, Preview]:
    """The text of a preview, lines joined and each gap one space; and all of it."""
    found = preview(with_budget(load(path), on=on), path.parent / "out")
    return " ".join(" ".join(found.lines).replace(" \\ ", " ").split()), found


def command_of(found: Preview) -> str:
    """The command of the first trial: what stands between its parameters and the next heading."""
    text = "\n".join(found.lines)
    return text[text.index("\n", text.index("The first is")) : text.index("\nWhere")].strip()


def test_what_would_be_done(study_file: StudyFile, tmp_path: Path) -> None:
    path = staged(
        study_file,
        "trials = 5\nhours = 1.5\nparallel = 2",
        top='maximize = "y"\nsubject_to = ["z <= 5"]\nallowed = "a + b > 1"\nsearch = "random"',
    )
    text, found = previewed(path)
    for said in (
        "Goal maximize y subject to z <= 5",
        "Search random, seed 0",
        "Grid 100 points, 97 allowed",
        "a 10 levels: 0, 1, 2, 3, ..., 9",
        "build time limit 30 min",
        f"make --from={tmp_path}/photos -f {tmp_path}/Makefile",
        "Trials 5 in all, 1.5 hours at most, 2 at once; time limit 2 h",
        "'two words'",
        "Where processes on this machine",
        f"Directory {tmp_path}/out (new)",
        "stages at most 30 min",
        "trials at most 5 x 2 h = 10 job-hours, 6 h with 2 at once",
    ):
        assert said in text
    assert "Job script" not in text
    assert max(map(len, found.lines)) < 200
    assert found.warnings == (
        f"[paths] photos = '{tmp_path}/photos': there is no such file or folder",
        "[paths] model = '/nowhere/model.mat': there is no such file or folder",
        f"not here: {tmp_path}/Makefile",
        "not here: /nowhere/else",
    )
    (tmp_path / "photos").mkdir()
    (tmp_path / "Makefile").touch()
    assert len(previewed(path)[1].warnings) == 2


def test_the_first_trial_is_the_one_that_is_run(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    path = study_file(run="trials = 1")
    command = command_of(preview(load(path), tmp_path / "out"))
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    spec = json.loads((tmp_path / "out/trials/00001/attempt-1/spec.json").read_text())
    assert shlex.split(command.replace("\\\n", "")) == spec["command"]


def test_a_long_command_is_one_line_to_a_shell(study_file: StudyFile) -> None:
    words = [f"option-number-{k} it's {k}" for k in range(12)]
    _, found = previewed(study_file(command=json.dumps(["printf", r"%s\n", *words])))
    command = command_of(found)
    assert command.count("\n") > 2
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == words


@pytest.mark.parametrize(
    ("on", "said"),
    [
        ("slurm", ["#SBATCH --gpus-per-node=1", "#SBATCH --time=120"]),
        ("pjm", ["#PJM -L gpu=1", "#PJM -L elapse=2:00:00"]),
        ("pbs", ["#PBS -l select=1:ngpus=1", "#PBS -l walltime=2:00:00"]),
    ],
)
def test_jobs_of_a_batch_system(
    study_file: StudyFile, monkeypatch: pytest.MonkeyPatch, on: str, said: list[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    path = study_file(run=f'trials = 4\n[run.{on}]\ngpus = 1\ntime = "2 h"')
    text, found = previewed(path, on)
    for each in ["a job with 1 GPU, 2 h of time", *said]:
        assert each in text
    assert "Time trials at most 4 x 2 h = 8 job-hours" in text
    assert any(warning.startswith("there is no ") for warning in found.warnings)


def test_several_trials_a_job(study_file: StudyFile) -> None:
    path = study_file(run='per_job = 3\nparallel = 2\n[run.slurm]\ntime = "2 h"')
    text = " ".join(previewed(path, "slurm")[0].split())
    assert "jobs of Slurm, each of 3 trials, one after another, handed over with sbatch" in text
    assert "#SBATCH --time=366" in text  # three times two hours, half a minute, and five
    (warning,) = [each for each in previewed(path, "local")[1].warnings if "per_job" in each]
    assert "it is about jobs of batch systems, and the trials run on 'local'" in warning


def test_a_study_that_has_begun_and_one_that_cannot_go_on(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    path = study_file(more='[stage.build]\ncommand = ["true"]', run="trials = 3")
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    text, found = previewed(path)
    assert "build done already" in text
    assert "Grid: 100 points.\n" in dsice("status", "out").stdout
    counts = json.loads(dsice("status", "out", "--json").stdout)["grid"]
    assert counts == {"points": 100, "allowed": 100, "distinct": 100, "least": 100}
    assert "holds this study: 3 trials have ended. The command goes on with it" in text
    assert found.warnings == ()
    build = '[stage.build]\ncommand = ["true"]'
    study_file(top='minimize = "z"', more=build, run="trials = 3")
    changes = "what changes: goal: minimize y before, minimize z now"
    assert changes in " ".join(previewed(path)[0].split())
    study_file(top='minimize = "x"', more=build, run="trials = 3")
    assert "the goal reads 'x', which trial 1 did not return" in previewed(path)[1].warnings[0]
    other = preview(load(path), tmp_path)  # holds something else
    assert "is not empty and holds no study" in other.warnings[0]
    study_file(top='minimize = "y"\nallowed = "a > 9"')
    assert "the rule 'allowed' lets no point be measured" in previewed(path)[1].warnings


def test_nothing_is_written_and_nothing_is_started(study_file: StudyFile, tmp_path: Path) -> None:
    staged(study_file, 'trials = 5\n[run.slurm]\ntime = "3 h"', grid="a = [1]\nb = [0]")
    before = sorted(tmp_path.rglob("*"))
    for on in ("local", "slurm"):
        done = subprocess.run(
            [sys.executable, "-B", "-c", WATCHED, "run", "study.toml", "--dry-run", "--on", on],
            cwd=tmp_path,
            env=ENVIRONMENT | {"SLURM_JOB_ID": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "study.toml is valid. Nothing was run or written." in done.stdout
        assert "- not here: /nowhere/else" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_that_is_not_valid(dsice: Dsice, study_file: StudyFile) -> None:
    study_file(run="trials = 0")
    done = dsice("run", "study.toml", "--dry-run")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("dsice: study.toml: key 'run.trials' = 0: ")
    assert done.stderr.count("\n") == 1


def test_a_path_that_is_missing_is_an_error_before_anything_starts(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    staged(study_file)
    done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 2
    assert f"dsice: [paths] photos = '{tmp_path}/photos': there is no such" in done.stderr
    assert not (tmp_path / "out").exists()


def test_short_trials_take_time_too(study_file: StudyFile) -> None:
    path = study_file(run="trials = 30", trial='timeout = "30 s"')
    assert "trials at most 30 x 30 s = 0.25 job-hours, 15 min with 1 at once" in previewed(path)[0]


def test_what_is_expected_to_take_long_is_worked_out(study_file: StudyFile) -> None:
    more = '[stage.build]\ncommand = ["make"]\nexpected = "90 min"\n'
    path = study_file(more=more, trial='expected = "3 min"', run="trials = 30\nparallel = 4")
    text, _ = previewed(path)
    assert "Time stages about 1 h 30 min" in text
    assert "trials about 30 x 3 min = 1.5 job-hours, 24 min with 4 at once" in text
    assert "at most" not in text


def test_samples_first_settings_and_beliefs(study_file: StudyFile) -> None:
    text, _ = previewed(
        study_file(
            top='minimize = "y"\nof_repeats = "best"\nfirst = [{ a = 2, b = 1 }, { a = 1, b = 2 }]',
            grid="a = { values = [0, 1, 2, 3], weights = [1, 0, 2, 1] }\nb = [1, 2]",
            run="trials = 10\nsamples = 3",
        )
    )
    assert "You believe most in 2 (50 %), 0 (25 %), 3 (25 %), ..." in text
    assert "every point 3 times, of which the best counts: 3 points" in text
    assert "The first is a = 2, b = 1, the baseline" in text
    assert "Then a = 1, b = 2, before the search goes on" in text
