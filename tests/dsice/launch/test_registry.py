"""Batch systems of other packages: the example of docs/launchers.md, installed and used."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from dsice.cli import parser
from dsice.errors import InvalidInput
from dsice.launch.base import Launcher
from dsice.launch.batch import BatchLauncher
from dsice.launch.names import GROUP, NAMES, OWN, installed
from dsice.launch.settings import SlurmSettings
from dsice.study import tables
from dsice.study.config import parse, with_budget
from dsice.testing import LauncherTests
from dsice.testing.jobs import Jobs
from tests.conftest import Dsice, StudyFile

PAGE = Path(__file__).parents[3] / "docs" / "launchers.md"
HERE = Path(__file__).parent


def install(folder: Path, target: str = "dsice_gridengine:GridEngine") -> Path:
    """Install the example as pip would; returns its module."""
    code = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)[0]
    info = folder / "dsice_gridengine-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dsice-gridengine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[dsice.launchers]\ngridengine = {target}\n")
    (folder / "dsice_gridengine.py").write_text(code)
    return folder / "dsice_gridengine.py"


def commands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-ins of Grid Engine's commands into the PATH."""
    folder.mkdir()
    (folder.parent / "grid").mkdir()
    monkeypatch.setenv("FAKE_GRID", str(folder.parent / "grid"))
    for name in ("qsub", "qstat", "qdel"):
        shutil.copy(HERE / "gridengine" / "commands.py", folder / name)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_the_page_names_the_entry_point() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f'[project.entry-points."{GROUP}"]\ngridengine = "dsice_gridengine:Grid' in text


RUN = """on = "gridengine"
trials = 2
parallel = 2
[run.gridengine]
poll = "0.2 s"
grace = 1
"""


@pytest.fixture
def dsice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dsice:
    """Runs ``dsice`` where the example is installed, with the stand-ins of its commands."""
    commands(tmp_path / "bin", monkeypatch)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dsice.cli", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)

    return run


def test_an_installed_batch_system_runs_a_study(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    install(tmp_path / "site")
    file = study_file(trial='timeout = "1 min"', run=RUN + 'queue = "long"')
    planned = dsice("run", file, "--dry-run")
    assert "jobs of Grid Engine, one per trial, handed over with qsub" in planned.stdout
    assert "#$ -q long" in planned.stdout
    done = dsice("run", file)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "calls").read_text().splitlines()) == 2
    assert len(list((tmp_path / "grid").iterdir())) == 2
    assert "Jobs run on gridengine" in dsice("status", "runs/small").stdout
    schema = json.loads(dsice("schema").stdout)
    assert "gridengine" in schema["$defs"]["RunConfig"]["properties"]["on"]["enum"]
    assert "queue" in schema["$defs"]["GridEngineSettings"]["properties"]


TEXT = """name = "s"
minimize = "y"
grid = { a = [1, 2] }
[trial]
command = ["true", "{a}"]
timeout = 60
[run]
"""


@pytest.fixture
def installed_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of this process's search path for modules, for one test."""
    caches = (installed, tables._file_model)
    for cache in caches:
        cache.cache_clear()
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield tmp_path / "site"
    sys.modules.pop("dsice_gridengine", None)
    for cache in caches:
        cache.cache_clear()


@pytest.mark.parametrize(
    ("target", "run", "words"),
    [
        ("no_such_module:Any", RUN, "'gridengine' (entry point 'no_such_module:Any' in group "),
        ("json:dumps", RUN, "is no subclass of dsice.launch.scheduler.Scheduler"),
        ("dsice.launch.pbs:Pbs", RUN, "its SETTINGS.SYSTEM must be 'gridengine'"),
        ("", RUN + "color = 3", "unknown key 'run.gridengine.color'"),
        ("", 'on = "moon"', '"lsf", "allocation" or "gridengine"'),
        ("", "moon = { time = 3 }", "unknown key 'run.moon'"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(
    installed_here: Path, tmp_path: Path, target: str, run: str, words: str
) -> None:
    install(installed_here, *filter(None, [target]))
    with pytest.raises(InvalidInput, match=re.escape(words)) as failed:
        parse(TEXT + run, tmp_path)
    assert "\n" not in str(failed.value)


def test_a_name_of_ours_stays_ours(installed_here: Path, tmp_path: Path) -> None:
    entries = install(installed_here).parent / "dsice_gridengine-1.0.dist-info/entry_points.txt"
    entries.write_text("[dsice.launchers]\nslurm = no_such_module:Any\n")
    run = with_budget(parse(TEXT, tmp_path), on="slurm").run
    assert type(run.batch) is SlurmSettings
    assert list(NAMES) == list(OWN)


class TestGridEngine(Jobs):
    """Some of the tests that docs/launchers.md recommends; all take a minute."""

    test_metrics_come_back = LauncherTests.test_metrics_come_back
    test_cancel = LauncherTests.test_cancel
    test_a_job_killed_with_its_shim_is_lost = LauncherTests.test_a_job_killed_with_its_shim_is_lost
    test_reattach_after_the_driver_was_killed = (
        LauncherTests.test_reattach_after_the_driver_was_killed
    )

    @pytest.fixture(autouse=True)
    def commands(
        self, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The stand-ins of its commands can be called, and the example imported."""
        folder = tmp_path_factory.mktemp("gridengine")
        commands(folder / "bin", monkeypatch)
        monkeypatch.setenv("DSICE_GRIDENGINE", str(install(folder)))

    def new_launcher(self, folder: Path) -> Launcher:
        spec = spec_from_file_location("dsice_gridengine", os.environ["DSICE_GRIDENGINE"])
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        settings = module.GridEngineSettings(time=600, poll=0.2, grace=0.5, submit_rate=50)
        return BatchLauncher(module.GridEngine(), settings, folder / "batch")


@pytest.mark.parametrize(
    "command", ["status out", "run a.toml --on slurm", "sweep out --bound z 0:1"]
)
def test_packages_are_looked_through_only_for_a_launcher_that_is_not_ours(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**_: str) -> None:
        raise AssertionError("it takes a tenth of a second, or seconds on a network file system")

    monkeypatch.setattr("importlib.metadata.entry_points", refused)
    installed.cache_clear()
    parser().parse_args(command.split())
    with pytest.raises(AssertionError, match="a tenth"):
        parser().parse_args(["run", "a.toml", "--on", "gridengine"])
