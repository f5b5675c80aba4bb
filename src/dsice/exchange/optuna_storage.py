"""Opening Optuna's storages, with one-line messages for mistakes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dsice.errors import DsiceError, InvalidInput
from dsice.exchange.columns import needs

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

_URL: Final = re.compile(r"[a-z][a-z0-9+]*://")
_SQLITE: Final = "sqlite:///"
_DATABASES: Final = (".db", ".sqlite", ".sqlite3")
_HEADER: Final = b"SQLite format 3\0"


def load_optuna() -> Any:
    """The library.

    Raises:
        InvalidInput: it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise needs("Optuna", "optuna") from None
    return optuna


def is_storage(place: str) -> bool:
    """Whether ``place`` looks like one of Optuna's storages rather than like another file."""
    return bool(_URL.match(place)) or Path(place).suffix in (*_DATABASES, ".log", ".journal")


@contextmanager
def opened(place: str, writing: bool) -> Iterator[BaseStorage]:
    """The storage at a URL, in an SQLite file or in a file of Optuna's journal.

    A file that does not exist is made if ``writing``: an SQLite file by its name (``.db``,
    ``.sqlite``, ``.sqlite3``), otherwise a journal. Optuna is silent within.

    Raises:
        InvalidInput: there is none, it is none, or Optuna or a driver for it is missing.
        DsiceError: it cannot be read or written.
    """
    optuna = load_optuna()
    file = _file(place)
    if file is not None and not (writing and file.parent.is_dir()) and not file.is_file():
        lacking = file.parent if writing else file
        raise InvalidInput(f"cannot use {place}: there is no {lacking}")
    if file is not None and file.exists() and not file.is_file():
        what = "folder" if file.is_dir() else "device or a FIFO"
        raise InvalidInput(f"cannot use {place}: it is a {what}; name a file")
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield _storage(optuna, place, file)
    except DsiceError:
        raise
    except SQLAlchemyError as error:
        raise InvalidInput(f"cannot use {place}: {_brief(error)}") from None
    except optuna.exceptions.StorageInternalError as error:
        raise DsiceError(f"cannot use {place}: {_brief(error.__cause__ or error)}") from None
    except (ImportError, RuntimeError, ValueError, KeyError, OSError) as error:
        raise InvalidInput(f"cannot use {place}: {_brief(error)}") from None
    finally:
        optuna.logging.set_verbosity(level)


def _storage(optuna: Any, place: str, file: Path | None) -> BaseStorage:
    storages = optuna.storages
    storage: BaseStorage
    if _URL.match(place):
        storage = storages.RDBStorage(place)
    elif file is not None and _is_sqlite(file):
        storage = storages.RDBStorage(_SQLITE + str(file))
    else:
        storage = storages.JournalStorage(storages.journal.JournalFileBackend(str(file)))
    return storage


def _file(place: str) -> Path | None:
    """The file that a storage is, if it is one."""
    if place.startswith(_SQLITE):
        return Path(place.removeprefix(_SQLITE))
    return None if _URL.match(place) else Path(place)


def _is_sqlite(file: Path) -> bool:
    if not file.exists() or not file.stat().st_size:
        return file.suffix in _DATABASES
    with file.open("rb") as data:
        return data.read(len(_HEADER)) == _HEADER


def _brief(error: BaseException) -> str:
    text = str(getattr(error, "orig", None) or error) or type(error).__name__
    return " ".join(text.split())[:200]
