"""The arguments of the command line `superres`, and its help."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from superres import helptexts

Command = Callable[[argparse.Namespace], None]
Group = argparse.ArgumentParser | argparse._ArgumentGroup

# Repeated here because torch takes seconds to import and --help must be quick. A test compares them
# with the originals.
NETWORK_NAMES = ("tiny", "dbpn-s", "d-dbpn", "dbpnll", "dbpn-r64-10", "dbpn-mr64-3")
SCHEDULE_NAMES = ("linear", "cosine", "step", "constant")
LOSS_NAMES = ("mse", "l1")
FINETUNING_EMA = 0.97
DOWNSCALING_NAMES = ("pillow", "matlab")
TABLE_FORMAT_NAMES = ("markdown", "latex", "csv")
EXPORT_FORMAT_NAMES = ("onnx", "torchscript")


def make_parser(commands_by_name: Mapping[str, Command]) -> argparse.ArgumentParser:
    """Create the parser of the command line; ``run`` of its result is the command's function."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("superres", description=helptexts.ABOUT, formatter_class=raw)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, summary: str, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=summary, description=text, epilog=helptexts.METRICS, formatter_class=raw
        )
        made.set_defaults(run=commands_by_name[name])
        return made

    p = command("prepare", "turn photographs into a data folder", helptexts.PREPARE)
    p.add_argument("--out", type=Path, required=True, help="data folder to make")
    p.add_argument("--photos", type=Path, help="folder of PNG and JPEG photographs")
    p.add_argument("--test-photos", type=Path, help="folder of those to test with")
    p.add_argument("--lr", type=Path, help="folder of the low resolution of --photos")
    p.add_argument("--test-lr", type=Path, help="folder of the low resolution of --test-photos")
    p.add_argument(
        "--allow-incomplete-test",
        action="store_true",
        help="skip what cannot be used of --test-photos, too",
    )
    p.add_argument("--scale", type=int, default=4, help="2, 4 or 8 times larger (%(default)s)")
    p.add_argument(
        "--downscaling",
        choices=DOWNSCALING_NAMES,
        help="how low resolution is made: matlab, as that of the field's test sets (pillow)",
    )
    p.add_argument("--crop", type=int, help="side of training tiles (160, at 8x 320)")
    p.add_argument(
        "--test-crop", type=int, default=768, help="longest side of test images (%(default)s)"
    )
    p.add_argument("--workers", type=int, help="processes (the cores of this job)")
    p.add_argument(
        "--halve-jpeg",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="halve JPEG files of 1000 pixels and more (%(default)s)",
    )
    _add_result(p)

    p = command("pretrain", "train a network on the pixel loss", helptexts.PRETRAIN)
    _add_data(p)
    _add_network(p)
    p.add_argument("--loss", choices=LOSS_NAMES, default="mse", help="of the pixels (%(default)s)")
    p.add_argument(
        "--warmup", type=int, default=200, help="steps of the discriminator (%(default)s)"
    )
    _add_training(p, "1200, paper: 1000 epochs", "tiny: 3e-3, others: 1e-4", 0.0)

    p = command("finetune", "train further on the four-term loss", helptexts.FINETUNE)
    start = p.add_mutually_exclusive_group(required=True)
    start.add_argument("--from", dest="start", type=Path, help="checkpoint to start at")
    start.add_argument("--scratch", action="store_true", help="start with random weights instead")
    _add_data(p)
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
    p.add_argument(
        "--emulate-release",
        action="store_true",
        help="repeat two defects of the authors' script: the perceptual and the style term compare "
        "poolings of the images, and have no gradient",
    )
    _add_network(p)
    _add_training(
        p, "90, with --scratch 720; paper: 250 or 2000 epochs", "2e-4, paper: 1e-4", FINETUNING_EMA
    )

    p = command("evaluate", "judge a checkpoint, or a folder of results", helptexts.EVALUATE)
    which = p.add_mutually_exclusive_group(required=True)
    which.add_argument("--checkpoint", type=Path, help="checkpoint folder")
    which.add_argument("--bicubic", action="store_true", help="judge bicubic enlargement instead")
    which.add_argument("--originals", type=Path, help="folder of originals: judge --images")
    p.add_argument("--data", type=Path, help="folder made by superres prepare")
    p.add_argument(
        "--images",
        type=Path,
        help="folder for the whole enlarged test images; with --originals, of the results to judge",
    )
    _add_protocol(p, 4)
    _add_result(p)
    _add_crops(p)

    p = command("table", "judge networks on test sets, as papers do", helptexts.TABLE)
    p.add_argument("sets", nargs="+", metavar="SET", help="FOLDER of originals, or NAME=FOLDER")
    p.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        metavar="CHECKPOINT",
        help="folder, or NAME=FOLDER; several (only bicubic enlargement)",
    )
    p.add_argument("--scale", type=int, help="enlargement (that of the checkpoints, else 4)")
    p.add_argument(
        "--downscaling",
        choices=DOWNSCALING_NAMES,
        default="matlab",
        help="how low resolution is made (%(default)s)",
    )
    p.add_argument("--format", choices=TABLE_FORMAT_NAMES, default="markdown", help="(%(default)s)")
    p.add_argument("--out", type=Path, metavar="FILE", help="write the table to a file, too")
    _add_protocol(p, "scale")

    p = command("upscale", "enlarge images", helptexts.UPSCALE)
    p.add_argument("--checkpoint", type=Path, required=True, help="checkpoint folder")
    p.add_argument("--out", type=Path, required=True, help="folder for the results, as PNG")
    p.add_argument(
        "--memory",
        type=_bytes,
        metavar="SIZE",
        help='most that the program may use, as "2 GB" (4 GB, or what the network needs at least)',
    )
    _add_ensemble(p)
    _add_device(p)
    _add_threads(p)
    p.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGE", help="images and folders of images"
    )

    p = command("export", "write a network for other programs", helptexts.EXPORT)
    p.add_argument("--checkpoint", type=Path, required=True, help="checkpoint folder")
    p.add_argument("--format", choices=EXPORT_FORMAT_NAMES, required=True, help="kind of file")
    p.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write")

    p = command(
        "import", "make a checkpoint of a network that the authors released", helptexts.IMPORT
    )
    p.add_argument("file", type=Path, metavar="FILE.pth", help="state dict")
    p.add_argument("--out", type=Path, required=True, help="checkpoint folder to make")
    p.add_argument(
        "--residual", action="store_true", help="it adds to a bicubic enlargement (DBPN-RES-MR64-3)"
    )
    p.add_argument(
        "--pirm", action="store_true", help="it works on normalised images (PIRM2018_region1 to 3)"
    )
    return parser


def _bytes(text: str) -> int:
    """Parse a size such as "2 GB", "512MiB" or "1.5g" to bytes."""
    found = re.fullmatch(r"(\d+\.?\d*)\s*([kmgt])(i?)b?", text.strip().lower())
    if found is None:
        raise argparse.ArgumentTypeError(f'not a size such as "2 GB": {text!r}')
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** ("kmgt".index(unit) + 1))


def _shave(text: str) -> int | str:
    if text == "scale":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'neither a number nor "scale": {text!r}') from None


def _add_data(p: argparse.ArgumentParser) -> None:
    p.add_argument("--data", type=Path, required=True, help="folder made by superres prepare")
    p.add_argument("--out", type=Path, required=True, help="checkpoint folder to make")


def _add_network(p: argparse.ArgumentParser) -> None:
    g = p.add_argument_group("network (of a new one)")
    g.add_argument(
        "--preset",
        choices=(*NETWORK_NAMES, "paper"),
        default="tiny",
        help="its size; paper is d-dbpn with the poster's lengths (%(default)s)",
    )
    g.add_argument("--n0", type=int, help="channels of the first layer, instead of the preset's")
    g.add_argument("--nr", type=int, help="channels of the projection units, likewise")
    g.add_argument("--stages", type=int, help="number of up-projections, likewise")
    g.add_argument("--recurrences", type=int, help="how often they all run, likewise")
    g.add_argument(
        "--residual",
        action="store_true",
        help="add to a bicubic enlargement (helps small networks)",
    )


def _add_training(p: argparse.ArgumentParser, steps: str, learning_rate: str, ema: float) -> None:
    g = p.add_argument_group("length and speed of the learning")
    length = g.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help=f"updates of the generator ({steps})")
    length.add_argument("--epochs", type=int, help="instead: patches per training photograph")
    g.add_argument("--batch", type=int, help="patches a step (8, paper: 16)")
    g.add_argument("--patch", type=int, help="side of low-resolution patches (20, paper: 60)")
    g.add_argument("--lr", type=float, help=f"largest learning rate ({learning_rate})")
    g.add_argument(
        "--schedule",
        default="linear",
        choices=SCHEDULE_NAMES,
        help="its course: linear and cosine rise for a tenth of the steps and fall to 0, step "
        "falls to a tenth at half (%(default)s)",
    )
    g.add_argument(
        "--ema",
        type=float,
        metavar="DECAY",
        help=f"keep an exponential average of the generator; 0, its last state ({ema:g})",
    )
    g.add_argument(
        "--permute-colours",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="give patches their colour channels in any order (%(default)s)",
    )
    g.add_argument("--clip", type=float, help="largest norm of the gradient (no bound)")
    g.add_argument("--seed", type=int, default=0, help="same seed, same result (%(default)s)")

    g = p.add_argument_group("where and how it is computed")
    _add_device(g)
    g.add_argument(
        "--precision",
        default="auto",
        choices=("auto", "fp32", "bf16", "fp16"),
        help="of convolutions (on GPUs bf16, or fp16 with scaled losses where that is all they "
        "have; else fp32)",
    )
    g.add_argument("--compile", action="store_true", help="torch.compile: pays in long runs")
    g.add_argument(
        "--deterministic", action="store_true", help="same bits on a GPU too, at some cost"
    )
    _add_threads(g)

    g = p.add_argument_group("what is kept and told")
    g.add_argument(
        "--snapshot-every",
        type=float,
        default=300,
        metavar="SECONDS",
        help="pause between two snapshots (%(default)g)",
    )
    g.add_argument(
        "--keep-every",
        type=int,
        default=0,
        metavar="EPOCHS",
        help="keep a checkpoint in OUT/epochs each time (0: only the last)",
    )
    g.add_argument(
        "--validate-every",
        type=int,
        default=0,
        metavar="STEPS",
        help="judge the test images in between, too (0: only at the end)",
    )
    g.add_argument("--ma-model", type=Path, help="model.mat of Ma's score: adds ma and pi")
    g.add_argument("--workers", type=int, default=1, help="processes that judge (%(default)s)")
    g.add_argument(
        "--tensorboard",
        type=Path,
        metavar="DIR",
        help="write the same for TensorBoard (needs dsice[tensorboard])",
    )
    g.add_argument("--progress", type=Path, help="file to append progress to, as JSON lines")
    _add_result(g)
    _add_crops(g)


def _add_protocol(p: Group, shave: int | str) -> None:
    p.add_argument(
        "--shave",
        type=_shave,
        default=shave,
        metavar="PIXELS",
        help='cut off every side before judging: 4 as in PIRM, "scale" as in papers (%(default)s)',
    )
    p.add_argument(
        "--niqe-unrounded",
        action="store_true",
        help="add niqe_unrounded, NIQE of luma that is not rounded to 8 bits",
    )
    _add_ensemble(p)
    _add_device(p)
    p.add_argument("--ma-model", type=Path, help="model.mat of Ma's score: adds ma and pi")
    p.add_argument(
        "--lpips",
        type=Path,
        metavar="ALEXNET.pth",
        help="add lpips: state dict of AlexNet in torchvision's layout (needs dsice[lpips])",
    )
    p.add_argument("--workers", type=int, default=1, help="processes that judge (%(default)s)")


def _add_ensemble(p: Group) -> None:
    p.add_argument(
        "--self-ensemble",
        action="store_true",
        help="average over the eight orientations of an image: eight times the work",
    )


def _add_device(p: Group) -> None:
    p.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1 (a GPU if there is one, else the CPU)"
    )


def _add_threads(p: Group) -> None:
    p.add_argument(
        "--threads", type=int, help="CPU threads (OMP_NUM_THREADS if set, else all cores)"
    )


def _add_result(p: Group) -> None:
    p.add_argument("--result", type=Path, help="file for the metrics, as one JSON object")


def _add_crops(p: Group) -> None:
    p.add_argument("--crops", type=Path, help="folder for the showcase of every test image")
    p.add_argument(
        "--sheet",
        type=Path,
        metavar="FILE.png",
        help="picture of the showcases between bicubic enlargements and originals",
    )
