"""Training steps on a GPU, measured in one go: ``python -m benchmarks.superres.gpu``.

For a machine that has a GPU, this repository and PyTorch (with numpy, scipy, Pillow, safetensors),
and not much time: everything ends within --minutes, what there was no time for is named.

  errors      a step in every precision, eager and compiled, against fp64
  rates       images per second of ours, loading included, and of the re-created published step,
              its loader left out; the share of the peak that matrix products reach here
  projections as torch's convolutions and as matrix products, which compiled networks use
  operations  where the time of a step goes
  study       a short study of two stages through dsice, if what that needs is installed

Tables in Markdown go to standard output and to --out, every figure to FILE.json beside it.

Examples:
  python -m benchmarks.superres.gpu --out gpu.md
  python -m benchmarks.superres.gpu --quick               the tiny network, to see it run
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from benchmarks.superres.on_gpu import (
    Case,
    Setup,
    by_operation,
    count_flop,
    errors,
    peak,
    projections,
    rate,
)
from benchmarks.superres.photographs import draw, tiles
from benchmarks.superres.reporting import Report
from superres.compute import Precision
from superres.errors import UserError
from superres.model import PRESETS

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "bf16")

# A fine-tuning of the poster: 250 epochs of 800 patches.
_TRIAL = 250 * 800

# Share of the time that a study may take; it goes last.
_STUDY = 0.25

# Seconds to compile the three networks, on 16 cores.
_COMPILATION = 140

# What `dsice run` imports.
_NEEDED = ("cloudpickle", "jinja2", "msgspec", "pydantic", "rich", "submitit", "vl_convert")

_SHOWN = 15


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    report = Report(time.monotonic() + 60 * options.minutes)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    report.say(f"# Training steps on {name}")
    report.say()
    report.say(
        f"torch {torch.__version__}, {options.preset}, patch {options.patch}. In fp32, "
        "convolutions use TF32 where the GPU has it, as is torch's default."
    )
    report.say()
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        draw(photos, 4, (240, 320) if options.quick else (960, 1280))
        try:
            _, dataset = tiles(photos, Path(folder) / "tiles", options.patch)
        except UserError as error:
            sys.exit(f"error: {error}")
        setup = Setup(options.preset, options.patch, device, dataset.folder, options.quick)
        _errors(report, setup, compiled=False)
        report.save(options.out)
        best = _rates(report, setup, options)
        report.save(options.out)
        _operations(report, setup, best, options)
        report.save(options.out)
        if options.study:
            _study(report, photos, Path(folder) / "study", options)
        if options.compile:
            _errors(report, setup, compiled=True)
    for what in report.left_out:
        report.say(f"Left out: {what}")
    report.save(options.out)


def _errors(report: Report, setup: Setup, *, compiled: bool) -> None:
    how = "compiled" if compiled else "eager"
    rows = []
    for precision in reversed(PRECISIONS):
        what = f"errors, {precision}, {how}"
        needed = _COMPILATION if compiled else 20
        found = report.attempt(what, needed, partial(errors, setup, precision, compiled))
        if found is not None:
            rows.append([precision, *(f"{value:.1e}" for value in found.values())])
            report.figures[what] = found
    if rows:
        report.say(f"## Errors against fp64, {how}")
        report.say()
        heads = ["", "image", "terms", "generator's gradient", "discriminator's gradient"]
        report.table(heads, rows)


def _rates(report: Report, setup: Setup, options: argparse.Namespace) -> Case:
    """The table of rates.

    Returns:
        The fastest case.
    """
    seconds = options.seconds
    flop = report.attempt("operations of a step", 20, partial(count_flop, setup)) or 0.0
    peaks = {
        p: report.attempt(f"peak, {p}", 5, partial(peak, p, setup.device, seconds)) or 0.0
        for p in PRECISIONS
    }
    report.figures |= {"flop an image": flop, "peaks": peaks}
    found = report.attempt("projections", 10, partial(projections, setup, options.batch, seconds))
    if found:
        report.figures["projections"] = found
        report.say("## Projections in bf16")
        report.say()
        rows = [[name, f"{value / 1e12:.3g}"] for name, value in found.items()]
        report.table(["", "TFLOP/s"], rows)
    report.say("## Rates")
    report.say()
    report.say(f"A step takes {flop / 1e9:.4g} GFLOP an image. Peaks of matrix products, TFLOP/s:")
    report.say(", ".join(f"{p} {value / 1e12:.3g}" for p, value in peaks.items()) + ".")
    report.say()
    compiled = (False, True) if options.compile else (False,)
    large = options.batch
    cases = [Case("published", "fp32", False, b) for b in (1, large)]
    cases += [Case("superres", "bf16", c, large) for c in compiled]
    cases += [Case("superres", p, False, b) for b in (1, large) for p in PRECISIONS]
    cases += [Case("superres", "bf16", c, n * large) for n in (2, 4) for c in compiled]
    cases += [Case(s, p, True, large) for s in ("superres",) for p in PRECISIONS if options.compile]
    cases += [Case("published", "fp32", True, large)] if options.compile else []
    rows, fastest, best, base = [], 0.0, cases[2], 0.0
    reserved = _reserved(options) + 20  # for the operations and the study
    for case in dict.fromkeys(cases):
        needed = reserved + (_COMPILATION if case.compiled else 15)
        if options.quick:
            needed = 0
        found = report.attempt(str(case), needed, partial(_kept, rate, setup, case, seconds))
        if found is None:
            continue
        (one,) = found
        if one is None:
            rows.append([str(case), "does not fit", "", "", "", ""])
            continue
        report.figures[str(case)] = {"images/s": one.images, "GB": one.memory}
        if case.side == "published" and not base:
            base = one.images  # as released: a batch of one
        share = one.images * flop / peaks[case.precision] if peaks[case.precision] else 0.0
        ours = case.side == "superres"
        rows.append(
            [
                str(case),
                f"{one.images:.3g}",
                f"{one.images / base:.3g}" if base else "",
                f"{share:.0%}" if ours else "",
                f"{one.memory:.3g}",
                f"{_TRIAL / one.images / 60:.3g}" if ours else "",
            ]
        )
        if ours and one.images > fastest:
            fastest, best = one.images, case
    heads = ["", "images/s", "x published", "of the peak", "GB", "minutes a trial"]
    report.table(heads, rows)
    report.say(f"A trial: {_TRIAL} patches, 250 epochs of 800. x published: as released, batch 1.")
    report.say()
    return best


def _reserved(options: argparse.Namespace) -> float:
    """Seconds that have to be left for the operations and the study."""
    if options.quick:
        return 0
    return 20 + (60 * options.minutes * _STUDY if options.study else 0)


def _kept(function: Callable[..., Any], *arguments: object) -> tuple[Any]:
    """In a tuple, so that None is told from what was not attempted."""
    return (function(*arguments),)


def _operations(report: Report, setup: Setup, best: Case, options: argparse.Namespace) -> None:
    eager = Case("superres", best.precision, False, options.batch)
    for case in dict.fromkeys([eager, Case(best.side, best.precision, best.compiled, eager.batch)]):
        found = report.attempt(
            f"operations, {case}",
            _reserved(options),
            partial(by_operation, setup, case),
        )
        if not found:
            continue
        total = sum(operation.seconds for operation in found)
        report.figures[f"operations, {case}"] = {o.name: o.seconds for o in found}
        report.say(f"## Where the time goes: {case}")
        report.say()
        rows = [
            [
                f"`{o.name[:70]}`",
                f"{1e3 * o.seconds:.3g}",
                f"{o.seconds / total:.0%}",
                f"{o.calls:.0f}",
            ]
            for o in found[:_SHOWN]
        ]
        rows.append(["all", f"{1e3 * total:.3g}", "", f"{sum(o.calls for o in found):.0f}"])
        report.table(["kernel", "ms a step", "share", "calls"], rows)


def _study(report: Report, photos: Path, folder: Path, options: argparse.Namespace) -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        report.left_out.append(f"the study: not installed: {', '.join(missing)}")
        return
    long = not options.quick
    steps = ("--steps=200", "--warmup=50") if long else ("--steps=3", "--warmup=2")
    size = [f"--preset={'dbpn-s' if long else 'tiny'}", "--batch=4", f"--patch={options.patch}"]
    program = [sys.executable, "-m", "superres.cli"]
    prepare = ["prepare", f"--photos={photos}", "--out={dir}", "--result={result}"]
    pretrain = ["pretrain", "--data={stage.prepare}", "--out={dir}", *size, *steps]
    tuned = ["finetune", "--from={stage.pretrain}", "--data={stage.prepare}", "--out={dir}", *size]
    tuned += [f"--steps={50 if long else 2}", "--w-adv={w_adv}", "--w-vgg={w_vgg}"]
    files = ["--result={result}", "--progress={progress}"]
    text = f"""
name = "gpu"
minimize = "niqe"
subject_to = ["rmse <= 1.2 * stage.pretrain.rmse"]
[grid]
w_vgg = [0.05, 0.1, 0.2]
w_adv = [0.0005, 0.001, 0.002]
[stage.prepare]
command = {json.dumps([*program, *prepare, "--crop=" + str(_crop(options.patch))])}
[stage.pretrain]
command = {json.dumps([*program, *pretrain, *files])}
[trial]
command = {json.dumps([*program, *tuned, *files])}
[run]
on = "local"
parallel = 1
trials = {3 if long else 2}
"""
    folder.mkdir()
    (folder / "study.toml").write_text(text)
    command = [sys.executable, "-m", "dsice", "run", str(folder / "study.toml")]
    command += ["--in", str(folder / "run")]
    root = Path(__file__).parents[2]
    paths = [str(root / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    began = time.monotonic()

    def run() -> str:
        done = subprocess.run(
            command,
            cwd=root,
            env=environment,
            timeout=max(1.0, report.left()),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError((done.stdout + done.stderr)[-300:])
        return done.stdout

    if report.attempt("a study in two stages", 30, run) is None:
        return
    seconds = time.monotonic() - began
    results = [json.loads(path.read_text()) for path in (folder / "run").rglob("result.json")]
    report.figures["study"] = {"seconds": seconds, "results": results}
    report.say("## A study in two stages")
    report.say()
    report.say(f"Prepared, pre-trained and fine-tuned through dsice in {seconds:.0f} s.")
    report.say()


def _crop(patch: int) -> int:
    return max(160, 4 * (4 * patch // 3))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.superres.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--preset", choices=list(PRESETS), default="d-dbpn", help="the network (d-dbpn)")
    add("--patch", type=int, default=60, help="low-resolution pixels (60)")
    add("--batch", type=int, default=16, help="patches a step, besides 1 (16)")
    add("--minutes", type=float, default=8, help="when everything is over (8)")
    add("--seconds", type=float, default=2, help="what a measurement takes (2)")
    add("--compile", action=argparse.BooleanOptionalAction, default=True, help="(on)")
    add("--study", action=argparse.BooleanOptionalAction, default=True, help="(on)")
    add("--out", type=Path, metavar="FILE.md", help="write the tables, and FILE.json")
    add("--quick", action="store_true", help="tiny, patch 16, batch 2, eager: to see it run")
    options = parser.parse_args(arguments)
    if options.quick:
        options.preset, options.patch, options.batch = "tiny", 16, 2
        options.seconds, options.compile = 0.01, False
    return options


if __name__ == "__main__":
    main()
