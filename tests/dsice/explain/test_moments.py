"""Moments of a model with conditional parameters, against sums over all points of a small grid."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dsice.explain.moments import Moments
from dsice.gp.anova import Anova
from dsice.grid import Axis, Grid

PLAIN = Grid([Axis("a", [0, 1, 2]), Axis.choice("b", ["x", "y", "z"]), Axis("c", [0, 1, 2, 3])])
CONDITIONAL = Grid(
    [
        Axis("lr", [1, 2, 3]),
        Axis.choice("optimizer", ["adam", "sgd", "lion"]),
        Axis("momentum", [0, 1, 2, 3], when="optimizer == 'sgd'"),
        Axis("depth", [1, 2, 3, 4]),
        Axis("width", [1, 2, 3], when="depth >= 3 and optimizer != 'lion'"),
    ]
)


class Model:
    """Random weights of random points, and the model's values at all points."""

    def __init__(self, grid: Grid) -> None:
        random = np.random.default_rng(0)
        plain = Anova.of(grid)
        anova = plain.with_variances(random.uniform(0.2, 1.5, len(plain.terms)))
        self.shape = grid.shape
        points = np.array([[random.integers(n) for n in grid.shape] for _ in range(7)])
        pull = random.normal(size=len(points))
        everywhere = np.array(list(itertools.product(*map(range, grid.shape))))
        self.values = (anova.covariance(everywhere, points) @ pull).reshape(grid.shape)
        levels = [list(range(n)) for n in grid.shape]
        across = []
        for axis, each in enumerate(levels):
            mine = [k for k, (of, _) in enumerate(anova.terms) if of == axis]
            found = anova.level_terms(axis, np.array(each), points)
            across.append(np.tensordot(anova.variances[mine], found, 1))
        self.moments = Moments(anova, levels, across, pull)
        self.across, self.pull = across, pull
        self.applies = np.stack(
            [
                np.ones(len(everywhere), bool) if found is None else found
                for axis in range(len(levels))
                for found in [anova.applies(axis, everywhere)]
            ]
        ).reshape(len(levels), *grid.shape)

    def but(self, *axes: int) -> tuple[int, ...]:
        return tuple(k for k in range(len(self.shape)) if k not in axes)


@pytest.mark.parametrize("grid", [PLAIN, CONDITIONAL])
def test_against_all_points(grid: Grid) -> None:
    model = Model(grid)
    moments, values = model.moments, model.values
    assert model.pull.sum() == pytest.approx(values.mean())
    assert moments.square() == pytest.approx((values**2).mean())
    for axis in range(len(model.shape)):
        averaged = values.mean(axis=axis)
        assert moments.square(without=axis) == pytest.approx((averaged**2).mean())
        main = values.mean(axis=model.but(axis)) - values.mean()
        np.testing.assert_allclose(moments.main(axis), main, atol=1e-12)
    for i, j in itertools.combinations(range(len(model.shape)), 2):
        together = values.mean(axis=model.but(i, j))
        alone = together.mean(axis=1)[:, None] + together.mean(axis=0) - together.mean()
        np.testing.assert_allclose(moments.interaction(i, j), together - alone, atol=1e-12)


def test_the_effect_where_a_parameter_applies() -> None:
    model = Model(CONDITIONAL)
    for axis in (2, 4):
        weights = model.moments.weights(axis)
        by_level = np.moveaxis(np.where(model.applies[axis], model.values, np.nan), axis, 0)
        expected = np.nanmean(by_level.reshape(model.shape[axis], -1), axis=1)
        found = model.pull @ weights + (model.across[axis] * weights) @ model.pull
        np.testing.assert_allclose(found, expected, atol=1e-12)
        # Where it does not apply, it changes nothing.
        elsewhere = np.where(
            model.applies[axis], 0.0, np.ptp(model.values, axis=axis, keepdims=True)
        )
        assert np.abs(elsewhere).max() < 1e-12


def test_a_condition_that_reads_long_parameters_is_sampled() -> None:
    grid = Grid(
        [
            Axis("n", list(range(200))),
            Axis("m", list(range(100))),
            Axis("block", [1, 2, 3], when="n * m > 500"),
        ]
    )
    moments = Model(grid).moments
    assert 1000 < len(moments.combinations) <= 4096
    everything = moments.square()
    assert all(moments.square(without=axis) <= everything for axis in range(3))
