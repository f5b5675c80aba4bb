"""Run the core's quick tests with the lowest versions that pyproject.toml allows.

``python tests/package/lowest.py FOLDER`` makes an environment there, or takes the one it finds.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What the numbers, the files and the processes of a study go through; none of them needs an extra.
TESTS = [
    "test_expression.py",
    "test_goal.py",
    "test_grid.py",
    "test_spline.py",
    "test_tuning.py",
    "test_tuning_versions.py",
    "launch/test_job.py",
    "launch/test_script.py",
    "launch/test_settings.py",
    "launch/test_submitit.py",
    "report/test_figures.py",
    "search/test_line.py",
    "study/test_command.py",
    "study/test_config.py",
    "study/test_journal.py",
    "study/test_schema.py",
    "study/test_templates.py",
    "gp",
]
# Limits of processes: seconds each, and the same with all versions.
LEFT_OUT = "not for_ever and not all_memory and not has_limits"


def lowest(requirements: list[str]) -> list[str]:
    """Each requirement with the version that it needs at least."""
    found = []
    for text in requirements:
        match = re.match(r"([\w.-]+)(?:\[[^]]*\])?\s*(?:>=|==)\s*([\w.]+)", text)
        if match is None:
            raise SystemExit(f"{text!r}: no lower bound")
        found.append(f"{match[1]}=={match[2]}")
    return found


def main(folder: Path) -> int:
    """Make the environment and run the tests in it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    constraints = lowest(project["dependencies"])
    print("With", ", ".join(constraints), flush=True)
    if not (folder / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    listed = folder / "constraints.txt"
    listed.write_text("\n".join(constraints) + "\n", encoding="utf-8")
    # Only what is imported gets compiled, then.
    options: list[str | Path] = ["--quiet", "--no-compile", "--constraint", listed]
    pip = [folder / "bin" / "pip", "install", *options]
    # The tests' own tools, and Pillow, with which tests of the report look at pictures.
    tools = ["pytest<10", "hypothesis<7", "jsonschema<5", "pillow<14"]
    subprocess.run([*pip, "--editable", ROOT, *tools], check=True)
    tests = [ROOT / "tests" / "dsice" / name for name in TESTS]
    path = os.pathsep.join([str(folder.absolute() / "bin"), os.environ["PATH"]])
    environment = os.environ | {"PATH": path}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # each process would compile it again
    return subprocess.run(
        [
            folder / "bin" / "python",
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-k",
            LEFT_OUT,
            *tests,
        ],
        cwd=ROOT,
        env=environment,
    ).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
