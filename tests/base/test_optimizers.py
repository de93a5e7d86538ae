"""The optimizer and the schedule that the zoo adds to those of torch."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW
from torch.optim import Muon as TorchMuon

from zoo.base.muon import Muon, MuonWithAdamW, orthogonalised
from zoo.base.optimization import WarmupCosineLR


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def together(net: nn.Sequential) -> MuonWithAdamW:
    matrices = [one for one in net.parameters() if one.ndim == 2]
    return MuonWithAdamW(matrices, [one for one in net.parameters() if one.ndim == 1], lr=0.02, weight_decay=0.1)


def train(net: nn.Sequential, *optimizers: Any, steps: int = 5) -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for optimizer in optimizers:
            optimizer.zero_grad()
        net(torch.randn(16, 6, generator=generator)).square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()


def test_each_part_does_what_it_does_alone() -> None:
    ours, theirs = network(), network()
    train(ours, together(ours))
    matrices = [one for one in theirs.parameters() if one.ndim == 2]
    others = [one for one in theirs.parameters() if one.ndim == 1]
    parts = (
        Muon(matrices, 0.02, 0.1),
        AdamW(others, 0.02, (0.9, 0.99), weight_decay=0.0),
    )
    train(theirs, *parts)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


def test_muon_is_that_of_torch_but_for_its_rounding() -> None:
    ours, theirs = network(), network()
    mine_to_train, theirs_to_train = ([one for one in net.parameters() if one.ndim == 2] for net in (ours, theirs))
    train(ours, Muon(mine_to_train, 0.02, 0.1))
    train(theirs, TorchMuon(theirs_to_train, 0.02, 0.1, adjust_lr_fn="match_rms_adamw"))
    for before, mine, other in zip(network().parameters(), ours.parameters(), theirs.parameters(), strict=True):
        if before.ndim == 2:
            assert (mine - other).norm() < 0.02 * (mine - before).norm()


@pytest.mark.parametrize("shape", [(8, 24), (24, 8), (8, 8)])
def test_orthogonalised_keeps_the_directions_and_evens_the_sizes(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    sizes = torch.linalg.svdvals(orthogonalised(matrix).float())
    assert sizes.min() > 0.6
    assert sizes.max() < 1.3
    assert orthogonalised(matrix).float().mul(u @ v).sum() == pytest.approx(float(sizes.sum()), rel=0.02)


def test_learning_rates_reach_the_parts() -> None:
    net = network()
    optimizer = together(net)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = [one.clone() for one in net.parameters()]
    train(net, optimizer)
    assert all(torch.equal(one, other) for one, other in zip(net.parameters(), before, strict=True))


def test_a_restored_optimizer_goes_on_as_if_nothing_had_been() -> None:
    whole, resumed = network(), network()
    optimizer = together(whole)
    train(whole, optimizer)
    resumed.load_state_dict(whole.state_dict())
    restored = together(resumed)
    # As from a file; torch would share the tensors.
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for group in (*optimizer.param_groups, *restored.param_groups):
        group["lr"] = 0.01
    train(whole, optimizer)
    train(resumed, restored)
    assert all(torch.equal(one, other) for one, other in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_closure_is_called_once_with_gradients() -> None:
    net, calls = network(), []

    def closure() -> torch.Tensor:
        loss = net(torch.ones(2, 6)).square().mean()
        loss.backward()
        calls.append(loss)
        return loss

    assert together(net).step(closure) is calls[0]
    assert len(calls) == 1


@pytest.mark.parametrize("steps", [1, 10, 500])
def test_warmup_rises_then_falls_to_zero(steps: int) -> None:
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = WarmupCosineLR(optimizer, T_max=steps)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    rise = max(1, round(steps / 50))
    assert rates[: rise + 1] == sorted(rates[: rise + 1])
    assert rates[rise:] == sorted(rates[rise:], reverse=True)
    assert max(rates) == pytest.approx(2.0 if steps > 1 else 1.0)
    if steps > rise + 2:
        middle = rise + (steps - rise) // 2
        assert rates[middle] == pytest.approx(1 + math.cos(math.pi * (middle - rise) / (steps - rise)))
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-9)
