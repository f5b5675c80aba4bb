from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from dsice.report.details import LINES, Log, all_details, details, fair_share, log_tail
from dsice.report.facts import Facts

if TYPE_CHECKING:
    from tests.dsice.stories import Story, Tell


def test_a_log_is_shown_by_its_end_with_nothing_hidden(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert log_tail(path) == ()
    path.write_text("\n \n")
    assert log_tail(path) == ()
    path.write_text("".join(f"line {k}\n" for k in range(100)))
    assert log_tail(path) == tuple(f"line {k}" for k in range(100 - LINES, 100))
    path.write_bytes(b"10 %\r50 %\r100 %\r\n\x1b[31mred\x00\xff\n" + b"x" * 3_000_000)
    (line,) = log_tail(path)
    assert len(line) == 300
    path.write_bytes(b"10 %\r50 %\r100 %\r\n\x1b[31mred\x00\xff\n\n")
    assert log_tail(path) == ("100 %", "␛[31mred␀\ufffd")


@given(st.lists(st.integers(0, 1000)), st.integers(0, 5000))
def test_shares_are_fair(wanted: list[int], room: int) -> None:
    share = fair_share(wanted, room)
    taken = sum(min(size, share) for size in wanted)
    assert taken <= max(room, 0)
    if sum(wanted) > room:  # nobody could have more, but for the remainder
        assert taken > room - len(wanted)
    else:
        assert taken == sum(wanted)


@given(
    st.builds(
        Log,
        st.text(max_size=300),
        st.lists(st.text(max_size=80), max_size=20).map(tuple),
        st.lists(st.text(max_size=80), max_size=20).map(tuple),
    ),
    st.integers(0, 2000),
)
def test_logs_fit_into_their_room(log: Log, room: int) -> None:
    cut = log.within(room)
    assert cut.size <= max(room + 50, 0)  # quotes and marks of what was cut
    if log.size <= room:
        assert cut == log
    for whole, part in ((log.output, cut.output), (log.errors, cut.errors)):
        assert not part[:-1] or whole[-len(part) :] == part


def test_the_details_of_a_trial(tell: Tell) -> None:
    story = tell()
    story.session()
    story.stage("pretrain", 5, {"niqe": 7, "rmse": 12})
    trial = story.propose((1, 1, 1, 1))
    started = story.begin(trial)
    story.now += 60
    story.end(trial, started, verdict="again", kind="preempted", reason="preempted")
    started = story.begin(trial, 2)
    story.now += 120
    story.end(trial, started, {"niqe": 5, "rmse": 12.1}, attempt=2)
    job = story.study.directory.trial(1).job(2)
    job.path.mkdir(parents=True)
    job.stdout.write_text("all well\n")
    found = details(Facts.of(story.study), story.study.trials[0])
    assert json.loads(json.dumps(found)) == {**found, "output": ["all well"], "errors": []}
    assert found["state"] == "best"
    assert found["params"][2] == ["w_adv", "1.5625e-05"]
    assert found["metrics"] == [["niqe", "5"], ["rmse", "12.1"]]
    assert [(a["outcome"], a["took"]) for a in found["attempts"]] == [
        ("to be repeated", "1 min"),
        ("measured", "2 min"),
    ]
    assert found["command"] == ""  # its file is not there
    assert found["folder"] == "trials/00001"


def test_the_details_of_many_trials_keep_within_a_bound(demo: Story) -> None:
    for trial in demo.study.trials:
        noise = "".join(f"{trial.number} <&> {k} {'y' * 250}\n" for k in range(60))
        demo.log(trial.number, noise, noise, command="c" * 5000)
    assert len(json.dumps(all_details(Facts.of(demo.study)))) < 48 * 6_000
    demo.trials(952)
    for number in range(1, 1001):
        demo.log(number, "\x1b<&>" * 5000)
    found = all_details(Facts.of(demo.study))
    assert len(found) == 1000
    assert all(each["command"].startswith("run ") for each in list(found.values())[48:])
    assert all(each["output"] for each in found.values())
    assert len(json.dumps(found)) < 1_200_000
