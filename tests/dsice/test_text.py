"""What strangers made up is printed as text: a terminal obeys nothing of it."""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

import dsice
from dsice.console import safe_console
from dsice.terminal import Terminal, view
from dsice.text import one_line, plain, say, visible
from tests.conftest import Dsice
from tests.dsice.stories import Story

EVIL = (
    "\x1b]0;title\x07\x1b[2J\r\u202egnp.\u2066\x9b1mx\x00[bold]b[/bold]:smile:\nBest (trial 9): y 0"
)
STUDY = f"""
name = "evil"
minimize = ["y", {json.dumps("z" + EVIL)}]
[grid]
a = {{ choice = [{json.dumps(EVIL)}, "other"] }}
n = {{ integers = [1, 9] }}
[paths]
p = {json.dumps("/none" + EVIL)}
[stage.build]
command = ["make", {json.dumps(EVIL)}]
[trial]
command = [{json.dumps("run" + EVIL)}, "{{a}}", "{{n}}", "{{p}}"]
env = {{ {json.dumps("V" + EVIL)} = {json.dumps(EVIL)} }}
"""


def controls(text: str) -> set[str]:
    """The characters of what was printed that do more than stand there."""
    hidden = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return {c for c in text if unicodedata.category(c) in hidden and c not in "\n\t"}


@pytest.fixture
def evil(tmp_path: Path) -> Story:
    """A study all of whose texts want to be more than text."""
    story = Story(STUDY, tmp_path / "evil")
    story.write()
    other = "z" + EVIL
    story.session()
    story.tell("prior", source=EVIL, results=[
        {"point": [0, 8], "metrics": {"y": -9.0, other: -9.0}, "where": EVIL},
    ])  # fmt: skip
    story.stage("build", 5, {EVIL: 1.0, other: 2.0})
    for k in range(8):
        task = story.propose((k % 2, k))
        started = story.begin(task)
        story.now += 5
        if k == 3:
            story.end(task, started, verdict="failed", kind="exit code", reason=EVIL)
        else:
            story.end(task, started, {"y": float(k), other: float(9 - k), EVIL: 1.0})
    task = story.propose((0, 8))
    story.begin(task)
    job = story.study.trials[-1].job
    job.path.mkdir(parents=True)
    job.progress.write_text(json.dumps({EVIL: 1}) + "\n")
    story.tell("trouble", text=EVIL)
    story.tell("session_end", why=EVIL)
    return story


def test_what_does_not_show_is_made_visible() -> None:
    assert visible("a\x1b[31m\x00\x7f\x9b") == "a␛[31m␀\ufffd\ufffd"
    assert visible("\u202egnp\ufeff\ud800") == "\ufffdgnp\ufffd\ufffd"
    assert visible("two\nlines\tand a tab\r") == "two\nlines\tand a tab␍"
    assert one_line("two\nlines\tand a tab") == "two␊lines and a tab"


def test_plain_text_can_always_be_encoded() -> None:
    plain(json.loads(r'"\ud83d alone"')).encode()


def test_scripts_that_need_joiners_keep_them() -> None:
    assert plain("می\u200cخواهم") == "می\u200cخواهم"


def test_long_texts_are_cut() -> None:
    assert plain("x" * 300, limit=10) == "x" * 9 + "…"


def test_lines_are_said_as_text() -> None:
    out = StringIO()
    say("a\x1b[2J", Path("b\u202e"), to=out)
    assert out.getvalue() == "a␛[2J\nb\ufffd\n"


def test_a_console_sends_its_own_controls_and_nobody_elses() -> None:
    out = StringIO()
    console = safe_console(file=out, force_terminal=True, width=300)
    table = Table(EVIL)
    table.add_row(EVIL, Text(EVIL, style="bold"))
    for what in (EVIL, Text(EVIL, style="red"), table):
        console.print(what)
    text = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())  # styles, which are the console's own
    assert controls(text) == set()
    assert "".join(text.split()).count("[bold]b[/bold]:smile:") >= 2  # neither is obeyed
    assert "\x1b[2J" not in out.getvalue()


def test_the_live_view_of_a_hostile_study(evil: Story) -> None:
    out = StringIO()
    console = safe_console(file=out, force_terminal=True, width=300)
    with Terminal(console=console) as terminal:
        terminal.show(evil.study)
    text = re.sub(r"\x1b\[\??[0-9;]*[mAKlhG]|\r", "", out.getvalue())
    assert controls(text) == set()
    lines = StringIO()
    Console(file=lines, width=300).print(view(evil.study))
    assert not [line for line in lines.getvalue().splitlines() if line.startswith("Best (trial 9)")]


@pytest.mark.parametrize(
    "command",
    [
        ["status", "evil"],
        ["status", "evil", "--json"],
        ["watch", "evil"],
        ["best", "evil"],
        ["best", "evil", "--json"],
        ["best", "evil", "--subject-to", "y <= -3"],
        ["best", "evil", "--subject-to", EVIL],
        ["explain", "evil"],
        ["explain", "evil", "4"],
        ["explain", "evil", "4", "--json"],
        ["sweep", "evil", "--bound", EVIL, "1:5"],
        ["simulate", "evil/study.toml", "--history", "evil", "--repetitions", "1"],
        ["run", "evil/study.toml", "--dry-run", "--in", "other"],
        ["run", "evil/study.toml", "--in", "other"],
        ["run", f"none{EVIL}.toml"],
        ["stop", "evil"],
        ["import", "evil", "known.csv"],
        ["report", "evil", "--out", "page.html"],
        ["export", "evil", "--csv", "table.csv"],
        ["nothing" + EVIL.replace("\x00", "")],
    ],
    ids=lambda command: " ".join(command[:3])[:30].encode("ascii", "replace").decode(),
)
def test_no_command_prints_a_control_character(
    evil: Story, dsice: Dsice, command: list[str]
) -> None:
    folder = evil.study.directory.path.parent
    (folder / "known.csv").write_text(f'a,n,y,reason\n"{EVIL}",3,1,\nother,x,1,"{EVIL}"\n')
    done = dsice(*(word.replace("\x00", "") for word in command))
    assert "Traceback" not in done.stderr
    assert done.stdout + done.stderr
    assert controls(done.stdout + done.stderr) == set()


def test_everything_is_printed_through_the_one_place() -> None:
    root = Path(dsice.__file__).parent
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            name = str(path.relative_to(root))
            assert called != "print", name
            assert called != "Console", name
            assert called not in ("sys.stdout.write", "sys.stderr.write"), name
