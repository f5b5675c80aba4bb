"""Checkpoints: a folder with `generator.safetensors`, `discriminator.safetensors` and
`checkpoint.json`, which says what the networks are and how they were trained.
"""  # noqa: D205 - the names do not fit into one line

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from superres.discriminator import Discriminator
from superres.errors import UserError
from superres.model import Generator, GeneratorConfig

# Format 1 is from before the scale could be chosen: what it does not say has its default, 4x.
_FORMAT, _READABLE = 2, (1, 2)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A generator, the discriminator trained against it, and their history.

    Attributes:
        generator: in evaluation mode.
        discriminator: in evaluation mode.
        history: JSON facts about every stage of the training, oldest first.
    """

    generator: Generator
    discriminator: Discriminator
    history: tuple[dict[str, Any], ...]

    def save(self, folder: Path) -> None:
        """Write the folder; an earlier checkpoint in it is replaced."""
        folder.mkdir(parents=True, exist_ok=True)
        _facts_path(folder).unlink(missing_ok=True)  # comes back last: the sign of completeness
        _save(self.generator, folder / "generator.safetensors")
        _save(self.discriminator, folder / "discriminator.safetensors")
        facts = {
            "format": _FORMAT,
            "generator": asdict(self.generator.config),
            "discriminator": {"width": self.discriminator.width},
            "history": self.history,
        }
        _facts_path(folder).write_text(json.dumps(facts, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Checkpoint:
        """Read the folder.

        Raises:
            UserError: it holds no checkpoint, or a damaged one.
        """
        path = _facts_path(folder)
        if not path.is_file():
            raise UserError(f"{folder} holds no checkpoint (no {path.name})")
        try:
            facts = json.loads(path.read_text())
            if facts["format"] not in _READABLE:
                raise UserError(f"{path} was written by another version of superres")
            generator = Generator(GeneratorConfig(**facts["generator"]))
            discriminator = Discriminator(**facts["discriminator"])
            generator.load_state_dict(load_file(folder / "generator.safetensors"))
            discriminator.load_state_dict(load_file(folder / "discriminator.safetensors"))
            history = tuple(facts["history"])
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise UserError(f"the checkpoint {folder} is damaged or incomplete") from error
        return cls(generator.eval(), discriminator.eval(), history)


def _facts_path(folder: Path) -> Path:
    return folder / "checkpoint.json"


def _save(module: nn.Module, path: Path) -> None:
    save_file({name: value.contiguous() for name, value in module.state_dict().items()}, path)
