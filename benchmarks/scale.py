"""How much driving a study costs, and how well it fills its slots.

    python benchmarks/scale.py                 two campaigns in virtual time
    python benchmarks/scale.py --slurm 400     and so many real jobs on this Slurm, 200 at once

The first campaign is that of the poster: 545 jobs of 9.0 hours (lognormal, sigma 0.3), 40 at once,
on a grid of 61,440 points; the real driver, its journal and job folders, a simulated launcher. The
second drives 10,000 trials with 1,000 at once, by random search, which costs nothing itself.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dsice.launch.job import JobSpec, Kind, Outcome
from dsice.launch.simulated import SimulatedLauncher, VirtualClock
from dsice.study.config import parse
from dsice.study.directory import StudyDirectory
from dsice.study.driver import Driver
from dsice.study.frozen import freeze
from dsice.study.journal import Journal
from dsice.study.state import Study

HOURS: Final = 9.0  # of a job in the poster's campaign: 4905 h / 545
POSTER_SPEED_UP: Final = 27

STUDY: Final = """
name = "scale"
minimize = "y"
search = "{search}"
[grid]
a = {{ integers = [0, 14] }}
b = {{ integers = [0, 15] }}
c = {{ integers = [0, 15] }}
d = {{ integers = [0, 15] }}
[trial]
command = ["true", "{{a}}", "{{b}}", "{{c}}", "{{d}}"]
[run]
parallel = {parallel}
trials = {trials}
"""


@dataclass(frozen=True)
class Campaign:
    """What a simulated campaign took."""

    study: Study
    launcher: SimulatedLauncher
    cpu: float  # seconds
    journal_bytes: int
    files: int
    opening: float  # seconds
    descriptors: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slurm", type=int, metavar="N", help="run N short jobs on this Slurm")
    parser.add_argument("--trials", type=int, default=10_000, help="of the second campaign")
    options = parser.parse_args()
    _poster()
    _large(options.trials)
    if options.slurm:
        _real(options.slurm)


def _poster() -> None:
    print("The poster's campaign: 545 jobs of 9.0 h, 40 at once", flush=True)
    done = _campaign("dsice", 40, 545)
    runs = done.launcher.runs
    work = sum(end - begin for begin, end in runs) / 3600
    wall = max(end for _, end in runs) / 3600
    idle = _idle_seconds(runs, 40)
    print(f"  slots idle before the last submission   {idle / 3600:.2f} h")
    print(f"  jobs one after another                  {work:.0f} h (poster: 4905 h)")
    print(f"  wall time                               {wall:.0f} h (poster: 182 h)")
    print(
        f"  speed-up                                {work / wall:.1f} (poster: {POSTER_SPEED_UP})"
    )
    print(f"  driver and search, CPU                  {1000 * done.cpu / 545:.1f} ms a trial")


def _large(trials: int) -> None:
    at_once = max(1, trials // 10)
    print(f"{trials:,} trials, {at_once:,} at once", flush=True)
    done = _campaign("random", at_once, trials)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    idle = _idle_seconds(done.launcher.runs, at_once)
    print(f"  slots idle before the last submission   {idle / 3600:.2f} h")
    print(f"  driver, CPU                             {1000 * done.cpu / trials:.2f} ms a trial")
    print(f"  largest memory of this process          {memory:.0f} MB")
    print(f"  files and folders                       {done.files / trials:.1f} a trial")
    print(
        f"  journal                                 {done.journal_bytes / trials:.0f} bytes a trial"
    )
    print(f"  file descriptors held while it ran      {done.descriptors}")
    print(f"  opening the finished study              {done.opening:.2f} s")


def _campaign(search: str, parallel: int, trials: int) -> Campaign:
    with tempfile.TemporaryDirectory(prefix="dsice-scale-", dir=_memory_disk()) as folder:
        place = StudyDirectory.at(folder)
        config = parse(STUDY.format(search=search, parallel=parallel, trials=trials), place.path)
        freeze(config, place)
        chance = random.Random(0)
        descriptors = 0

        def program(spec: JobSpec) -> tuple[Outcome, float]:
            a, b, c, d = (int(argument) for argument in spec.command[1:])
            cost = (a - 9.0) ** 2 + (b - 4.0) ** 2 + (c - a) ** 2 + (d - 7.0) ** 2
            seconds = HOURS * 3600 * chance.lognormvariate(-0.045, 0.3)  # its mean is 1
            return Outcome(Kind.OK, metrics={"y": cost}, exit_code=0), seconds

        def look(study: Study) -> None:
            nonlocal descriptors
            descriptors = max(descriptors, len(list(Path("/proc/self/fd").iterdir())))

        clock = VirtualClock()
        launcher = SimulatedLauncher(clock, program)
        began = time.process_time()
        with Journal(place.journal, clock.now) as journal:
            study = Driver(Study(config, place), config.run, journal, launcher, clock, look).run()
        cpu = time.process_time() - began
        opening = time.perf_counter()
        Study.open(place.path)
        opening = time.perf_counter() - opening
        files = sum(len(folders) + len(names) for _, folders, names in os.walk(folder))
        size = place.journal.stat().st_size
        return Campaign(study, launcher, cpu, size, files, opening, descriptors)


def _memory_disk() -> str | None:
    """Where files cost no disk: what is measured is our own work."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _idle_seconds(runs: list[tuple[float, float]], slots: int) -> float:
    """Slot-seconds in which nothing ran, from the first submission to the last."""
    first, last = min(begin for begin, _ in runs), max(begin for begin, _ in runs)
    used = sum(min(end, last) - begin for begin, end in runs)
    return max(0.0, slots * (last - first) - used)


def _real(trials: int) -> None:
    if shutil.which("sbatch") is None:
        sys.exit("There is no Slurm here: tests/slurm/cluster.sh start")
    at_once = min(200, trials)
    with tempfile.TemporaryDirectory(prefix="dsice-scale-") as folder:
        text = STUDY.format(search="random", parallel=at_once, trials=trials)
        text = text.replace('"true", ', '"sh", "-c", "echo \'{{\\"y\\": 1}}\'", ')
        text += 'on = "slurm"\n[run.slurm]\ntime = "5 min"\nmemory = "20 MB"\npoll = "1 s"\n'
        (Path(folder) / "study.toml").write_text(text)
        command = [sys.executable, "-m", "dsice.cli", "run", "study.toml", "--in", "out"]
        began = time.monotonic()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall = time.monotonic() - began
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        files = sum(len(folders) + len(names) for _, folders, names in os.walk(folder))
    print(f"{trials} real jobs on Slurm, {at_once} at once")
    print(
        f"  wall time                               {wall:.0f} s, {trials / wall:.1f} jobs a second"
    )
    print(f"  driver and its commands, CPU            {1000 * cpu / trials:.1f} ms a trial")
    print(f"  files and folders                       {files / trials:.1f} a trial")


if __name__ == "__main__":
    main()
