from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsice.gp.anova import Anova
from dsice.gp.axis import table
from dsice.gp.evidence import learn
from dsice.gp.posterior import Posterior

SHAPE, ORDERED = (9, 4, 300, 2, 1), (True, False, True, True, True)


def anova(random: Any, shape: tuple[int, ...] = SHAPE, ordered: Any = ORDERED) -> Anova:
    blank = Anova(shape, ordered)
    return blank.with_variances(random.uniform(0.1, 1, len(blank.terms)))


def draw(random: Any, count: int, shape: tuple[int, ...] = SHAPE) -> Any:
    points = np.stack([random.integers(0, n, 4 * count) for n in shape], axis=1)
    return random.permutation(np.unique(points, axis=0))[:count]


def test_the_covariance_is_the_product_over_the_axes() -> None:
    random = np.random.default_rng(0)
    covariance = anova(random, (5, 3), (True, False))
    w = covariance.variances
    first, second = table(5, True), table(3, False)
    everything = np.stack([v.ravel() for v in np.indices((5, 3))], axis=1)
    expected = np.kron(1 + np.tensordot(w[:3], first, 1), 1 + w[3] * second[0])
    assert np.allclose(covariance.covariance(everything, everything), expected)
    assert np.allclose(covariance.variance(everything), np.diag(expected))


def test_points_on_lines_through_one_have_the_same_covariances() -> None:
    random = np.random.default_rng(9)
    covariance = anova(random)
    centre = np.array([4, 1, 17, 0, 0])
    lines = np.repeat(centre[None], 40, axis=0)
    lines[:15, 2] = random.integers(0, 300, 15)
    lines[15:24, 0] = np.arange(9)
    lines[24:28, 1] = np.arange(4)
    lines[28:34, :2] = random.integers(0, 4, (6, 2))
    others = draw(random, 30)
    found = covariance.covariance(lines, others)
    one_by_one = [covariance.covariance(point[None], others)[0] for point in lines]
    assert np.allclose(found, one_by_one)
    assert np.allclose(covariance.variance(lines), np.diag(covariance.covariance(lines, lines)))


def test_a_candidate_that_is_taken_up_need_not_be_worked_out_again() -> None:
    random = np.random.default_rng(5)
    covariance, points = anova(random), draw(random, 40)
    fields = [Posterior(covariance, 0.1, points[:20], np.ones(20), slots=9) for _ in range(2)]
    for field in fields:
        field.fill(np.arange(9), points[20:29])
    for k in range(9):
        fields[0].add(points[20 + k])
        fields[1].add(points[20 + k], slot=k)
    values = random.normal(size=29)
    means = [field.predict(field.whiten(values), points[29:])[0] for field in fields]
    assert np.allclose(means[0], means[1])
    assert np.allclose(fields[0].variance(), fields[1].variance())


@pytest.mark.parametrize("lagged", [False, True])
def test_more_points_than_there_was_room_for(lagged: bool) -> None:
    random = np.random.default_rng(7)
    covariance, points = anova(random), draw(random, 230)
    lags = np.where(np.arange(220) < 20, random.uniform(0, 1, 220), 0.0) if lagged else None
    early = None if lags is None else lags[:30]
    grown = Posterior(covariance, 0.1, points[:30], np.ones(30), slots=9, lags=early)
    grown.fill(np.arange(9), points[221:])
    for point in points[30:220]:
        grown.add(point)
    whole = Posterior(covariance, 0.1, points[:220], np.ones(220), slots=9, lags=lags)
    whole.fill(np.arange(9), points[221:])
    values = random.normal(size=220)
    for one, other in zip(
        grown.predict(grown.whiten(values), points[220:]),
        whole.predict(whole.whiten(values), points[220:]),
        strict=True,
    ):
        assert np.allclose(one, other)
    assert np.allclose(grown.variance(), whole.variance())


def test_a_rough_prediction_has_the_mean_and_a_larger_deviation() -> None:
    random = np.random.default_rng(6)
    covariance, points = anova(random), draw(random, 150)
    field = Posterior(covariance, 0.1, points[:110], np.ones(110), slots=1)
    white = field.whiten(random.normal(size=110))
    mean, variance = field.predict(white, points[110:])
    rough_mean, rough_variance = field.roughly(field.pull(white), points[110:])
    assert np.allclose(rough_mean, mean)
    assert (rough_variance >= variance - 1e-12).all()
    assert (rough_variance < covariance.variance(points[110:])).all()


def test_an_axis_without_variance_does_nothing() -> None:
    covariance = Anova((5, 4), (True, True), np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]))
    a, b = np.array([[2, 0], [2, 3]]), np.array([[4, 1]])
    left, right = covariance.covariance(a, b)
    assert left == right


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 999), st.integers(0, 90), st.integers(0, 90), st.floats(0, 1))
def test_point_by_point_is_the_same_as_dense_algebra(
    seed: int, early: int, late: int, missing: float
) -> None:
    """Kriging with repeated weights and missing values, by the textbook's formulas."""
    random = np.random.default_rng(seed)
    covariance = anova(random)
    points = draw(random, early + late + 20)
    points, candidates = points[:-20], points[-20:]
    weights = random.integers(1, 4, len(points)).astype(float)
    noise = 0.05
    values = random.normal(size=len(points))
    values[random.random(len(points)) < missing * 0.8] = np.nan

    field = Posterior(covariance, noise, points[:early], weights[:early], slots=30)
    field.fill(np.arange(10), candidates[:10])
    for point, weight in zip(points[early:], weights[early:], strict=True):
        field.add(point, weight)
    field.fill(np.arange(10, 20), candidates[10:])

    everything = covariance.covariance(points, points) + np.diag(noise / weights)
    across = covariance.covariance(candidates, points)
    variance = covariance.variance(candidates)
    variance -= np.einsum("ij,ji->i", across, np.linalg.solve(everything, across.T))
    assert np.allclose(field.variance(slice(0, 20)), variance, atol=1e-7)

    known = ~np.isnan(values)
    pull = np.linalg.solve(everything[np.ix_(known, known)], values[known])
    white, completed = field.condition(values)
    mean = field.mean(white, slice(0, 20))
    assert np.allclose(mean, across[:, known] @ pull, atol=1e-7)
    assert np.allclose(completed[known], values[known])
    own = covariance.covariance(points, points)
    assert np.allclose(completed[~known], own[np.ix_(~known, known)] @ pull, atol=1e-7)
    at_points = field.mean_at_points(field.pull(white), completed)
    assert np.allclose(at_points, own[:, known] @ pull, atol=1e-7)


def test_a_slot_forgets_its_candidate() -> None:
    random = np.random.default_rng(1)
    covariance, points = anova(random), draw(random, 30)
    field = Posterior(covariance, 0.1, points[:20], np.ones(20), slots=2)
    field.fill(np.array([0, 1]), points[20:22])
    field.fill(np.array([1]), points[22:23])
    other = Posterior(covariance, 0.1, points[:20], np.ones(20), slots=1)
    other.fill(np.array([0]), points[22:23])
    assert field.variance()[1] == pytest.approx(other.variance()[0])


def test_learned_variances_tell_which_axes_act() -> None:
    random = np.random.default_rng(2)
    shape = (12, 12, 5)
    points = draw(random, 120, shape)
    values = (points[:, 0] - 7.0) ** 2 + 20.0 * np.array([0, 1, 3, 1, 0])[points[:, 2]]
    values = (values - values.mean()) / values.std()
    learned = learn(Anova(shape, (True, True, False)), points, values, np.ones(120))
    found = learned.covariance
    variance = dict(zip(found.terms, found.variances, strict=True))
    assert variance[0, "smooth"] > 30 * max(variance[1, "smooth"], variance[1, "rough"])
    assert variance[2, "any"] > 30 * max(variance[1, "smooth"], variance[1, "rough"])
    assert learned.noise < 0.01


def test_noise_is_told_from_shape() -> None:
    random = np.random.default_rng(3)
    points = draw(random, 150, (20, 20))
    values = np.sin(points[:, 0] / 5) + random.normal(size=150)
    values = (values - values.mean()) / values.std()
    noisy = learn(Anova((20, 20), (True, True)), points, values, np.ones(150))
    assert noisy.noise > 0.1


def test_learning_does_not_depend_on_what_was_learned_before() -> None:
    random = np.random.default_rng(4)
    points, values = draw(random, 40), random.normal(size=40)
    once = learn(Anova(SHAPE, ORDERED), points, values, np.ones(40))
    again = learn(once.covariance, points, values, np.ones(40))
    assert np.array_equal(once.covariance.variances, again.covariance.variances)


@pytest.mark.parametrize("informed", [False, True])
def test_the_gradient_of_the_evidence_is_exact(informed: bool) -> None:
    from dsice.gp.evidence import _Evidence

    random = np.random.default_rng(5)
    points, values = draw(random, 40), random.normal(size=40)
    features = random.normal(size=(40, 2)) if informed else None
    evidence = _Evidence(
        Anova(SHAPE, ORDERED), points, values, np.full(40, 2.0), None, features, None
    )
    at = evidence.prior_mean + random.normal(size=len(evidence.prior_mean))
    _, gradient = evidence(at)
    for k, step in enumerate(np.eye(len(at)) * 1e-5):
        slope = (evidence(at + step)[0] - evidence(at - step)[0]) / 2e-5
        assert gradient[k] == pytest.approx(slope, rel=1e-4, abs=1e-4)
