"""The d-Spline on all axes at once: a surface with an uncertainty, learned from measurements.

The surface knows points and values and nothing of goals, studies or the search that asks it:

- `axis`: what one axis contributes to the covariance; on a single axis it is the d-Spline.
- `anova`: the product over the axes, a smoothing-spline analysis of variance.
- `evidence`: how strongly each axis acts and how noisy the values are, by marginal likelihood.
- `field`: the surface given measurements, kept up to date point by point.
"""
