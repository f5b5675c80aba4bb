from __future__ import annotations

import copy
import math
from threading import Event

import pytest
import torch
from torch import Tensor

from superres.checkpoint import Checkpoint
from superres.compute import to_tensor
from superres.cutting import Sizes
from superres.data import Dataset
from superres.discriminator import Discriminator
from superres.errors import Diverged, Stopped, UserError
from superres.features import FeatureNetwork, random_features
from superres.losses import LossWeights
from superres.model import PRESETS, Generator, GeneratorConfig, Preset
from superres.monitor import Report
from superres.patches import Patches
from superres.photos import wheel_photos
from superres.prepare import prepare
from superres.running import Conditions
from superres.training import Settings, finetune, pretrain, steps_of_epochs

PRESET = Preset(GeneratorConfig(6, 4, 2), discriminator_width=4, learning_rate=1e-3)
SETTINGS = Settings(steps=4, batch=2, patch=8, learning_rate=1e-3, seed=1)
WEIGHTS = LossWeights(1e-2, 1e-1, 1e-3, 10)


@pytest.fixture(scope="module")
def features() -> FeatureNetwork:
    return random_features()


@pytest.fixture
def start() -> Checkpoint:
    torch.manual_seed(0)
    return Checkpoint(Generator(PRESET.generator), Discriminator(4), ({"stage": "pretrain"},))


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    theirs = b.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in a.state_dict().items())


def test_every_weight_changes_the_training(
    start: Checkpoint, dataset: Dataset, features: FeatureNetwork
) -> None:
    def trained(weights: LossWeights) -> Tensor:
        done = finetune(copy.deepcopy(start), dataset, features, weights, SETTINGS).checkpoint
        return torch.cat([p.detach().flatten() for p in done.generator.parameters()])

    base = trained(WEIGHTS)
    for name in ("mse", "vgg", "adv", "style"):
        values = {n: getattr(WEIGHTS, n) for n in ("mse", "vgg", "adv", "style")}
        values[name] *= 8
        assert not torch.equal(trained(LossWeights(**values)), base), name


def test_a_common_factor_of_the_weights_changes_nothing(
    start: Checkpoint, dataset: Dataset, features: FeatureNetwork
) -> None:
    other = copy.deepcopy(start)
    scaled = LossWeights(1e-2 / 64, 1e-1 / 64, 1e-3 / 64, 10 / 64)
    first = finetune(start, dataset, features, WEIGHTS, SETTINGS)
    second = finetune(other, dataset, features, scaled, SETTINGS)
    assert same(first.checkpoint.generator, second.checkpoint.generator)
    assert second.loss == pytest.approx(first.loss / 64, rel=1e-6)


def test_training_is_deterministic(dataset: Dataset, features: FeatureNetwork) -> None:
    def both() -> tuple[Checkpoint, Checkpoint]:
        torch.rand(3)  # whatever went before must not matter
        pretrained = pretrain(dataset, PRESET, SETTINGS, 3).checkpoint
        begin = copy.deepcopy(pretrained)
        return pretrained, finetune(begin, dataset, features, WEIGHTS, SETTINGS).checkpoint

    for once, again in zip(both(), both(), strict=True):
        assert same(once.generator, again.generator)
        assert same(once.discriminator, again.discriminator)


def test_pretraining_learns(dataset: Dataset) -> None:
    settings = Settings(steps=60, batch=2, patch=8, learning_rate=3e-3, seed=0)
    trained = pretrain(dataset, PRESET, settings, 0)
    assert trained.loss < trained.reports[0]["loss"] / 3


def test_pretraining_learns_on_the_absolute_error(dataset: Dataset) -> None:
    settings = Settings(steps=60, batch=2, patch=8, learning_rate=3e-3, seed=0)
    trained = pretrain(dataset, PRESET, settings, 0, loss="l1")
    first, last = trained.reports[0], trained.reports[-1]
    assert last["loss"] < first["loss"] / 1.5
    assert last["mse"] < last["loss"] < 1
    assert not same(
        trained.checkpoint.generator, pretrain(dataset, PRESET, settings, 0).checkpoint.generator
    )


def test_the_warmed_up_discriminator_tells_real_from_fake(dataset: Dataset) -> None:
    done = pretrain(dataset, PRESET, SETTINGS, 60).checkpoint
    batch = Patches(dataset, 8, 8, 9).read(1)
    low, high = (to_tensor(i) for i in (batch.low, batch.high))
    with torch.no_grad():
        real = done.discriminator(high).mean()
        fake = done.discriminator(done.generator(low)).mean()
    assert real > fake


def test_reports(start: Checkpoint, dataset: Dataset, features: FeatureNetwork) -> None:
    reports: list[Report] = []
    conditions = Conditions(progress=reports.append)
    done = finetune(start, dataset, features, WEIGHTS, SETTINGS, conditions)
    assert [r["step"] for r in reports] == [1, 2, 3, 4]
    for r in reports:
        weighted = 1e-2 * r["mse"] + 1e-1 * r["vgg"] + 1e-3 * r["adv"] + 10 * r["style"]
        assert r["loss"] == pytest.approx(weighted, rel=1e-5)
        assert r["rmse"] == pytest.approx(255 * math.sqrt(r["mse"]))
    assert done.reports == reports
    assert done.loss == reports[-1]["loss"]
    assert done.checkpoint.history == ({"stage": "pretrain"},)


def test_a_training_that_runs_away_is_stopped(
    start: Checkpoint, dataset: Dataset, features: FeatureNetwork
) -> None:
    wild = Settings(steps=50, batch=2, patch=8, learning_rate=1e6, seed=0)
    with pytest.raises(Diverged, match="diverged at step"):
        finetune(start, dataset, features, WEIGHTS, wild)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Real photographs, whose brightness differs more than that of synthetic ones."""
    folder = tmp_path_factory.mktemp("demo")
    prepare(wheel_photos(), folder, Sizes(), report=lambda _: None)
    return Dataset(folder)


@pytest.mark.parametrize("seed", range(4))
def test_a_healthy_training_of_one_patch_a_step_is_not_stopped(demo: Dataset, seed: int) -> None:
    """`superres prepare --out demo; superres pretrain --data demo --batch 1 --out x`."""
    stop = Event()
    reports: list[Report] = []

    def progress(report: Report) -> None:
        reports.append(report)
        if report["step"] >= 60:
            stop.set()

    settings = Settings(steps=1200, batch=1, patch=20, learning_rate=3e-3, seed=seed)
    with pytest.raises(Stopped):
        pretrain(demo, PRESETS["tiny"], settings, 0, Conditions(progress=progress, stop=stop))
    assert reports[-1]["mse"] < reports[0]["mse"]


def test_epochs_are_rounded_up_to_steps() -> None:
    assert steps_of_epochs(3, 10, 8) == 4


@pytest.mark.parametrize(
    "values",
    [
        (0, 2, 8, 1e-3, 0),
        (1, 0, 8, 1e-3, 0),
        (1, 1, 3, 1e-3, 0),
        (1, 1, 8, 0.0, 0),
        (1, 1, 8, math.nan, 0),
        (1, 1, 8, 1e-3, -1),
    ],
)
def test_impossible_settings_are_refused(values: tuple[int, int, int, float, int]) -> None:
    with pytest.raises(UserError):
        Settings(*values)
    with pytest.raises(UserError, match="positive"):
        Settings(1, 1, 8, 1e-3, 0, clip=0.0)
    with pytest.raises(UserError, match="schedules are linear"):
        Settings(1, 1, 8, 1e-3, 0, schedule="sudden")
