"""Transfer methods of other tuners, for ``benchmarks/transfer.py``."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any, Final

import numpy as np

from benchmarks.compare.peers.base import Peer, Task, values
from dsice.grid import Point

Measured = Sequence[tuple[Point, float]]
"""What succeeded in the source, at points of the target's grid."""


def _quantile(task: Task, measured: Measured) -> Peer:
    """Syne Tune's surrogate of the source's normal scores, sampled (Salinas et al., ICML 2020)."""
    from syne_tune.optimizer.schedulers.single_objective_scheduler import SingleObjectiveScheduler
    from syne_tune.optimizer.schedulers.transfer_learning.quantile_based import (
        quantile_based_searcher as theirs,
    )

    from benchmarks.compare.peers.syne_tune_peer import SyneTune, space

    searcher = theirs.QuantileBasedSurrogateSearcher(
        space(task.grid), _evaluations(task, measured), random_seed=task.seed
    )
    return SyneTune(task, SingleObjectiveScheduler(space(task.grid), "cost", True, searcher))


def _box(task: Task, measured: Measured) -> Peer:
    """Syne Tune's default search in the bounding box of the source's ten best points."""
    from syne_tune.optimizer.baselines import CQR
    from syne_tune.optimizer.schedulers.transfer_learning.bounding_box import BoundingBox

    from benchmarks.compare.peers.syne_tune_peer import SyneTune, space

    def search(box: dict[str, Any], metric: str, minimize: bool, seed: int) -> CQR:
        return CQR(box, metric, minimize, seed)

    evaluations = _evaluations(task, measured)
    with redirect_stdout(io.StringIO()):  # it prints the box
        box = BoundingBox(
            search, space(task.grid), "cost", evaluations, True, BEST, random_seed=task.seed
        )
    return SyneTune(task, box)


def _evaluations(task: Task, measured: Measured) -> dict[str, Any]:
    import pandas as pd
    from syne_tune.optimizer.schedulers.transfer_learning.transfer_learning_task_evaluation import (
        TransferLearningTaskEvaluations,
    )

    from benchmarks.compare.peers.syne_tune_peer import space

    points = pd.DataFrame([values(task.grid, point) for point, _ in measured])
    costs = np.array([cost for _, cost in measured]).reshape(-1, 1, 1, 1)
    return {"source": TransferLearningTaskEvaluations(space(task.grid), points, ["cost"], costs)}


def _generative(task: Task, measured: Measured) -> Peer:
    """DeepHyper's generative model of the source's best tenth (Dorier et al., 2022).

    With ``acq_optimizer="sampling"``, so that all candidates come from that model.
    """
    import pandas as pd

    from benchmarks.compare.peers.deephyper_peer import DeepHyper

    peer = DeepHyper(task, acq_optimizer="sampling")
    rows = [{f"p:{k}": v for k, v in values(task.grid, p).items()} for p, _ in measured]
    results = pd.DataFrame(rows).assign(objective=[-cost for _, cost in measured])
    peer.search.fit_generative_model(results)
    return peer


BEST: Final = 10
"""Of the source's points, how many span the bounding box."""
PEERS: Final[Mapping[str, Callable[[Task, Measured], Peer]]] = {
    "syne-tune-quantile": _quantile,
    "syne-tune-box": _box,
    "deephyper-generative": _generative,
}
"""By name: what makes a tuner that knows a source."""
