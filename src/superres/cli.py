"""The command line `superres`: files and exit codes; other modules do the work.

Exit codes: 0 success, 2 user error, 3 diverged training, 143 or 130 training stopped by SIGTERM or
Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from superres.arguments import make_parser
from superres.errors import Diverged, Stopped, UserError
from superres.files import require_folder

if TYPE_CHECKING:
    from pathlib import Path

    from superres.data import Dataset
    from superres.metrics.ma import MaModel
    from superres.photos import Split
    from superres.records import Recorder

# torch takes seconds to import, so every command imports what it needs.
# Optional packages, and the extras that install them.
_EXTRAS = {
    "torch": "superres",
    "PIL": "superres",
    "safetensors": "superres",
    "onnx": "export",
    "tensorboard": "tensorboard",
    "onnxscript": "export",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments without the program's name; by default those of the process.

    Returns:
        The exit code.
    """
    commands = {
        "prepare": _prepare,
        "pretrain": _pretrain,
        "finetune": _finetune,
        "evaluate": _evaluate,
        "table": _table,
        "upscale": _upscale,
        "import": _import,
        "export": _export,
    }
    arguments = make_parser(commands).parse_args(argv)
    try:
        arguments.run(arguments)
    except UserError as error:
        print(f"superres: {error}", file=sys.stderr)
        return 2
    except Diverged as error:
        print(f"superres: {error}", file=sys.stderr)
        return 3
    except Stopped as error:
        print(f"superres: {error}", file=sys.stderr)
        return 128 + error.signal_number
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(error.name or "")
        if extra is None:
            raise
        print(
            f'superres: {error.name} is not installed: pip install "dsice[{extra}]"',
            file=sys.stderr,
        )
        return 2
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        print(f"superres: {what}{error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("superres: interrupted", file=sys.stderr)
        return 130
    return 0


def _prepare(a: argparse.Namespace) -> None:
    from functools import partial

    from superres.cutting import Sizes
    from superres.data import Dataset
    from superres.evaluation import evaluate
    from superres.lows import with_lows
    from superres.photos import folder_photos, wheel_photos
    from superres.prepare import prepare
    from superres.records import Recorder
    from superres.resize import Downscaling
    from superres.scale import check_scale

    if a.test_photos and not a.photos:
        raise UserError("--test-photos needs --photos")
    if (a.lr, a.test_lr) != (None, None):
        if not a.photos or (a.lr is None) or (a.test_lr is None) != (a.test_photos is None):
            raise UserError("--lr goes with --photos, and --test-lr with --test-photos and --lr")
        if a.downscaling is not None:
            raise UserError("--downscaling does not go with --lr: low resolution is given")
    if a.allow_incomplete_test and not a.test_photos:
        raise UserError("--allow-incomplete-test goes with --test-photos")
    if a.workers is not None and a.workers < 1:
        raise UserError(f"--workers must be 1 at least, not {a.workers}")
    # At any scale, low-resolution patches of at least 40 pixels fit into a tile.
    crop = _given(a.crop, 40 * max(4, check_scale(a.scale)))
    made = Downscaling(a.downscaling or "pillow") if a.lr is None else Downscaling.GIVEN
    sizes = Sizes(crop, a.test_crop, a.scale, made, a.halve_jpeg)
    recorder = Recorder(a.result)
    sources, left_out = folder_photos(a.photos, a.test_photos) if a.photos else (wheel_photos(), [])
    if a.lr is not None:
        folders: dict[Split, Path] = {"train": a.lr, "test": a.test_lr or a.lr}
        sources, unpaired = with_lows(sources, folders, a.scale)
        left_out = [*left_out, *unpaired]
    # For a few photographs, starting processes would take longer than the work.
    workers = _given(a.workers, min(_cores(), max(1, len(sources) // 8)))
    prepare(
        sources,
        a.out,
        sizes,
        left_out,
        partial(print, flush=True),
        workers,
        whole_test=a.test_photos is not None and not a.allow_incomplete_test,
    )
    dataset = Dataset(a.out)
    scores = evaluate(dataset.bicubic, dataset, workers=workers)
    print(f"bicubic enlargement, the figures to beat:\n{scores.table()}")
    facts = {"tiles": dataset.tiles, "test_images": len(scores.images)}
    recorder.finish({**scores.metrics(), **facts})


def _pretrain(a: argparse.Namespace) -> None:
    recorder, model = _start_training(a)
    from superres.cli_training import run_pretrain

    run_pretrain(a, recorder, model)


def _finetune(a: argparse.Namespace) -> None:
    recorder, model = _start_training(a)
    from superres.cli_training import run_finetune

    run_finetune(a, recorder, model)


def _evaluate(a: argparse.Namespace) -> None:
    from superres.cli_judging import run_evaluate

    run_evaluate(a)


def _table(a: argparse.Namespace) -> None:
    from superres.cli_judging import run_table

    run_table(a)


def _upscale(a: argparse.Namespace) -> None:
    from superres.checkpoint import Checkpoint
    from superres.compute import Compute
    from superres.upscale import Enlarger, find_images, upscale_all

    images = find_images(a.images, a.out)
    threads = _given(a.threads, _default_threads())
    if threads < 1:
        raise UserError(f"--threads must be 1 at least, not {threads}")
    device = Compute.choose(a.device, "fp32").device
    generator = Checkpoint.load(a.checkpoint).generator.to(device)
    enlarger = Enlarger(generator, a.memory, threads, ensemble=a.self_ensemble)
    upscale_all(images, enlarger)


def _import(a: argparse.Namespace) -> None:
    from superres.released import import_released

    require_folder(a.out)
    checkpoint = import_released(a.file, residual=a.residual, normalised=a.pirm)
    checkpoint.save(a.out)
    print(f"{a.out}: {checkpoint.generator.config}")


def _export(a: argparse.Namespace) -> None:
    from superres.checkpoint import Checkpoint
    from superres.export import WRITERS

    generator = Checkpoint.load(a.checkpoint).generator
    a.out.parent.mkdir(parents=True, exist_ok=True)
    WRITERS[a.format](generator, a.out)
    print(f"{a.out}: {generator.config}")


def _start_training(a: argparse.Namespace) -> tuple[Recorder, MaModel | None]:
    if a.workers < 1:
        raise UserError(f"--workers must be 1 at least, not {a.workers}")
    if min(a.validate_every, a.snapshot_every, a.keep_every) < 0:
        raise UserError("--validate-every, --snapshot-every and --keep-every must not be negative")
    from superres.cli_judging import ma_model

    recorder, _ = _start(a)
    return recorder, ma_model(a)


def _start(a: argparse.Namespace) -> tuple[Recorder, Dataset]:
    """Check folders, open files and set the threads, to report mistakes before any long work.

    torch is imported last, as it takes longest.
    """
    from superres.data import Dataset
    from superres.records import Recorder

    for name in ("out", "crops", "images"):
        folder = getattr(a, name, None)
        if folder is not None:
            require_folder(folder)
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
    return _cores()


def _cores() -> int:
    """The number of cores of this job, not of the machine."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main())
