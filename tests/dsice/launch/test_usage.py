"""What programs used, and what machines count."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dsice.launch import energy, usage
from dsice.launch.energy import EnergyMeter
from dsice.launch.job import JobFolder, JobSpec, Outcome

PROGRAM = """
import os, time
held = bytearray(80_000_000)
if os.fork() == 0:  # a child that is not waited for counts, too
    end = time.process_time() + 0.3
    while time.process_time() < end: pass
    os._exit(0)
os.wait()
"""


@pytest.fixture
def zone(tmp_path: Path) -> Path:
    """A package of processors, with a part of its own, beside memory that counts apart."""
    for folder, name in (
        ("intel-rapl:0", "package-0"),
        ("intel-rapl:0:0", "core"),
        ("intel-rapl:0:1", "dram"),
        ("intel-rapl:1", "psys"),
        ("intel-rapl-mmio:0", "package-0"),
    ):
        path = tmp_path / folder
        path.mkdir()
        (path / "name").write_text(name + "\n")
        (path / "max_energy_range_uj").write_text("999999999\n")
        (path / "energy_uj").write_text("0\n")
    return tmp_path


def count(zone: Path, name: str, microjoules: int) -> None:
    (zone / name / "energy_uj").write_text(f"{microjoules}\n")


def test_energy_is_what_packages_and_memory_count(zone: Path) -> None:
    count(zone, "intel-rapl:0", 990_000_000)
    meter = EnergyMeter({}, zone)
    assert meter.offered
    count(zone, "intel-rapl:0", 999_000_000)  # 9 J
    count(zone, "intel-rapl:0:0", 5_000_000)  # in the package already
    count(zone, "intel-rapl:0:1", 2_000_000)  # 2 J
    count(zone, "intel-rapl:1", 50_000_000)
    count(zone, "intel-rapl-mmio:0", 70_000_000)
    assert meter.joules() == 11.0
    count(zone, "intel-rapl:0", 1_000_000)  # the counter has begun again: 2 J
    assert meter.joules() == 13.0


def test_where_nothing_counts_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "_devices", lambda visible: [])
    meter = EnergyMeter({}, tmp_path)
    assert not meter.offered
    assert meter.joules() is None


def test_a_program_is_measured(tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "job")
    job.create(
        JobSpec(
            "job",
            (sys.executable, "-c", PROGRAM),
            str(tmp_path),
            needs_metrics=False,
            measured={"$seconds": "$seconds", "cpu": "$cpu_seconds", "$memory": "$memory"},
        )
    )
    outcome = ended(job)
    assert outcome.metrics is not None
    assert outcome.metrics.keys() == {"$seconds", "cpu", "$memory"}
    assert outcome.metrics["cpu"] >= 0.3
    assert outcome.metrics["$seconds"] <= outcome.ended - outcome.started + 0.001
    assert outcome.metrics["$memory"] >= 80


def test_energy_that_is_not_counted_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        usage, "EnergyMeter", lambda environment=None: EnergyMeter({}, tmp_path / "none")
    )
    monkeypatch.setattr(energy, "_devices", lambda visible: [])
    meter = usage.Meter(["$joules"])
    meter.end()
    metrics, unknown = meter.found()
    assert "$joules" not in metrics
    assert "no energy counter can be read here" in unknown["$joules"]
    assert usage.unknown_here(["$seconds"]) == ""
    assert usage.unknown_here(["$joules"]).startswith("metric '$joules': no energy counter")


def test_progress_is_read_from_what_it_prints(tmp_path: Path) -> None:
    job = JobFolder(tmp_path / "job")
    program = "for i in 1 2; do echo loss 0.$i; done; printf 'bar 5\\rbar 7' >&2"
    pattern = r"^(?:loss (?P<loss>\S+)|bar (?P<bar>\d+))$"
    job.create(
        JobSpec("job", ("sh", "-c", program), str(tmp_path), needs_metrics=False, progress=pattern)
    )
    assert ended(job).metrics == {}
    entries = [json.loads(line) for line in job.progress.read_text().splitlines()]
    assert entries == [{"loss": 0.1}, {"loss": 0.2}, {"bar": 5}, {"bar": 7}]


def ended(job: JobFolder) -> Outcome:
    """The outcome of a job that a shim of its own has run."""
    code = "import sys; from dsice.launch.shim import run_job; run_job(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, job.path], check=True)
    outcome = job.outcome()
    assert outcome is not None
    return outcome
