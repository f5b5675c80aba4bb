"""Importing the released networks of the authors of DBPN as checkpoints.

The layout of their files follows from their published code (`alterzero/DBPN-Pytorch`): a state dict
of torch, with names that begin with `module.` if it was saved on a GPU.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from superres.checkpoint import Checkpoint
from superres.discriminator import Discriminator
from superres.errors import UserError
from superres.files import sha256
from superres.model import Generator, GeneratorConfig

# Side of the first kernel, by scale.
_SCALES = {6: 2, 8: 4, 12: 8}

_DISCRIMINATOR_WIDTH = 64

_LAYERS = {"conv": "0", "deconv": "0", "act": "1"}
_PARTS = {"1": "project", "2": "back", "3": "correct"}
_UNIT = re.compile(
    r"(?P<way>up|down)(?P<stage>[1-9]\d*)\.(?:(?P<merge>conv)|(?P=way)_conv(?P<part>[123]))"
    r"\.(?P<layer>conv|deconv|act)\.(?P<kind>weight|bias)"
)
_EXTRACT = re.compile(r"feat(?P<number>[01])\.(?P<layer>conv|act)\.(?P<kind>weight|bias)")


def import_released(path: Path, *, residual: bool = False, normalised: bool = False) -> Checkpoint:
    """Read a file of the authors.

    Args:
        path: the file.
        residual: whether the network adds to a bicubic enlargement, as DBPN-RES-MR64-3 does.
        normalised: whether it works on normalised images, as the entries to PIRM 2018 do.

    Returns:
        The network with an untrained discriminator.

    Raises:
        UserError: it cannot be read, or has a different layout.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        digest = sha256(path)
    except FileNotFoundError as error:
        raise UserError(f"no such file: {path}") from error
    except Exception as error:  # torch's readers raise many types with the same meaning
        raise UserError(f"{path} is no state dict of torch") from error
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise UserError(f"{path} is no state dict of torch, but a {type(content).__name__}")
    theirs = {str(name).removeprefix("module."): value for name, value in content.items()}
    config = _config(path, theirs, residual, normalised)
    generator = Generator(config)
    try:
        generator.load_state_dict({_our_name(path, name): v for name, v in theirs.items()})
    except RuntimeError as error:
        raise UserError(f"{path} does not hold all weights of {config}") from error
    torch.manual_seed(0)
    history: dict[str, Any] = {"stage": "import", "file": path.name, "sha256": digest}
    return Checkpoint(generator.eval(), Discriminator(_DISCRIMINATOR_WIDTH).eval(), (history,))


def _config(
    path: Path, theirs: Mapping[str, Tensor], residual: bool, normalised: bool
) -> GeneratorConfig:
    try:
        n0, nr = (len(theirs[f"feat{number}.conv.weight"]) for number in (0, 1))
        scale = _SCALES[theirs["up1.up_conv1.deconv.weight"].shape[-1]]
        maps = theirs["output_conv.conv.weight"].shape[1] // nr
    except (KeyError, IndexError) as error:
        raise UserError(f"{path} is no DBPN of the authors': {error} is not in it") from error
    stages = sum(
        re.fullmatch(r"up\d+\.up_conv1\.deconv\.weight", name) is not None for name in theirs
    )
    recurrences = 1 if maps == stages else maps
    return GeneratorConfig(n0, nr, stages, residual, scale, recurrences, normalised)


def _our_name(path: Path, name: str) -> str:
    if found := _EXTRACT.fullmatch(name):
        return f"extract.{found['number']}.{_LAYERS[found['layer']]}.{found['kind']}"
    if found := _UNIT.fullmatch(name):
        part = "merge" if found["merge"] else _PARTS[found["part"]]
        unit = f"{found['way']}s.{int(found['stage']) - 1}"
        return f"{unit}.{part}.{_LAYERS[found['layer']]}.{found['kind']}"
    if name.startswith("output_conv.conv."):
        return name.replace("output_conv.conv", "reconstruct")
    raise UserError(f"{path} is no DBPN of the authors': {name} is in it")
