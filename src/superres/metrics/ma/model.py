"""The learnt part of Ma's score: three forests and a line, from the authors' `model.mat`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from superres.errors import UserError
from superres.metrics.ma.features import Features
from superres.metrics.ma.forest import Forest

Array = NDArray[np.float64]

MODEL_BLOB = "a852aefb6a49e52703044fee4fa60c3f5b8d5adc"
"""Git's hash of `model.mat` in the authors' repository `chaoma99/sr-metric`."""

# Lengths of the vectors in `Features`.
_LENGTHS = (18, 45, 75)


@dataclass(frozen=True, slots=True, eq=False)
class MaModel:
    """The second stage of the paper's regression (section 4.2).

    Attributes:
        forests: for the DCT, GSM and singular-value features.
        blend: (4,) constant and the weights of the forests' predictions.
    """

    forests: tuple[Forest, Forest, Forest]
    blend: Array

    def score(self, features: Features) -> float:
        """Ma's score: about 0 to 10, higher is better; NaN if a feature is NaN."""
        if not all(np.isfinite(family).all() for family in features):
            return float("nan")
        answers = [f.predict(v) for f, v in zip(self.forests, features, strict=True)]
        return float(self.blend @ np.array([1.0, *answers]))


def load_model(path: Path, blob: str = MODEL_BLOB) -> MaModel:
    """Read a `model.mat` (MATLAB 5 or 7).

    The authors' file has three forests of 2000 trees. Reading it temporarily takes about a gigabyte
    of memory; a tenth of that is kept.

    Args:
        path: the file.
        blob: git's hash of the only accepted file: with other forests, a different score would have
            the same name.

    Raises:
        UserError: the file cannot be read, is a different one, or does not contain such a model.
    """
    try:
        found = git_blob(path)
    except OSError as error:
        raise UserError(f"cannot read the model {path}: {error.strerror or error}") from error
    if found != blob:
        raise UserError(
            f"{path} is not the model.mat of chaoma99/sr-metric: its git blob hash is {found}, "
            f"not {blob}"
        )
    try:
        model = loadmat(path, variable_names=["model"])["model"][0, 0]
        structs: Sequence[Any] = model["rf"].ravel()
        forests = [
            Forest.from_matlab({name: struct[0, 0][name] for name in struct.dtype.names}, length)
            for struct, length in zip(structs, _LENGTHS, strict=True)
        ]
        blend = model["linear"].astype(np.float64).ravel()
        if blend.shape != (1 + len(forests),):
            raise ValueError("it does not blend three forests")
    # The file has the right hash, so any error is one of this reader, and loadmat raises almost
    # anything.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"cannot read forests from {path}: {type(error).__name__}: {reason}"
        ) from error
    first, second, third = forests
    return MaModel((first, second, third), blend)


def git_blob(path: Path) -> str:
    """Git's hash of a file's content: SHA-1 of a header and the content."""
    with path.open("rb") as file:
        size = path.stat().st_size
        digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
