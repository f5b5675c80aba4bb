"""The d-Spline on all axes at once: a Gaussian process on the grid.

It knows points and values and nothing of goals, studies or the search that asks it:

- `axis`: what one axis contributes to the covariance; on a single axis it is the d-Spline.
- `anova`: the product over the axes, a smoothing-spline analysis of variance.
- `evidence`: the hyperparameters, how strongly each axis acts and how noisy the values are, by
  marginal likelihood.
- `posterior`: the Gaussian process conditioned on measurements, point by point.
"""
