#!/usr/bin/env python3
"""Stand-in for Grid Engine's qsub, qstat and qdel: a job is a process of this machine.

It is called by each of these names. What it knows of jobs is in the folder FAKE_GRID.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

GRID = Path(os.environ["FAKE_GRID"])


def lives(job: Path) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{(job / 'pid').read_text()}/stat").read_text()
    except OSError:
        return False


def qsub(script: Path) -> None:
    options = dict(
        line.split()[1:3] for line in script.read_text().splitlines() if line.startswith("#$ -N")
    )
    number = 1
    while True:
        try:
            (GRID / str(number)).mkdir()
            break
        except FileExistsError:
            number += 1
    job = GRID / str(number)
    (job / "name").write_text(options["-N"])
    # As the real one does: whoever submits may delete or rename the script at once.
    spooled = shutil.copy(script, job / "script")
    env = {"HOME": os.environ["HOME"], "PATH": "/usr/bin:/bin", "JOB_ID": str(number)}
    with (job / "log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", spooled], env=env, stdout=log, stderr=log, start_new_session=True
        )
    (job / "pid").write_text(str(process.pid))
    print(f'Your job {number} ("{options["-N"]}") has been submitted')


def qstat() -> None:
    print("<?xml version='1.0'?><job_info><queue_info>")
    for job in sorted(GRID.iterdir()):
        if lives(job):
            print(
                f'<job_list state="running"><JB_job_number>{job.name}</JB_job_number>'
                f"<JB_name>{(job / 'name').read_text()}</JB_name><state>r</state></job_list>"
            )
    print("</queue_info><job_info></job_info></job_info>")


def qdel(*ids: str) -> None:
    for number in ids:
        if lives(GRID / number):
            os.killpg(int((GRID / number / "pid").read_text()), signal.SIGTERM)


if __name__ == "__main__":
    name = Path(sys.argv[0]).name
    if name == "qsub":
        qsub(Path(sys.argv[1]))
    elif name == "qstat":
        qstat()
    else:
        qdel(*sys.argv[1:])
