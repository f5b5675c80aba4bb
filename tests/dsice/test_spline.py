import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dsice.errors import InvalidInput
from dsice.spline import DEFAULT_ALPHA, fit

Array = NDArray[np.float64]
bounded = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def measurements(draw: st.DrawFn) -> tuple[int, list[int], Array]:
    """Number of settings, distinct measured settings, values."""
    n = draw(st.integers(2, 40))
    chosen = draw(st.lists(st.integers(0, n - 1), min_size=2, max_size=12, unique=True))
    values = draw(st.lists(st.floats(-1e3, 1e3), min_size=len(chosen), max_size=len(chosen)))
    return n, chosen, np.array(values)


def rows(n: int, positions: Array | None = None) -> Array:
    """The matrix D, row by row from the definition."""
    size = 3 * n + 2
    if positions is None:
        gaps = np.ones(size - 1)
    else:
        inner = np.repeat(np.diff(positions) / 3, 3)
        gaps = np.concatenate(([inner[0]] * 2, inner, [inner[-1]] * 2))
        gaps = gaps / gaps.mean()
    d = np.zeros((size - 2, size))
    for i in range(size - 2):
        h1, h2 = gaps[i], gaps[i + 1]
        d[i, i : i + 3] = h2, -(h1 + h2), h1
    return d


def picks(n: int, chosen: list[int]) -> Array:
    """The matrix E: setting i sits on marker 3i + 2."""
    e = np.zeros((len(chosen), 3 * n + 2))
    e[np.arange(len(chosen)), 3 * np.array(chosen) + 2] = 1
    return e


def dense(
    n: int, chosen: list[int], y: Array, w: Array, alpha: float, positions: Array | None = None
) -> Array:
    root = np.sqrt(w)
    matrix = np.vstack([root[:, None] * picks(n, chosen), alpha * rows(n, positions)])
    right = np.concatenate([root * y, np.zeros(3 * n)])
    return np.asarray(np.linalg.lstsq(matrix, right, rcond=1e-16)[0])


@bounded
@given(measurements(), st.floats(-3, 3), st.data())
def test_it_solves_the_least_squares_problem(
    given_: tuple[int, list[int], Array], log_alpha: float, data: st.DataObject
) -> None:
    n, chosen, y = given_
    w = np.array(data.draw(st.lists(st.integers(1, 9), min_size=len(y), max_size=len(y))), float)
    steps = data.draw(st.lists(st.floats(0.3, 3), min_size=n, max_size=n))
    positions = data.draw(st.sampled_from([None, np.cumsum(steps)]))
    found = fit(chosen, y, w, n=n, alpha=10**log_alpha, positions=positions)
    expected = dense(n, chosen, y, w, 10**log_alpha, positions)
    scale = np.abs(expected).max() + np.abs(y).max() + 1e-9
    np.testing.assert_allclose(found.markers / scale, expected / scale, atol=1e-7)
    np.testing.assert_array_equal(found.estimates, found.markers[3 * np.arange(n) + 2])
    middle = 3 * np.arange(n) + 2
    f = found.markers
    curvature = f[middle - 1] - 2 * f[middle] + f[middle + 1]
    np.testing.assert_allclose(found.curvature, curvature, atol=1e-9 * scale)


@bounded
@given(measurements(), st.floats(-100, 100), st.floats(-100, 100))
def test_it_is_linear_in_the_values(
    given_: tuple[int, list[int], Array], scale: float, shift: float
) -> None:
    n, chosen, y = given_
    plain = fit(chosen, y, n=n).markers
    moved = fit(chosen, scale * y + shift, n=n).markers
    size = 1 + abs(scale) * np.abs(plain).max() + abs(shift)
    np.testing.assert_allclose(moved / size, (scale * plain + shift) / size, atol=1e-9)


@pytest.mark.parametrize("alpha", [1e-5, 0.1, 1.0, 1e5])
@pytest.mark.parametrize("n", [2, 15, 1000])
def test_straight_lines_are_exact_even_where_little_is_measured(n: int, alpha: float) -> None:
    chosen = sorted({0, n - 1, n // 3})
    x = (np.arange(3 * n + 2) - 2) / 3
    found = fit(chosen, [2.0 - 3.0 * k for k in chosen], n=n, alpha=alpha)
    np.testing.assert_allclose(found.markers, 2.0 - 3.0 * x, atol=1e-7 * n)


def test_straight_lines_in_the_positions_are_exact() -> None:
    positions = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    found = fit([0, 2, 3], 5 - positions[[0, 2, 3]], n=5, positions=positions)
    np.testing.assert_allclose(found.estimates, 5 - positions, atol=1e-9)


def test_a_tiny_alpha_interpolates_and_a_huge_one_gives_the_regression_line() -> None:
    chosen, y = [0, 3, 4, 9, 14], np.array([3.0, 1.0, 4.0, 1.0, 5.0])
    np.testing.assert_allclose(fit(chosen, y, n=15, alpha=1e-5).estimates[chosen], y, atol=1e-6)
    line = np.polyval(np.polyfit(chosen, y, 1), np.arange(15))
    np.testing.assert_allclose(fit(chosen, y, n=15, alpha=1e5).estimates, line, atol=1e-6)


def test_repeats_are_weights() -> None:
    repeated = fit([0, 5, 5, 5, 9], [1.0, 2.0, 3.0, 7.0, 0.0], n=10)
    weighted = fit([0, 5, 9], [1.0, 4.0, 0.0], [1, 3, 1], n=10)
    np.testing.assert_allclose(repeated.markers, weighted.markers, atol=1e-12)


def brute_abic(n: int, chosen: list[int], y: Array, w: Array, alpha: float) -> float:
    """-2 log marginal likelihood + 4 by dense algebra.

    y ~ N(f_0 + f_1 x, sigma^2 (W^-1 + K)) with flat f_0, f_1: K is the prior covariance of f at the
    measurements up to straight lines, the pseudo-inverse of alpha^2 D'D. This is the restricted
    likelihood, so the determinants of the straight lines' basis enter.
    """
    d, e = rows(n), picks(n, chosen)
    size = d.shape[1]
    covariance = e @ np.linalg.pinv(alpha**2 * d.T @ d, rcond=1e-13) @ e.T + np.diag(1 / w)
    basis, _ = np.linalg.qr(np.column_stack([np.ones(size), np.arange(size)]))
    lines = e @ basis
    inverse = np.linalg.inv(covariance)
    information = lines.T @ inverse @ lines
    projected = inverse - inverse @ lines @ np.linalg.solve(information, lines.T @ inverse)
    free = len(y) - 2
    variance = float(y @ projected @ y) / free
    return float(
        free * (math.log(2 * math.pi * variance) + 1)
        + np.linalg.slogdet(covariance)[1]
        + np.linalg.slogdet(information)[1]
        + 4
    )


@pytest.mark.parametrize("seed", range(4))
def test_abic_is_the_marginal_likelihood(seed: int) -> None:
    random = np.random.default_rng(seed)
    chosen = [0, 2, 3, 5, 9, 11]
    y = np.sin(np.array(chosen) / 2) + 0.3 * random.normal(size=6)
    w = random.integers(1, 4, 6).astype(float)
    grid = 10.0 ** np.linspace(-2, 2, 9)
    found = [fit(chosen, y, w, n=12, alpha=alpha).abic for alpha in grid]
    np.testing.assert_allclose(found, [brute_abic(12, chosen, y, w, a) for a in grid], rtol=1e-6)


def test_abic_counts_each_repeat_as_a_measurement() -> None:
    chosen, y = [0, 2, 2, 5, 9], np.array([1.0, 2.5, 2.0, 0.0, 3.0])
    found = fit(chosen, y, n=12, alpha=0.7).abic
    assert found == pytest.approx(brute_abic(12, chosen, y, np.ones(5), 0.7))


@pytest.mark.parametrize("seed", range(4))
def test_abic_chooses_alpha_as_a_fine_scan_does(seed: int) -> None:
    random = np.random.default_rng(seed)
    chosen = list(range(0, 24, 2))
    y = np.sin(np.array(chosen) / 5) + 0.1 * random.normal(size=12)
    best = fit(chosen, y, n=24, alpha="abic")
    scan = min(fit(chosen, y, n=24, alpha=10**k).abic for k in np.linspace(-5, 5, 401))
    assert best.abic <= scan + 1e-6
    assert 1e-5 <= best.alpha <= 1e5


def test_two_measurements_say_nothing_about_alpha() -> None:
    found = fit([1, 4], [2.0, 8.0], n=6, alpha="abic")
    assert found.alpha == DEFAULT_ALPHA
    assert math.isnan(found.abic)
    np.testing.assert_allclose(found.estimates, [0, 2, 4, 6, 8, 10], atol=1e-9)


@pytest.mark.parametrize("y", [[0.0] * 5, [1.0] * 5, [0.0, 1.0, 2.0, 3.0, 4.0]])
def test_abic_survives_measurements_without_any_noise(y: list[float]) -> None:
    found = fit([0, 1, 2, 3, 4], y, n=5, alpha="abic")
    np.testing.assert_allclose(found.estimates, y, atol=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        {"settings": [3], "values": [1.0]},
        {"settings": [3, 3], "values": [1.0, 2.0]},
        {"settings": [], "values": []},
        {"settings": [0, 5], "values": [1.0, 2.0]},
        {"settings": [-1, 2], "values": [1.0, 2.0]},
        {"settings": [0, 2], "values": [1.0, math.nan]},
        {"settings": [0, 2], "values": [1.0]},
        {"settings": [0, 2], "values": [1.0, 2.0], "weights": [1.0, 0.0]},
        {"settings": [0, 2], "values": [1.0, 2.0], "weights": [1.0]},
        {"settings": [0, 2], "values": [1.0, 2.0], "alpha": 0.0},
        {"settings": [0, 2], "values": [1.0, 2.0], "alpha": "aic"},
        {"settings": [0, 2], "values": [1.0, 2.0], "positions": [0.0, 1.0, 1.0, 2.0, 3.0]},
        {"settings": [0, 2], "values": [1.0, 2.0], "positions": [0.0, 1.0]},
    ],
)
def test_what_cannot_be_fitted_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        fit(n=5, **arguments)
