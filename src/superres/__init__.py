"""D-DBPN super-resolution (2x, 4x and 8x) with a four-term loss.

The package trains, fine-tunes and judges the network of Haris et al., "Deep Back-Projection
Networks for Super-Resolution" (CVPR 2018). Its command line is `superres`, see `superres.cli`.
Read it in this order: `model`, `losses`, `training`, `evaluation`.
"""
