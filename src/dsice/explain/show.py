"""Explanations in a terminal of any width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dsice.domain import Domain, covers_decades, focus
from dsice.explain.effects import Effect, Effects
from dsice.explain.line import OnLine, Position, TrialLine, When
from dsice.explain.related import relation_line
from dsice.explain.trial import Explanation
from dsice.explain.walk import RoleCount, Step
from dsice.explain.words import ROLES, sentences, what_matters
from dsice.goal import Goal
from dsice.grid import Params
from dsice.search.related import Relation
from dsice.study.summary import metric_text
from dsice.study.task import Status
from dsice.terminal import params_line
from dsice.text import one_line
from dsice.units import ABSENT, apart, number, percent, setting

_MOST_ROWS: Final = 40  # positions of a line that are shown, besides those with trials
_UNICODE: Final = {
    "band": "─",
    "mean": "┼",
    When.BEFORE: "●",
    When.ITSELF: "★",
    When.PENDING: "○",
    When.LATER: "○",
    "bars": "▁▂▃▄▅▆▇█",
}
_ASCII: Final = {
    "band": "-",
    "mean": "|",
    When.BEFORE: "o",
    When.ITSELF: "*",
    When.PENDING: "x",
    When.LATER: "x",
    "bars": "_.:-=+*#",
}
_LOOKS: Final = {
    When.BEFORE: "blue",
    When.ITSELF: "bold red",
    When.PENDING: "cyan",
    When.LATER: "cyan",
}


def show_trial(console: Console, found: Explanation, goal: Goal) -> None:
    """Print one trial's explanation, with a picture of its line."""
    console.print(Text(params_line(found.params), style="bold"))
    for sentence in sentences(found, goal):
        console.print(Text(sentence))
    if found.line is not None:
        console.print()
        _show_line(console, found.line, goal)


def _show_line(console: Console, line: TrialLine, goal: Goal) -> None:
    signs = _ASCII if console.options.ascii_only else _UNICODE
    console.print(Text(f"The line, and {line.quantity} along it as expected then:", style="bold"))
    positions = _rows(line)
    labels = [" ".join(_setting(p.params, name) for name in line.axes) for p in positions]
    notes = [", ".join(map(_note, p.trials)) for p in positions]
    # Two columns between the three parts of a row.
    taken = max(map(len, [" ".join(line.axes), *labels])) + max(map(len, [*notes, ""])) + 4
    width = max(console.width - taken, 12)
    domain = _range(positions, line.quantity == goal.metric)
    table = Table.grid(padding=(0, 2))
    table.add_row(
        Text(" ".join(line.axes), style="dim"), Text(_ends(domain, width), style="dim"), ""
    )
    for position, label, note in zip(positions, labels, notes, strict=True):
        bar = _bar(position, domain, width, signs, line.quantity == goal.metric)
        own = any(seen.when is When.ITSELF for seen in position.trials)
        table.add_row(Text(label, style="bold" if own else ""), bar, Text(note, style="dim"))
    console.print(table)
    console.print(
        Text(
            f"{signs['band'] * 2}{signs['mean']}{signs['band'] * 2} expected then, with one "
            f"standard deviation  {signs[When.BEFORE]} measured before  {signs[When.ITSELF]} this "
            f"trial  {signs[When.LATER]} measured later",
            style="dim",
        )
    )


def _rows(line: TrialLine) -> list[Position]:
    if len(line.positions) <= _MOST_ROWS:
        return list(line.positions)
    last = len(line.positions) - 1
    even = {round(k * last / (_MOST_ROWS - 1)) for k in range(_MOST_ROWS)}
    return [p for k, p in enumerate(line.positions) if k in even or p.trials]


def _range(positions: Sequence[Position], is_objective: bool) -> Domain:
    """The ends of the picture: means and measurements, and some room for their errors."""
    values = [p.expected.mean for p in positions if p.expected is not None]
    if is_objective or not values:
        values += [seen.value for p in positions for seen in p.trials if seen.value is not None]
    return focus([], values, margin=0.15)


def _ends(domain: Domain, width: int) -> str:
    left, right = apart(domain.low, domain.high)
    return left + " " * max(width - len(left) - len(right), 1) + right


def _bar(
    position: Position,
    domain: Domain,
    width: int,
    signs: dict[When | str, str],
    is_objective: bool,
) -> Text:
    def at(value: float) -> int:
        return round(domain.place(value) * (width - 1))

    cells = [(" ", "")] * width
    if (expected := position.expected) is not None:
        for k in range(at(expected.low), at(expected.high) + 1):
            cells[k] = (signs["band"], "dim")
        cells[at(expected.mean)] = (signs["mean"], "")
    for when in (When.LATER, When.PENDING, When.BEFORE, When.ITSELF):
        for seen in position.trials:
            if seen.when is when and seen.value is not None and is_objective:
                cells[at(seen.value)] = (signs[when], _LOOKS[when])
    return Text.assemble(*cells)


def _note(seen: OnLine) -> str:
    text = f"trial {seen.trial}"
    if seen.value is not None:
        text += f": {number(seen.value)}" + ("" if seen.feasible else " (out of bounds)")
    elif seen.status is Status.FAILED:
        text += " failed"
    elif seen.status is Status.DISCARDED:
        text += " discarded"
    elif seen.status is Status.STOPPED:
        text += " ended early"
    return text + (" (was under way)" if seen.when is When.PENDING else "")


def show_story(
    console: Console,
    goal: Goal,
    roles: Sequence[RoleCount],
    walk: Sequence[Step],
    effects: Sequence[Effects],
    relations: Sequence[Relation] = (),
) -> None:
    """Print how a study went as a whole."""
    _show_roles(console, roles)
    if relations:
        console.print(Text("\nHow related what it learned from turned out to be", style="bold"))
    for relation in relations:
        console.print(Text(one_line(relation_line(relation))))
    _show_walk(console, walk, goal)
    if not effects:
        console.print("\nToo few results to say what each parameter does.")
    for each in effects:
        _show_effects(console, each)


def _show_roles(console: Console, roles: Sequence[RoleCount]) -> None:
    console.print(Text("Why points were proposed", style="bold"))
    table = Table.grid(padding=(0, 2))
    table.add_row(*(Text(head, style="dim") for head in ("", "trials", "measured", "new bests")))
    for each in roles:
        counts = (each.proposed, each.measured, each.improved)
        table.add_row(ROLES[each.role], *(Text(str(n), justify="right") for n in counts))
    console.print(table)


def _show_walk(console: Console, walk: Sequence[Step], goal: Goal) -> None:
    if not walk:
        return
    console.print(Text("\nThe walk of the best point", style="bold"))
    table = Table.grid(padding=(0, 2))
    table.add_row(*(Text(head, style="dim") for head in ("", goal.metric, "", "what changed")))
    for before, step in zip([None, *walk], walk, strict=False):
        changes = params_line(step.params)
        if before is not None:
            changes = ", ".join(
                f"{name} {_setting(before.params, name)} -> {_setting(step.params, name)}"
                for name in step.changed
            )
        note = "" if step.feasible else "nearer to the bounds" if before else "out of bounds"
        if not step.improved:
            note = f"after trial {step.by} showed the best before to be worse"
        value = metric_text(goal.metric, step.value, goal)
        notes = ", ".join(filter(None, (step.repeats, note)))
        table.add_row(f"trial {step.trial}", value, Text(notes, style="dim"), changes)
    console.print(table)


def _show_effects(console: Console, effects: Effects) -> None:
    signs = _ASCII if console.options.ascii_only else _UNICODE
    console.print(Text(f"\nWhat each parameter does to {effects.metric}", style="bold"))
    console.print(
        Text(
            f"By a model of {effects.results} points, which reproduces "
            f"{percent(effects.explained)} of their variance. {what_matters(effects)}"
        )
    )
    table = Table.grid(padding=(0, 2))
    heads = ("", "in all", "alone", "from its first level to its last", "expected")
    table.add_row(*(Text(head, style="dim") for head in heads))
    for effect in effects.by_weight:
        shape, extremes = _shape(effect, signs["bars"])
        shares = (percent(effect.total), percent(effect.share))
        table.add_row(
            effect.axis, *(Text(share, justify="right") for share in shares), shape, extremes
        )
    console.print(table)
    pairs = [pair for pair in effects.interactions if pair.share >= 0.01]
    together = ", ".join(f"{a} with {b} {percent(p.share)}" for p in pairs for a, b in [p.axes])
    beyond = f"three or more {percent(effects.beyond)}"
    console.print(Text(f"Together, beyond that: {together or 'no pair 1 %'}; {beyond}."))


def _shape(effect: Effect, bars: str) -> tuple[str, str]:
    """The effect as a row of bars, and its two ends in words, with one standard deviation."""
    means = [estimate.mean for estimate in effect.estimates]
    low, high = min(means), max(means)
    domain = Domain(low, high, log=covers_decades(means))
    count = min(len(means), 24)
    picked = [round(k * (len(means) - 1) / max(count - 1, 1)) for k in range(count)]
    shape = "".join(bars[round(domain.place(means[k]) * (len(bars) - 1))] for k in picked)
    words = []
    for k in (means.index(low), means.index(high)):
        e = effect.estimates[k]
        spread = f"({number(e.low)} to {number(e.high)})"
        words.append(f"{number(e.mean)} {spread} at {setting(effect.levels[k])}")
    return shape, words[0] if low == high else "; ".join(words)


def _setting(params: Params, name: str) -> str:
    return setting(params[name]) if name in params else ABSENT
