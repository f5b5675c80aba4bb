"""A program that wants an input file, ``python3 orbit.py INPUT``: a comet around the sun.

One period of a long ellipse, by steps that are shorter where the comet is fast. Prints how many
times the force was computed, and how far from its starting point the comet ends.
"""

import configparser
import json
import math
import sys
from pathlib import Path

config = configparser.ConfigParser()
with Path(sys.argv[1]).open() as file:
    config.read_file(file)
scheme = [float(word) for word in config["method"]["kicks"].split()]
drifts = [float(word) for word in config["method"]["drifts"].split()]
step, power = config["step"].getfloat("length"), config["step"].getfloat("power")
eccentricity = config["orbit"].getfloat("eccentricity")

x, y = 1.0 - eccentricity, 0.0
u, v = 0.0, math.sqrt((1 + eccentricity) / (1 - eccentricity))
time, forces, period = 0.0, 0, 2 * math.pi
while time < period and forces < 200_000:
    h = min(step * math.hypot(x, y) ** power, period - time)
    for kick, drift in zip(scheme, drifts, strict=True):
        if kick:
            cube = math.hypot(x, y) ** 3
            u, v = u - h * kick * x / cube, v - h * kick * y / cube
            forces += 1
        x, y = x + h * drift * u, y + h * drift * v
    time += h
error = math.hypot(x - (1 - eccentricity), y)
print(json.dumps({"forces": forces, "error": error}))
