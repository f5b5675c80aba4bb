from __future__ import annotations

import json
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dsice.errors import DsiceError
from dsice.launch.job import JobSpec
from dsice.report import html, write_report

if TYPE_CHECKING:
    from types import FrameType

    from tests.dsice.stories import Story, Tell

ATTACK = "</script><img src=x onerror=alert(1)>{{ 1234 * 5678 }}\u2028\x1b[31m&amp;\"'"
HOSTILE = f"""
name = "hostile"
minimize = {json.dumps(ATTACK)}
subject_to = ["mem <= 5"]
[grid]
a = {{ choice = [{json.dumps(ATTACK)}, "<b>"] }}
title = [1, 2]
[trial]
command = ["run"]
env = {{ {json.dumps(ATTACK)} = "1" }}
[[report.pictures]]
title = {json.dumps(ATTACK)}
[report.pictures.files]
{json.dumps(ATTACK)} = "none.png"
{json.dumps(ATTACK + "2")} = "there.png"
"""


class Parsed(HTMLParser):
    """A page's elements with attributes, its scripts by type, and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[str, str]] = []
        self.text = ""
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append((dict(attrs).get("type") or "", ""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self._inside != "style":
            self.text += data

    def tags(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]

    @property
    def data(self) -> Any:
        return json.loads(next(text for kind, text in self.scripts if kind == "application/json"))


@pytest.fixture
def no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the second and the megabyte that Vega-Embed takes."""
    monkeypatch.setattr(html, "vega", lambda: "window.vegaEmbed = null;")


def hostile(tell: Tell, tmp_path: Path) -> Story:
    (tmp_path / "there.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    story = tell(HOSTILE)
    story.session()
    for k in range(6):
        trial = story.propose((k % 2, k % 2))
        started = story.begin(trial)
        story.now += 5
        if k == 2:
            story.end(trial, started, verdict="failed", kind="exit code", reason=ATTACK)
        else:
            story.end(trial, started, {ATTACK: k, "mem": k, "image": 1, "title": 2})
    story.tell("session_end", why=ATTACK)
    story.study.sessions[0].host = ATTACK
    story.study.warning = ATTACK
    folder = story.study.trials[0].folder
    folder.job(1).create(JobSpec("n", ("run", ATTACK), ATTACK))
    return story


@pytest.mark.usefixtures("no_bundle")
def test_nothing_that_comes_from_outside_becomes_markup(tell: Tell, tmp_path: Path) -> None:
    page = Parsed(html.report(hostile(tell, tmp_path).study))
    (image,) = page.tags("img")
    assert str(image["src"]).startswith("data:image/png;base64,")
    assert len(page.scripts) == 3
    assert not page.tags("b")
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert not {"href", "srcset", "action", "formaction", "http-equiv"} & attributes.keys() or (
            tag == "meta" and attributes["http-equiv"] == "Content-Security-Policy"
        )
    assert "7006652" not in page.text  # templates are not filled twice
    assert page.text.count("</script><img src=x onerror=alert(1)>{{ 1234 * 5678 }}") > 15
    assert "\x1b" not in page.text
    assert "\u2028" not in page.text


@pytest.mark.usefixtures("no_bundle")
def test_data_in_scripts_cannot_leave_them(tell: Tell, tmp_path: Path) -> None:
    story = hostile(tell, tmp_path)
    page = Parsed(html.report(story.study))
    text = next(text for kind, text in page.scripts if kind == "application/json")
    assert not set("<>&\u2028\u2029") & set(text)
    assert text.isascii()
    assert page.data["name"] == "hostile"
    assert len(page.data["datasets"]["trials"]) == 6


@pytest.mark.usefixtures("no_bundle")
def test_shared_data_is_kept_once_and_every_figure_has_its_place(demo: Story) -> None:
    page = Parsed(html.report(demo.study))
    places = [a["data-figure"] for _, a in page.elements if "data-figure" in a]
    assert sorted(map(str, places)) == sorted(page.data["figures"])
    assert len(page.data["datasets"]["trials"]) == 48
    assert all("datasets" not in figure["spec"] for figure in page.data["figures"].values())
    assert page.data["figures"]["progress"]["datasets"] == ["trials"]


@pytest.mark.usefixtures("no_bundle")
def test_only_the_pages_own_scripts_may_run_and_nothing_is_fetched(demo: Story) -> None:
    page = Parsed(html.report(demo.study))
    policy = page.tags("meta")[1]["content"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert policy.count("sha256-") == 2
    assert not page.tags("link")
    assert not [a for a in page.tags("script") if "src" in a]
    style = html._file("page.css")
    assert "url(" not in style
    assert "@import" not in style


def test_a_thousand_trials_with_the_real_bundle(tell: Tell, tmp_path: Path) -> None:
    story = tell()
    story.parallel = 40
    story.session()
    story.stage("pretrain", 95, {"niqe": 6.91, "rmse": 12.3})
    story.trials(1000)
    path = tmp_path / "report.html"
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        write_report(story.study, path)
    finally:
        sys.setprofile(None)
    assert calls < 3000 * 1000  # of Python functions, for each trial
    assert path.stat().st_size < 3_000_000
    page = Parsed(path.read_text(encoding="utf-8"))
    kinds = [kind for kind, _ in page.scripts]
    assert kinds == ["application/json", "module", "module"]
    assert "vegaEmbed" in page.scripts[1][1]
    states = [row.get("class") for row in page.tags("tr")]
    assert sum(state in ("best", "within", "outside", "failed") for state in states) == 1000


@pytest.mark.usefixtures("no_bundle")
def test_every_state_of_a_study_has_a_page(tell: Tell) -> None:
    story = tell()

    def text() -> str:
        return Parsed(html.report(story.study)).text

    assert "No trial has ended yet." in text()
    story.session()
    story.begin({"stage": "prepare"})
    assert "No trial has ended yet." in text()
    story.now += 5
    assert "The run" not in text()
    story.end({"stage": "prepare"}, story.now - 5)
    story.stage("pretrain", 5, {"niqe": 7, "rmse": 12})
    assert "The run" in text()
    trial = story.propose((0, 0, 0, 0))
    assert "1 waiting" in text()
    started = story.begin(trial)
    assert "1 running" in text()
    story.now += 5
    story.end(trial, started, verdict="failed", kind="signal", reason="killed by signal 9")
    assert "killed by signal 9 (trial 1)" in text()
    story.trials(20, failures=0)
    assert "The best parameters" in text()


@pytest.mark.usefixtures("no_bundle")
def test_the_report_replaces_the_one_before_and_leaves_nothing_else(
    demo: Story, tmp_path: Path
) -> None:
    path = tmp_path / "out" / "r.html"
    path.parent.mkdir()
    for _ in range(2):
        write_report(demo.study, path)
    assert [entry.name for entry in path.parent.iterdir()] == ["r.html"]


@pytest.mark.usefixtures("no_bundle")
def test_a_place_that_cannot_be_written_is_named(demo: Story, tmp_path: Path) -> None:
    with pytest.raises(DsiceError, match=r"cannot write the report to .*No such file"):
        write_report(demo.study, tmp_path / "none" / "r.html")
