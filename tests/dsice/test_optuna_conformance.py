"""Optuna's own tests of samplers, those that a sampler of one objective on levels can be put to.

They use floats without a step, so levels must be asked for, and more trials than some of their
spaces have points, so the end of the points must not be the end of the study.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from dsice.optuna import DsiceSampler


class _Ours:
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: DsiceSampler(levels=25, exhausted="repeat", seed=0)


class TestBasic(_Ours, BasicSamplerTestCase):  # type: ignore[misc]
    pass


class TestRelative(_Ours, RelativeSamplerTestCase):  # type: ignore[misc]
    pass


class TestSingleOnly(_Ours, SingleOnlySamplerTestCase):  # type: ignore[misc]
    pass
