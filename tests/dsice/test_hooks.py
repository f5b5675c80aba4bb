"""Programs that are told what becomes of a study: real ones, which may do anything."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from dsice.errors import GaveUp
from dsice.hooks import Hooks, failure_of_last
from tests.dsice.stories import DEMO, Tell

Dsice = Callable[..., "subprocess.CompletedProcess[str]"]
StudyFile = Callable[..., Path]
TELL = 'on_{0} = ["sh", "-c", "cat > {0}.json; echo $0 >> told", "{0}: {{text}}"]'


def told(directory: Path) -> list[str]:
    path = directory / "told"
    return path.read_text().splitlines() if path.exists() else []


def test_the_best_and_the_end_are_told(dsice: Dsice, study_file: StudyFile, tmp_path: Path) -> None:
    study_file(run="trials = 12\n" + TELL.format("best") + "\n" + TELL.format("end"))
    done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 0, done.stderr
    *better, end = told(tmp_path / "out")
    assert end == "end: small has ended: the budget of 12 trials is used"
    # Each was better than the last; those that became known at once are told as one.
    values = [int(line.partition(": y ")[2].split()[0].rstrip(",")) for line in better]
    assert values == sorted(set(values), reverse=True)
    best = json.loads(dsice("best", "out", "--json").stdout)
    assert values[-1] == best["metrics"]["y"]
    facts = json.loads((tmp_path / "out" / "best.json").read_text())
    assert (facts["event"], facts["trial"]["params"]) == ("on_best", best["params"])
    facts = json.loads((tmp_path / "out" / "end.json").read_text())
    assert (facts["trials"]["done"], facts["best"]["params"]) == (12, best["params"])

    # What an earlier session found is no news, and a session without anything to do neither.
    assert dsice("run", "study.toml", "--in", "out").returncode == 0
    assert told(tmp_path / "out") == [*better, end]


def test_failures_are_shown_and_harmless(
    dsice: Dsice, study_file: StudyFile, tmp_path: Path
) -> None:
    study_file(
        run='trials = 3\non_best = ["no-such-program"]\n'
        'on_end = ["sh", "-c", "echo what went wrong; exit 3"]'
    )
    dry = dsice("run", "study.toml", "--dry-run")
    assert "[run] on_best: command 'no-such-program' is not found" in dry.stdout
    done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 0
    log = tmp_path / "out" / "hooks.log"
    assert "hook on_best: cannot start 'no-such-program': No such file" in done.stderr
    assert f"hook on_end: exit code 3; its output is in {log}" in done.stderr
    assert "what went wrong\n" in log.read_text()


def test_trouble_is_told(dsice: Dsice, study_file: StudyFile, tmp_path: Path) -> None:
    study_file(
        run="trials = 30\n" + TELL.format("trouble"),
        command='["sh", "-c", "echo broken >&2; exit 7", "{a}", "{b}"]',
    )
    done = dsice("run", "study.toml", "--in", "out")
    assert done.returncode == 1
    assert told(tmp_path / "out")[-1].startswith("trouble: small: ")
    assert "failed alike: exit code 7: broken" in told(tmp_path / "out")[-1]


def test_a_hook_that_hangs_is_ended(tell: Tell, tmp_path: Path) -> None:
    said: list[str] = []
    study = tell(DEMO.replace("[run]", '[run]\non_end = ["sleep", "600"]')).study
    with Hooks(study.config, tmp_path, said.append, seconds=0.1) as hooks:
        hooks.look(study)
    assert said == [
        f"hook on_end: it took too long and was ended; its output is in {tmp_path}/hooks.log"
    ]


def test_an_error_is_trouble_and_an_end(tell: Tell, tmp_path: Path) -> None:
    both = TELL.format("end") + "\n" + TELL.format("trouble")
    study = tell(DEMO.replace("[run]", f"[run]\n{both}")).study
    hooks = Hooks(study.config, tmp_path, print)
    hooks.look(study)
    error = GaveUp("5 trials in a row failed alike: exit code 1\nand more")
    hooks.__exit__(GaveUp, error, None)
    first, second = told(tmp_path)
    assert first.endswith(": 5 trials in a row failed alike: exit code 1")
    assert second.startswith("end: ")


def test_the_last_hook_that_failed_is_known_until_one_does_not(tell: Tell, tmp_path: Path) -> None:
    def end(command: str) -> None:
        study = tell(DEMO.replace("[run]", f"[run]\non_end = {command}")).study
        with Hooks(study.config, tmp_path, lambda line: None) as hooks:
            hooks.look(study)

    assert failure_of_last(tmp_path) == ""
    end('["sh", "-c", "yes | head -c 9000; exit 3"]')
    assert failure_of_last(tmp_path).endswith(" on_end: exit code 3")
    end('["true"]')
    assert failure_of_last(tmp_path) == ""
    end('["no-such-program"]')
    assert "on_end: cannot start 'no-such-program': No such file" in failure_of_last(tmp_path)
    end('["sh", "-c", "yes | head -c 9000"]')
    assert failure_of_last(tmp_path) == ""
