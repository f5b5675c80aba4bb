"""The covariance of a grid: its variance over the grid."""

import numpy as np
import pytest

from dsice.gp.anova import Anova


@pytest.mark.parametrize("shape", [(5, 4, 3), (300, 2)], ids=["tables", "an axis without a table"])
def test_the_mean_variance_is_that_over_all_points(shape: tuple[int, ...]) -> None:
    base = Anova(shape, [True, *[False] * (len(shape) - 1)])
    variances = np.random.default_rng(1).exponential(size=len(base.terms))
    covariance = base.with_variances(variances)
    points = np.indices(shape).reshape(len(shape), -1).T
    assert covariance.mean_variance == pytest.approx(covariance.variance(points).mean(), rel=1e-3)
