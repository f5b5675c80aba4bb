"""Reading torch's state dicts from other sources."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from superres.errors import UserError


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a state-dict file, `.pth` (with `weights_only`) or `.safetensors`.

    Raises:
        UserError: there is no such file, or it is not a state dict.
    """
    if not path.is_file():
        raise UserError(f"no such file: {path}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise many types with the same meaning
        raise UserError(f"{path} is not a readable state dict ({type(error).__name__})") from error
    if not isinstance(state, dict):
        raise UserError(f"{path} holds a {type(state).__name__}, not a state dict")
    return state
