"""The commands that judge: `superres evaluate` and `superres table`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from superres.data import Dataset, Pixels
from superres.errors import UserError
from superres.evaluation import Pictures, evaluate
from superres.files import require_folder, write_whole
from superres.judging import Distance, Protocol, judge_folders
from superres.metrics import ma
from superres.progress import say
from superres.records import Recorder
from superres.resize import Downscaling, enlarge
from superres.scale import DEFAULT_SCALE, check_scale
from superres.scores import REGIONS, pirm_region
from superres.sets import check_sets, find_set, judge_set
from superres.table import FORMATS, Row

# torch takes seconds to import and is not needed to judge folders.


def run_evaluate(a: argparse.Namespace) -> None:
    """`superres evaluate`."""
    if a.workers < 1:
        raise UserError(f"--workers must be 1 at least, not {a.workers}")
    if a.originals is not None:
        _evaluate_folder(a)
        return
    if a.data is None:
        raise UserError("--data is missing: the folder with the test images")
    if a.self_ensemble and a.bicubic:
        raise UserError("--self-ensemble goes with --checkpoint")
    for folder in (a.crops, a.images):
        if folder is not None:
            require_folder(folder)
    recorder = Recorder(a.result)
    dataset = Dataset(a.data)
    model = ma_model(a)
    upscaler: Callable[[Pixels], Pixels] = dataset.bicubic
    if not a.bicubic:
        upscaler, scale = _network(a.checkpoint, a)
        dataset.require_scale(scale)
    pictures = Pictures(a.crops, a.images, a.sheet)
    protocol = Protocol(dataset.scale if a.shave == "scale" else a.shave, a.niqe_unrounded)
    scores = evaluate(upscaler, dataset, pictures, model, a.workers, protocol, _distance(a))
    print(scores.table())
    recorder.finish(scores.metrics())


def _evaluate_folder(a: argparse.Namespace) -> None:
    if a.images is None:
        raise UserError("--originals needs --images, the folder of the results to judge")
    if any(given is not None for given in (a.data, a.crops, a.sheet)):
        raise UserError("--data, --crops and --sheet do not go with --originals")
    if a.self_ensemble:
        raise UserError("--self-ensemble goes with --checkpoint")
    if a.shave == "scale":
        raise UserError("--shave scale goes with --data: with --originals, name the number")
    protocol = Protocol(a.shave, a.niqe_unrounded)
    recorder = Recorder(a.result)
    scores = judge_folders(a.images, a.originals, ma_model(a), a.workers, protocol, _distance(a))
    print(scores.table())
    region = pirm_region(scores.rmse)
    if region is None:
        print(f"outside the regions of PIRM 2018: RMSE above {REGIONS[-1]:g}")
    else:
        print(f"region {region} of PIRM 2018: RMSE at most {REGIONS[region - 1]:g}")
    # A result that equals its original has an infinite PSNR, which JSON cannot represent.
    figures = {name: v if math.isfinite(v) else None for name, v in scores.metrics().items()}
    recorder.finish({**figures, "region": region or "outside"})


def run_table(a: argparse.Namespace) -> None:
    """`superres table`."""
    if a.workers < 1:
        raise UserError(f"--workers must be 1 at least, not {a.workers}")
    sets = [find_set(text) for text in a.sets]
    methods: dict[str, Callable[[Pixels], Pixels]] = {}
    scales: dict[str, int] = {}
    for text in a.checkpoint:
        name, equals, folder = text.partition("=")
        path = Path(folder if equals else text)
        name = name if equals else path.resolve().name
        if name in (*methods, "bicubic"):
            raise UserError(f"two methods are called {name}: name one of them as NAME=CHECKPOINT")
        methods[name], scales[name] = _network(path, a)
    scale = check_scale(a.scale or next(iter(scales.values()), DEFAULT_SCALE))
    for name, other in scales.items():
        if other != scale:
            raise UserError(f"{name} enlarges {other}x, but the table is for {scale}x")
    downscaling = Downscaling(a.downscaling)
    protocol = Protocol(scale if a.shave == "scale" else a.shave, a.niqe_unrounded)
    check_sets(sets, scale, protocol.shave)
    model = ma_model(a)
    distance = _distance(a)
    every = {"bicubic": lambda low: enlarge(low, scale, downscaling), **methods}
    rows = []
    for one in sets:
        for name, upscaler in every.items():
            say(f"{one.name}: {name}")
            scores = judge_set(
                one, upscaler, scale, downscaling, protocol, model, a.workers, distance
            )
            rows.append(Row(one.name, name, len(scores.images), scores.metrics()))
    text = FORMATS[a.format](rows)
    if a.out is not None:
        write_whole(a.out, lambda file: file.write(text.encode()))
    print(text, end="")


def _network(checkpoint: Path, a: argparse.Namespace) -> tuple[Callable[[Pixels], Pixels], int]:
    """The upscaler of a checkpoint, and its scale."""
    from superres.checkpoint import Checkpoint
    from superres.compute import Compute
    from superres.tiling import network_upscaler

    device = Compute.choose(a.device, "fp32").device
    generator = Checkpoint.load(checkpoint).generator.to(device)
    return network_upscaler(generator, ensemble=a.self_ensemble), generator.config.scale


def ma_model(a: argparse.Namespace) -> ma.MaModel | None:
    """Load the model of Ma's score that the command line names, if any."""
    return None if a.ma_model is None else ma.load_model(a.ma_model)


def _distance(a: argparse.Namespace) -> Distance | None:
    if a.lpips is None:
        return None
    from superres.metrics.lpips import Lpips

    return Lpips(a.lpips).of_pixels
