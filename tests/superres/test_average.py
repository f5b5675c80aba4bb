from __future__ import annotations

import copy

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from superres.average import Average, check_decay
from superres.errors import UserError


def test_it_is_torchs_exponential_average_to_the_last_bit() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.PReLU())
    theirs = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9))  # type: ignore[no-untyped-call]
    theirs.update_parameters(network)
    ours = Average(network, 0.9)
    begin = copy.deepcopy(network)
    for _ in range(5):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        theirs.update_parameters(network)
        ours.update()
    for found, wanted, first in zip(
        ours.module.parameters(), theirs.module.parameters(), begin.parameters(), strict=True
    ):
        assert torch.equal(found, wanted)
        assert not torch.equal(found, first)


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_decays_that_make_no_sense_are_refused(decay: float) -> None:
    with pytest.raises(UserError, match="--ema must be"):
        check_decay(decay)
