"""Compile matmul.c as PARAMS.json says, for N x N numbers, and run it: one trial."""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def compiled(flags: list[str], program: Path) -> Path:
    """The program made with these flags; the compiler is that of CC, or cc."""
    compiler = os.environ.get("CC", "cc")
    source = HERE / "matmul.c"
    subprocess.run([compiler, *flags, "-fopenmp", "-o", program, source, "-lm"], check=True)
    return program


def flags_of(params: dict) -> list[str]:
    """The compiler's flags for the parameters of the study."""
    flags = [params["level"]]
    flags += ["-march=native"] if params["native"] else []
    flags += ["-ffast-math"] if params["fast_math"] else []
    flags += ["-funroll-loops"] if params["unroll"] else []
    return flags + [f"-D{name.upper()}={params[name]}" for name in ("bi", "bj", "bk")]


if __name__ == "__main__":
    params = json.loads(Path(sys.argv[1]).read_text())
    size = [f"-DN={sys.argv[2]}"] if len(sys.argv) > 2 else []
    program = compiled(flags_of(params) + size, Path("matmul").resolve())
    print(subprocess.run([program], check=True, capture_output=True, text=True).stdout)
