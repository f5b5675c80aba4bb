"""Gradient boosting on the diabetes data that ship with scikit-learn: one trial, or the test.

python3 train.py PARAMS.json           5-fold cross-validation on 80 % of the patients
python3 train.py --test DIR            the best of a study beside the defaults, on the others
"""

import json
import pickle
import subprocess
import sys
from pathlib import Path

from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import cross_val_score, train_test_split

data, target = load_diabetes(return_X_y=True)  # 442 patients, 10 measurements of each
x, x_test, y, y_test = train_test_split(data, target, test_size=0.2, random_state=0)


def model(params: dict) -> GradientBoostingRegressor:
    """A model with these parameters, by scikit-learn's own names."""
    return GradientBoostingRegressor(random_state=0, **params)


def measured(params: dict) -> dict:
    """What a trial returns: the error in cross-validation, and the size of the fitted model."""
    scores = cross_val_score(model(params), x, y, cv=5, scoring="neg_root_mean_squared_error")
    size = len(pickle.dumps(model(params).fit(x, y)))
    return {"rmse": -scores.mean(), "kilobytes": size / 1000}


def test(params: dict) -> float:
    """The error on the patients that no trial has seen."""
    return root_mean_squared_error(y_test, model(params).fit(x, y).predict(x_test))


if sys.argv[1] == "--test":
    best = subprocess.run(["dsice", "best", sys.argv[2], "--json"], capture_output=True, text=True)
    if best.returncode:
        sys.exit(best.stderr)
    tuned = json.loads(best.stdout)["params"]
    for name, params in {"defaults": {}, "tuned": tuned}.items():
        found = measured(params)
        print(
            f"{name:9} cross-validation {found['rmse']:6.2f}, unseen patients {test(params):6.2f}, "
            f"{found['kilobytes']:5.0f} kB"
        )
else:
    print(json.dumps(measured(json.loads(Path(sys.argv[1]).read_text()))))
