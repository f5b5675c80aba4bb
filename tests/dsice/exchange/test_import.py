"""Importing as a user does it: what is known is not measured again, and is no trial."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dsice.cli import main
from dsice.study.config import load
from dsice.study.directory import StudyDirectory
from dsice.study.events import Event, Header, Imported, Known, Proposed
from dsice.study.journal import Journal, Lines
from dsice.study.known import Result, add_known
from dsice.study.state import Study
from tests.dsice.stories import Story
from tests.dsice.study.machine import Bench

Dsice = Callable[..., "subprocess.CompletedProcess[str]"]
StudyFile = Callable[..., Path]
Calls = Callable[[], list[str]]


def table(points: list[tuple[int, int]]) -> str:
    rows = [f"{a},{b},{(a - 3) ** 2 + (b - 6) ** 2},{a}\n" for a, b in points]
    return "a,b,y,z\n" + "".join(rows)


EVEN = [(a, b) for a in range(0, 10, 2) for b in range(0, 10, 2)]


def test_known_results_are_not_measured_again(
    tmp_path: Path, dsice: Dsice, study_file: StudyFile, program_calls: Calls
) -> None:
    study_file(run="trials = 6\nparallel = 2")
    # The second best point failed elsewhere, and the best is known.
    (tmp_path / "known.csv").write_text(table([*EVEN, (3, 6)]) + "3,7,,\n12,1,5,5\n")
    dry = dsice("import", "study.toml", "known.csv", "--in", "out", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert not (tmp_path / "out").exists()
    done = dsice("import", "study.toml", "known.csv", "--in", "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert "27 results, 1 of them failures; 27 new, 0 known before" in done.stdout
    assert "1 left out: parameter 'a' has no such level (the first: line 29: '12')" in done.stdout
    again = dsice("import", "study.toml", "known.csv", "--in", "out")
    assert "0 new, 27 known before" in again.stdout
    status = dsice("status", "out")
    assert "+ 27 known results from known.csv, 1 of them failures." in status.stdout
    assert "No driver has begun." in status.stdout

    run = dsice("run", "study.toml", "--in", "out")
    assert run.returncode == 0, run.stderr
    made = program_calls()
    assert len(made) == len(set(made)) == 6
    assert not set(made) & {f"{a} {b}" for a, b in [*EVEN, (3, 6), (3, 7)]}
    better = "Better, known from elsewhere: y 0  (known.csv, line 27: a=3 b=6)"
    assert better in run.stdout
    assert better in dsice("best", "out").stdout
    data = json.loads(dsice("status", "out", "--json").stdout)
    assert (data["trials"]["done"], data["known"]["results"], data["known"]["failed"]) == (6, 27, 1)
    assert data["known"]["best"] == {
        "params": {"a": 3, "b": 6},
        "metrics": {"y": 0.0, "z": 3.0},
        "where": "known.csv, line 27",
    }
    page = Path(dsice("report", "out").stdout.split()[-1])
    assert "Better is known from elsewhere: y = 0" in page.read_text()

    export = dsice("export", "out", "--csv", "own.csv")
    assert (export.returncode, export.stdout) == (0, "Wrote own.csv: 6 trials\n")
    own = dsice("import", "out", "own.csv")
    assert "6 results, 0 of them failures; 0 new, 6 known before" in own.stdout
    none = dsice("best", "out", "--subject-to", "y <= 0")
    assert none.returncode == 1
    assert better in none.stderr


def test_mistakes_change_nothing(
    tmp_path: Path,
    study_file: StudyFile,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    def dsice(*arguments: str) -> tuple[int, str]:
        code = main(arguments)
        return code, capsys.readouterr().err

    study_file()
    (tmp_path / "bad.csv").write_text("a,b,y\n1,1,fast\n")
    (tmp_path / "none.csv").write_text("a,b,y\n11,1,3\n")
    for arguments, code, said in [
        (("import", "study.toml", "bad.csv"), 2, "bad.csv: line 2: metric 'y' is 'fast'"),
        (("import", "study.toml", "none.csv"), 1, ""),
        (("import", "study.toml", "absent.csv"), 2, "cannot read absent.csv: No such file"),
        (("import", "study.toml", "absent.db"), 2, "cannot use absent.db: there is no absent.db"),
        (("import", "study.toml", "what.txt"), 2, "cannot tell the format of 'what.txt'"),
        (("import", "study.toml", "bad.csv", "--metric", "y"), 2, "--metric y: write OURS=THEIRS"),
        (("import", "absent.toml", "bad.csv"), 2, "cannot read study file 'absent.toml'"),
        (("export", "runs/small", "--csv", "x.csv"), 2, "holds no study"),
    ]:
        found, complaint = dsice(*arguments)
        assert found == code
        assert said in complaint
        assert len(complaint.splitlines()) <= 1
        assert not (tmp_path / "runs").exists()
    (tmp_path / "good.csv").write_text("a,b,y\n1,1,3\n")
    assert dsice("import", "study.toml", "good.csv") == (0, "")
    for arguments, said in [
        (("export", "runs/small"), "nothing to write: give --optuna STORAGE"),
        (("export", "runs/small", "--csv", "no/x.csv"), "cannot write no/x.csv: No such file"),
        (("export", "runs/small", "--csv", "runs"), "cannot write runs: it is a folder"),
        (("export", "runs/small", "--optuna", "no/x.db"), "cannot use no/x.db: there is no no"),
    ]:
        found, complaint = dsice(*arguments)
        assert (found, complaint.count("\n")) == (2, 1)
        assert said in complaint
    study_file(top='maximize = "y"')
    found, complaint = dsice("import", "study.toml", "good.csv")
    assert found == 2
    assert "does not have this yet: goal: minimize y before, maximize y now" in complaint
    with StudyDirectory.at(tmp_path / "runs/small").lock.held():
        found, complaint = dsice("import", "runs/small", "bad.csv", "--metric", "y=4")
    assert found == 2
    assert "driver" in complaint
    assert len(Study.open(tmp_path / "runs/small").known) == 1


class Said:
    """The command line in this process, in a folder; keeps what it wrote."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(folder)
        self._capsys = capsys
        self.errors = ""

    def __call__(self, *arguments: str) -> str:
        """What a command that succeeds printed."""
        assert main(arguments) == 0, self._capsys.readouterr().err
        out, self.errors = self._capsys.readouterr()
        return out


@pytest.fixture
def said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Said:
    return Said(tmp_path, monkeypatch, capsys)


def begun(folder: Path) -> Path:
    """A directory with three trials, whose parameters and metrics have names in two alphabets."""
    text = """
name = "begun"
minimize = "größe"
[grid]
a = [1, 2, 3]
wort = { choice = ["Ä", "ñ"] }
[trial]
command = ["run"]
"""
    story = Story(text, folder / "begun")
    story.write()
    story.session()
    for k in range(3):
        task = story.propose((k, k % 2))
        story.end(task, story.begin(task), {"größe": 3.0 - k})
    return folder / "begun"


def test_what_goes_to_standard_output_is_alone_there(tmp_path: Path, said: Said) -> None:
    begun(tmp_path)
    table = said("export", "begun", "--csv", "-", "--csv", "file.csv")
    assert table == (tmp_path / "file.csv").read_text()
    assert said.errors == "Wrote standard output: 3 trials\nWrote file.csv: 3 trials\n"
    page = said("report", "begun", "--out", "-")
    assert page.startswith("<!DOCTYPE html>")
    assert page.rstrip().endswith("</html>")
    template = said("init", "-")
    said("init", "new.toml")
    assert template == (tmp_path / "new.toml").read_text()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["begun", "file.csv", "new.toml"]


def test_parquet_to_standard_output(tmp_path: Path, dsice: Dsice) -> None:
    pytest.importorskip("pyarrow")
    begun(tmp_path)
    command = [sys.executable, "-m", "dsice.cli", "export", "begun", "--parquet", "-"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=300)
    assert done.returncode == 0
    (tmp_path / "out.parquet").write_bytes(done.stdout)
    assert (
        "3 results, 0 of them failures; 0 new, 3 known before"
        in dsice("import", "begun", "out.parquet").stdout
    )


def test_several_storages_are_all_written(
    tmp_path: Path, said: Said, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna")
    begun(tmp_path)
    out = said("export", "begun", "--optuna", "a.db", "--optuna", "b.log", "--csv", "c.csv")
    assert out.count("3 trials") == 3
    for name in ("a.db", "b.log", "c.csv"):
        assert "0 new, 3 known before" in said("import", "begun", name)
    for places, complaint in [
        (("--csv", "c.csv", "--parquet", "c.csv"), "c.csv is named twice"),
        (("--csv", "-", "--parquet", "-"), "- is named twice"),
        (("--optuna", "-"), "--optuna -: a storage cannot be standard output"),
    ]:
        assert main(("export", "begun", *places)) == 2
        assert complaint in capsys.readouterr().err
    assert not (tmp_path / "-").exists()


def test_a_device_is_written_into(tmp_path: Path, said: Said) -> None:
    begun(tmp_path)
    (tmp_path / "nothing").symlink_to("/dev/null")
    assert said("export", "begun", "--csv", "nothing") == "Wrote nothing: 3 trials\n"
    assert Path("/dev/null").is_char_device()


def test_words_of_every_alphabet_are_shown(tmp_path: Path, said: Said) -> None:
    begun(tmp_path)
    best = said("best", "begun")
    assert 'wort = "Ä"' in best
    assert "größe 1" in best


def test_what_its_own_trials_have_is_no_news(tmp_path: Path, said: Said) -> None:
    begun(tmp_path)
    said("export", "begun", "--csv", "own.csv")
    assert said("import", "begun", "own.csv") == (
        "own.csv: 3 results, 0 of them failures; 0 new, 3 known before.\n"
        "begun has them as its own trials.\n"
    )


def test_another_study_is_a_source(tmp_path: Path, said: Said) -> None:
    begun(tmp_path)
    (tmp_path / "new.toml").write_text(
        'name = "new"\nminimize = "größe"\n[grid]\nwort = { choice = ["ñ", "Ä"] }\n'
        'a = [3, 2]\n[trial]\ncommand = ["run"]\n'
    )
    assert said("import", "new.toml", "begun") == (
        "begun: 2 results, 0 of them failures; 2 new, 0 known before.\n"
        "  1 left out: parameter 'a' has no such level (the first: trial 1: 1)\n"
        "+ 2 known results from begun. In runs/new.\n"
    )


def test_standard_input_is_a_source(tmp_path: Path, study_file: StudyFile) -> None:
    study_file()
    command = [sys.executable, "-m", "dsice.cli", "import", "study.toml", "-", "--format", "csv"]
    text = "a;b;y\n1;2;0,5\n"
    done = subprocess.run(
        command, cwd=tmp_path, input=text, capture_output=True, text=True, timeout=300
    )
    assert done.stdout == (
        "standard input: 1 result, 0 of them failures; 1 new, 0 known before.\n"
        "+ 1 known result from standard input. In runs/small.\n"
    )


def test_what_is_kept_without_being_asked_for_is_said(
    tmp_path: Path, study_file: StudyFile, said: Said
) -> None:
    study_file()
    (tmp_path / "t.csv").write_text("a,b,y,batch,note\n1,2,3,16,x\n2,2,3,32,x\n")
    out = said("import", "study.toml", "t.csv", "--dry-run")
    assert "2 results, 0 of them failures; 2 would be new, 0 known before." in out
    assert "Other columns, kept as metrics: batch\n" in out
    assert "batch" not in said("import", "study.toml", "t.csv", "--ignore", "batch")


def test_an_import_that_was_cut_short_is_all_or_nothing(
    tmp_path: Path, study_file: StudyFile
) -> None:
    config = load(study_file())
    results = [Result(p, {"y": 1.0 / 3}, "", f"line {k}") for k, p in enumerate(EVEN, 2)]
    whole = tmp_path / "whole"
    assert add_known(config, whole, results, "t.csv") == results
    journal = (whole / "journal.jsonl").read_bytes()
    entries = Study.open(whole).known
    assert [(p.point, p.metrics) for p in entries] == [(r.point, r.metrics) for r in results]
    cut = tmp_path / "cut"
    for length in range(0, len(journal), 7):
        cut.mkdir(exist_ok=True)
        (cut / "study.toml").write_bytes((whole / "study.toml").read_bytes())
        (cut / "source.json").write_bytes((whole / "source.json").read_bytes())
        (cut / "journal.jsonl").write_bytes(journal[:length])
        assert Study.open(cut).known == []
        add_known(config, cut, results, "t.csv")
        assert Study.open(cut).known == entries
        assert add_known(config, cut, results, "t.csv") == []


def test_equal_results_are_counted(tmp_path: Path, study_file: StudyFile) -> None:
    config = load(study_file())
    twice = [Result((1, 1), {"y": 2.0}, "", f"line {k}") for k in (2, 3)]
    failed = Result((1, 1), None, "broke", "line 4")
    assert len(add_known(config, tmp_path / "out", twice[:1], "t.csv")) == 1
    assert add_known(config, tmp_path / "out", [*twice, failed], "t.csv") == [twice[1], failed]
    assert add_known(config, tmp_path / "out", [*twice, failed], "u.csv") == []


@pytest.mark.parametrize("search", ["dsice", "dsice-2018", "random"])
def test_a_study_with_known_results_resumes_as_if_unbroken(tmp_path: Path, search: str) -> None:
    """Known before the first trial and between two sessions; the bound waits for a stage."""

    def bench(name: str, trials: int) -> Bench:
        return Bench(tmp_path / name, search=search, run=f"parallel = 2\ntrials = {trials}")

    def know(of: Bench, points: list[tuple[int, int]]) -> None:
        entries = [
            Known(point=p, metrics={"y": 5.0 + sum(p), "z": 1.0}, where="line 2") for p in points
        ]
        with Journal(of.place.journal, of.clock.now) as journal:
            list(journal.replay())
            if not journal.format:
                journal.append(Header.new(of.config.name, {}))
            journal.append(Imported(source="t.csv", results=entries))

    unbroken = bench("unbroken", 18)
    know(unbroken, EVEN)
    study = unbroken.run()
    assert 10 <= len(study.trials) <= 18  # the published form has seen enough before
    assert len(study.known) == len(EVEN)
    assert not {trial.point for trial in study.trials} & set(EVEN)
    proposed = [event for event in Lines(unbroken.place.journal) if isinstance(event, Proposed)]

    # Killed after any number of proposals: the next driver proposes what the first one would have.
    for kept in (1, 5, 9):
        broken = bench(f"broken-{kept}", 18)

        class Killed(Exception):
            pass

        def prepare(driver: object, journal: Journal, kept: int = kept) -> None:
            append = journal.append

            def counted(new: Event) -> Event:
                if isinstance(new, Proposed) and new.trial == kept + 1:
                    raise Killed
                return append(new)

            journal.append = counted  # type: ignore[method-assign, assignment]

        know(broken, EVEN)
        with pytest.raises(Killed):
            broken.run(prepare)
        again = broken.run()
        assert [t.params for t in again.trials[: kept + 1]] == [
            event.params for event in proposed[: kept + 1]
        ]
        assert not {trial.point for trial in again.trials} & set(EVEN)

    # More becomes known between two sessions.
    more = bench("unbroken", 24)
    odd = [
        point for point in ((1, 1), (9, 9), (3, 5)) if point not in {t.point for t in study.trials}
    ]
    know(more, odd)
    later = more.run()
    points = [trial.point for trial in later.trials]
    assert len(set(points)) == len(points) >= len(study.trials)
    assert not set(points[len(study.trials) :]) & set(odd)
    assert later.known[-1].point == odd[-1]
