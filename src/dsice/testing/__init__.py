"""Tests for parts of dsice that other packages provide, to be inherited by pytest classes.

Requires pytest.
"""

import pytest

pytest.register_assert_rewrite("dsice.testing.ends", "dsice.testing.jobs", "dsice.testing.outcomes")

from dsice.testing.launchers import LauncherTests  # noqa: E402  # after the line above

__all__ = ["LauncherTests"]
