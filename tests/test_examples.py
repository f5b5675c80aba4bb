"""A user copies a folder of examples/ and follows its README: so does this test, in miniature."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from superres.photos import wheel_photos

ROOT = Path(__file__).parents[1] / "examples"
EXAMPLES = sorted(path.name for path in ROOT.iterdir() if path.is_dir())
MPI_PROBE = "#include <mpi.h>\nint main(void) { MPI_Init(0, 0); return MPI_Finalize(); }"


class Example:
    """A copy of an example in a folder of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder / "a copy"  # a name with a space, as people have them
        ignored = shutil.ignore_patterns("runs", "__pycache__", ".ipynb_checkpoints")
        shutil.copytree(ROOT / name, self.folder, ignore=ignored)

    def replace(self, *pairs: tuple[str, str], file: str = "study.toml") -> None:
        """Change the text of a file: ``(old, new)``, each old one being there."""
        text = (self.folder / file).read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        (self.folder / file).write_text(text)

    def run(self, *command: str) -> str:
        """Run a command as in an activated environment, and return what it printed."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        mpi = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=os.environ | mpi | {"PATH": path, "COLUMNS": "200", "OMP_NUM_THREADS": "2"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def status(self, directory: str) -> Any:
        return json.loads(self.run("dsice", "status", directory, "--json"))


def with_trials(name: str, folder: Path, trials: int) -> Example:
    """A copy whose study ends after so many trials."""
    example = Example(name, folder)
    text = (example.folder / "study.toml").read_text()
    (example.folder / "study.toml").write_text(
        re.sub(r"^trials = .*$", f"trials = {trials}", text, flags=re.MULTILINE)
    )
    return example


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_readme_names_what_is_there(name: str) -> None:
    text = (ROOT / name / "README.md").read_text()
    assert f"]({name})" in (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / name / target).exists(), target


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "notebook"])
def test_a_dry_run(name: str, tmp_path: Path) -> None:
    told = Example(name, tmp_path).run("dsice", "run", "--dry-run", "study.toml")
    assert "study.toml is valid." in told
    assert str(ROOT) not in told  # all paths are those of the copy
    lacking = told.partition("Not ready to run here:\n")[2].splitlines()
    installed = ("mpicc", "mpirun", "x264", "ffmpeg", "pg_virtualenv")
    assert all(any(f"'{name}'" in line for name in installed) for line in lacking)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_matrix_product(tmp_path: Path) -> None:
    example = with_trials("matrix-product", tmp_path, 5)
    example.replace(("#define N 512", "#define N 128"), file="matmul.c")
    example.run("dsice", "run", "study.toml")
    assert example.status("runs/matrix-product")["trials"]["done"] == 5
    found = example.run(sys.executable, "compare.py", "runs/matrix-product", "3")
    for name in ("default (-O2)", "plain -O3", "tuned"):
        assert re.search(rf"^  {re.escape(name)} +[\d.]+ ms", found, re.MULTILINE), found
    example.replace(('"768"', '"128"'), ("trials = 15", "trials = 2"), file="larger.toml")
    example.run("dsice", "run", "larger.toml")
    status = example.status("runs/larger")
    assert status["trials"]["done"] == 2
    assert status["learns_from"] == [{"name": "runs/matrix-product", "results": 5}]


def test_scikit_learn(tmp_path: Path) -> None:
    example = with_trials("scikit-learn", tmp_path, 4)
    example.replace(("[25, 800]", "[25, 100]"))
    example.run("dsice", "run", "study.toml")
    best = json.loads(example.run("dsice", "best", "runs/boosting", "--json"))
    found = example.run(sys.executable, "train.py", "--test", "runs/boosting")
    defaults, tuned = found.splitlines()
    assert defaults.startswith("defaults  cross-validation")
    assert f"cross-validation {best['metrics']['rmse']:6.2f}" in tuned  # the same as in its trial


def test_input_file(tmp_path: Path) -> None:
    example = with_trials("input-file", tmp_path, 6)
    example.run("dsice", "run", "study.toml")
    assert example.status("runs/orbit")["trials"]["done"] == 6
    first = example.folder / "runs" / "orbit" / "trials" / "00001"
    params = json.loads((first / "params.json").read_text())
    assert f"length = {params['step']}\n" in (first / "work" / "orbit.ini").read_text()


def test_notebook(tmp_path: Path) -> None:
    """Its cells one after the other, their names being those of a main program, as in Jupyter."""
    example = Example("notebook", tmp_path)
    example.replace(("trials=30", "trials=4"), file="tune.ipynb")
    notebook = json.loads((example.folder / "tune.ipynb").read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert all(not cell.get("outputs") for cell in notebook["cells"])
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    (example.folder / "cells.json").write_text(json.dumps(code))
    runner = "import json\nfor cell in json.load(open('cells.json')): exec(cell, globals())"
    shown = example.run(sys.executable, "-W", "ignore::ResourceWarning", "-c", runner)
    assert example.status("runs/denoise")["trials"]["done"] == 4
    assert len(re.findall(r"^\{'window': .*\} \{'error': ", shown, re.MULTILINE)) == 4


def test_super_resolution(tmp_path: Path) -> None:
    """With photographs of one's own, as its README says."""
    example = with_trials("super-resolution", tmp_path, 4)
    example.replace(("--steps=400", "--steps=8"), ('--steps=40"', '--steps=2"'))
    example.replace(("# [paths]\n# photos", "[paths]\nphotos"))
    example.replace(('"prepare",', '"prepare", "--photos={photos}",'))
    photos = example.folder / "photos"
    photos.mkdir()
    for source in wheel_photos()[:5]:
        with Image.open(source.path) as image:
            image.crop((0, 0, 260, 260)).save(photos / f"{source.name}.png")
    example.run("dsice", "run", "study.toml")
    assert example.status("runs/super-resolution")["trials"]["done"] == 4
    example.run("dsice", "report", "runs/super-resolution")
    assert (example.folder / "runs" / "super-resolution" / "report.html").exists()


def has_mpi(folder: Path) -> bool:
    """Whether MPI programs can be compiled and run here."""
    if shutil.which("mpicc") is None or shutil.which("mpirun") is None:
        return False
    (folder / "probe.c").write_text(MPI_PROBE)
    done = subprocess.run(["mpicc", "probe.c", "-o", "probe"], cwd=folder, capture_output=True)
    return done.returncode == 0


def test_mpi(tmp_path: Path) -> None:
    if not has_mpi(tmp_path):
        pytest.skip("no MPI: apt-get install openmpi-bin libopenmpi-dev")
    example = with_trials("mpi", tmp_path, 3)
    example.replace(("{message}", '{message}", "64", "20'))
    example.run("dsice", "run", "study.toml")
    for trial in sorted((example.folder / "runs" / "heat" / "trials").iterdir()):
        params = json.loads((trial / "params.json").read_text())
        last = (trial / "attempt-1" / "stdout.txt").read_text().splitlines()[-1]
        assert json.loads(last)["ranks"] == params["ranks"]  # MPI's own count of its processes
    assert example.status("runs/heat")["trials"]["done"] == 3


def needs(*programs: str, packages: str) -> None:
    """Skip unless the programs are installed."""
    if any(shutil.which(program) is None for program in programs):
        pytest.skip(f"apt-get install {packages}")


def test_x264(tmp_path: Path) -> None:
    needs("x264", "ffmpeg", packages="x264 ffmpeg")
    example = with_trials("x264", tmp_path, 3)
    example.replace(('"100"', '"20"'), ("ssim >= 0.972", "ssim >= 0"))
    example.run("dsice", "run", "study.toml")
    status = example.status("runs/x264")
    assert status["trials"]["done"] == 3
    assert {"kbps", "ssim", "$cpu_seconds", "fps"} == status["best"]["metrics"].keys()
    assert status["baseline"] is not None


def test_hpl(tmp_path: Path) -> None:
    needs("hpcc", "mpirun", packages="hpcc openmpi-bin")
    example = with_trials("hpl", tmp_path, 2)
    example.replace(("1000         Ns", "100          Ns"), file="hpccinf.txt.j2")
    example.replace(('"-n", "2"', '"-n", "1"'), ("p * q == 2", "p * q == 1"), ("q = 2", "q = 1"))
    example.run("dsice", "run", "study.toml")
    assert example.status("runs/hpl")["trials"]["done"] == 2


def test_pgbench(tmp_path: Path) -> None:
    needs("pg_virtualenv", "pgbench", packages="postgresql postgresql-contrib")
    example = with_trials("pgbench", tmp_path, 2)
    example.replace(("-s 10", "-s 1"), ("-T 8", "-t 20"), ("latency <= 20", "latency <= 20000"))
    example.run("dsice", "run", "study.toml")
    status = example.status("runs/pgbench")
    assert status["trials"]["done"] == 2
    assert status["best"]["metrics"]["failed"] == 0


def test_the_job_script_of_mpi(tmp_path: Path) -> None:
    told = Example("mpi", tmp_path).run("dsice", "run", "--dry-run", "study.toml", "--on", "slurm")
    assert "#SBATCH --ntasks-per-node=4\n" in told
    assert "#SBATCH --nodes=1\n" in told


@pytest.mark.slurm
def test_mpi_on_slurm(tmp_path: Path) -> None:
    """With MPI where it is installed, and with processes that srun starts anyway.

    The results lie elsewhere: job scripts cannot name a folder with a space.
    """
    example = with_trials("mpi", tmp_path, 3)
    short = ("[run.slurm]\n", '[run.slurm]\npoll = "0.5 s"\n')
    if has_mpi(tmp_path):
        example.replace(short, ("{message}", '{message}", "64", "20'))
        example.run("dsice", "run", "study.toml", "--on", "slurm", "--in", str(tmp_path / "mpi"))
        assert example.status(str(tmp_path / "mpi"))["trials"]["done"] == 3
    (example.folder / "rank.sh").write_text(
        '#!/bin/sh\nif [ "$SLURM_PROCID" = 0 ]; then '
        'echo "{\\"seconds\\": $SLURM_NTASKS, \\"error\\": 0}"; fi\n'
    )
    (example.folder / "rank.sh").chmod(0o755)
    text = (example.folder / "study.toml").read_text()
    text = re.sub(r'"mpicc".*\]', '"true"]', text).replace(
        '"mpirun", "-n", "{ranks}", "{stage.build}/heat"',
        '"srun", "--ntasks={ranks}", "{study}/rank.sh"',
    )
    (example.folder / "study.toml").write_text(text)
    example.run("dsice", "run", "study.toml", "--on", "slurm", "--in", str(tmp_path / "srun"))
    for trial in sorted((tmp_path / "srun" / "trials").iterdir()):
        params = json.loads((trial / "params.json").read_text())
        last = (trial / "attempt-1" / "stdout.txt").read_text().splitlines()[-1]
        assert json.loads(last)["seconds"] == params["ranks"]
    assert example.status(str(tmp_path / "srun"))["trials"]["done"] == 3
