"""What a job script starts: submitit's own task, without NumPy.

``python -m dsice.launch.task FOLDER``. submitit imports NumPy if there is one, for the sake of
functions that use it; a shim uses none, and loading it takes longer than all that a shim does.
"""

from __future__ import annotations

import sys
from typing import Any, cast


def main() -> None:
    """Run the job that submitit has pickled into a folder."""
    modules = cast(dict[str, Any], sys.modules)
    modules["numpy"] = None  # whoever imports it is told that there is none
    from submitit.core.submission import submitit_main

    del modules["numpy"]
    submitit_main()


if __name__ == "__main__":
    main()
