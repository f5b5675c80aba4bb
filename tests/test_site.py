"""The documentation site, built and opened from a folder, without a server or a network."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.dsice.report.browser import chromium, ours, started

ROOT = Path(__file__).parents[1]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium: make test-browser installs it"),
    pytest.mark.skipif(
        find_spec("material") is None or find_spec("mkdocstrings") is None,
        reason="no MkDocs: pip install 'dsice[docs]'",
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    subprocess.run(
        [*command, "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    return folder


@pytest.mark.parametrize("width", [400, 1300])
def test_the_search_works_in_a_folder(site: Path, width: int) -> None:
    pytest.importorskip("playwright", reason="no Playwright: pip install 'dsice[test]'")
    address = (site / "start.html").as_uri()
    wrong: list[str] = []
    with started() as browser:
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.on("pageerror", lambda error: wrong.append(str(error)))
        allowed = ("file:", *ours(address))
        page.on("request", lambda r: None if r.url.startswith(allowed) else wrong.append(r.url))
        page.goto(address)
        page.keyboard.press("/")
        page.keyboard.type("hypervolume")
        link = page.locator(".md-search-result__link").first
        link.wait_for()
        assert "algorithm.html" in (link.get_attribute("href") or "")
        link.click()
        page.wait_for_url("**/algorithm.html*")
        page.close()
    assert wrong == []
