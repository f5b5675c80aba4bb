"""What every launcher must do, run over every launcher with real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dsice.launch.base import JobState, Launcher
from dsice.launch.job import JobFolder, JobSpec, Kind, Outcome
from dsice.launch.make import SETTINGS
from dsice.launch.make import make_launcher as make
from dsice.launch.settings import AllocationSettings

UNDER_WAY = (JobState.QUEUED, JobState.RUNNING)
QUICK = {"time": "10 min", "poll": 0.3, "grace": 1, "memory": "100 MB", "submit_rate": 50}
LAUNCHERS: dict[str, dict[str, object]] = {
    "local": {},
    "slurm": QUICK,
    "pjm": QUICK | {"unit": "cx", "group": "cx-share", "memory": None},
    "pbs": QUICK,
    "allocation": {"poll": 0.5, "grace": 1},
}
STAND_INS = Path(__file__).parents[2] / "slurm" / "bin"


@pytest.fixture(
    params=[
        pytest.param(name, marks=[] if name == "local" else pytest.mark.slurm) for name in LAUNCHERS
    ]
)
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A launcher's name; the commands of its batch system can be called."""
    name: str = request.param
    monkeypatch.setenv("PATH", f"{STAND_INS / name}{os.pathsep}{os.environ['PATH']}")
    if name != "allocation":
        yield name
        return
    with allocation(monkeypatch):
        yield name


@contextmanager
def allocation(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within, this process is in a Slurm allocation."""
    salloc = ["salloc", "--no-shell", "--ntasks=4", "--mem=500"]
    done = subprocess.run(salloc, capture_output=True, text=True, check=True)
    job = next(word for word in done.stderr.split() if word.isdigit())
    monkeypatch.setenv("SLURM_JOB_ID", job)
    yield
    subprocess.run(["scancel", job], check=True)


@pytest.fixture
def make_launcher(system: str, tmp_path: Path) -> Callable[[], Launcher]:
    return lambda: new_launcher(system, tmp_path)


def new_launcher(system: str, folder: Path) -> Launcher:
    kinds = SETTINGS | {"allocation": AllocationSettings}
    settings = kinds[system].model_validate(LAUNCHERS[system]) if system in kinds else None
    return make(system, settings, folder / "batch")


@pytest.fixture
def launcher(make_launcher: Callable[[], Launcher]) -> Launcher:
    return make_launcher()


@pytest.fixture
def new_job(tmp_path: Path) -> Callable[..., JobFolder]:
    def create(script: str, *, timeout: float | None = 60.0, **env: str) -> JobFolder:
        job = JobFolder(tmp_path / f"job-{len(list(tmp_path.iterdir()))}")
        job.create(JobSpec(job.path.name, ("sh", "-c", script), str(tmp_path), env, timeout))
        return job

    return create


def until(condition: Callable[[], bool], what: str) -> None:
    """Poll until ``condition``; the limit only turns a hang into a failure."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def ended(launcher: Launcher, *jobs: JobFolder) -> dict[JobFolder, JobState]:
    """Poll until all jobs have ended in some way; their last states."""
    last: dict[JobFolder, JobState] = {}

    def all_ended() -> bool:
        last.update(launcher.poll())
        return all(job in last and last[job] not in UNDER_WAY for job in jobs)

    until(all_ended, "the jobs' ends")
    return last


def outcome(launcher: Launcher, job: JobFolder) -> Outcome:
    launcher.submit([job])
    assert ended(launcher, job)[job] is JobState.ENDED
    found = job.outcome()
    assert found is not None
    return found


def test_metrics_come_back(launcher: Launcher, new_job: Callable[..., JobFolder]) -> None:
    by_file = outcome(launcher, new_job('echo noise; echo \'{"y": 1.5}\' > "$DSICE_RESULT"'))
    assert (by_file.kind, by_file.metrics, by_file.exit_code) == (Kind.OK, {"y": 1.5}, 0)
    assert 0 < by_file.started <= by_file.ended
    by_line = outcome(launcher, new_job('echo noise; echo \'{"y": 2, "device": "A100"}\'; echo'))
    assert by_line.metrics == {"y": 2.0}
    before_a_log = outcome(launcher, new_job("echo '{\"y\":'; echo 3}; echo wandb: synced"))
    assert before_a_log.metrics == {"y": 3.0}


@pytest.mark.parametrize(
    ("script", "kind", "reason"),
    [
        ("echo some; echo bad luck >&2; exit 3", Kind.EXIT, "exit code 3: bad luck"),
        ("kill -9 $$", Kind.SIGNAL, "killed by SIGKILL"),
        ("true", Kind.NO_METRICS, "it wrote no metrics: neither a result file nor any output"),
        ("echo done", Kind.NO_METRICS, "its output has no JSON object of metrics"),
        ("echo '[1, 2]'", Kind.NO_METRICS, "its output has no JSON object of metrics"),
        ("echo '{}'", Kind.NO_METRICS, "its output has no metrics"),
        ("mkfifo $DSICE_RESULT", Kind.NO_METRICS, "it wrote no metrics"),
        ("mkdir $DSICE_RESULT; echo x", Kind.NO_METRICS, "its output has no JSON object"),
        ('echo "{" > $DSICE_RESULT', Kind.NO_METRICS, "its result file has no JSON object"),
        ("head -c 3000000 /dev/zero; exit 1", Kind.EXIT, "exit code 1"),
    ],
)
def test_failures_say_why(
    launcher: Launcher, new_job: Callable[..., JobFolder], script: str, kind: Kind, reason: str
) -> None:
    found = outcome(launcher, new_job(script))
    assert found.kind is kind
    assert found.reason.startswith(reason)
    assert len(found.reason) < 400
    assert found.metrics is None


def test_numbers_that_are_none(launcher: Launcher, new_job: Callable[..., JobFolder]) -> None:
    found = outcome(launcher, new_job('echo \'{"y": NaN, "z": -Infinity, "x": 1}\''))
    assert found.kind is Kind.OK
    assert found.metrics == {"x": 1.0}
    assert found.others == {"y": "NaN", "z": "-Infinity"}


def test_a_program_that_is_not_there(launcher: Launcher, tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "job")
    job.create(JobSpec("job", ("/no/such/program",), str(tmp_path)))
    found = outcome(launcher, job)
    assert found.kind is Kind.NOT_STARTED
    assert found.reason == "cannot start '/no/such/program': No such file or directory"


def test_arguments_reach_no_shell(launcher: Launcher, tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "job")
    hostile = "$(touch gone); `touch gone`; 'x' \"y\" \n *"
    code = "import json, sys; print(json.dumps({'length': len(sys.argv[1])}))"
    job.create(JobSpec("job", (sys.executable, "-c", code, hostile), str(tmp_path)))
    assert outcome(launcher, job).metrics == {"length": len(hostile)}
    assert not (tmp_path / "gone").exists()


def test_the_environment(launcher: Launcher, new_job: Callable[..., JobFolder]) -> None:
    script = 'echo "{\\"t\\": $OMP_NUM_THREADS, \\"s\\": $(env | grep -c ^SUBMITIT)}"'
    assert outcome(launcher, new_job(script, OMP_NUM_THREADS="3")).metrics == {"t": 3.0, "s": 0.0}


def test_the_time_limit_holds_for_children_too(
    launcher: Launcher, new_job: Callable[..., JobFolder], tmp_path: Path
) -> None:
    # One child stays in the group, one leaves it, one leaves it and its parent.
    script = (
        "sleep 1000 & echo $! >> pids; setsid sleep 1000 & echo $! >> pids; "
        "setsid sh -c 'sleep 1000 & echo $! >> pids' & wait"
    )
    found = outcome(launcher, new_job(script, timeout=1.0))
    assert found.kind is Kind.TIMEOUT
    assert found.reason == "not finished within its time limit of 1 s"
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 3
    assert not [pid for pid in pids if is_running(pid)]


def test_nothing_outlives_a_program_that_ended_well(
    launcher: Launcher, new_job: Callable[..., JobFolder], tmp_path: Path
) -> None:
    found = outcome(launcher, new_job("setsid sleep 1000 & echo $! > pid; echo '{\"y\": 1}'"))
    assert found.metrics == {"y": 1.0}
    assert not is_running(int((tmp_path / "pid").read_text()))


def assert_lost(job: JobFolder, state: JobState) -> None:
    """Nobody knows an outcome; where a batch system was asked, that is written down."""
    found = job.outcome()
    assert state is JobState.LOST or (found is not None and found.kind is Kind.LOST)


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_cancel(launcher: Launcher, new_job: Callable[..., JobFolder], tmp_path: Path) -> None:
    job = new_job("echo $$ > pid; sleep 1000")
    launcher.submit([job])
    until((tmp_path / "pid").exists, "the program's start")
    until(lambda: bool((tmp_path / "pid").read_text()), "its process id")
    launcher.cancel([job])
    assert ended(launcher, job)[job] is JobState.ENDED
    found = job.outcome()
    assert found is not None
    assert found.kind is Kind.CANCELLED
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_a_cancelled_job_that_had_not_begun_never_runs(
    launcher: Launcher, new_job: Callable[..., JobFolder], tmp_path: Path
) -> None:
    job = new_job("touch ran; echo '{\"y\": 1}'")
    assert job.claim("driver")
    launcher.submit([job])
    assert ended(launcher, job)[job] is JobState.REVOKED
    after = new_job("echo '{\"y\": 1}'")
    outcome(launcher, after)
    assert not (tmp_path / "ran").exists()


def test_a_double_start_runs_once(
    make_launcher: Callable[[], Launcher], new_job: Callable[..., JobFolder], tmp_path: Path
) -> None:
    job = new_job("echo x >> runs; echo '{\"y\": 1}'")
    one, other = make_launcher(), make_launcher()
    one.submit([job])
    other.submit([job])
    assert ended(one, job)[job] is JobState.ENDED
    assert ended(other, job)[job] is JobState.ENDED
    assert (tmp_path / "runs").read_text() == "x\n"


def test_a_job_killed_with_its_shim_is_lost(
    system: str, launcher: Launcher, new_job: Callable[..., JobFolder], tmp_path: Path
) -> None:
    # With everything that the program has started, wherever it has gone.
    script = "setsid sleep 1000 & echo $! > pids.new; sleep 1000 & echo $! $$ >> pids.new; "
    job = new_job(script + "mv pids.new pids; wait")
    launcher.submit([job])
    until((tmp_path / "pids").exists, "the program's start")
    owner = job.claimant()
    assert owner is not None
    os.kill(owner.pid, signal.SIGKILL)
    assert_lost(job, ended(launcher, job)[job])
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 3
    # In a batch system, what has left its session and its parent is for the system to find.
    bound = pids if system == "local" else pids[2:]
    until(lambda: not any(map(is_running, bound)), "the program to end with its shim")


@pytest.mark.parametrize("moment", range(6))
def test_told_to_end_at_any_moment_a_job_has_an_outcome(
    system: str, launcher: Launcher, new_job: Callable[..., JobFolder], moment: int
) -> None:
    job = new_job("sleep 1000")
    launcher.submit([job])
    until(job.stdout.exists, "the shim's first step")
    time.sleep(moment / 1000)  # the random moment
    owner = job.claimant()
    assert owner is not None
    os.kill(owner.pid, signal.SIGTERM)
    assert ended(launcher, job)[job] is JobState.ENDED
    found = job.outcome()
    assert found is not None
    # In a batch system others may have told it, who have perhaps put it back into the queue.
    assert found.kind is (Kind.CANCELLED if system == "local" else Kind.LOST)


@pytest.mark.parametrize("name", ["claim.json", "outcome.json"])
def test_files_that_a_crash_of_the_machine_emptied(
    system: str, launcher: Launcher, new_job: Callable[..., JobFolder], name: str
) -> None:
    job = new_job("true")
    ids = {"local": "", "allocation": f"{os.environ.get('SLURM_JOB_ID')}.999"}
    job.claim("job", ids.get(system, "999999"))
    (job.path / name).write_text("")
    state = launcher.reattach(job)
    assert_lost(job, ended(launcher, job)[job] if state in UNDER_WAY else state)


@pytest.mark.parametrize("driver", ["same", "next"])
def test_a_deleted_folder(
    make_launcher: Callable[[], Launcher],
    new_job: Callable[..., JobFolder],
    tmp_path: Path,
    driver: str,
) -> None:
    launcher = make_launcher()
    job = new_job("echo $$ > pid.new; mv pid.new pid; sleep 1000")
    launcher.submit([job])
    until((tmp_path / "pid").exists, "the program's start")
    shutil.rmtree(job.path)
    if driver == "next":
        assert make_launcher().reattach(job) is JobState.REVOKED
    else:
        assert ended(launcher, job)[job] is JobState.LOST
    launcher.cancel([job])
    pid = int((tmp_path / "pid").read_text())
    until(lambda: not is_running(pid), "the program's end")


def test_reattach_after_the_driver_was_killed(
    system: str,
    make_launcher: Callable[[], Launcher],
    new_job: Callable[..., JobFolder],
    tmp_path: Path,
) -> None:
    os.mkfifo(tmp_path / "gate")
    job = new_job("echo x >> runs; cat gate; echo '{\"y\": 1}'")
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_launchers import new_launcher\n"
        "from dsice.launch.job import JobFolder\n"
        f"launcher = new_launcher({system!r}, Path({str(tmp_path)!r}))\n"
        f"launcher.submit([JobFolder({str(job.path)!r})])\n"
        "print('submitted', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as driver:
        assert driver.stdout is not None
        driver.stdout.readline()
        until((tmp_path / "runs").exists, "the program's start")
        driver.kill()
    launcher = make_launcher()
    assert launcher.reattach(job) in UNDER_WAY
    assert launcher.poll()[job] in UNDER_WAY
    (tmp_path / "gate").write_text("go")
    assert ended(launcher, job)[job] is JobState.ENDED
    assert (tmp_path / "runs").read_text() == "x\n"
    assert make_launcher().reattach(job) is JobState.ENDED


def test_reattach_revokes_what_has_not_begun(
    launcher: Launcher, new_job: Callable[..., JobFolder], tmp_path: Path
) -> None:
    job = new_job("touch ran")
    assert launcher.reattach(job) is JobState.REVOKED
    assert launcher.reattach(JobFolder(tmp_path / "never made")) is JobState.REVOKED
    launcher.submit([job])
    assert ended(launcher, job)[job] is JobState.REVOKED
    assert not (tmp_path / "ran").exists()


def test_polling_forgets_what_has_ended(
    launcher: Launcher, new_job: Callable[..., JobFolder]
) -> None:
    jobs = [new_job("echo '{\"y\": 1}'") for _ in range(3)]
    launcher.submit(jobs)
    ended(launcher, *jobs)
    assert launcher.poll() == {}


def test_outcomes_are_plain_json(launcher: Launcher, new_job: Callable[..., JobFolder]) -> None:
    job = new_job("echo '{\"y\": 1}'")
    outcome(launcher, job)
    data = json.loads((job.path / "outcome.json").read_text())
    assert data["metrics"] == {"y": 1.0}
