"""The report and the live page in a real browser."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dsice.live.news import News
from dsice.live.server import Server
from dsice.report import write_report
from tests.dsice.report.browser import DRAWN, chromium, opened, started
from tests.dsice.stories import Story, demo_story

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium: make test-browser installs it"),
]

FIGURES = (
    *("bound-b0", "progress", "walk", "axis-0", "axis-1", "axis-2", "axis-3"),
    *("effect-0", "effect-1", "effect-2", "effect-3", "slots", "running"),
)
ATTACK = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>\x1b[31m"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    pytest.importorskip("playwright", reason="no Playwright: pip install 'dsice[test]'")
    with started() as browser:
        yield browser


def hostile_story(directory: Path) -> Story:
    """A study like the demo's, whose programs printed all kinds of things."""
    story = demo_story(directory, trials=24, written=True)
    for number in range(1, 25):
        story.log(number, f"step {number}\n{ATTACK}\n", "x" * 1_000_000, command=ATTACK)
    trial = story.propose((2, 2, 2, 2))
    started = story.begin(trial)
    story.now += 5
    story.end(trial, started, verdict="failed", kind="exit code", reason=ATTACK)
    return story


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return hostile_story(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def report(story: Story) -> str:
    path = story.study.directory.report
    write_report(story.study, path)
    return path.as_uri()


@contextmanager
def served(story: Story, token: str = "") -> Iterator[str]:
    with Server(News(story.study.directory.path), "127.0.0.1", 0, token) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.address
        finally:
            server.shutdown()
            thread.join()


def undrawn(page: Page) -> list[str]:
    """The names of figures without a single mark that shows data."""
    names: list[str] = page.eval_on_selector_all(
        "[data-figure]",
        """places => places.filter(place => ![...place.querySelectorAll(
            '.mark-symbol path, .mark-rect path, .mark-line path, .mark-area path')]
            .some(mark => { const box = mark.getBoundingClientRect();
                            return box.width + box.height > 0; }))
            .map(place => place.dataset.figure)""",
    )
    return names


def marks(figure: str) -> str:
    """Selects the marks of measured trials in a figure."""
    return f'[data-figure="{figure}"] .mark-symbol path[aria-roledescription="point"]'


def colliding(page: Page) -> list[list[str]]:
    """Labels of one axis that touch: the figure and the two texts; slanted ones do not count."""
    found: list[list[str]] = page.eval_on_selector_all(
        "[data-figure], [data-drawing]",
        """places => places.flatMap(place =>
            [...place.querySelectorAll('.role-axis-label')].flatMap(axis => {
                const texts = [...axis.querySelectorAll('text')]
                    .filter(text => text.getAttribute('opacity') !== '0' && text.textContent
                        && !(text.getAttribute('transform') ?? '').includes('rotate'));
                const boxes = texts.map(text => text.getBoundingClientRect());
                return texts.flatMap((text, k) => texts.slice(k + 1).flatMap((other, j) => {
                    const [a, b] = [boxes[k], boxes[k + 1 + j]];
                    const apart = a.right + 1 < b.left || b.right + 1 < a.left
                        || a.bottom <= b.top || b.bottom <= a.top;
                    return apart ? []
                        : [[place.dataset.figure, text.textContent, other.textContent]];
                }));
            }))""",
    )
    return found


CROWDED = """
name = "crowded"
maximize = "y"
subject_to = ["z <= 1000"]
[grid]
size = { geometric = [16, 32768], step = 2 }
rate = { geometric = [0.00001, 1], levels = 11 }
kind = { choice = ["rectified linear", "gaussian error linear", "sigmoid linear", "x", "y"] }
many = { linear = [0, 1], levels = 101 }
odd = [1, 2, 5, 17, 33, 1000001, 1000003, 2000005]
[trial]
command = ["true"]
"""


@pytest.mark.parametrize("width", [400, 1000, 1600])
def test_labels_of_axes_do_not_collide(browser: Browser, tmp_path: Path, width: int) -> None:
    story = Story(CROWDED, tmp_path)
    story.session()
    chance = random.Random(1)
    for _ in range(60):
        point = tuple(chance.randrange(n) for n in story.study.config.grid.shape)
        trial = story.propose(point)
        started = story.begin(trial)
        story.now += 10
        y = 10 ** (-sum(point[:3]) / 4 + point[0] * point[1] / 30)
        story.end(trial, started, {"y": y, "z": 10.0 ** (sum(point) % 6)})
    path = tmp_path / "report.html"
    write_report(story.study, path)
    with opened(browser, path.as_uri(), width) as page:
        assert page.locator("[data-figure^=pair]").count() == 2
        assert page.inner_text("#state option >> nth=1") == "within the bounds"
        assert undrawn(page) == []
        assert colliding(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_bounds_nothing_is_within_or_outside(browser: Browser, tmp_path: Path) -> None:
    story = Story(CROWDED.replace('"z <= 1000"', ""), tmp_path)
    story.session()
    trial = story.propose((0, 0, 0, 0, 0))
    story.end(trial, story.begin(trial), {"y": 1.0})
    path = tmp_path / "report.html"
    write_report(story.study, path)
    with opened(browser, path.as_uri()) as page:
        shown = page.locator("#state option:not([hidden])").all_text_contents()
        assert shown == ["all", "measured", "failed", "ended early", "discarded", "not ended"]
        page.select_option("#state", label="measured")
        assert page.inner_text("#shown") == "1 of 1 trials"


def shade(page: Page, selector: str) -> float:
    """How light the background of an element is, from 0 to 255."""
    color: str = page.eval_on_selector(selector, "e => getComputedStyle(e).backgroundColor")
    return sum(float(part) for part in color.strip("rgba()").split(",")[:3]) / 3


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("dark", [False, True])
def test_every_figure_is_drawn_and_the_page_fits(
    browser: Browser, report: str, width: int, dark: bool
) -> None:
    with opened(browser, report, width, dark) as page:
        names = page.eval_on_selector_all("[data-figure]", "all => all.map(p => p.dataset.figure)")
        assert set(FIGURES) <= set(names)
        assert undrawn(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert (shade(page, "body") < 60) == dark
        assert (shade(page, '[data-figure="progress"] svg') < 60) == dark
        page.locator("table.trials td button").first.click()
        assert page.locator("dialog[open]").count() == 1
        assert page.evaluate("document.querySelector('dialog').scrollWidth") <= width


def test_a_mark_tells_about_its_trial_and_opens_it(browser: Browser, report: str) -> None:
    with opened(browser, report) as page:
        mark = page.locator(marks("progress")).nth(4)
        mark.hover()
        page.wait_for_selector("#vg-tooltip-element.visible")
        text = page.inner_text("#vg-tooltip-element")
        assert text.startswith("Trial ")
        assert "w_vgg = " in text
        mark.click()
        page.wait_for_selector("dialog[open]")
        trial = text.split(":")[0]
        assert page.inner_text("#details-title").startswith(f"{trial}:")
        assert page.url.endswith(f"#{trial.lower().replace(' ', '-')}")
        body = page.inner_text("#details-body")
        assert trial.replace("Trial", "step") in body
        assert "w_vgg" in body
        assert "niqe" in body


def test_all_is_in_reach_of_the_keyboard(browser: Browser, report: str) -> None:
    with opened(browser, report) as page:
        page.locator("table.trials td button").first.focus()
        page.keyboard.press("Enter")
        assert page.inner_text("#details-title").startswith("Trial 1:")
        page.keyboard.press("ArrowRight")
        page.wait_for_selector("#details-title:has-text('Trial 2:')")
        page.keyboard.press("Escape")
        assert page.locator("dialog[open]").count() == 0
        assert page.evaluate("document.activeElement.textContent") == "1"


def test_an_address_may_name_a_trial(browser: Browser, report: str) -> None:
    with opened(browser, f"{report}#trial-7") as page:
        page.wait_for_selector("#details-title:has-text('Trial 7:')")


def test_the_table_is_sorted_and_filtered(browser: Browser, report: str) -> None:
    def column(page: Page, number: int) -> list[str]:
        cells = page.locator(f"table.trials tbody tr:not([hidden]) td:nth-child({number})")
        return cells.all_inner_texts()

    with opened(browser, report) as page:
        head = page.locator("table.trials th button", has_text="niqe")
        head.click()
        shown = [float(text) for text in column(page, 7) if text]
        assert shown == sorted(shown)
        head.click()
        assert [float(text) for text in column(page, 7) if text] == shown[::-1]
        page.select_option("#state", label="failed")
        assert set(column(page, 2)) == {"failed"}
        failed = len(column(page, 1))
        assert page.inner_text("#shown") == f"{failed} of 25 trials"
        page.fill("#filter", "hacked")
        assert column(page, 1) == ["25"]


def test_what_programs_wrote_does_nothing(browser: Browser, report: str) -> None:
    with opened(browser, report) as page:
        for number in (1, 25):
            page.locator("table.trials td button", has_text=f"{number}").first.click()
            page.wait_for_selector("dialog[open]")
            page.keyboard.press("Escape")
        page.goto(f"{report}#trial-1")
        page.wait_for_selector("dialog[open]")
        assert "</script><script>window.hacked=1" in page.inner_text(".log >> nth=0")
        assert "\x1b" not in page.inner_text("body")
        assert page.evaluate("window.hacked") is None
        assert page.locator("img").count() == 0


def test_colours_can_be_chosen_and_paper_is_light(browser: Browser, report: str) -> None:
    from playwright.sync_api import expect

    with opened(browser, report, dark=True) as page:
        figure = page.locator('[data-figure="progress"] svg.marks')
        light, dark = ("rgb(255, 255, 255)", "rgb(23, 27, 34)")
        expect(figure).to_have_css("background-color", dark)
        page.select_option("#theme", "light")
        expect(figure).to_have_css("background-color", light)
        assert shade(page, "body") > 200
        page.select_option("#theme", "")
        expect(figure).to_have_css("background-color", dark)
        page.wait_for_selector(DRAWN)
        page.emulate_media(media="print")
        expect(figure).to_have_css("background-color", light)
        texts = '[data-figure="progress"] svg text'
        inks = page.eval_on_selector_all(texts, "all => all.map(text => text.getAttribute('fill'))")
        assert "#e8ebf0" not in inks
        assert not page.locator(".controls").is_visible()
        page.emulate_media(media="screen")
        expect(figure).to_have_css("background-color", dark)


def test_the_live_page_takes_up_what_happens(browser: Browser, tmp_path: Path) -> None:
    story = hostile_story(tmp_path)
    with (
        served(story, token="s3cret") as address,
        opened(browser, address, 400, allowed="status of 40") as page,
    ):
        page.wait_for_selector("#connection:has-text('Live:')")
        assert undrawn(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        page.select_option("#state", label="failed")
        failed = page.locator("table.trials tbody tr:not([hidden])").count()
        before = page.locator(marks("progress")).count()
        plots = page.query_selector('[data-figure="axis-0"]')
        story.trials(3, seed=5, failures=0)
        page.wait_for_selector("table.trials tr:nth-child(28)", state="attached")
        drawn = page.locator(marks("progress"))
        drawn.nth(before + 2).wait_for()
        assert drawn.count() == before + 3
        assert page.locator("table.trials tbody tr:not([hidden])").count() == failed
        assert plots is not None
        assert plots.evaluate("place => place.isConnected")
        page.goto(f"{address}#trial-2")
        page.wait_for_selector("dialog[open] .log")
        assert "window.hacked=1" in page.inner_text(".log >> nth=0")
        assert page.evaluate("window.hacked") is None
        refused = page.evaluate("fetch('data.json', {method: 'POST'}).then(r => r.status)")
        assert refused == 405
        assert page.evaluate("fetch('data.json?token=wrong').then(r => r.status)") == 403


def reported(story: Story, number: int, epochs: int) -> None:
    """A trial has reported its objective so often."""
    progress = story.study.directory.trial(number).job(1).progress
    progress.parent.mkdir(parents=True, exist_ok=True)
    values = ({"epoch": k, "niqe": 5 + number / k} for k in range(1, epochs + 1))
    progress.write_text("".join(f"{json.dumps(each)}\n" for each in values))


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("dark", [False, True])
def test_curves_of_all_trials_and_of_one(
    browser: Browser, tmp_path: Path, width: int, dark: bool
) -> None:
    story = demo_story(tmp_path, trials=12, written=True)
    for number in range(1, 13):
        reported(story, number, 3 * number)
    running = story.propose((1, 1, 1, 1))
    story.begin(running)
    with (
        served(story) as address,
        opened(browser, address, width, dark) as page,
    ):
        lines = page.locator('[data-figure="curve-0"] .mark-line path')
        page.wait_for_selector('[data-figure="curve-0"] .mark-line path')
        drawn = lines.count()
        assert undrawn(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert colliding(page) == []
        reported(story, 13, 4)  # no event of the journal says so
        lines.nth(drawn).wait_for(state="attached")
        page.goto(f"{address}#trial-13")
        page.wait_for_selector('dialog[open] [data-drawing="curve"] .mark-line path')
        assert page.evaluate("document.querySelector('dialog').scrollWidth") <= width
        assert page.locator("dialog h3:has-text('While it ran')").count() == 1
