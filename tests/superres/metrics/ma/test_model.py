"""Forests of the layout of `model.mat`, small and random: the authors' file is not at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

from superres.errors import UserError
from superres.metrics.ma import MODEL_BLOB, Features, load_model
from superres.metrics.ma.forest import Forest
from superres.metrics.ma.model import git_blob

Fields = dict[str, NDArray[Any]]
LENGTHS = (18, 45, 75)


def grow(features: int, trees: int, seed: int, rows: int = 41) -> Fields:
    """Random trees in MATLAB's layout; the first is a single leaf, the last fills its column."""
    random = np.random.default_rng(seed)
    fields: Fields = {name: np.zeros((rows, trees), np.int32) for name in ("lDau", "rDau", "mbest")}
    fields |= {name: np.zeros((rows, trees)) for name in ("upper", "avnode")}
    for tree in range(trees):
        size = 1 if tree == 0 else rows if tree == trees - 1 else int(random.integers(1, rows))
        fields["avnode"][0, tree] = 5
        nodes, open_nodes = 1, [0]
        while open_nodes and nodes + 2 <= size:
            node = open_nodes.pop(int(random.integers(len(open_nodes))))
            fields["lDau"][node, tree] = nodes + 1
            fields["rDau"][node, tree] = nodes + 2
            fields["mbest"][node, tree] = random.integers(1, features + 1)
            fields["upper"][node, tree] = random.normal()
            fields["avnode"][nodes : nodes + 2, tree] = random.uniform(0, 10, 2)
            open_nodes += [nodes, nodes + 1]
            nodes += 2
    return {**fields, "coef": np.zeros((2, 1)), "ntree": np.array(float(trees))}


def walk(fields: Fields, tree: int, vector: NDArray[np.float64], row: int = 1) -> float:
    """One tree's answer, straight from the description of the layout."""
    if fields["lDau"][row - 1, tree] == 0:
        return float(fields["avnode"][row - 1, tree])
    asked = vector[fields["mbest"][row - 1, tree] - 1]
    side = "lDau" if asked <= fields["upper"][row - 1, tree] else "rDau"
    return walk(fields, tree, vector, int(fields[side][row - 1, tree]))


def write(path: Path, forests: list[Fields], blend: list[float]) -> str:
    cells = np.empty((3, 1), object)
    for i, forest in enumerate(forests):
        cells[i, 0] = forest
    model = {"rf": cells, "linear": np.array(blend)[:, None]}
    savemat(path, {"model": model}, do_compression=True)
    return git_blob(path)


@pytest.fixture
def vectors() -> Features:
    random = np.random.default_rng(9)
    return Features(*(random.normal(size=n) for n in LENGTHS))


def test_the_score_is_that_of_a_plain_walk(tmp_path: Path, vectors: Features) -> None:
    forests = [grow(n, 50, seed) for seed, n in enumerate(LENGTHS)]
    blob = write(tmp_path / "model.mat", forests, [-0.5, 0.2, 0.3, 0.6])
    model = load_model(tmp_path / "model.mat", blob)
    answers = [
        np.mean([walk(fields, tree, vector) for tree in range(50)])
        for fields, vector in zip(forests, vectors, strict=True)
    ]
    expected = -0.5 + 0.2 * answers[0] + 0.3 * answers[1] + 0.6 * answers[2]
    assert model.score(vectors) == pytest.approx(expected)
    assert [len(f.roots) for f in model.forests] == [50, 50, 50]


def test_many_vectors_reach_the_right_leaves() -> None:
    fields = grow(5, 8, 3)
    forest = Forest.from_matlab(fields, 5)
    for vector in np.random.default_rng(4).normal(size=(200, 5)):
        expected = np.mean([walk(fields, tree, vector) for tree in range(8)])
        assert forest.predict(vector) == pytest.approx(expected)


def test_equal_to_the_threshold_is_a_yes() -> None:
    fields = grow(1, 2, 0, rows=3)
    at = np.array([fields["upper"][0, 1]])
    yes, no = fields["avnode"][1:, 1]
    forest = Forest.from_matlab(fields, 1)
    assert forest.predict(at) == pytest.approx((5 + yes) / 2)
    assert forest.predict(np.nextafter(at, 99)) == pytest.approx((5 + no) / 2)


def test_a_correction_of_bias_is_applied() -> None:
    fields = grow(3, 4, 1)
    vector = np.zeros(3)
    plain = Forest.from_matlab(fields, 3).predict(vector)
    corrected = Forest.from_matlab({**fields, "coef": np.array([[0.5], [1.25]])}, 3)
    assert corrected.predict(vector) == pytest.approx(0.5 + 1.25 * plain)


def test_features_that_are_no_numbers_have_no_score(tmp_path: Path, vectors: Features) -> None:
    blob = write(tmp_path / "m.mat", [grow(n, 3, n) for n in LENGTHS], [0, 1, 1, 1])
    vectors.gsm[3] = np.nan
    assert np.isnan(load_model(tmp_path / "m.mat", blob).score(vectors))


def test_the_hash_is_that_of_git(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"what is up, doc?")
    assert git_blob(file) == "bd9dbf5aae1a3862dd1526723246b20206e5fc37"  # from the Git Book


def test_another_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "model.mat", [grow(n, 3, n) for n in LENGTHS], [0, 1, 1, 1])
    with pytest.raises(UserError, match=rf"not the model.mat .* not {MODEL_BLOB}"):
        load_model(tmp_path / "model.mat")
    with pytest.raises(UserError, match="No such file"):
        load_model(tmp_path / "none.mat")
    with pytest.raises(UserError, match="Is a directory"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lDau": np.array([[1], [0], [0]])}, "out of order"),
        ({"rDau": np.array([[4], [0], [0]])}, "out of order"),
        ({"mbest": np.array([[46], [0], [0]])}, "45 features"),
        ({"upper": np.zeros((2, 1))}, "differ in size"),
    ],
)
def test_a_forest_that_makes_no_sense_is_refused(
    change: Fields, reason: str, tmp_path: Path
) -> None:
    fields = {
        "lDau": np.array([[2], [0], [0]]),
        "rDau": np.array([[3], [0], [0]]),
        "mbest": np.array([[1], [0], [0]]),
        "upper": np.zeros((3, 1)),
        "avnode": np.zeros((3, 1)),
        "coef": np.zeros((2, 1)),
    }
    Forest.from_matlab(fields, 18)
    file = tmp_path / "m.mat"
    blob = write(file, [fields, {**fields, **change}, fields], [0, 1, 1, 1])
    with pytest.raises(UserError, match=reason) as caught:
        load_model(file, blob)
    assert "\n" not in str(caught.value)


def test_what_is_no_matlab_file_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "m.mat"
    for content in (b"", b"text\n" * 100, b"MATLAB 7.3 MAT-file".ljust(126) + b"\x00\x02" * 99):
        file.write_bytes(content)
        with pytest.raises(UserError, match="cannot read forests") as caught:
            load_model(file, git_blob(file))
        assert "\n" not in str(caught.value)
