"""Is a study directory to be trusted? Kills, stalls, takeovers, restored backups, damaged journals.

Run it with ``python benchmarks/trust.py`` (Linux; ``unshare -u``, hence root, for the takeovers). A
program logs when it begins and ends, so what really ran is known without asking the tuner. Each
study must come to its end, with

- nothing lost: every trial of the budget has its result;
- nothing completed twice: the program ended once at each point, at most;
- no wrong value: each result is the one that its parameters give;
- no traceback: whatever went wrong was said in a line.

Then journals are damaged at random and repaired: every result whose job folder is there comes back.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dsice.cli import main as dsice
from dsice.errors import InvalidInput
from dsice.study.state import Study
from dsice.study.task import Status

TRIALS: Final = 24
STUDY: Final = f"""
name = "trust"
minimize = "y"
search = "random"
[grid]
a = {{ integers = [0, 9] }}
b = {{ integers = [0, 9] }}
[trial]
command = ["{{study}}/program.sh", "{{a}}", "{{b}}"]
retries = 0
[run]
parallel = 4
trials = {TRIALS}
"""
PROGRAM: Final = """#!/bin/sh
echo "begin $1 $2" >> "$(dirname "$0")/log"
sleep 0.$((2 + ($1 * 7 + $2) % 5))
echo "{\\"y\\": $(($1 * 100 + $2))}"
echo "end $1 $2" >> "$(dirname "$0")/log"
"""
# A driver on a machine of which no lock reaches another: what decides are the signs of life.
ELSEWHERE: Final = """
import sys
from dsice.study import lock
lock.STALE, lock.BEAT = 1.5, 0.2
lock._locked_soon = lambda file: True
from dsice.cli import main
sys.exit(main(sys.argv[1:]))
"""


@dataclass(slots=True)
class Played:
    """What happened to the studies of one kind.

    Attributes:
        events: how often something was done to a driver, a job or a journal.
        faults: what must not be, in words.
    """

    events: int = 0
    faults: list[str] = field(default_factory=list)


class Field:
    """One study in a folder of its own, and the drivers that were started on it."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder = folder
        self.chance = chance
        self.errors: list[str] = []
        self._drivers: list[subprocess.Popen[str]] = []
        folder.mkdir(parents=True)
        (folder / "study.toml").write_text(STUDY)
        (folder / "program.sh").write_text(PROGRAM)
        (folder / "program.sh").chmod(0o755)

    @property
    def runs(self) -> Path:
        """The study's directory."""
        return self.folder / "runs"

    def driver(self, host: str = "") -> subprocess.Popen[str]:
        """Start a driver, on this machine or on one called ``host``."""
        command = ["run", str(self.folder / "study.toml"), "--in", str(self.runs)]
        python = [sys.executable, "-c", ELSEWHERE] if host else [sys.executable, "-m", "dsice.cli"]
        if host:
            python = ["unshare", "-u", "sh", "-c", f'hostname {host} && exec "$@"', "sh", *python]
        process = subprocess.Popen(
            [*python, *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        self._drivers.append(process)
        return process

    def ended(self, driver: subprocess.Popen[str]) -> int:
        """Wait for a driver, and keep what it said."""
        _, said = driver.communicate(timeout=300)
        self.errors.append(said)
        return driver.returncode

    def wait(self) -> None:
        """Let a random time pass."""
        time.sleep(self.chance.uniform(0.1, 2.0))

    def finish(self) -> None:
        """Run drivers until one reaches the end."""
        for _ in range(60):
            if self.ended(self.driver()) == 0:
                return
            time.sleep(0.5)

    def faults(self) -> list[str]:
        """What must not be."""
        found = [
            f"{self.folder}: traceback: {text[-500:]}"
            for text in self.errors
            if "Traceback" in text
        ]
        log = Counter((self.folder / "log").read_text().splitlines())
        found += [
            f"{self.folder}: {line!r} {count} times"
            for line, count in log.items()
            if count > 1 and line.startswith("end")
        ]
        try:
            study = Study.open(self.runs)
        except InvalidInput as error:
            return [*found, f"{self.folder}: {error}"]
        done = study.with_status(Status.DONE)
        if len(done) != TRIALS:
            found.append(f"{self.folder}: {len(done)} of {TRIALS} measured")
        return found + wrong(study)


def wrong(study: Study) -> list[str]:
    """The trials whose result is not that of their parameters."""
    return [
        f"{study.directory.path}: trial {trial.number} is wrong: {trial.params} {trial.metrics}"
        for trial in study.with_status(Status.DONE)
        if trial.metrics["y"] != int(trial.params["a"]) * 100 + int(trial.params["b"])
    ]


def kills(field: Field) -> int:
    """The driver is killed with -9, and now and then one of its jobs."""
    for number in range(10):
        driver = field.driver()
        field.wait()
        if number % 3 == 0:
            for claim in list(field.runs.glob("trials/*/*/claim.json"))[-1:]:
                with contextlib.suppress(OSError, ValueError):
                    os.kill(json.loads(claim.read_text())["pid"], signal.SIGKILL)
        driver.kill()
        field.ended(driver)
    return 10


def stalls(field: Field) -> int:
    """The driver stops, another one begins after its lock was deleted, and the first one wakes."""
    for _ in range(3):
        first = _stopped(field)
        (field.runs / "lock").unlink(missing_ok=True)
        _taken_over(field, first)
    return 3


def takeovers(field: Field) -> int:
    """As stalls, between two machines whose locks do not reach each other."""
    for _ in range(3):
        first = _stopped(field, "here")
        time.sleep(2.5)  # its jobs end, and its last sign of life grows old
        _taken_over(field, first, "there")
        time.sleep(2.0)
    (field.runs / "lock").unlink(missing_ok=True)
    return 3


def _stopped(field: Field, host: str = "") -> subprocess.Popen[str]:
    """A driver that was at work for a while and then stopped."""
    driver = field.driver(host)
    field.wait()
    driver.send_signal(signal.SIGSTOP)
    return driver


def _taken_over(field: Field, first: subprocess.Popen[str], host: str = "") -> None:
    """Let another driver begin, then wake the first one; both are killed in the end."""
    second = field.driver(host)
    field.wait()
    first.send_signal(signal.SIGCONT)
    field.wait()
    for driver in (first, second):
        driver.kill()
    for driver in (first, second):
        field.ended(driver)


def restores(field: Field) -> int:
    """The journal comes back from a backup that was made at some moment before."""
    backups = []
    for _ in range(3):
        driver = field.driver()
        for _ in range(3):
            field.wait()
            with contextlib.suppress(OSError):
                backups.append((field.runs / "journal.jsonl").read_bytes())
        driver.kill()
        field.ended(driver)
        if not backups:  # the driver was killed before it had begun
            continue
        (field.runs / "journal.jsonl").write_bytes(field.chance.choice(backups))
        command = [sys.executable, "-m", "dsice.cli", "repair", str(field.runs), "--write"]
        done = subprocess.run(command, capture_output=True, text=True)
        field.errors.append(done.stderr)
    return 3


KINDS: Final[dict[str, Callable[[Field], int]]] = {
    "kill -9 of drivers and jobs": kills,
    "stalls, the lock deleted meanwhile": stalls,
    "takeovers by another host": takeovers,
    "journals brought back from backups": restores,
}


def damaged(chance: random.Random, data: bytes) -> bytes:
    """``data`` with a bit flipped, a piece gone, zeroed or doubled, or lines lost or exchanged."""
    at = chance.randrange(len(data))
    end = min(len(data), at + chance.choice([1, 3, 20, 200, 700]))
    lines = data.splitlines(keepends=True)
    match chance.randrange(6):
        case 0:
            return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
        case 1:
            return data[:at] + data[end:]
        case 2:
            return data[:at] + bytes(end - at) + data[end:]
        case 3:
            return data[:end] + data[at:]
        case 4:
            first, second = sorted(chance.sample(range(len(lines)), 2))
            lines[first], lines[second] = lines[second], lines[first]
        case _:
            del lines[chance.randrange(len(lines))]
    return b"".join(lines)


def journals(source: Path, folder: Path, count: int, chance: random.Random) -> Played:
    """Damage the journal of a finished study, repair it, and compare with what is known."""
    played = Played()
    good = (source / "journal.jsonl").read_bytes()
    shutil.copytree(source, folder)
    for _ in range(count):
        data = good
        for _ in range(chance.choice([1, 1, 2, 5])):
            data = damaged(chance, data)
        for kept in folder.glob("repair-*"):
            shutil.rmtree(kept)
        (folder / "journal.jsonl").write_bytes(data)
        played.events += 1
        try:
            for command in ("status", "repair", "status", "best"):
                more = ["--write"] if command == "repair" else []
                with (
                    contextlib.redirect_stdout(io.StringIO()),
                    contextlib.redirect_stderr(io.StringIO()),
                ):
                    dsice([command, str(folder), *more])
            study = Study.open(folder)
        except Exception as error:  # a traceback, or a journal that is still not readable
            played.faults.append(f"{type(error).__name__}: {error}")
            continue
        back = [t for t in study.trials if t.status in (Status.DONE, Status.RUNNING)]
        if len(back) != TRIALS:
            played.faults.append(f"{len(back)} of {TRIALS} came back")
        played.faults += wrong(study)
    return played


def main() -> None:
    """Print a table of what was done and what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=10, help="of each kind")
    parser.add_argument("--journals", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for kind, (name, play) in enumerate(KINDS.items()):
            played = Played()
            for number in range(options.studies):
                field = Field(Path(scratch, f"{kind}-{number}"), chance)
                played.events += play(field)
                field.finish()
                played.faults += field.faults()
                print(f"\r{name}: study {number + 1} of {options.studies}", end="", file=sys.stderr)
            rows.append((name, f"{options.studies} studies of {TRIALS} trials", played))
        source = Path(scratch, "0-0", "runs")
        rows.append(
            (
                "damaged journals",
                "repaired",
                journals(source, Path(scratch, "damaged"), options.journals, chance),
            )
        )
    print("\n| what | in | how often | faults |\n|---|---|---|---|")
    for name, where, played in rows:
        print(f"| {name} | {where} | {played.events} | {len(played.faults)} |")
    for _, _, played in rows:
        print(*played.faults[:20], sep="\n", end="")
    sys.exit(any(played.faults for _, _, played in rows))


if __name__ == "__main__":
    main()
