"""The formats by name, and guessing the format of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from dsice.errors import InvalidInput
from dsice.exchange import (
    csv_file,
    json_file,
    kernel_tuner,
    optuna_study,
    other_study,
    parquet_file,
)
from dsice.exchange.optuna_storage import is_storage
from dsice.exchange.source import Source
from dsice.exchange.text_file import COMPRESSED
from dsice.study.config import StudyConfig
from dsice.study.state import Study

Read = Callable[[str, StudyConfig, str | None], Source]
Write = Callable[[Study, str, str | None], str]

READERS: Final[Mapping[str, Read]] = {
    "csv": csv_file.read,
    "json": json_file.read,
    "parquet": parquet_file.read,
    "optuna": optuna_study.read,
    "kernel-tuner": kernel_tuner.read,
    "dsice": other_study.read,
}
"""Each reads what lies at a place for a study; a name picks one where there are several."""

WRITERS: Final[Mapping[str, Write]] = {
    "csv": csv_file.write,
    "curves": csv_file.write_curves,
    "parquet": parquet_file.write,
    "optuna": optuna_study.write,
}
"""Each writes a study to a place, by a name if that has names, and says what it did."""

_SUFFIXES: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}
_SPREADSHEETS: Final = (".xlsx", ".xls", ".ods", ".numbers")


def guess(place: str) -> str:
    """The format of ``place``: by its name, or because it is a folder.

    Raises:
        InvalidInput: that does not tell.
    """
    if is_storage(place):
        return "optuna"
    path = Path(place)
    if path.is_dir():
        return "dsice"
    suffix = (path.with_suffix("") if path.suffix.lower() in COMPRESSED else path).suffix.lower()
    if suffix in _SPREADSHEETS:
        raise InvalidInput(f"cannot read the spreadsheet {place!r}: save it as CSV")
    try:
        return _SUFFIXES[suffix]
    except KeyError:
        raise InvalidInput(
            f"cannot tell the format of {place!r}: give --format, one of {', '.join(READERS)}"
        ) from None
