"""A training step of superres beside the published one: ``python -m benchmarks.superres.step``.

The release of D-DBPN (alterzero/DBPN-Pytorch, main_gan.py) is re-created as it computes, see
`published.py`, and measured side by side with `superres`: turn by turn, every turn in a process of
its own. The network is the same, and so are the weights' number, the patches' size and the batch.

  loading   images per second that the program can load, with nothing to do
  pixels    a step of the generator alone on the mean squared error, without loading
  full      the adversarial step with its four terms and with loading: what a training gets

Then the ladder: from the release to superres, one change at a time. Each rung keeps the changes of
those before it, so that their factors, multiplied, are the whole ratio.

With the defaults (d-dbpn, patch 60 and batch 1, as the release has them) it takes about 6 minutes
on two cores. Photographs are drawn, as large as DIV2K's, in pixels and in bytes; --photos takes
yours. Run it on an idle machine: the spread over the turns is shown. On a busy one, CPU seconds of
one thread (--threads 1) say more than images per second.

Examples:
  python -m benchmarks.superres.step
  python -m benchmarks.superres.step --no-ladder --batch 4 --repeats 5
  python -m benchmarks.superres.step --quick               the tiny network, within a minute
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.superres.photographs import DIV2K, draw, tiles
from benchmarks.superres.published import BATCH, PATCH
from benchmarks.superres.rungs import RUNGS, Task
from benchmarks.superres.turns import Turn, alone, peak_flops, take_turn
from superres.errors import UserError
from superres.model import PRESETS

SIDES = {"published": "published", "features": "superres fp32", "bf16": "superres bf16"}
"""The rungs that are compared in everything, and their headings."""

KINDS = {"loading": "loading alone", "pixels": "pixel step", "full": "full step"}

Key = tuple[str, str]
"""A rung, and what of it was measured."""


@dataclass(frozen=True, slots=True)
class Peaks:
    """The most operations a second that the machine is good for."""

    fp32: float
    bf16: float

    def of(self, rung: str) -> float:
        return self.bf16 if rung in ("bf16", "compiled") else self.fp32


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    if options.quick:
        options.preset, options.patch, options.batch = "tiny", 16, 2
        options.repeats, options.seconds = min(options.repeats, 2), 0.05
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as folder:
        try:
            files, data = _photographs(options, Path(folder))
        except UserError as error:
            sys.exit(f"error: {error}")
        task = Task(
            options.preset,
            options.patch,
            options.batch,
            device,
            tuple(files),
            data,
            options.vgg,
        )
        keys = [(rung, what) for what in KINDS for rung in SIDES]
        if options.ladder:
            rungs = [rung for rung in RUNGS if rung != "compiled" or options.compile]
            keys += [(rung, "full") for rung in rungs if rung not in SIDES]
        print(
            f"{task.preset}, patch {task.patch}, batch {task.batch}, {device}, "
            f"{options.threads} threads, torch {torch.__version__}"
        )
        peaks = Peaks(
            *(
                alone(peak_flops, dtype, device, options.threads, 3 * options.seconds)
                for dtype in ("float32", "bfloat16")
            )
        )
        turns = _take_turns(keys, task, options)
    print(sides(turns, peaks))
    if options.ladder:
        print(ladder(turns, peaks))


def _take_turns(
    keys: Sequence[Key], task: Task, options: argparse.Namespace
) -> dict[Key, list[Turn]]:
    turns: dict[Key, list[Turn]] = defaultdict(list)
    total = options.repeats * len(keys)
    for repeat in range(options.repeats):
        for rung, what in keys:
            count = repeat == 0 and what != "loading"
            counted = rung if rung != "compiled" else "bf16"  # what it computes is the same
            turn = alone(
                take_turn,
                rung,
                what,
                task,
                options.threads,
                options.seconds,
                count and counted == rung,
            )
            if count and counted != rung:
                turn = replace(turn, flop=turns[counted, what][0].flop)
            turns[rung, what].append(turn)
            done = sum(map(len, turns.values()))
            print(
                f"{done}/{total} {rung}, {KINDS[what]}: {turn.rate:.3g} images/s",
                file=sys.stderr,
                flush=True,
            )
    return turns


def sides(turns: dict[Key, list[Turn]], peaks: Peaks) -> str:
    """The table of both programs, ours in both precisions."""
    rows = [["", *SIDES.values(), "ratio fp32", "ratio bf16"]]
    for what, name in KINDS.items():
        rates = [_rates(turns[rung, what]) for rung in SIDES]
        base, *others = (statistics.median(found) for found in rates)
        cells = [_spread(found) for found in rates]
        rows.append([f"{name}, images/s", *cells, *(f"{other / base:.2f}" for other in others)])
    for what in ("pixels", "full"):
        found = {rung: turns[rung, what] for rung in SIDES}
        name = KINDS[what]
        cpu = [statistics.median(t.cpu for t in turns) for turns in found.values()]
        rows.append([f"{name}, CPU s an image", *(f"{c:.3g}" for c in cpu), *_ratios(cpu)])
        peak = [statistics.median(t.peak for t in turns) for turns in found.values()]
        rows.append([f"{name}, peak MB", *(f"{p:.0f}" for p in peak), *_ratios(peak)])
        flop = [turns[0].flop / 1e9 for turns in found.values()]
        rows.append([f"{name}, GFLOP an image", *(f"{f:.4g}" for f in flop), *_ratios(flop)])
        share = [_share(turns, peaks.of(rung)) for rung, turns in found.items()]
        rows.append([f"{name}, share of the peak", *share])
    peak_line = (
        f"The machine's peak: {peaks.fp32 / 1e9:.0f} GFLOP/s in fp32, "
        f"{peaks.bf16 / 1e9:.0f} in bf16 (matrix product or convolution, the faster).\n"
        "Images per second: median (least to most). Ratios: published to ours, above 1 is better."
    )
    return f"{_table(rows)}\n{peak_line}\n"


def ladder(turns: dict[Key, list[Turn]], peaks: Peaks) -> str:
    """The table of the rungs."""
    rows = [["full step", "images/s", "x last", "x first", "CPU s", "GFLOP", "share", "peak MB"]]
    first = last = statistics.median(_rates(turns["published", "full"]))
    for rung, what in RUNGS.items():
        if not (found := turns.get((rung, "full"))):
            continue
        rate = statistics.median(_rates(found))
        rows.append(
            [
                what,
                _spread(_rates(found)),
                f"{rate / last:.2f}",
                f"{rate / first:.2f}",
                f"{statistics.median(t.cpu for t in found):.3g}",
                f"{found[0].flop / 1e9:.4g}",
                _share(found, peaks.of(rung)),
                f"{statistics.median(t.peak for t in found):.0f}",
            ]
        )
        last = rate
    return _table(rows)


def _share(turns: Sequence[Turn], peak: float) -> str:
    return f"{statistics.median(_rates(turns)) * turns[0].flop / peak:.0%}"


def _rates(turns: Iterable[Turn]) -> list[float]:
    return [turn.rate for turn in turns]


def _ratios(costs: Sequence[float]) -> list[str]:
    return [f"{costs[0] / cost:.2f}" for cost in costs[1:]]


def _spread(values: Sequence[float]) -> str:
    middle, least, most = map(_number, (statistics.median(values), min(values), max(values)))
    return f"{middle} ({least} to {most})"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[k]) for row in rows if k < len(row)) for k in range(max(map(len, rows)))]
    lines = []
    for row in rows:
        head, *cells = row
        rest = "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=False))
        lines.append(f"{head:<{widths[0]}}{rest}".rstrip())
    return "\n".join(["", *lines])


def _photographs(options: argparse.Namespace, folder: Path) -> tuple[list[Path], Path]:
    photos: Path | None = options.photos
    if photos is None:
        photos = folder / "photos"
        draw(photos, 6, (240, 320) if options.quick else DIV2K)
    files, _ = tiles(photos, folder / "tiles", options.patch)
    return files, folder / "tiles"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.superres.step",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    networks = [name for name, preset in PRESETS.items() if preset.generator.recurrences == 1]
    add("--preset", choices=networks, default="d-dbpn", help="the network (d-dbpn)")
    add("--patch", type=_positive, default=PATCH, help=f"low-resolution pixels ({PATCH})")
    add("--batch", type=_positive, default=BATCH, help=f"patches a step ({BATCH})")
    add("--repeats", type=_positive, default=3, help="turns of each (3)")
    add("--seconds", type=float, default=1.0, help="the least that a turn measures (1)")
    threads = torch.get_num_threads()
    add("--threads", type=_positive, default=threads, help=f"of torch (as it finds: {threads})")
    add("--photos", type=Path, metavar="DIR", help="a folder of photographs; default: drawn")
    add("--vgg", type=Path, metavar="FILE", help="VGG19 for our features; default: random network")
    add("--ladder", action=argparse.BooleanOptionalAction, default=True, help="(on)")
    add("--compile", action="store_true", help="the ladder's torch.compile too: minutes a turn")
    add("--quick", action="store_true", help="tiny, patch 16, batch 2, two turns: to see it run")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"1 at least, not {value}")
    return value


if __name__ == "__main__":
    main()
