"""Image quality by the protocol of the PIRM 2018 challenge (Blau et al., ECCV 2018).

By default, every metric uses the luma of 8-bit images without their outermost `SHAVE` pixels.
"""

from superres.metrics.distortion import mean_squared_error, psnr, rmse
from superres.metrics.niqe import niqe
from superres.metrics.ssim import ssim

SHAVE = 4
"""Pixels cut off every side before an image is judged."""

__all__ = ["SHAVE", "mean_squared_error", "niqe", "psnr", "rmse", "ssim"]
