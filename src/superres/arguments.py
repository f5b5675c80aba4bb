"""The arguments of the command line `superres`, and its help."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from pathlib import Path

Command = Callable[[argparse.Namespace], None]
Group = argparse.ArgumentParser | argparse._ArgumentGroup

# These names are repeated here, as torch takes seconds to import and --help is to be quick; a test
# compares them with the originals.
NETWORK_NAMES = ("tiny", "dbpn-s", "d-dbpn", "dbpnll", "dbpn-r64-10", "dbpn-mr64-3")
SCHEDULE_NAMES = ("linear", "cosine", "step", "constant")
LOSS_NAMES = ("mse", "l1")
DOWNSCALING_NAMES = ("pillow", "matlab")

_ABOUT = """\
Super-resolution (2x, 4x, 8x) with D-DBPN: train it, fine-tune it, judge it, use it.

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
niqe, psnr and ssim are means over the test images, rmse (in grey levels) is the root of the mean
squared error; lower niqe looks more natural, lower rmse is nearer to the original. With the
model of Ma's score there are also its mean ma and the perceptual index pi = ((10 - ma) + niqe) / 2.
The last line of the output, and --result FILE, is {"niqe": .., "rmse": .., "psnr": .., ...}.
Exit codes: 0 done, 2 a mistake in the arguments or files, 3 the training diverged (no result), 143
or 130 it was asked to stop by SIGTERM or Ctrl-C (the same command continues a training).
"""

_PREPARE = """\
Decode photographs once into tiles for training and whole images for testing.

Without --photos, the photographs inside the packages scikit-image and scikit-learn are used.
With --photos alone, whole photographs are held out for the test, one in five.
Low resolution is made by antialiased bicubic reduction, Pillow's or that of MATLAB's imresize to
the last bit, sides being cut to multiples of the scale; networks take their scale from the data
that they are trained on. JPEG files of 1000 pixels and more are halved first, which removes their
traces. Files that are corrupt, tiny,
animated or of more than 8 bits a channel, and grey ones for training, are named and skipped; one
of --test-photos is an error, since figures of a part of a test set are none of the set.
With --lr, low resolution is not made but read: 0801x4.png, or a file of the same name, is that of
0801.png.
OUT/crops shows a detailed region of every test image, the original and enlarged by bicubic.
The metrics are those of bicubic enlargement.

DIV2K, 800 photographs to train with and 100 to test with, takes 9 GB and a few minutes:
  superres prepare --photos DIV2K_train_HR --test-photos DIV2K_valid_HR --crop 480 --out div2k
"""
_TRAIN = """\
A training that is killed, at any moment, is continued by the same command, from its last snapshot
OUT/training.pt, and ends as if nothing had happened: on the CPU, and with --deterministic on a
GPU, with the same bits. OUT/curves.svg shows how it went.
"""
_PRETRAIN = f"""\
Train a D-DBPN from random weights on the mean squared or absolute error, then warm a discriminator
up against it, and store both: the start of any number of fine-tunings.

{_TRAIN}
With the photographs of DIV2K and a GPU, as on the poster, 1000 epochs:
  superres pretrain --data div2k --out start --preset paper
"""
_FINETUNE = f"""\
Continue a checkpoint on the loss
  w_mse * MSE + w_vgg * perceptual + w_adv * adversarial + w_style * style.
Only the ratios of the four weights matter. More w_adv makes images look more natural (lower
niqe) and less faithful (higher rmse). Without --vgg, the perceptual and the style term use a
frozen network with random weights. The same seed and number of threads give the same result.

{_TRAIN}
A trial as on the poster, 250 epochs, and for comparison the full length, 2000 epochs from nothing:
  superres finetune --data div2k --out tuned --preset paper --from start --vgg vgg19.pth
  superres finetune --data div2k --out long  --preset paper --scratch    --vgg vgg19.pth
"""
_EVALUATE = """\
Enlarge the test images and judge them. The figures do not depend on the number of threads.
  superres evaluate --checkpoint tuned --data data

Or judge a folder of results, of whatever program, against a folder of originals. Images are
matched by their names without extension (0801x4.png belongs to 0801.png) and must have the same
size; grey images count as colour, transparency is left out.
  superres evaluate --images results --originals originals
This also gives the region of the PIRM challenge: 1, 2 or 3 for an rmse of at most 11.5, 12.5 or
16, else "outside". These bounds are meant for the challenge's images.

Ma's score and pi need the file model.mat of github.com/chaoma99/sr-metric, with its exact content.
"""
_UPSCALE = """\
Enlarge images with a checkpoint, to PNG files of the same names; of folders, all images in them
and in their subfolders. Grey images stay grey, transparency is enlarged by bicubic interpolation,
photographs are turned upright. Images with more than 8 bits a channel and animations are refused.
Images larger than memory allows are enlarged in pieces, without seams. What cannot be enlarged is
named and skipped, and the exit code is then 2.
"""

_IMPORT = """\
Make a checkpoint of a .pth file that the authors of DBPN released: DBPN, DBPNLL, DBPN-RES-MR64-3
and the entries to the PIRM 2018 challenge. Size and scale are read off the file; what it does not
say is named with --residual and --pirm.
  superres import DBPN_x4.pth --out dbpn
  superres import DBPN-RES-MR64-3_4x.pth --out mr --residual
  superres import PIRM2018_region2.pth --out region2 --pirm
The discriminator of the checkpoint is untrained: a fine-tuning with --w-adv begins with a cold one.
"""


def make_parser(commands_by_name: Mapping[str, Command]) -> argparse.ArgumentParser:
    """The parser of the command line; ``run`` of what it parses is the command's function."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("superres", description=_ABOUT, formatter_class=raw)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, summary: str, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=summary, description=text, epilog=_METRICS, formatter_class=raw
        )
        made.set_defaults(run=commands_by_name[name])
        return made

    p = command("prepare", "turn photographs into a data folder", _PREPARE)
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
    _add_result(p)

    p = command("pretrain", "train a network on the pixel loss", _PRETRAIN)
    _add_data(p)
    _add_network(p)
    p.add_argument("--loss", choices=LOSS_NAMES, default="mse", help="of the pixels (%(default)s)")
    p.add_argument(
        "--warmup", type=int, default=200, help="steps of the discriminator (%(default)s)"
    )
    _add_training(p, "1200, paper: 1000 epochs", "tiny: 3e-3, others: 1e-4")

    p = command("finetune", "train further on the four-term loss", _FINETUNE)
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
    _add_training(p, "90, with --scratch 720; paper: 250 or 2000 epochs", "2e-4, paper: 1e-4")

    p = command("evaluate", "judge a checkpoint, or a folder of results", _EVALUATE)
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
    p.add_argument(
        "--shave",
        type=_shave,
        default=4,
        metavar="PIXELS",
        help='cut off every side before judging: 4 as in PIRM, "scale" as in papers (%(default)s)',
    )
    p.add_argument(
        "--niqe-unrounded",
        action="store_true",
        help="add niqe_unrounded, NIQE of luma that is not rounded to 8 bits",
    )
    _add_device(p)
    p.add_argument("--ma-model", type=Path, help="model.mat of Ma's score: adds ma and pi")
    p.add_argument("--workers", type=int, default=1, help="processes that judge (%(default)s)")
    _add_result(p)
    _add_crops(p)

    p = command("upscale", "enlarge images", _UPSCALE)
    p.add_argument("--checkpoint", type=Path, required=True, help="checkpoint folder")
    p.add_argument("--out", type=Path, required=True, help="folder for the results, as PNG")
    p.add_argument(
        "--memory",
        type=_bytes,
        metavar="SIZE",
        help='most that the program may use, as "2 GB" (4 GB, or what the network needs at least)',
    )
    _add_device(p)
    _add_threads(p)
    p.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGE", help="images and folders of images"
    )

    p = command("import", "make a checkpoint of a network that the authors released", _IMPORT)
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
    """Bytes in "2 GB", "512MiB" or "1.5g"."""
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


def _add_training(p: argparse.ArgumentParser, steps: str, learning_rate: str) -> None:
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
    g.add_argument("--clip", type=float, help="largest norm of the gradient (no bound)")
    g.add_argument("--seed", type=int, default=0, help="same seed, same result (%(default)s)")

    g = p.add_argument_group("where and how it is computed")
    _add_device(g)
    g.add_argument(
        "--precision",
        default="auto",
        choices=("auto", "fp32", "bf16"),
        help="of convolutions (bf16 on GPUs that have it, else fp32)",
    )
    g.add_argument("--compile", action="store_true", help="torch.compile: pays in long trainings")
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
    g.add_argument("--progress", type=Path, help="file to append progress to, as JSON lines")
    _add_result(g)
    _add_crops(g)


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
