"""Training set-ups by name: the network, the length of the training, and the patches."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """The defaults of the commands.

    Attributes:
        network: name of a preset of `superres.model`.
        pretrain: length of the pre-training.
        finetune: length of a fine-tuning from it.
        scratch: length of a fine-tuning from random weights.
        epochs: whether these lengths are in epochs; otherwise in steps.
        batch: patches per step.
        patch: side of a low-resolution patch.
        learning_rate: learning rate of the fine-tuning; the network defines that of the
            pre-training.
    """

    network: str
    pretrain: int
    finetune: int
    scratch: int
    epochs: bool
    batch: int
    patch: int
    learning_rate: float


PAPER = Recipe("d-dbpn", 1000, 250, 2000, epochs=True, batch=16, patch=60, learning_rate=1e-4)
"""The set-up of the campaign that two-step learning comes from.

Pre-learning of 1000 epochs once, 250 epochs of fine-tuning a trial, and the 2000 epochs of the
authors' script as the comparison. The patches are those of that script; the batch is ours.
"""


def recipe(preset: str) -> Recipe:
    """The set-up for a value of `--preset`: "paper", or a network's name for a short training."""
    if preset == "paper":
        return PAPER
    return Recipe(preset, 1200, 90, 720, epochs=False, batch=8, patch=20, learning_rate=2e-4)
