"""Ma's no-reference quality score of super-resolved images.

Source: Ma, Yang, Yang, Yang, "Learning a no-reference quality metric for single-image
super-resolution", Computer Vision and Image Understanding 158, 2017 (arXiv 1612.05890), called
"the paper" in this package. What the paper leaves open follows the behaviour of the authors'
MATLAB program `chaoma99/sr-metric`, whose forests were trained on the features that it computes,
its oddities included; this is a new program from the published mathematics.

Three families of features (section 4.1 of the paper: local frequency, global frequency, spatial)
go into one regression forest each, and a line blends the forests' answers (section 4.2). The
score runs from about 0 (bad) to 10 (as a photograph). The forests are the authors'
`model.mat`, which is not part of this package: `load_model` takes the user's copy.

Read it in this order: `features`, `dct`, `pyramid`, `gsm`, `structure`, `singular`, `forest`,
`model`.
"""

from superres.metrics.ma.features import Features, extract
from superres.metrics.ma.model import MODEL_BLOB, MaModel, load_model

__all__ = ["MODEL_BLOB", "Features", "MaModel", "extract", "load_model"]
