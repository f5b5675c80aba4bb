"""The trial program of studies started from Python: calls the pickled function."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any, Final

import cloudpickle

LOADING: Final = "DSICE_LOADING"
"""Environment variable that is set while the module of the function is imported."""


def main() -> None:
    """``python -m dsice.study.call FUNCTION.pkl PARAMS.json``: call, and write the metrics."""
    path, needed, pickled = cloudpickle.loads(Path(sys.argv[1]).read_bytes())
    sys.path += [entry for entry in path if entry not in sys.path]
    # Unpickling imports the function's module, which must not start the study again.
    os.environ[LOADING] = "1"
    function = cloudpickle.loads(pickled)
    del os.environ[LOADING]
    try:
        returned = function(json.loads(Path(sys.argv[2]).read_text()))
    except SystemExit as end:  # an exit without metrics
        sys.exit(f"the function called sys.exit({end.code!r})")
    try:
        metrics = metrics_of(returned, needed)
    except ValueError as error:
        sys.exit(str(error))
    Path(os.environ["DSICE_RESULT"]).write_text(json.dumps(metrics, default=str))


def metrics_of(returned: object, needed: Sequence[str]) -> dict[str, Any]:
    """Convert a function's return value to metrics.

    Args:
        returned: a dictionary of metrics, or one number where the goal reads one metric only.
        needed: the goal's metrics that are not built-in.

    Raises:
        ValueError: it is something else; the message says what, and what is accepted. The message
            is the same for all values of a kind, so that equal failures can be recognised.
    """
    wanted = "{" + ", ".join(f"{name!r}: ..." for name in needed) + "}"
    if isinstance(returned, Mapping):
        return {str(name): _plain(str(name), value) for name, value in returned.items()}
    if returned is None and not needed:
        return {}
    if returned is None:
        raise ValueError(f"the function returned None, not {wanted}: has it a return statement?")
    number = _number(returned)
    if number is None:
        kind = "a coroutine" if hasattr(returned, "cr_code") else f"a {type(returned).__name__}"
        raise ValueError(
            f"the function returned {kind}: it must return a dict of metrics, {wanted}"
        )
    if len(needed) != 1:
        raise ValueError(
            f"the function returned one number, and the goal reads {len(needed)} metrics: "
            f"it must return {wanted}"
        )
    return {needed[0]: number}


def _number(value: object) -> int | float | None:
    """``value`` as a Python number, also from scalars of NumPy and PyTorch; else None."""
    if isinstance(value, Mapping | str | bytes | bool):
        return None
    if math.prod(getattr(value, "shape", ())) != 1:
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    return float(value) if isinstance(value, Real | Decimal) else None


def _plain(name: str, value: object) -> object:
    number = _number(value)
    if number is not None:
        return number
    shape = getattr(value, "shape", ())
    if shape and math.prod(shape) != 1:
        kind, size = type(value).__name__, "x".join(map(str, shape))
        raise ValueError(f"metric {name!r} is a {kind} of {size} numbers: it must be one number")
    return value


if __name__ == "__main__":
    main()
