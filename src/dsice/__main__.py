"""``python -m dsice``: the command line, where the script ``dsice`` is not on the path."""

import sys

from dsice.cli import main

if __name__ == "__main__":
    sys.exit(main())
