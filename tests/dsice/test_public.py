"""The names that other code relies on, and that they cost little to import."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import dsice


def test_exported_names() -> None:
    assert sorted(dsice.__all__) == [
        "Axis",
        "Bound",
        "DsiceError",
        "Goal",
        "Grid",
        "InvalidInput",
        "NoResult",
        "Params",
        "Point",
        "__version__",
        "load",
        "make_search",
        "report",
        "tune",
    ]


def test_the_face_of_the_readme() -> None:
    grid = dsice.Grid(
        [
            dsice.Axis("tile", [8, 16, 32]),
            dsice.Axis.geometric("lr", 1e-4, 1e-1, 16),
            dsice.Axis.linear("momentum", 0.1, 0.9, 9),
            dsice.Axis.choice("layout", ["aos", "soa"]),
        ],
        allowed="tile * momentum < 20",
    )
    goal = dsice.Goal(minimize="niqe", subject_to=["rmse <= 12.5"])
    search = dsice.make_search("dsice-2024", grid, goal, seed=0)
    points = search.ask(40)
    assert len(points) == len(set(points)) > 0
    assert all(grid.allows(point) for point in points)
    search.tell(points[0], {"niqe": 4.1, "rmse": 12.1})
    for point in points[1:]:
        search.tell(point, None)
    assert not search.finished


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys, contextlib\n"
        "from dsice.cli import main\n"
        "with contextlib.suppress(SystemExit): main(sys.argv[1:])\n"
        "heavy = {'numpy', 'scipy', 'submitit', 'pydantic', 'rich', 'vl_convert'}\n"
        "assert not heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)


def test_the_package_is_a_command() -> None:
    command = [sys.executable, "-m", "dsice"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert dsice.__version__ in done.stdout
    failed = subprocess.run([*command, "status", "/nowhere"], capture_output=True, text=True)
    assert failed.returncode == 2
    assert failed.stderr.startswith("dsice: ")


def test_dsice_and_superres_do_not_know_each_other() -> None:
    for one, other in (("dsice", "superres"), ("superres", "dsice")):
        code = (
            "import importlib, pkgutil, sys\n"
            f"import {one}\n"
            f"for module in pkgutil.walk_packages({one}.__path__, '{one}.'):\n"
            "    if not module.name.endswith(('__main__', '.call')):\n"
            "        importlib.import_module(module.name)\n"
            f"assert not [name for name in sys.modules if name.split('.')[0] == '{other}']\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


def test_a_program_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dsice.report(epoch=1, loss=0.5)  # outside of a trial it does nothing
    monkeypatch.setenv("DSICE_PROGRESS", str(tmp_path / "progress.jsonl"))
    dsice.report(epoch=1, loss=0.5)
    importlib.import_module("dsice.report")  # a package of this name exists, too
    dsice.report(epoch=2, loss=float("nan"))
    text = (tmp_path / "progress.jsonl").read_text()
    assert text == '{"epoch": 1, "loss": 0.5}\n{"epoch": 2, "loss": NaN}\n'
    with pytest.raises(ValueError, match="loss = 'low': a number is needed"):
        dsice.report(loss="low")  # type: ignore[arg-type]
