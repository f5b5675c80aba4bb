"""A Gaussian process on the grid: the d-Spline on all axes at once.

It works on points and values, without knowledge of goals, studies or searches:

- `axis`: what one axis contributes to the covariance; on a single axis it is the d-Spline.
- `anova`: the product over the axes, a smoothing-spline analysis of variance.
- `evidence`: the hyperparameters (a variance for each term of the kernel, and the noise) by maximum
  a posteriori estimation from the marginal likelihood.
- `posterior`: the Gaussian process conditioned on measurements, point by point.
"""
