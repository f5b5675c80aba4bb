"""Stories for tests of what is said about studies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dsice.stories import DEMO, Story, Tell, demo_story


@pytest.fixture
def tell(tmp_path: Path) -> Tell:
    """Begin a story from the text of a study file."""
    return lambda text=DEMO: Story(text, tmp_path)


@pytest.fixture
def demo(tmp_path: Path) -> Story:
    """A whole story like the demo's."""
    return demo_story(tmp_path)
