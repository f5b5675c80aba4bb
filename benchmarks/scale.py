"""How much driving a study costs, and how well it fills its slots.

    python benchmarks/scale.py                 two campaigns in virtual time, 300 real local trials
    python benchmarks/scale.py --local 10000   so many local trials
    python benchmarks/scale.py --slurm 400     and so many real jobs on this Slurm, 200 at once
    python benchmarks/scale.py --steps 2000    and so many trials of 0.2 s as steps of an allocation
                                               of 4 nodes, 40 at once, the driver killed ten times

The first campaign is that of the poster: 545 jobs of 9.0 hours (lognormal, sigma 0.3), 40 at once,
on a grid of 61,440 points; the real driver, its journal and job folders, a simulated launcher. The
second drives 10,000 trials with 1,000 at once, by random search, which costs nothing itself, on a
grid of twice as many points; and reports them.

Local trials run a program of 50 ms, two at once, with real processes and files. What such a program
takes by itself is subtracted, so the rest is what running it in a study costs; beside it stands
what Optuna's loop and joblib's processes take around a function of 50 ms in the same Python.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
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
d = {{ integers = [0, {last}] }}
[trial]
command = ["true", "{{a}}", "{{b}}", "{{c}}", "{{d}}"]
[run]
parallel = {parallel}
trials = {trials}
"""


@dataclass(frozen=True)
class Cost:
    """What something took.

    Attributes:
        cpu: of all its processes, in seconds.
        wall: in seconds.
        memory: of its largest process, in MB.
    """

    cpu: float
    wall: float
    memory: float


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
    report: Cost  # of 'dsice report', its start included
    report_bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slurm", type=int, metavar="N", help="run N short jobs on this Slurm")
    parser.add_argument("--steps", type=int, metavar="N", help="N short steps of an allocation")
    parser.add_argument("--trials", type=int, default=10_000, help="of the second campaign")
    parser.add_argument("--local", type=int, default=300, metavar="N", help="real local trials")
    options = parser.parse_args()
    _poster()
    _large(options.trials)
    if options.local:
        _local(options.local)
    if options.slurm:
        _real(options.slurm)
    if options.steps:
        _steps(options.steps)


def _poster() -> None:
    print("The poster's campaign: 545 jobs of 9.0 h, 40 at once", flush=True)
    done = _campaign("dsice", 40, 545, 15)
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
    at_once = min(max(1, trials // 10), 1000)
    print(f"{trials:,} trials, {at_once:,} at once", flush=True)
    done = _campaign("random", at_once, trials, 31)
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
    print(
        f"  its report                              {done.report.cpu:.1f} s of CPU, "
        f"{done.report_bytes / 1e6:.1f} MB"
    )


def _campaign(search: str, parallel: int, trials: int, last: int) -> Campaign:
    with tempfile.TemporaryDirectory(prefix="dsice-scale-", dir=_memory_disk()) as folder:
        place = StudyDirectory.at(folder)
        text = STUDY.format(search=search, parallel=parallel, trials=trials, last=last)
        config = parse(text, place.path)
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
        report = _cost_of([sys.executable, "-m", "dsice", "report", str(place.path)], folder)
        report_bytes = place.report.stat().st_size
        return Campaign(
            study, launcher, cpu, size, files, opening, descriptors, report, report_bytes
        )


def _memory_disk() -> str | None:
    """Where files cost no disk: what is measured is our own work."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _idle_seconds(runs: list[tuple[float, float]], slots: int) -> float:
    """Slot-seconds in which nothing ran, from the first submission to the last."""
    first, last = min(begin for begin, _ in runs), max(begin for begin, _ in runs)
    used = sum(min(end, last) - begin for begin, end in runs)
    return max(0.0, slots * (last - first) - used)


def _cost_of(command: list[str], folder: str) -> Cost:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    wall = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{command}: {done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu, wall, after.ru_maxrss / 1024)


def _local(trials: int) -> None:
    print(f"{trials:,} local trials of 50 ms, two at once", flush=True)
    with tempfile.TemporaryDirectory(prefix="dsice-scale-") as folder:
        alone = [_cost_of(["sh", "-c", PROGRAM, "9", "4", "9", "7"], folder) for _ in range(20)]
        program = Cost(_mean(c.cpu for c in alone), _mean(c.wall for c in alone), 0.0)
        print(
            f"  the program by itself                   {1000 * program.cpu:.1f} ms of CPU, "
            f"{1000 * program.wall:.1f} ms"
        )
        for search in ("random", "dsice"):
            text = STUDY.format(search=search, parallel=2, trials=trials, last=15)
            arguments = ", ".join(json.dumps(word) for word in ("sh", "-c", PROGRAM))
            path = Path(folder) / f"{search}.toml"
            path.write_text(text.replace('"true"', arguments.replace("{", "{{").replace("}", "}}")))
            dsice = [sys.executable, "-m", "dsice", "run", path.name, "--in"]
            start = _cost_of([*dsice, f"{search}-2", "--trials", "2"], folder)
            all_of_it = _cost_of([*dsice, search], folder)
            events = (Path(folder) / search / "journal.jsonl").read_bytes().splitlines()
            times = [e["t"] for e in map(json.loads, events) if e["event"] in ("attempt", "ended")]
            wall = 2 * (times[-1] - times[0]) / trials
            cpu = (all_of_it.cpu - start.cpu) / (trials - 2)
            print(
                f"  {search:39} {1000 * (cpu - program.cpu):.1f} ms of CPU and "
                f"{1000 * (wall - program.wall):.1f} ms around the program; in all "
                f"{all_of_it.wall:.0f} s, largest process {all_of_it.memory:.0f} MB"
            )
            of_trials = Path(folder) / search / "trials"
            found = [(len(names), len(folders)) for _, folders, names in os.walk(of_trials)]
            files, folders = (sum(each) / trials for each in zip(*found, strict=True))
            print(f"  {'':39} {files:.1f} files and {folders:.1f} folders a trial")
        study = "study = dsice.tune(f, {n: list(range(16)) for n in 'abcd'}, 'y', search='random', "
        study += "trials=int(sys.argv[1]), directory=f'in-{sys.argv[1]}', isolate=False)"
        code = f"import sys, dsice\nf = lambda p: float(p['a'])\n{study}"
        start, many = (_cost_of([sys.executable, "-c", code, n], folder) for n in ("2", "2002"))
        print(
            f"  dsice.tune(isolate=False), random       {(many.cpu - start.cpu) / 2:.2f} ms of CPU "
            f"and {(many.wall - start.wall) / 2:.2f} ms around a call"
        )
        for name, code in IN_PROCESS.items():
            try:
                cost = _cost_of([sys.executable, "-c", code, str(min(trials, 300))], folder)
            except SystemExit as error:
                print(f"  {name}: {str(error).splitlines()[-1]}")
                continue
            count = min(trials, 300)
            print(
                f"  {name:39} {1000 * cost.cpu / count:.1f} ms of CPU a trial, start included, "
                f"{cost.wall:.1f} s for {count}"
            )


PROGRAM: Final = (
    "sleep 0.05; "
    'echo "{\\"y\\": $((($0-9)*($0-9) + ($1-4)*($1-4) + ($2-$0)*($2-$0) + ($3-7)*($3-7)))}"'
)
_BODY: Final = "time.sleep(0.05); return (a - 9)**2 + (b - 4)**2 + (c - a)**2 + (d - 7)**2"
IN_PROCESS: Final = {
    "Optuna's loop, RandomSampler, one thread": f"""
import sys, time, optuna
def f(a, b, c, d): {_BODY}
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
study.optimize(lambda t: f(*(t.suggest_int(n, 0, 15) for n in "abcd")), n_trials=int(sys.argv[1]))
""",
    "joblib, two processes": f"""
import random, sys, time
from joblib import Parallel, delayed
def f(a, b, c, d): {_BODY}
draw = random.Random(0).randrange
points = [[draw(16) for _ in "abcd"] for _ in range(int(sys.argv[1]))]
Parallel(n_jobs=2)(delayed(f)(*point) for point in points)
""",
}


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def _real(trials: int) -> None:
    if shutil.which("sbatch") is None:
        sys.exit("There is no Slurm here: tests/slurm/cluster.sh start")
    at_once = min(200, trials)
    with tempfile.TemporaryDirectory(prefix="dsice-scale-") as folder:
        text = STUDY.format(search="random", parallel=at_once, trials=trials, last=15)
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


def _steps(trials: int, kills: int = 10) -> None:
    if shutil.which("salloc") is None:
        sys.exit("There is no Slurm here: tests/slurm/cluster.sh start")
    chance = random.Random(0)
    salloc = ["salloc", "--no-shell", "--nodes=4", "--ntasks-per-node=10", "--mem=1000"]
    done = subprocess.run(salloc, capture_output=True, text=True, check=True)
    job = next(word for word in done.stderr.split() if word.isdigit())
    env = os.environ | {"SLURM_JOB_ID": job, "SLURM_JOB_CPUS_PER_NODE": "10(x4)"}
    program = (
        'echo "$0 $1 $2 $3" >> ../../../../log; sleep 0.2; '
        'echo "{\\"y\\": $((($0-9)*($0-9) + ($1-4)*($1-4) + ($2-$0)*($2-$0) + ($3-7)*($3-7)))}"'
    )
    words = ", ".join(json.dumps(word) for word in ("sh", "-c", program))
    text = STUDY.format(search="random", parallel=40, trials=trials, last=15)
    text = text.replace('"true"', words.replace("{", "{{").replace("}", "}}"))
    text += 'on = "allocation"\n[run.allocation]\npoll = "1 s"\ngrace = "1 s"\n'
    with tempfile.TemporaryDirectory(prefix="dsice-scale-") as folder:
        (Path(folder) / "study.toml").write_text(text)
        command = [sys.executable, "-m", "dsice.cli", "run", "study.toml", "--in", "out"]
        began = time.monotonic()
        for _ in range(kills):
            with subprocess.Popen(
                command,
                cwd=folder,
                env=env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as driver:
                time.sleep(chance.uniform(2.0, 6.0))
                driver.kill()
        subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
        wall = time.monotonic() - began
        lines = (Path(folder) / "log").read_text().splitlines()
    subprocess.run(["scancel", job], check=True)
    print(f"{trials} trials of 0.2 s as steps of an allocation, 40 at once, {kills} kills -9")
    print(f"  wall time, kills included               {wall:.0f} s, {trials / wall:.1f} a second")
    print(f"  programs that ran, and different ones   {len(lines)}, {len(set(lines))}")


if __name__ == "__main__":
    main()
