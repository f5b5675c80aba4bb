"""What is shown of a job script is what is submitted."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsice.launch.job import JobFolder, JobSpec
from dsice.launch.make import SETTINGS, make_scheduler
from dsice.launch.wave import Wave

ANSWERS = {
    "slurm": "Submitted batch job 7",
    "pjm": "[INFO] PJM 0000 pjsub Job 7 submitted.",
    "pbs": "7.server",
    "lsf": "Job <7> is submitted to queue <normal>.",
}


@pytest.mark.parametrize("system", SETTINGS)
def test_the_script_that_is_shown_is_the_one_that_is_submitted(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SETTINGS[system](gpus=1, time=7200.0, directives=("-x y",), setup=("ulimit -c 0",))
    scheduler = make_scheduler(settings)
    job = JobFolder(tmp_path / "job")
    job.create(JobSpec("a.1", ("true",), str(tmp_path)))
    wave = Wave.create(system, tmp_path / "batch", [[job]], scheduler.NAME_LENGTH)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    before = sorted(tmp_path.rglob("*"))
    shown = scheduler.script(wave, settings)  # without any of its commands being there
    assert sorted(tmp_path.rglob("*")) == before

    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("srun", scheduler.SUBMIT):
        program = commands / name
        program.write_text(
            f'#!/bin/sh\ncat ${{1:+"$1"}} > "{tmp_path}/script"\necho "{ANSWERS[system]}"\n'
        )
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin")
    assert scheduler.submit(wave, settings) == ["7"]
    submitted = (tmp_path / "script").read_text()
    there = f"export PATH={commands}:/usr/bin:/bin:"
    assert submitted.replace(there, "export PATH=/usr/bin:/bin:") == shown
    assert "-x y" in shown
    assert "ulimit -c 0" in shown
