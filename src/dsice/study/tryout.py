"""Testing the patterns of metrics on a piece of output, for the dry run."""

from __future__ import annotations

from dsice.errors import InvalidInput
from dsice.launch import patterns
from dsice.launch.output import shown
from dsice.launch.usage import BUILT_IN
from dsice.study.program_table import CommandConfig, MetricConfig
from dsice.units import number


def metric_lines(program: CommandConfig, output: str | None = None) -> list[tuple[str, str]]:
    """Name and description of each metric that is read from output, or measured.

    Args:
        program: its table of the study file.
        output: a sample of its output; by default each pattern is tested on its own sample.
    """
    lines = []
    for name, entry in program.metrics.items():
        if isinstance(entry, str) and entry in BUILT_IN:
            lines.append((name, BUILT_IN[entry]))
            continue
        metric = MetricConfig(pattern=entry) if isinstance(entry, str) else entry
        where = f"in {metric.file!r}" if metric.file else "in the output"
        unit = f", in {metric.unit}" if metric.unit else ""
        text = metric.sample if output is None else output
        found = "" if text is None else f": {_found(metric, text)}"
        lines.append((name, f"by {shown(metric.pattern)} {where}{unit}{found}"))
    if (pattern := program.progress.pattern) is not None:
        found = _progress_found(program, pattern, output)
        lines.append(("progress", f"by {shown(pattern)} in each line{found}"))
    return lines


def _found(metric: MetricConfig, text: str) -> str:
    try:
        return f"finds {number(patterns.sample_value(metric.as_pattern(), text))}"
    except InvalidInput:
        return "finds no number"


def _progress_found(program: CommandConfig, pattern: str, output: str | None) -> str:
    text = program.progress.sample if output is None else output
    if text is None:
        return ""
    entries = list(patterns.LineReader(pattern).entries(text.replace("\r", "\n").split("\n")))
    if not entries:
        return ": finds nothing"
    last = ", ".join(f"{name} {shown(str(value))}" for name, value in entries[-1].items())
    return f": finds {last}" + (f" in the last of {len(entries)} lines" if output else "")
