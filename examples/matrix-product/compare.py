"""Measure the best of a study beside the program as it was: python3 compare.py [DIR] [ROUNDS].

All variants are run in turn, round after round, so that whatever else the machine does meets all.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from build import compiled, flags_of

directory = sys.argv[1] if len(sys.argv) > 1 else "runs/matrix-product"
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 15
best = subprocess.run(["dsice", "best", directory, "--json"], capture_output=True, text=True)
if best.returncode:
    sys.exit(best.stderr)
params = json.loads(best.stdout)["params"]
variants = {"default (-O2)": ["-O2"], "plain -O3": ["-O3"], "tuned": flags_of(params)}
environment = {"OMP_NUM_THREADS": "2"} | os.environ
times = {name: [] for name in variants}
with tempfile.TemporaryDirectory() as folder:
    programs = {
        name: compiled(flags, Path(folder, f"matmul-{number}"))
        for number, (name, flags) in enumerate(variants.items())
    }
    for _ in range(rounds):
        for name, program in programs.items():
            done = subprocess.run([program], env=environment, check=True, capture_output=True)
            times[name].append(json.loads(done.stdout)["seconds"])
usual = {name: statistics.median(each) for name, each in times.items()}
print(f"median of {rounds} runs, and the fastest and slowest:")
for name, each in times.items():
    speedup = usual["default (-O2)"] / usual[name]
    print(
        f"  {name:14} {usual[name] * 1e3:8.1f} ms  ({min(each) * 1e3:.1f} to {max(each) * 1e3:.1f})"
        f"  {speedup:5.2f} times as fast as the default"
    )
print("tuned:", " ".join(variants["tuned"]))
