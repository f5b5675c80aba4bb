"""Expected improvement: exact and continuous, far below the best point too."""

from __future__ import annotations

import numpy as np
import pytest

from dsice.search.acquisition import log_expected_improvement

# log(phi(u) + u Phi(u)) by mpmath with 60 digits.
REFERENCE = {
    8.0: 2.0794415416798359,
    2.0: 0.69738354578822831,
    0.0: -0.91893853320467274,
    -0.5: -1.6205162643873199,
    -1.0: -2.4851210257126413,
    -1.0000001: -2.4851212161397684,
    -3.0: -7.8696860596030285,
    -4.999: -16.738939816412740,
    -5.0: -16.744301162660910,
    -5.001: -16.749663448901438,
    -8.0: -37.122364261692633,
    -30.0: -457.72465376059800,
    -1e3: -500014.73445209116,
    -2.9e4: -420500021.46904075,
    -3.1e4: -480500021.60242350,
}


@pytest.mark.parametrize("u", REFERENCE)
@pytest.mark.parametrize("std", [1.0, 1e-3])
def test_the_logarithm_is_exact(u: float, std: float) -> None:
    mean = np.array([2.0 - u * std])
    found = log_expected_improvement(2.0, mean, np.array([std]))
    # The subtraction of means loses digits of u, and u^2 / 2 loses twice as many.
    rounding = 4e-16 / std * max(1.0, abs(u))
    assert found[0] - np.log(std) == pytest.approx(REFERENCE[u], rel=1e-12, abs=rounding)


@pytest.mark.parametrize("seam", [-1.0, -5.0, -3e4])
def test_it_has_no_jump(seam: float) -> None:
    step = 1e-9 * abs(seam)
    u = seam + step * np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    found = log_expected_improvement(0.0, -u, np.ones(5))
    slopes = np.diff(found) / np.diff(u)
    assert slopes == pytest.approx(np.full(4, slopes[0]), rel=1e-3)
