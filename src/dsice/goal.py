"""The goal: one or several metrics to minimise or maximise, subject to bounds on others.

Studies store raw metrics only. Feasibility and cost are computed here on demand, so that another
bound can be applied to the same history.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Literal

from dsice.errors import InvalidInput
from dsice.expression import Expression
from dsice.swept import Swept
from dsice.units import setting

Metrics = Mapping[str, float]

_BOUND: Final = re.compile(r"\s*(\$?[A-Za-z_][\w.\-/]*)\s*(<=|>=|<|>)\s*(.+?)\s*")


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound on one metric, such as ``rmse <= 12.5``.

    The limit may name the result of a stage, ``"rmse <= 1.015 * stage.pretrain.rmse"``; such a
    bound is settled by `Goal.settled` once the stage has ended, and has no limit before that.

    Attributes:
        metric: the bounded metric.
        relation: one of ``<= >= < >``.
        limit: a number, or None before it is settled.
        text: the bound as written.
    """

    metric: str
    relation: str
    limit: float | None
    text: str

    @classmethod
    def parse(cls, text: str) -> Bound:
        """The bound written as ``metric <= number`` (or >=, <, >).

        Raises:
            InvalidInput: not of that form.
        """
        match = _BOUND.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise InvalidInput(f"cannot read the bound {text!r}: write it like 'rmse <= 12.5'")
        metric, relation, right = match.groups()
        try:
            limit = Expression(right)
            if any(not name.startswith("stage.") for name in limit.names):
                raise InvalidInput("only numbers and stage.NAME.METRIC may stand on the right")
            value = _number(limit({})) if not limit.names else None
        except InvalidInput as error:
            raise InvalidInput(f"cannot read the bound {text!r}: {error}") from None
        return cls(metric, relation, value, " ".join(text.split()))

    def settled(self, stages: Mapping[str, Metrics]) -> Bound:
        """This bound with its limit computed from the metrics of stages.

        Raises:
            InvalidInput: a stage has no such metric.
        """
        if self.limit is not None:
            return self
        values = {f"stage.{s}.{m}": v for s, metrics in stages.items() for m, v in metrics.items()}
        try:
            return replace(self, limit=_number(Expression(self._right)(values)))
        except InvalidInput as error:
            raise InvalidInput(f"bound {self.text!r}: {error}") from None

    @property
    def _right(self) -> str:
        """The limit as written."""
        return self.text.split(self.relation, 1)[1].strip()

    @property
    def stages(self) -> frozenset[str]:
        """Names of the stages whose metrics the limit reads."""
        names = Expression(self._right).names
        return frozenset(name.split(".")[1] for name in names)

    @property
    def exact(self) -> str:
        """The bound to the last digit: bounds are equal in it only if they mean the same."""
        right = ast.parse(self._right, mode="eval")
        limit = ast.unparse(right) if self.limit is None else self.limit
        return f"{self.metric} {self.relation} {limit}"

    def excess(self, value: float) -> float:
        """By how much ``value`` breaks the bound, in the metric's own units; 0 where it holds.

        On the limit of a strict bound the excess is the smallest positive float.
        """
        if self.limit is None:
            raise InvalidInput(
                f"bound {self.text!r} needs the result of a stage that has not ended"
            )
        over = value - self.limit if self.relation.startswith("<") else self.limit - value
        if over == 0 and len(self.relation) == 1:
            return math.nextafter(0.0, 1.0)
        return max(over, 0.0)

    def __str__(self) -> str:
        if self.limit is None:
            return self.text
        return f"{self.metric} {self.relation} {setting(self.limit)}"


@dataclass(frozen=True)
class Goal:
    """Minimise or maximise one metric subject to bounds on others.

    ``Goal(minimize="niqe", subject_to=["rmse <= 12.5"])``, or ``maximize=``.

    With several objectives, ``Goal(minimize=["niqe", "rmse"])``, the goal is the Pareto front: the
    best first objective at every bound on the others. The first one is therefore the objective, and
    the others are ``swept``. Lists may be given to both ``minimize`` and ``maximize``.

    Attributes:
        minimize: the (first) metric to minimise, or None.
        maximize: the (first) metric to maximise, or None.
        subject_to: bounds as text; parsed in ``bounds``.
        swept: metrics that are bounded at many limits at once; empty for a single answer.
        of_repeats: which of several measurements of a point counts: their ``"median"``, or the
            ``"best"`` one, as timings are often compared by their minimum.
        bounds: the parsed bounds.

    Raises:
        InvalidInput: no objective, two that are not lists, an invalid bound, or another word for
            ``of_repeats``.
    """

    minimize: str | Sequence[str] | None = None
    maximize: str | Sequence[str] | None = None
    subject_to: Sequence[str] = ()
    swept: tuple[Swept, ...] = ()
    of_repeats: Literal["median", "best"] = "median"
    bounds: tuple[Bound, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._take_apart()
        if self.of_repeats not in ("median", "best"):
            raise InvalidInput(
                f"of_repeats = {self.of_repeats!r}: accepted are 'median' and 'best'"
            )
        if isinstance(self.subject_to, str) or not isinstance(self.subject_to, Sequence):
            raise InvalidInput(f"subject_to must be a list of bounds, not {self.subject_to!r}")
        object.__setattr__(self, "subject_to", tuple(self.subject_to))
        object.__setattr__(self, "bounds", tuple(map(Bound.parse, self.subject_to)))

    def _take_apart(self) -> None:
        """Make one objective of several, and swept metrics of the others."""
        given = [(self.minimize, "<="), (self.maximize, ">=")]
        lists = [names for names, _ in given if isinstance(names, list | tuple)]
        if not lists and (self.minimize is None) == (self.maximize is None):
            hint = "; for several, give lists" if self.minimize is not None else ""
            raise InvalidInput(f"a goal needs exactly one of minimize and maximize{hint}")
        wanted = [
            (name, relation)
            for names, relation in given
            if names is not None
            for name in (names if isinstance(names, list | tuple) else [names])
        ]
        for name, _ in wanted:
            if not isinstance(name, str) or not name:
                raise InvalidInput(f"an objective must be the name of a metric, not {name!r}")
        if not wanted:
            raise InvalidInput("a goal needs an objective: the lists are empty")
        if not lists:
            return
        (first, relation), *others = wanted
        object.__setattr__(self, "minimize", first if relation == "<=" else None)
        object.__setattr__(self, "maximize", first if relation == ">=" else None)
        more = tuple(Swept(str(name), each) for name, each in others)
        object.__setattr__(self, "swept", (*more, *self.swept))
        names = [name for name, _ in wanted]
        if twice := [name for name in names if names.count(name) > 1]:
            raise InvalidInput(f"the objective {twice[0]!r} is named twice")

    def over(self, swept: Swept) -> Goal:
        """This goal for a whole range of bounds on one metric, in place of its own bounds on it.

        The loosest limit stays a bound: what breaks it answers none of them.

        Raises:
            InvalidInput: the metric is the objective.
        """
        if swept.metric == self.metric:
            raise InvalidInput(
                f"{swept.metric!r} is the objective; a range of bounds is for another metric"
            )
        others = [
            bound.text
            for bound in self.bounds
            if bound.metric != swept.metric or bound.relation[0] != swept.relation[0]
        ]
        loosest = [] if swept.loosest is None else [swept.bound(swept.loosest)]
        goal = replace(self, subject_to=(*others, *loosest), swept=(swept,))
        limits = {bound.text: bound for bound in self.bounds}
        settled = tuple(limits.get(bound.text, bound) for bound in goal.bounds)
        object.__setattr__(goal, "bounds", settled)
        return goal

    @cached_property
    def metric(self) -> str:
        """The (first) objective's name."""
        return str(self.minimize if self.minimize is not None else self.maximize)

    @property
    def objectives(self) -> tuple[tuple[str, str], ...]:
        """All objectives, each with ``minimize`` or ``maximize``."""
        first = (self.metric, "minimize" if self.maximize is None else "maximize")
        others = [each for each in self.swept if not each.closed]
        senses = {"<=": "minimize", ">=": "maximize"}
        return (first, *((each.metric, senses[each.relation]) for each in others))

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """All metrics the goal reads: the objectives, then those of the bounds, without repeats."""
        swept = [each.metric for each in self.swept]
        bounded = [bound.metric for bound in self.bounds]
        return tuple(dict.fromkeys([self.metric, *swept, *bounded]))

    @property
    def exact(self) -> str:
        """The goal to the last digit: goals are equal in it only if they mean the same."""
        objectives = [f"{sense} {name}" for name, sense in self.objectives]
        swept = [f"every {each.text}" for each in self.swept if each.closed]
        parts = [*(bound.exact for bound in self.bounds), *swept]
        whole = " and ".join(objectives) + (f" subject to {' and '.join(parts)}" if parts else "")
        return whole if self.of_repeats == "median" else f"{whole}, {self.of_repeats} of repeats"

    def settled(self, stages: Mapping[str, Metrics]) -> Goal:
        """This goal with every bound's limit computed from the metrics of ``stages``."""
        goal = replace(self)
        object.__setattr__(goal, "bounds", tuple(b.settled(stages) for b in self.bounds))
        return goal

    def wants_small(self, name: str) -> bool:
        """Whether small values of a metric of the goal are good."""
        if name == self.metric:
            return self.maximize is None
        relations = [each.relation for each in self.swept if each.metric == name]
        relations += [bound.relation for bound in self.bounds if bound.metric == name]
        return relations[0].startswith("<")

    def missing(self, metrics: Metrics) -> str | None:
        """The first metric of the goal that ``metrics`` lacks, or None."""
        return next((name for name in self.metrics if name not in metrics), None)

    def cost(self, metrics: Metrics) -> float:
        """The objective with its sign turned so that smaller is better."""
        return metrics[self.metric] if self.maximize is None else -metrics[self.metric]

    def costs(self, metrics: Metrics) -> tuple[float, ...]:
        """The objective and all swept metrics, with signs turned so that smaller is better."""
        return (self.cost(metrics), *(each.sign * metrics[each.metric] for each in self.swept))

    def violation(self, metrics: Metrics) -> float:
        """How far ``metrics`` are from feasible: 0 if all bounds hold.

        Each bound's excess counts relative to the size of its limit (or as it is where the limit is
        zero), so that bounds on metrics of different units can be added.
        """
        total = 0.0
        for bound in self.bounds:
            if excess := bound.excess(metrics[bound.metric]):
                total += max(excess / (abs(bound.limit or 0.0) or 1.0), math.nextafter(0.0, 1.0))
        return total

    def feasible(self, metrics: Metrics) -> bool:
        """Whether all bounds hold."""
        return all(bound.excess(metrics[bound.metric]) == 0 for bound in self.bounds)

    def key(self, metrics: Metrics) -> tuple[bool, float, float]:
        """A key to sort measurements by: feasible first, then by cost, else by violation."""
        violation = self.violation(metrics)
        return (violation > 0, violation, self.cost(metrics))

    def __str__(self) -> str:
        verb, said = "", []
        for name, sense in self.objectives:
            said.append(name if sense == verb else f"{sense} {name}")
            verb = sense
        closed = [each for each in self.swept if each.closed]
        loosest = {each.bound(each.loosest) for each in closed if each.loosest is not None}
        bounds = [str(bound) for bound in self.bounds if bound.text not in loosest]
        parts = [*bounds, *(f"every {each}" for each in closed)]
        return " and ".join(said) + (f" subject to {' and '.join(parts)}" if parts else "")


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInput(f"{value!r} is no finite number")
    return float(value)
