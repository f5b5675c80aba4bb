"""The command line `superres`: arguments, files and exit codes; all work is done elsewhere.

Exit codes: 0 success, 2 a mistake of the user's, 3 a training that diverged.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superres.errors import Diverged, UserError

if TYPE_CHECKING:
    from superres.data import Dataset
    from superres.evaluation import Scores
    from superres.records import Recorder

# torch takes seconds to import: every command imports what it needs, and --help needs nothing.
# The names of the presets are therefore repeated here; a test compares them with the model's.
PRESET_NAMES = ("tiny", "dbpn-s", "d-dbpn", "dbpnll")

_ABOUT = """\
Fourfold super-resolution with D-DBPN: train it, fine-tune it, judge it, use it.

The usual order, with the photographs that come with scikit-image and scikit-learn:
  superres prepare  --out data
  superres pretrain --data data --out start
  superres finetune --from start --data data --out tuned \\
                    --w-mse 1e-2 --w-vgg 1e-1 --w-adv 1e-3 --w-style 10
  superres evaluate --checkpoint tuned --data data
  superres upscale  --checkpoint tuned --out big photo.jpg
"""

_METRICS = """\
The metrics follow the PIRM 2018 challenge: luma of 8-bit images, 4 pixels shaved off.
niqe and psnr are means over the test images, rmse (in grey levels) is the root of the mean
squared error; lower niqe looks more natural, lower rmse is nearer to the original.
The last line of the output, and --result FILE, is {"niqe": .., "rmse": .., "psnr": .., ...}.
Exit codes: 0 done, 2 a mistake in the arguments or files, 3 the training diverged (no result).
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments without the program's name; by default those of the process.

    Returns:
        The exit code.
    """
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except UserError as error:
        print(f"superres: {error}", file=sys.stderr)
        return 2
    except Diverged as error:
        print(f"superres: {error}", file=sys.stderr)
        return 3
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        print(f"superres: {what}{error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("superres: interrupted", file=sys.stderr)
        return 130
    return 0


def _prepare(a: argparse.Namespace) -> None:
    from superres.data import Dataset
    from superres.evaluation import evaluate
    from superres.model import SCALE
    from superres.photos import folder_photos, wheel_photos
    from superres.prepare import Sizes, prepare
    from superres.records import Recorder
    from superres.resize import enlarge

    if a.test_photos and not a.photos:
        raise UserError("--test-photos needs --photos")
    sizes = Sizes(a.crop, a.test_crop)
    recorder = Recorder(a.result)
    duplicates: list[str] = []
    if a.photos:
        sources, duplicates = folder_photos(a.photos, a.test_photos)
    else:
        sources = wheel_photos()
    for line in duplicates:
        print(f"skip   {line}")
    prepare(sources, a.out, sizes, duplicates)
    dataset = Dataset(a.out)
    scores = evaluate(lambda low: enlarge(low, SCALE), dataset)
    print(f"bicubic enlargement, the figures to beat:\n{scores.table()}")
    facts = {"tiles": dataset.tiles, "test_images": len(scores.images)}
    recorder.finish({**_metrics(scores), **facts})


def _pretrain(a: argparse.Namespace) -> None:
    if a.warmup < 0:
        raise UserError(f"--warmup must not be negative: {a.warmup}")
    recorder, dataset = _start(a)
    from superres.evaluation import evaluate, network_upscaler
    from superres.model import PRESETS, GeneratorConfig, Preset, parameter_count
    from superres.training import pretrain

    named = PRESETS[a.preset]
    size = named.generator
    preset = Preset(
        GeneratorConfig(
            _given(a.n0, size.n0),
            _given(a.nr, size.nr),
            _given(a.stages, size.stages),
            residual=a.residual,
        ),
        named.critic_width,
        _given(a.lr, named.learning_rate),
    )
    settings = _settings(a, dataset, preset.learning_rate)
    print(f"pre-training {preset.generator} for {settings.steps} steps", flush=True)
    checkpoint, loss = pretrain(dataset, preset, settings, a.warmup, recorder.progress)
    print(f"{parameter_count(checkpoint.generator)} parameters", flush=True)
    scores = evaluate(network_upscaler(checkpoint.generator), dataset, a.crops)
    stage = {"stage": "pretrain", "preset": a.preset, "warmup": a.warmup}
    _finish(a, recorder, checkpoint, scores, loss, {**stage, **_facts(settings)})


def _finetune(a: argparse.Namespace) -> None:
    from superres.losses import LossWeights

    weights = LossWeights(a.w_mse, a.w_vgg, a.w_adv, a.w_style)
    recorder, dataset = _start(a)
    from dataclasses import asdict

    from superres.checkpoint import Checkpoint
    from superres.evaluation import evaluate, network_upscaler
    from superres.features import random_features, vgg19_features
    from superres.training import finetune

    start = Checkpoint.load(a.start)
    features = vgg19_features(a.vgg) if a.vgg else random_features()
    settings = _settings(a, dataset, a.lr)
    print(f"fine-tuning for {settings.steps} steps, features: {features.description}", flush=True)
    checkpoint, loss = finetune(start, dataset, features, weights, settings, recorder.progress)
    scores = evaluate(network_upscaler(checkpoint.generator), dataset, a.crops)
    stage = {"stage": "finetune", "weights": asdict(weights), "features": features.description}
    _finish(a, recorder, checkpoint, scores, loss, {**stage, **_facts(settings)})


def _evaluate(a: argparse.Namespace) -> None:
    recorder, dataset = _start(a)
    from superres.checkpoint import Checkpoint
    from superres.evaluation import evaluate, network_upscaler
    from superres.model import SCALE
    from superres.resize import enlarge

    if a.bicubic:
        scores = evaluate(lambda low: enlarge(low, SCALE), dataset, a.crops, a.images)
    else:
        upscaler = network_upscaler(Checkpoint.load(a.checkpoint).generator)
        scores = evaluate(upscaler, dataset, a.crops, a.images)
    print(scores.table())
    recorder.finish(_metrics(scores))


def _upscale(a: argparse.Namespace) -> None:
    from superres.checkpoint import Checkpoint
    from superres.evaluation import network_upscaler
    from superres.upscale import upscale_file

    upscaler = network_upscaler(Checkpoint.load(a.checkpoint).generator)
    a.out.mkdir(parents=True, exist_ok=True)
    targets: dict[Path, Path] = {}
    for image in a.images:
        target = a.out / f"{image.stem}.png"
        if target in targets:
            raise UserError(f"{targets[target]} and {image} would both become {target}")
        targets[target] = image
    for target, image in targets.items():
        upscale_file(image, target, upscaler)
        print(target, flush=True)


def _start(a: argparse.Namespace) -> tuple[Recorder, Dataset]:
    """Check folders, open files, set the threads: mistakes show before any long work.

    torch is imported last, it takes longest.
    """
    from superres.data import Dataset
    from superres.records import Recorder

    for name in ("out", "crops", "images"):
        folder = getattr(a, name, None)
        if folder is not None and folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} is a file, not a folder")
    threads = getattr(a, "threads", None)
    if threads is not None and threads < 1:
        raise UserError(f"--threads must be 1 at least, not {threads}")
    recorder = Recorder(a.result, getattr(a, "progress", None))
    dataset = Dataset(a.data)
    if hasattr(a, "threads"):
        import torch

        torch.set_num_threads(threads or _default_threads())
    return recorder, dataset


def _given(value: Any, default: Any) -> Any:
    return default if value is None else value


def _default_threads() -> int:
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))  # the cores of this job, not of the machine
    return os.cpu_count() or 1


def _settings(a: argparse.Namespace, dataset: Dataset, learning_rate: float) -> Any:
    from superres.training import Settings, steps_of_epochs

    if a.batch < 1:
        raise UserError(f"--batch must be 1 at least, not {a.batch}")
    steps = a.steps
    if a.epochs is not None:
        steps = steps_of_epochs(a.epochs, dataset.tiles, a.batch)
    return Settings(steps, a.batch, a.patch, learning_rate, a.seed)


def _facts(settings: Any) -> dict[str, Any]:
    from dataclasses import asdict

    import torch

    return {**asdict(settings), "threads": torch.get_num_threads(), "torch": torch.__version__}


def _finish(
    a: argparse.Namespace,
    recorder: Recorder,
    checkpoint: Any,
    scores: Scores,
    loss: float,
    stage: dict[str, Any],
) -> None:
    import math
    from dataclasses import replace

    metrics = {**_metrics(scores), "loss": loss}
    if not math.isfinite(scores.niqe):
        raise Diverged("diverged: the images have no statistics that NIQE could judge")
    history = (*checkpoint.history, {**stage, "metrics": metrics})
    replace(checkpoint, history=history).save(a.out)
    print(scores.table())
    recorder.finish(metrics)


def _metrics(scores: Scores) -> dict[str, float]:
    return {"niqe": scores.niqe, "rmse": scores.rmse, "psnr": scores.psnr}


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("superres", description=_ABOUT, formatter_class=raw)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Any, summary: str, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=summary, description=text, epilog=_METRICS, formatter_class=raw
        )
        made.set_defaults(run=run)
        return made

    p = command("prepare", _prepare, "turn photographs into a data folder", _PREPARE)
    p.add_argument("--out", type=Path, required=True, help="data folder to make")
    p.add_argument("--photos", type=Path, help="folder of PNG and JPEG photographs")
    p.add_argument("--test-photos", type=Path, help="folder of those to test with")
    p.add_argument("--crop", type=int, default=160, help="side of training tiles (%(default)s)")
    p.add_argument(
        "--test-crop", type=int, default=768, help="longest side of test images (%(default)s)"
    )
    _add_result(p)

    p = command("pretrain", _pretrain, "train a network on the pixel loss", _PRETRAIN)
    p.add_argument("--data", type=Path, required=True, help="folder made by superres prepare")
    p.add_argument("--out", type=Path, required=True, help="checkpoint folder to make")
    p.add_argument(
        "--preset", choices=PRESET_NAMES, default="tiny", help="size of the network (%(default)s)"
    )
    p.add_argument("--n0", type=int, help="channels of the first layer, instead of the preset's")
    p.add_argument("--nr", type=int, help="channels of the projection units, likewise")
    p.add_argument("--stages", type=int, help="number of up-projections, likewise")
    p.add_argument(
        "--residual",
        action="store_true",
        help="add to a bicubic enlargement (helps small networks)",
    )
    p.add_argument("--lr", type=float, help="learning rate (tiny: 3e-3, others: 1e-4)")
    p.add_argument(
        "--warmup", type=int, default=200, help="steps of the discriminator (%(default)s)"
    )
    _add_training(p, steps=1200)

    p = command("finetune", _finetune, "train further on the four-term loss", _FINETUNE)
    p.add_argument("--from", dest="start", type=Path, required=True, help="checkpoint to start at")
    p.add_argument("--data", type=Path, required=True, help="folder made by superres prepare")
    p.add_argument("--out", type=Path, required=True, help="checkpoint folder to make")
    for name, default, term in (
        ("mse", 1e-2, "pixel term"),
        ("vgg", 1e-1, "perceptual term"),
        ("adv", 1e-3, "adversarial term"),
        ("style", 10.0, "style term"),
    ):
        p.add_argument(
            f"--w-{name}", type=float, default=default, help=f"weight of the {term} (%(default)g)"
        )
    p.add_argument("--vgg", type=Path, help="VGG19 state dict in torchvision's layout")
    p.add_argument("--lr", type=float, default=2e-4, help="learning rate (%(default)g)")
    _add_training(p, steps=90)

    p = command("evaluate", _evaluate, "judge a checkpoint on the test images", _EVALUATE)
    which = p.add_mutually_exclusive_group(required=True)
    which.add_argument("--checkpoint", type=Path, help="checkpoint folder")
    which.add_argument("--bicubic", action="store_true", help="judge bicubic enlargement instead")
    p.add_argument("--data", type=Path, required=True, help="folder made by superres prepare")
    p.add_argument("--images", type=Path, help="folder for the whole enlarged test images")
    _add_result(p)
    _add_crops(p)

    p = command("upscale", _upscale, "enlarge images fourfold", _UPSCALE)
    p.add_argument("--checkpoint", type=Path, required=True, help="checkpoint folder")
    p.add_argument("--out", type=Path, required=True, help="folder for the results, as PNG")
    p.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="what to enlarge")
    return parser


def _add_training(p: argparse.ArgumentParser, steps: int) -> None:
    length = p.add_mutually_exclusive_group()
    length.add_argument(
        "--steps", type=int, default=steps, help="updates of the generator (%(default)s)"
    )
    length.add_argument("--epochs", type=int, help="instead: passes over the training tiles")
    p.add_argument("--batch", type=int, default=8, help="patches a step (%(default)s)")
    p.add_argument(
        "--patch", type=int, default=20, help="side of low-resolution patches (%(default)s)"
    )
    p.add_argument("--seed", type=int, default=0, help="same seed, same result (%(default)s)")
    p.add_argument(
        "--threads", type=int, help="CPU threads (OMP_NUM_THREADS if set, else all cores)"
    )
    p.add_argument("--progress", type=Path, help="file to append progress to, as JSON lines")
    _add_result(p)
    _add_crops(p)


def _add_result(p: argparse.ArgumentParser) -> None:
    p.add_argument("--result", type=Path, help="file for the metrics, as one JSON object")


def _add_crops(p: argparse.ArgumentParser) -> None:
    p.add_argument("--crops", type=Path, help="folder for the showcase of every test image")


_PREPARE = """\
Decode photographs once into tiles for training and whole images for testing.

Without --photos, the photographs inside the packages scikit-image and scikit-learn are used.
With --photos alone, whole photographs are held out for the test, one in five.
Low resolution is made by Pillow's antialiased bicubic reduction, sides being cut to multiples
of 4. JPEG files of 1000 pixels and more are halved first, which removes their traces.
OUT/crops shows a detailed region of every test image, the original and enlarged by bicubic.
The metrics are those of bicubic enlargement.
"""
_PRETRAIN = """\
Train a D-DBPN from random weights on the mean squared error, then warm a discriminator up
against it, and store both: the start of any number of fine-tunings.
"""
_FINETUNE = """\
Continue a checkpoint on the loss
  w_mse * MSE + w_vgg * perceptual + w_adv * adversarial + w_style * style.
Only the ratios of the four weights matter. More w_adv makes images look more natural (lower
niqe) and less faithful (higher rmse). Without --vgg, the perceptual and the style term use a
frozen network with random weights. The same seed and number of threads give the same result.
"""
_EVALUATE = """\
Enlarge the test images and judge them. The figures do not depend on the number of threads.
"""
_UPSCALE = """\
Enlarge images fourfold with a checkpoint, to PNG files of the same names. Grey images stay
grey, transparency is kept.
"""


if __name__ == "__main__":
    sys.exit(main())
