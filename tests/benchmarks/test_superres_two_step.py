from __future__ import annotations

import numpy as np
import pytest

from benchmarks.superres.two_step import Way, among_feasible, answer, bounded, with_noise


def test_niqe_is_compared_among_points_that_are_feasible_in_both() -> None:
    random = np.random.default_rng(0)
    rmse = np.arange(40.0)
    niqe = random.uniform(3, 6, 40)
    count, *figures = among_feasible(Way(niqe, rmse), Way(2 * niqe, rmse + 1))
    assert count == 20
    assert figures == pytest.approx([1, 1, 1])
    # Beyond the bound nothing counts.
    far = np.where(rmse > np.median(rmse), 100 - niqe, niqe)
    assert among_feasible(Way(niqe, rmse), Way(far, rmse))[1] == pytest.approx(1)
    assert np.isnan(among_feasible(Way(niqe, rmse), Way(niqe, -rmse))[1])


def test_the_interval_holds_what_is_true_nearly_always() -> None:
    random = np.random.default_rng(1)
    rmse = np.arange(40.0)
    hits = 0
    for _ in range(40):
        one, other = (Way(random.uniform(3, 6, 40), rmse) for _ in range(2))
        _, correlation, low, high = among_feasible(one, other, draws=1000)
        assert low < correlation < high
        hits += low < 0 < high
    assert 34 <= hits <= 40


def test_rmse_alone_makes_a_high_correlation_of_the_order_under_a_bound() -> None:
    """What looked like evidence about NIQE, and is none."""
    rmse = np.arange(12.0)
    found = with_noise(Way(rmse, rmse), Way(rmse, rmse), draws=300)
    assert 0.7 < found.mean() < 0.95
    assert found.max() > 0.9
    assert bounded(Way(rmse, rmse), 5.0)[6] > 1e6


def test_finalists_mend_what_short_runs_misjudge() -> None:
    rmse = np.full(6, 12.0)
    short = Way(np.array([3.0, 4, 5, 6, 7, 8]), rmse)
    full = Way(np.array([6.0, 5, 3, 2, 7, 8]), rmse)
    judge = Way(full.niqe + 0.1, rmse)
    found = [answer(short, full, judge, finalists) for finalists in (1, 3, 6)]
    assert [place for place, _ in found] == [4, 2, 1]
    assert [more for _, more in found] == pytest.approx([4, 1, 0])
    # A choice that breaks the bound in the runs that judge is no answer.
    far = Way(full.niqe, np.array([12.0, 12, 12, 99, 99, 99]))
    assert answer(short, full, far, 6) == (4, np.inf)
