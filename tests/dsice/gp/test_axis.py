from typing import Any

import numpy as np
import pytest

from dsice import spline
from dsice.gp.axis import Array, _many_levels, has_table, table, term_names, terms

SIZES = (2, 3, 5, 16, 100)


def d_spline_penalty(n: int) -> Array:
    """D'D on the markers of `dsice.spline`, equally spaced."""
    rows = np.diff(np.eye(3 * n + 2), 2, axis=0)
    return np.asarray(rows.T @ rows)


def shape_of(covariance: Any) -> Array:
    return np.asarray(covariance / np.trace(covariance) * len(covariance))


def without(covariance: Any, *functions: Array) -> Array:
    """The covariance with the given functions of the level projected out."""
    basis, _ = np.linalg.qr(np.stack(functions, axis=1))
    keep = np.eye(len(covariance)) - basis @ basis.T
    return np.asarray(keep @ covariance @ keep)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("n", SIZES)
def test_every_term_is_a_covariance_of_mean_zero_and_mean_variance_one(
    n: int, ordered: bool
) -> None:
    for term in table(n, ordered):
        assert np.allclose(term, term.T)
        assert np.linalg.eigvalsh(term).min() > -1e-9
        assert np.allclose(term.sum(axis=0), 0, atol=1e-9)
        assert np.trace(term) / n == pytest.approx(1)


@pytest.mark.parametrize("n", [3, 5, 16, 100])
def test_terms_are_the_pseudo_inverses_of_their_penalties(n: int) -> None:
    rough, linear, smooth = table(n, True)
    constant, tilt = np.ones(n), np.arange(n, dtype=float)
    steps = np.diff(np.eye(n), axis=0)
    assert np.allclose(
        rough, shape_of(np.linalg.pinv(steps.T @ steps, hermitian=True, rcond=1e-13))
    )
    assert np.allclose(linear, shape_of(np.outer(tilt - tilt.mean(), tilt - tilt.mean())))
    markers = np.linalg.pinv(d_spline_penalty(n), hermitian=True, rcond=1e-13)
    at_settings = markers[2 : 3 * n + 2 : 3, 2 : 3 * n + 2 : 3]
    assert np.allclose(smooth, shape_of(without(at_settings, constant, tilt)), atol=1e-6)


def test_an_axis_has_the_terms_it_can_have() -> None:
    assert term_names(1, True) == term_names(1, False) == ()
    assert term_names(2, True) == term_names(7, False) == ("any",)
    assert term_names(3, True) == ("rough", "linear", "smooth")


def test_long_axes_follow_the_limit_of_the_tables() -> None:
    n = 256
    level = np.arange(n)
    assert has_table(n)
    assert not has_table(n + 1)
    assert np.allclose(_many_levels(n, level[:, None], level), table(n, True), atol=1e-3)


def test_ten_thousand_levels_need_no_table() -> None:
    level = np.array([0, 1, 5000, 9999])
    covariances = terms(10_000, True, level[:, None], level)
    assert covariances.shape == (3, 4, 4)
    for term in covariances:
        assert np.linalg.eigvalsh(term).min() > -1e-9


@pytest.mark.parametrize("alpha", [0.03, 0.1, 1.0])
def test_on_one_axis_the_process_is_the_d_spline(alpha: float) -> None:
    """A prior flat along straight lines, else of precision alpha^2 D'D, and noise 1."""
    n, settings, values = 15, [0, 4, 7, 9, 14], np.array([3.0, 1.0, 0.7, 2.0, 5.0])
    bends = np.tri(3 * n + 2) @ np.tri(3 * n + 2)
    bends = bends[2 : 3 * n + 2 : 3]
    level = np.arange(n, dtype=float)
    unit = np.trace(without(bends @ bends.T, np.ones(n), level)) / n
    smooth = table(n, True)[2] * unit / alpha**2
    # The flat part is eliminated exactly, as in generalised least squares.
    flat = np.stack([np.ones(n), level], axis=1)
    precision = np.linalg.inv(smooth[np.ix_(settings, settings)] + np.eye(len(settings)))
    design = flat[settings]
    line = np.linalg.solve(design.T @ precision @ design, design.T @ precision @ values)
    estimates = flat @ line + smooth[:, settings] @ precision @ (values - design @ line)
    expected = spline.fit(settings, values, n=n, alpha=alpha).estimates
    assert np.allclose(estimates, expected, atol=1e-8)
