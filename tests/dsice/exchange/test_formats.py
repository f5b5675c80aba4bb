"""What is exported to a format and imported again is the same knowledge, whatever the format."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from dsice.errors import InvalidInput
from dsice.exchange.formats import READERS, WRITERS, guess
from dsice.exchange.match import match
from dsice.goal import Metrics
from dsice.grid import Point
from dsice.study.known import unknown
from dsice.study.state import Study
from dsice.study.task import Status
from tests.dsice.stories import Story, demo_story

PLACES = {
    "csv": "out.csv",
    "parquet": "out.parquet",
    "optuna database": "out.db",
    "optuna URL": "sqlite:///{}/url.db",
    "optuna journal": "out.log",
}

# All kinds of levels, and metrics whose names are taken by a parameter and by facts of a table.
AWKWARD = """
name = "awkward"
maximize = "seconds"
subject_to = ["rate >= 0.2", "state < 3"]
[grid]
rate = [0.1, 0.30000000000000004, 1]
size = [64, 32, 7]
wide = { geometric = [1e-6, 1], levels = 7 }
even = { linear = [-0.3, 0.3], step = 0.1 }
flag = { choice = [true, false] }
mixed = { choice = ["auto", 0, 1.5] }
words = ["1e1", "none", "a,b", "Ä \\"q\\""]
one = [3]
[trial]
command = ["run"]
[run]
parallel = 2
trials = 30
"""


def awkward_story(directory: Path) -> Story:
    story = Story(AWKWARD, directory)
    story.session()
    chance = random.Random(1)
    shape = story.study.config.grid.shape
    for number in range(30):
        task = story.propose(tuple(chance.randrange(n) for n in shape))
        if number == 28:
            continue  # waits
        started = story.begin(task)
        if number == 29:
            continue  # runs
        story.now += 10.5
        if number % 7 == 0:
            story.end(task, started, verdict="failed", kind="exit code", reason='exit, "1"\nÄ')
        else:
            metrics = {
                "seconds": chance.gauss(0, 1),
                "rate": 1 / 3 * number,
                "state": float(number % 4),
            }
            story.end(task, started, metrics | ({"trial": 1e-300} if number % 2 else {}))
    return story


def knowledge(entries: Iterable[tuple[Point, Metrics | None]]) -> Counter[object]:
    return Counter(
        (point, None if metrics is None else tuple(sorted(metrics.items())))
        for point, metrics in entries
    )


def of_study(study: Study) -> Counter[object]:
    return knowledge(
        (t.point, t.metrics if t.status is Status.DONE else None) for t in study.finished
    )


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("tell", [demo_story, awkward_story])
def test_out_and_in_again_is_the_same_knowledge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tell: Callable[[Path], Story], place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    place = place.format(tmp_path)
    study = tell(tmp_path / "study").study
    form = guess(place)
    WRITERS[form](study, place, None)
    source = READERS[form](place, study.config, None)
    found = match(source, study.config.grid, study.config.goal)
    assert knowledge((r.point, r.metrics) for r in found.results) == of_study(study)
    assert unknown(study, found.results) == []
    failed = [t.reason for t in study.finished if t.status is Status.FAILED]
    assert sorted(r.reason for r in found.results if r.metrics is None) == sorted(failed)
    unended = len(study.trials) - len(study.finished)
    assert sum(count for count, _ in found.left_out.values()) == unended


@pytest.mark.parametrize("form", WRITERS)
def test_a_study_without_trials_is_written(tmp_path: Path, form: str) -> None:
    study = Story(AWKWARD, tmp_path).study
    WRITERS[form](study, str(tmp_path / "out.db"), None)


@pytest.mark.parametrize("form", READERS)
@pytest.mark.parametrize("content", [None, b"", b"\xff\x00\xfe garbage", b"[]", b"{}", b"a,b\n"])
def test_what_is_no_such_file_is_refused_in_a_line(
    tmp_path: Path, form: str, content: bytes | None
) -> None:
    study = Story(AWKWARD, tmp_path).study
    file = tmp_path / "there"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidInput) as error:
        READERS[form](str(file), study.config, None)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)
    assert file.exists() == (content is not None)


@pytest.mark.parametrize(
    ("library", "form", "said"),
    [
        ("pyarrow", "parquet", r"needs pyarrow: pip install 'dsice\[parquet\]'"),
        ("optuna", "optuna", r"needs Optuna: pip install 'dsice\[optuna\]'"),
    ],
)
def test_a_missing_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, form: str, said: str
) -> None:
    study = Story(AWKWARD, tmp_path).study
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InvalidInput, match=said):
        WRITERS[form](study, str(tmp_path / "out.db"), None)
    with pytest.raises(InvalidInput, match=said):
        READERS[form](str(tmp_path / "out.db"), study.config, None)


def test_formats_are_guessed_from_names(tmp_path: Path) -> None:
    assert guess("a/b.CSV") == "csv"
    assert guess("b.parquet") == "parquet"
    assert guess("cache.json") == guess("A100.json.gz") == guess("a.jsonl") == "json"
    assert guess("t.tsv") == guess("t.csv.xz") == "csv"
    assert guess(str(tmp_path)) == "dsice"
    assert guess("postgresql://host/x") == guess("x.db") == guess("x.log") == "optuna"
    with pytest.raises(InvalidInput, match="give --format, one of csv, json, parquet, optuna, k"):
        guess("results.txt")
    with pytest.raises(InvalidInput, match=r"cannot read the spreadsheet 'a.xlsx': save it as CSV"):
        guess("a.xlsx")
