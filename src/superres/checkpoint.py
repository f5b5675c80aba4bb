"""Checkpoints: a folder with `generator.safetensors`, `discriminator.safetensors` and
`checkpoint.json`, which says what the networks are and how they were trained.
"""  # noqa: D205 - the names do not fit into one line

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from superres.discriminator import Discriminator
from superres.errors import UserError
from superres.files import write_whole
from superres.model import Generator, GeneratorConfig

_FORMAT = 3


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
        """Write the folder, replacing an earlier checkpoint in it.

        Raises:
            OSError: it cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        _facts_path(folder).unlink(missing_ok=True)  # written last, as the mark of completeness
        _save(self.generator, folder / "generator.safetensors")
        _save(self.discriminator, folder / "discriminator.safetensors")
        facts = {
            "format": _FORMAT,
            "generator": asdict(self.generator.config),
            "discriminator": {"width": self.discriminator.width},
            "history": self.history,
        }
        text = json.dumps(facts, indent=1) + "\n"
        write_whole(_facts_path(folder), lambda file: file.write(text.encode()))

    @classmethod
    def load(cls, folder: Path) -> Checkpoint:
        """Read the folder.

        Raises:
            UserError: it does not contain a checkpoint, or a damaged one.
        """
        path = _facts_path(folder)
        if not path.is_file():
            raise UserError(f"{folder} holds no checkpoint (no {path.name})")
        try:
            facts = json.loads(path.read_text())
            if facts["format"] != _FORMAT:
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
    # safetensors' own `save_file` creates files that only their owner can read.
    content = save({name: value.contiguous() for name, value in module.state_dict().items()})
    write_whole(path, lambda file: file.write(content))
