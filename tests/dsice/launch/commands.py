"""Commands of batch systems as small scripts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dsice.launch.base import JobState
from dsice.launch.job import JobFolder, JobSpec
from dsice.launch.lsf import Lsf
from dsice.launch.make import SETTINGS
from dsice.launch.pbs import Pbs
from dsice.launch.pjm import Pjm
from dsice.launch.scheduler import Scheduler
from dsice.launch.settings import BatchSettings
from dsice.launch.slurm import Slurm
from dsice.launch.wave import Wave

QUEUED, RUNNING, ENDED = JobState.QUEUED, JobState.RUNNING, JobState.ENDED
SYSTEMS: dict[str, type[Scheduler]] = {"slurm": Slurm, "pjm": Pjm, "pbs": Pbs, "lsf": Lsf}
SUBMIT = {"slurm": "sbatch", "pjm": "pjsub", "pbs": "qsub", "lsf": "bsub"}
ACCEPTED = {
    "slurm": "Submitted batch job 77",
    "pjm": "[INFO] PJM 0000 pjsub Job 77 submitted.",
    "pbs": "77.server",
    "lsf": "Job <77> is submitted to queue <normal>.",
}
Says = Callable[..., Path]


def submitted(system: str, folder: Path, count: int = 1, **given: object) -> list[str]:
    settings: BatchSettings = SETTINGS[system].model_validate({"time": 5400, **given})
    jobs = []
    for index in range(count):
        job = JobFolder(folder / f"job-{index}")
        job.create(JobSpec("study.1\n.1", ("true",), str(folder)))
        jobs.append(job)
    scheduler = SYSTEMS[system]()
    wave = Wave.create(system, folder / "batch", [[job] for job in jobs], scheduler.NAME_LENGTH)
    return scheduler.submit(wave, settings)
