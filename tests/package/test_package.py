"""The wheel works in an empty environment, without the repository, and holds what it must."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.package

ROOT = Path(__file__).parents[2]
# Versions of Python besides this one: DSICE_TEST_PYTHONS="3.12 3.13".
PYTHONS = [sys.executable, *os.environ.get("DSICE_TEST_PYTHONS", "").split()]


def run(*arguments: object, cwd: Path, **more: str) -> str:
    # Nothing of the repository or of this environment reaches the program.
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in arguments],
        cwd=cwd,
        env=kept | more,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source distribution, as an index would get both."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out, ROOT, cwd=out)
    run(sys.executable, "-m", "twine", "check", "--strict", *out.iterdir(), cwd=out)
    (built,) = out.glob("*.whl")
    return built


def interpreter(name: str) -> str:
    found = shutil.which(name if name == sys.executable else f"python{name}")
    if found is None:
        found = shutil.which(str(Path(sys.base_prefix).parent / name / "bin" / "python"))
    assert found, f"there is no Python {name}"
    return found


def test_it_holds_what_it_must_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        message = email.message_from_bytes(archive.read(metadata))
    packages = {name for name in names if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in packages} == {"dsice", "superres"}
    # All that is under src, whatever its kind: templates, programs of pages, arrays.
    source = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and ".egg-info" not in str(path)
    }
    assert packages == source
    for needed in ("dsice/py.typed", "superres/py.typed", "dsice/study/template.toml"):
        assert needed in names
    endings = {Path(name).suffix for name in packages}
    assert {".py", ".js", ".css", ".npz", ".toml"} <= endings
    licences = {name.partition("/licenses/")[2] for name in names if "/licenses/" in name}
    assert {"LICENSE", "src/superres/metrics/NOTICE-NIQE.txt"} <= licences
    assert wheel.stat().st_size < 2_000_000

    requirements = [text for text in message.get_all("Requires-Dist", []) if "extra ==" not in text]
    core = {text.split(">")[0].split("=")[0].strip().lower() for text in requirements}
    assert not core & {"torch", "pandas", "pillow", "scikit-learn", "optuna", "pyarrow", "pytest"}


@pytest.mark.parametrize("python", PYTHONS, ids=lambda name: Path(name).name)
def test_an_empty_environment(python: str, wheel: Path, tmp_path: Path) -> None:
    run(interpreter(python), "-m", "venv", "venv", cwd=tmp_path)
    bin = tmp_path / "venv" / "bin"
    # Only what is imported gets compiled, then.
    run(bin / "pip", "install", "--quiet", "--no-compile", wheel, cwd=tmp_path)
    run(bin / "pip", "check", cwd=tmp_path)
    listed = run(bin / "pip", "list", "--format", "freeze", cwd=tmp_path).lower()
    for heavy in ("torch", "pandas", "pillow", "scikit-learn", "optuna", "pyarrow", "matplotlib"):
        assert f"\n{heavy}==" not in f"\n{listed}"

    # A folder of its own, and no search path but the environment's.
    home = tmp_path / "elsewhere"
    home.mkdir()
    path = {"PATH": f"{bin}{os.pathsep}{os.environ['PATH']}", "PYTHONWARNINGS": "error"}
    where = run(bin / "python", "-c", "import dsice; print(dsice.__file__)", cwd=home, **path)
    assert str(tmp_path / "venv") in where
    run("dsice", "init", cwd=home, **path)
    study = home / "study.toml"
    study.write_text(study.read_text(encoding="utf-8").replace("trials = 60", "trials = 6"))
    assert "Best (trial" in run("dsice", "run", "study.toml", cwd=home, **path)
    run("dsice", "status", "runs/example", cwd=home, **path)
    run("dsice", "explain", "runs/example", cwd=home, **path)
    run("dsice", "report", "runs/example", cwd=home, **path)
    assert (home / "runs" / "example" / "report.html").stat().st_size > 500_000
    assert "$schema" in run("dsice", "schema", cwd=home, **path)
