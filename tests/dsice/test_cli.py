"""The command line as a user meets it: real processes, real files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dsice.called import Calls, Dsice, StudyFile, one_line


def test_a_study_from_beginning_to_end(
    dsice: Dsice, study_file: StudyFile, program_calls: Calls
) -> None:
    study_file(
        top='minimize = "y"\nsubject_to = ["z <= 5"]\nsearch = "dsice-2018"',
        run="trials = 40\nparallel = 2",
        more='[stage.check]\ncommand = ["sh", "-c", "touch made; pwd"]',
    )
    done = dsice("run", "study.toml", "--in", "out")
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    assert "stage check done" in done.stderr
    assert "Best (trial " in done.stdout
    assert "a=3 b=6" in done.stdout
    made = program_calls()
    assert len(made) == len(set(made))

    status = dsice("status", "out")
    assert status.returncode == 0
    assert "Best so far y 0, z 3" in status.stdout
    assert "The driver ended at" in status.stdout
    data = json.loads(dsice("status", "out", "--json").stdout)
    assert data["trials"]["done"] == len(made)
    assert data["best"]["params"] == {"a": 3, "b": 6}
    assert data["driver"]["at_work"] is False

    best = dsice("best", "out")
    assert "a = 3\n  b = 6\n" in best.stdout
    other = dsice("best", "out", "--subject-to", "z <= 1", "--json")
    assert json.loads(other.stdout)["params"]["a"] <= 1
    none = dsice("best", "out", "--subject-to", "z <= -1")
    assert (none.returncode, none.stdout) == (1, "")
    assert "no trial keeps the bounds: minimize y subject to z <= -1" in none.stderr

    report = dsice("report", "out")
    assert report.returncode == 0
    page = Path(report.stdout.split()[-1]).read_text()
    assert page.lstrip().lower().startswith("<!doctype html>")

    again = dsice("run", "study.toml", "--in", "out")
    assert again.returncode == 0
    assert program_calls() == made


def test_budget_from_the_command_line_and_more_later(
    dsice: Dsice, study_file: StudyFile, program_calls: Calls
) -> None:
    study_file(run="trials = 30")
    assert dsice("run", "study.toml", "--trials", 4, "--parallel", 2).returncode == 0
    assert len(program_calls()) == 4
    assert dsice("run", "study.toml", "--trials", 7).returncode == 0
    assert len(set(program_calls())) == len(program_calls()) == 7


def test_bad_trials_do_not_stop_the_search(
    dsice: Dsice, study_file: StudyFile, program_calls: Calls
) -> None:
    program = """#!/bin/sh
    echo "$1 $2" >> "$(dirname "$0")/calls"
    case $1 in
        4) exit 3 ;;
        5) echo '{"y": NaN}' ;;
        9) echo '{"y": "3.5", "z": 1}' ;;
        6) sleep 100 ;;
        7) echo rubbish ;;
        8) ;;
        *) echo "{\\"y\\": $1}" ;;
    esac
    """
    study_file(
        program=program,
        grid="a = { integers = [1, 9] }\nb = [0]",
        trial='timeout = "1 s"\nretries = 1',
        run="parallel = 4",
        top='minimize = "y"\nsearch = "random"',
    )
    done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 0
    failures = json.loads(dsice("status", "out", "--json").stdout)["failures"].values()
    assert sorted(failures) == [
        "exit code 3",
        "it wrote no metrics: neither a result file nor any output",
        "its output has no JSON object of metrics; its last line is: rubbish",
        "metric 'y' is \"3.5\", not a finite number",
        "metric 'y' is NaN, not a finite number",
        "not finished within its time limit of 1 s",
    ]
    assert sorted(program_calls()) == sorted(f"{a} 0" for a in [1, 2, 3, *[4, 5, 6, 7, 8, 9] * 2])


def test_awk_and_c_programs(dsice: Dsice, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "valley.c").write_text(
        "#include <stdio.h>\n#include <stdlib.h>\n"
        "int main(int n, char **v) { double a = atof(v[1]), b = atof(v[2]);\n"
        '  printf("{\\"y\\": %.17g}\\n", (a - 2) * (a - 2) + (b + 1) * (b + 1)); return n != 3; }\n'
    )
    text = """
        name = "valley"
        minimize = "y"
        [grid]
        a = { linear = [-4, 4], levels = 9 }
        b = { linear = [-4, 4], step = 0.5 }
        STAGE
        [trial]
        command = COMMAND
        [run]
        parallel = 2
        trials = 30
    """
    (tmp_path / "valley.awk").write_text(
        'BEGIN { printf "{\\"y\\": %g}\\n", (a - 2)^2 + (b + 1)^2 }\n'
    )
    awk = '["awk", "-v", "a={a}", "-v", "b={b}", "-f", "{study}/valley.awk"]'
    (tmp_path / "awk.toml").write_text(text.replace("STAGE", "").replace("COMMAND", awk))
    kinds = ["awk"]
    if shutil.which("cc"):
        stage = (
            '[stage.build]\ncommand = ["cc", "-O2", "-o", "{dir}/valley", "{study}/src/valley.c"]'
        )
        command = '["{stage.build}/valley", "{a}", "{b}"]'
        (tmp_path / "c.toml").write_text(text.replace("STAGE", stage).replace("COMMAND", command))
        kinds.append("c")
    for kind in kinds:
        done = dsice("run", f"{kind}.toml", "--in", kind)
        assert done.returncode == 0, done.stderr
        found = json.loads(dsice("best", kind, "--json").stdout)
        assert found["params"] == {"a": 2, "b": -1.0}


def test_init_writes_a_study_that_runs(dsice: Dsice, tmp_path: Path) -> None:
    assert dsice("init").returncode == 0
    assert dsice("run", "study.toml", "--trials", 5).returncode == 0
    assert (tmp_path / "runs" / "example" / "study.toml").is_file()
    refused = dsice("init")
    assert refused.returncode == 2
    assert refused.stderr == "dsice: study.toml exists already; it is left as it is\n"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"run": "trails = 3"}, "study.toml: unknown key 'run.trails': did you mean 'trials'?"),
        ({"top": ""}, "study.toml: a goal needs exactly one of minimize and maximize"),
        ({"command": '["{study}/program.sh", "{a}", "{c}"]'}, "unknown field {c}"),
        ({"grid": "a = []"}, "axis 'a' has no levels"),
        ({"grid": "a = [1, 2, 1]"}, "axis 'a' has the level 1 twice"),
        ({"top": 'minimize = "y"\nsubject_to = ["z about 3"]'}, "cannot read the bound 'z about"),
        ({"command": '["no-such-program", "{a}"]'}, "command 'no-such-program' is not found"),
        ({"command": '["{study}/missing", "{a}"]'}, "/missing' is not found"),
    ],
)
def test_bad_study_files(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path, parts: dict[str, str], message: str
) -> None:
    study_file(**parts)
    done = dsice("run", "study.toml")
    assert message in one_line(done)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_metric_that_is_in_no_result(
    dsice: Dsice, study_file: StudyFile, program_calls: Calls
) -> None:
    study_file(top='minimize = "seconds"', run="parallel = 3\ntrials = 12")
    line = one_line(dsice("run", "study.toml"))
    assert "metric 'seconds' is not in its result; found: y, z" in line
    assert "trials/0000" in line
    # The program is mended, the study is not begun anew.
    study_file(
        top='minimize = "seconds"',
        run="parallel = 3\ntrials = 12",
        program='#!/bin/sh\necho "{\\"seconds\\": $1}"\n',
    )
    assert dsice("run", "study.toml").returncode == 0
    data = json.loads(dsice("status", "runs/small", "--json").stdout)
    assert (data["trials"]["done"], data["trials"]["failed"]) == (12, 0)


def test_a_command_that_only_a_stage_could_make(dsice: Dsice, study_file: StudyFile) -> None:
    study_file(
        command='["{stage.build}/program", "{a}", "{b}"]',
        more='[stage.build]\ncommand = ["true"]',
    )
    assert "/program' is not found" in one_line(dsice("run", "study.toml"))


def test_a_program_that_a_parameter_names_and_is_missing_fails_its_trials(
    dsice: Dsice, study_file: StudyFile
) -> None:
    study_file(
        grid='a = { choice = ["sh", "bash", "no-such-program"] }\nb = [0]',
        command="""["{a}", "-c", "echo '{{\\"y\\": 1}}'"]""",
        top='minimize = "y"\nsearch = "random"\nseed = 3',
    )
    for _ in range(2):  # which of the three comes first does not matter, nor does resuming
        done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 0, done.stderr
    found = json.loads(dsice("status", "out", "--json").stdout)
    assert found["trials"]["done"] == 2
    assert list(found["failures"].values()) == [
        "cannot start 'no-such-program': No such file or directory"
    ]


def test_programs_are_looked_up_in_the_path_of_the_study(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    study_file(
        command='["program.sh", "{a}", "{b}"]',
        trial='env = { PATH = "{study}:/usr/bin:/bin" }',
        run="trials = 2",
    )
    assert dsice("run", "study.toml").returncode == 0
    study_file(command='["program.sh", "{a}", "{b}"]')
    assert "'program.sh' is not found" in one_line(dsice("run", "study.toml", "--in", "other"))


def test_modules_of_the_user_do_not_stand_in_for_those_of_python(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    for name in ("random", "socket", "numpy", "submitit"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')\n")
    study_file(run="trials = 2")
    # As the installed script does; `python -m` looks in the current folder first.
    script = Path(sys.executable).parent / "dsice"
    done = subprocess.run(
        [script, "run", "study.toml"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_a_reader_that_has_seen_enough_does_not_stop_the_study(
    study_file: StudyFile, dsice: Dsice, tmp_path: Path
) -> None:
    study_file(run="trials = 6")
    script = Path(sys.executable).parent / "dsice"
    subprocess.run(["sh", "-c", f"{script} run study.toml --in out 2>&1 | head -1"], cwd=tmp_path)
    assert json.loads(dsice("status", "out", "--json").stdout)["trials"]["done"] == 6


def test_hostile_progress_and_names_are_shown_harmlessly(
    dsice: Dsice, study_file: StudyFile
) -> None:
    rubbish = ["1" * 401, "[" * 100_000, '{"x": ' + "1" * 401 + "}", '{"[/b]": 1}', "\x1b[2J"]
    lines = "".join(f"printf '%s\\n' '{line}' >> $DSICE_PROGRESS\n" for line in rubbish)
    study_file(
        top='minimize = "y [/ms]"',
        program=f'#!/bin/sh\n{lines}echo \'{{"y [/ms]": 1, "z": 1}}\'\n',
        run="trials = 3",
    )
    done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 0, done.stderr
    status = dsice("status", "out")
    assert status.returncode == 0
    assert "y [/ms] 1" in status.stdout


def test_a_stage_that_fails_shows_its_log(dsice: Dsice, study_file: StudyFile) -> None:
    study_file(more='[stage.build]\ncommand = ["sh", "-c", "echo no compiler >&2; exit 7"]')
    done = dsice("run", "study.toml")
    assert done.returncode == 1
    assert "stage 'build' failed: exit code 7: no compiler" in done.stderr
    assert "\n    no compiler\n" in done.stderr


def test_bad_arguments(dsice: Dsice, study_file: StudyFile) -> None:
    study_file()
    assert "cannot read study file 'no.toml'" in one_line(dsice("run", "no.toml"))
    assert "--parallel 0: " in one_line(dsice("run", "study.toml", "--parallel", 0))
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    line = one_line(dsice("best", "out", "--subject-to", "z"))
    assert "cannot read the bound 'z'" in line
    assert "metric 'w' is in no result: there are y, z" in one_line(
        dsice("best", "out", "--subject-to", "w < 1")
    )
    assert dsice("frobnicate").returncode == 2


def test_the_module_and_the_script_are_the_same() -> None:
    script = Path(sys.executable).parent / "dsice"
    assert script.exists()
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("dsice ")
