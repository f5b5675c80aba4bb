from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dsice.report import pictures
from dsice.report.facts import Facts

if TYPE_CHECKING:
    from tests.dsice.stories import Story, Tell

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
STUDY = """
name = "p"
minimize = "y"
[grid]
a = [1, 2]
[stage.prepare]
command = ["prepare"]
[trial]
command = ["run"]
[[report.pictures]]
title = "Crops"
[report.pictures.files]
"""


def with_best(story: Story) -> Story:
    story.session()
    trial = story.propose((0,))
    started = story.begin(trial)
    story.now += 1
    story.end(trial, started, {"y": 1})
    story.study.trials[0].folder.work.mkdir(parents=True)
    return story


def rows(story: Story) -> list[pictures.Row]:
    return pictures.picture_rows(Facts.of(story.study))


def test_paths_have_the_fields_of_the_best_trial(tell: Tell, tmp_path: Path) -> None:
    story = with_best(
        tell(
            STUDY + 'best = "{best}/a{a}.png"\nprepared = "{stage.prepare}/x.jpg"\n'
            'mine = "{study}/mine.gif"\nbeside = "beside.webp"\n'
        )
    )
    prepared = story.study.directory.stage("prepare").work
    prepared.mkdir(parents=True)
    (prepared / "x.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (story.study.trials[0].folder.work / "a1.png").write_bytes(PNG)
    (tmp_path / "mine.gif").write_bytes(b"GIF89a...")
    (tmp_path / "beside.webp").write_bytes(b"RIFF\0\0\0\0WEBPVP8 ")
    (row,) = rows(story)
    assert row.title == "Crops"
    assert row.missing == ()
    assert [p.caption for p in row.pictures] == ["best", "prepared", "mine", "beside"]
    assert row.pictures[0].uri == "data:image/png;base64," + base64.b64encode(PNG).decode()
    kinds = [p.uri.split(";")[0].removeprefix("data:image/") for p in row.pictures]
    assert kinds == ["png", "jpeg", "gif", "webp"]


def test_what_cannot_be_shown_is_named(tell: Tell, tmp_path: Path) -> None:
    story = with_best(
        tell(
            STUDY + 'none = "{best}/none.png"\nfolder = "{best}"\n'
            'svg = "{study}/a.svg"\nnul = "a\\u0000b.png"\n'
        )
    )
    (tmp_path / "a.svg").write_text("<svg onload='alert(1)'/>")
    (row,) = rows(story)
    assert row.pictures == ()
    none, folder, svg, nul = row.missing
    assert none.startswith("none: there is no file ")
    assert folder.startswith("folder: there is no file ")
    assert svg.endswith("a.svg is no PNG, JPEG, GIF or WebP picture")
    assert nul.endswith("a␀b.png")


def test_without_a_best_trial_only_its_pictures_are_missing(tell: Tell, tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(PNG)
    story = tell(STUDY + 'best = "{best}/a.png"\ndir = "{dir}/a.png"\nmine = "{study}/mine.png"\n')
    (row,) = rows(story)
    assert [p.caption for p in row.pictures] == ["mine"]
    assert row.missing == (
        "best: there is no best trial yet",
        "dir: there is no best trial yet",
    )


def test_sizes_are_limited(tell: Tell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "LARGEST", 100)
    monkeypatch.setattr(pictures, "MOST", 150)
    (tmp_path / "large.png").write_bytes(PNG + bytes(100))
    (tmp_path / "small.png").write_bytes(PNG + bytes(60))
    story = tell(STUDY + 'large = "large.png"\none = "small.png"\ntwo = "small.png"\n')
    (row,) = rows(story)
    assert [p.caption for p in row.pictures] == ["one"]
    assert "one picture" in row.missing[0]
    assert "all together" in row.missing[1]
