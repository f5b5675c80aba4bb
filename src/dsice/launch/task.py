"""The program of a job script: submitit's own task, without NumPy.

``python -m dsice.launch.task FOLDER``. submitit imports NumPy if it is installed, for functions
that use it; a shim does not, and importing it takes longer than all else that a shim does.
"""

from __future__ import annotations

import sys
from typing import Any, cast


def main() -> None:
    """Run the job that submitit has pickled into a folder."""
    modules = cast(dict[str, Any], sys.modules)
    modules["numpy"] = None  # importing it raises ImportError
    from submitit.core.submission import submitit_main

    del modules["numpy"]
    submitit_main()


if __name__ == "__main__":
    main()
