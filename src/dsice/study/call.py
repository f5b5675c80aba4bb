"""The program of a trial whose study was started from Python: calls the pickled function."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Final

import cloudpickle

LOADING: Final = "DSICE_LOADING"
"""Environment variable that is set while the module of the function is imported."""


def main() -> None:
    """``python -m dsice.study.call FUNCTION.pkl PARAMS.json``: call, and write the metrics."""
    path, pickled = cloudpickle.loads(Path(sys.argv[1]).read_bytes())
    sys.path += [entry for entry in path if entry not in sys.path]
    # Unpickling imports the function's module, which must not begin the study anew.
    os.environ[LOADING] = "1"
    function = cloudpickle.loads(pickled)
    del os.environ[LOADING]
    try:
        metrics = function(json.loads(Path(sys.argv[2]).read_text()))
    except SystemExit as end:  # not an end that leaves metrics
        sys.exit(f"the function called sys.exit({end.code!r})")
    if not isinstance(metrics, dict):
        sys.exit(f"the function returned {metrics!r}: it must return a dict of metrics")
    # NumPy and torch scalars become Python's own numbers.
    plain = {str(k): v.item() if hasattr(v, "item") else v for k, v in metrics.items()}
    Path(os.environ["DSICE_RESULT"]).write_text(json.dumps(plain, default=str))


if __name__ == "__main__":
    main()
