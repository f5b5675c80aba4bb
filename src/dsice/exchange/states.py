"""The words that programs use for how a run ended.

They are those of dsice, Optuna, Weights & Biases, MLflow, Ray Tune, SMAC and Slurm. A run that was
stopped from outside counts neither as a result nor as a failure, as its outcome is unknown.
"""

from __future__ import annotations

from typing import Final

from dsice.exchange.source import RowState

_ENDED: Final = """
    done complete completed finished success succeeded successful ok terminated
"""
_FAILED: Final = """
    failed failure crashed crash error errored exception timeout out_of_memory memout
"""
_UNDER_WAY: Final = """
    running waiting pending queued scheduled submitted starting preparing paused
"""
_STOPPED: Final = """
    killed cancelled canceled stopped stop aborted abort abandoned early_stopped preempted
    preempting node_fail skipped
"""
_KNOWN: Final = {
    **{word: (RowState.ENDED, "") for word in _ENDED.split()},
    **{word: (RowState.FAILED, word) for word in _FAILED.split()},
    "fail": (RowState.FAILED, "failed"),
    **{word: (RowState.OPEN, "it has not ended") for word in _UNDER_WAY.split()},
    **{word: (RowState.OPEN, "it was stopped") for word in _STOPPED.split()},
    "discarded": (RowState.OPEN, "it was discarded"),
    "pruned": (RowState.OPEN, "it was pruned"),
}


def state_of(value: object) -> tuple[RowState, str] | None:
    """How a run ended, and why it failed or is left out; None if ``value`` is no such word.

    Upper and lower case are the same, and so are a name and its class (``TrialState.FAIL``).
    """
    text = str(value).strip()
    return _KNOWN.get(text.rpartition(".")[2].casefold())
