"""The study file as pydantic models: its keys and their types.

Conditions between keys are checked in `dsice.study.checks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, Literal

from pydantic import Field, create_model

from dsice.errors import InvalidInput
from dsice.launch.make import SETTINGS, settings_of
from dsice.launch.names import OWN, TITLES, installed
from dsice.launch.settings import Table
from dsice.search import DEFAULT_SEARCH
from dsice.study.program_table import CommandConfig, FinalistsConfig, Text
from dsice.study.run_table import RunConfig

Level = bool | int | float | str


class PictureRow(Table):
    """One row of pictures in the report: ``[[report.pictures]]``.

    Attributes:
        title: heading above the row.
        files: caption to path; paths may contain the fields of a trial and ``{best}``, the folder
            of the best trial.
    """

    title: str = ""
    files: dict[str, Text]


class ReportConfig(Table):
    """Options of the report: ``[report]``.

    Attributes:
        full_length: the time of a full-length run in multiples of a trial's, if trials are
            shortened (fine-tuning instead of training from scratch).
        pictures: rows of pictures.
    """

    full_length: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    pictures: Annotated[tuple[PictureRow, ...], Field(strict=False)] = ()


class Range(Table):
    """Levels of one parameter: range, log, linear, geometric, integers, choice, values or flag.

    Attributes:
        range: ends of a continuous range, represented by round numbers, 21 or as many as levels
            says; any other number between the ends is mapped to its nearest level.
        log: the same on a logarithmic scale; four levels per decade unless levels says how many.
        linear: first and last of evenly spaced levels; with levels or step.
        geometric: first and last of levels with one ratio; with levels, or with the ratio as step.
        integers: first and last of consecutive whole numbers, or of every step-th.
        choice: values without an order.
        values: levels in order, as in a list without a table.
        flag: an argument that is present or omitted, ``"--fast"``: the levels are false and true.
        levels: number of levels.
        step: difference between consecutive levels, or their ratio.
        when: the condition of a conditional parameter: an expression in the values of other
            parameters, ``"optimizer == 'sgd'"``. Where it is false, the parameter has no level, and
            its arguments are omitted from the command.
        was: for a parameter that is added to a study with results, its level in these results.
        expect: the level that is expected to be the best: the first trials are near it more often
            than elsewhere, and it counts less with every result. Within a continuous range, the
            nearest level.
        weights: instead of ``expect``, how promising each level seems, ``[1, 2, 8, 2, 1]``, on any
            scale.
    """

    range: Annotated[tuple[int | float, int | float], Field(strict=False)] | None = None
    log: Annotated[tuple[int | float, int | float], Field(strict=False)] | None = None
    linear: Annotated[tuple[int | float, int | float], Field(strict=False)] | None = None
    geometric: Annotated[tuple[int | float, int | float], Field(strict=False)] | None = None
    integers: Annotated[tuple[int, int], Field(strict=False)] | None = None
    choice: list[Level] | None = None
    values: list[Level] | None = None
    flag: Text | None = None
    levels: int | None = None
    step: float | None = None
    when: Text | None = None
    was: Level | None = None
    expect: Level | None = None
    weights: list[Annotated[float, Field(ge=0, allow_inf_nan=False)]] | None = None


RANGES: Final = ("range", "log", "linear", "geometric", "integers", "choice", "values", "flag")
"""The keys of a `Range` that say which levels it has; it has one of them."""


class First(Table):
    """Settings that are measured first: ``first``.

    Attributes:
        settings: a value of every parameter, by name; the first of them is the baseline.
        nearest: whether a number that is not a level is replaced by the nearest one.
    """

    settings: list[dict[str, Any]]
    nearest: bool = False


class StudyFile(Table):
    """The whole study file.

    Attributes:
        name: of the study, and of its folder under ``runs``.
        minimize: the metric to minimise; a list of several asks for their Pareto front.
        maximize: the metric to maximise; a list of several asks for their Pareto front.
        subject_to: bounds on other metrics, ``["rmse <= 12.5"]``; a limit may use the result of a
            stage, ``"rmse <= 1.015 * stage.pretrain.rmse"``.
        allowed: a rule on parameter values that excludes points without a trial,
            ``"tile * unroll <= 512"``.
        of_repeats: which of several measurements of a point counts: the ``"median"``, or the
            ``"best"``: the minimum of a minimised metric, as usual for timings.
        only_ratios_of: parameters of which only the ratios matter, such as weights of a loss:
            points that differ in them by a common factor are measured once.
        first: settings that are known to work, ``[{ lr = 1e-3, layout = "aos" }]``, measured before
            anything else. The first one is the baseline, with which the best is compared. In the
            form ``{ settings = [...], nearest = true }``, numbers are replaced by their nearest
            levels, as always in continuous ranges.
        learn_from: results of related programs that the search learns from: directories of studies,
            and files and storages that ``dsice import`` reads,
            ``["../a100/runs/conv", "old.csv"]``, relative to the study file's folder.
            ``"auto"``: earlier studies in the same ``runs`` folder with this program, its
            parameters and this objective. All are read when the study begins, and kept in its
            directory.
        search: the search by name, or a table with ``name`` and its options,
            ``{ name = "dsice", tolerance = 0.01, repeats = 2 }``.
        seed: of the search's random choices.
        paths: files and folders that the programs need and that must exist, by the names of
            their fields, relative to the study file's folder.
        grid: the parameters: each a list of levels in order, or a table that defines them.
        stage: programs that run once, in order, before the trials; ``{stage.NAME}`` is the folder
            of a stage.
        trial: the program to tune.
        finalists: repeating the best trials at full length, after the budget.
        run: where, how many at once and for how long.
        report: options of the report.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    minimize: Text | list[Text] | None = None
    maximize: Text | list[Text] | None = None
    subject_to: list[str] = Field(default_factory=list)
    of_repeats: Literal["median", "best"] = "median"
    allowed: str | None = None
    only_ratios_of: list[Text] = Field(default_factory=list)
    first: list[dict[str, Any]] | First = Field(default_factory=list)
    learn_from: list[Text] | Literal["auto"] = Field(default_factory=list)
    search: str | dict[str, Any] = DEFAULT_SEARCH
    seed: Annotated[int, Field(ge=0)] = 0
    paths: dict[str, Text] = Field(default_factory=dict)
    grid: Annotated[dict[str, list[Level] | Range], Field(min_length=1)]
    stage: dict[str, CommandConfig] = Field(default_factory=dict)
    trial: CommandConfig
    finalists: FinalistsConfig | None = None
    run: RunConfig = Field(default_factory=RunConfig)
    report: ReportConfig = Field(default_factory=ReportConfig)


def file_model(data: Mapping[str, Any] | None = None) -> type[StudyFile]:
    """The model of a study file, with the tables of batch systems.

    Args:
        data: the file; batch systems of other packages are loaded only if it names them. None:
            with those of all installed packages.

    Raises:
        InvalidInput: such a package cannot be used.
    """
    if data is None:
        return _file_model(tuple(installed()))
    run = data.get("run")
    named = [*run, run.get("on")] if isinstance(run, Mapping) else []
    others = {name for name in named if isinstance(name, str)} - {*RunConfig.model_fields, *OWN}
    return _file_model(tuple(sorted(name for name in others if name in installed())))


@cache
def _file_model(further: tuple[str, ...]) -> type[StudyFile]:
    kinds = dict(SETTINGS) | {name: settings_of(name) for name in further}
    tables: dict[str, Any] = {}
    for name, kind in kinds.items():
        if name in RunConfig.model_fields:
            raise InvalidInput(f"launcher {name!r} of another package: 'run.{name}' is taken")
        what = f"settings of every job on {TITLES.get(name, name)}."
        tables[name] = (kind | None, Field(default=None, description=what))
    run = create_model("RunConfig", __base__=RunConfig, __doc__=RunConfig.__doc__, **tables)
    of_run: Any = (run, Field(default_factory=run))
    return create_model("StudyFile", __base__=StudyFile, __doc__=StudyFile.__doc__, run=of_run)
