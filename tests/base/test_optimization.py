"""Optimizers and schedules are the same in every wing."""

from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from zoo.base import MuonWithAdamW
from zoo.base.optimization import OptimizerName, hidden_matrices, make_optimizer
from zoo.errors import ZooError
from zoo.gan import DCGAN
from zoo.series import CausalConv, DenseForecaster, Linear, Recurrent
from zoo.tabular import Backprop, LinearRegression
from zoo.text import RNNLM, SentimentClassifier, TransformerLM
from zoo.vision import CNN, Dense, Transfer

TEXT: dict[str, Any] = {"vocab_size": 12}
MODELS: dict[str, Callable[..., Any]] = {
    "cnn": lambda **more: CNN(image_size=8, channels=[2], hidden_size=4, **more),
    "dense": lambda **more: Dense(in_features=4, hidden_size=3, num_classes=3, **more),
    "recurrent": lambda **more: Recurrent(hidden_size=4, **more),
    "causal convolution": lambda **more: CausalConv(window=8, channels=2, **more),
    "dense forecaster": lambda **more: DenseForecaster(window=8, **more),
    "recurrent language model": lambda **more: RNNLM(**TEXT, embedding_size=4, hidden_size=4, **more),
    "transformer": lambda **more: TransformerLM(**TEXT, width=12, num_layers=1, num_heads=2, **more),
    "sentiment": lambda **more: SentimentClassifier(**TEXT, reader="gru", length=5, **more),
    "line": lambda **more: LinearRegression(hidden_sizes=[2], **more),
}


@pytest.mark.parametrize("optimizer", get_args(OptimizerName))
@pytest.mark.parametrize("name", MODELS)
def test_every_model_can_be_trained_by_every_optimizer(name: str, optimizer: Any) -> None:
    torch.manual_seed(0)
    model = (
        MODELS[name](optimizer=optimizer, lr=0.01, weight_decay=0.1)
        if name != "line"
        else MODELS[name](optimizer=optimizer)
    )
    chosen: Any = model.configure_optimizers()
    before = [parameter.clone() for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    chosen.step()
    assert all((old != new).any() for old, new in zip(before, model.parameters(), strict=True))
    moved = [parameter for group in chosen.param_groups for parameter in group["params"]]
    assert len(moved) == len({id(parameter) for parameter in moved}) == len(before)


@pytest.mark.parametrize("optimizer", get_args(OptimizerName))
def test_both_networks_of_a_gan_have_the_wanted_optimizer(optimizer: Any) -> None:
    model = DCGAN(image_size=8, latent_size=4, width=4, features=None, optimizer=optimizer)
    kinds = {type(one).__name__ for one in model.configure_optimizers()}  # type: ignore[union-attr]
    assert kinds == {{"adamw": "AdamW", "adam": "Adam", "sgd": "SGD", "muon": "MuonWithAdamW"}[optimizer]}


def test_biases_and_gains_do_not_decay() -> None:
    model = MODELS["transformer"](optimizer="adamw", weight_decay=0.1)
    chosen: Any = model.configure_optimizers()
    decays = {id(one): group["weight_decay"] for group in chosen.param_groups for one in group["params"]}
    assert all(decays[id(one)] == (0.1 if one.ndim > 1 else 0.0) for one in model.parameters())


def test_muon_moves_neither_embedding_nor_head() -> None:
    model = MODELS["transformer"](optimizer="muon")
    moved = {id(one) for one in model.hidden_matrices()}
    ends = [*model.network.embedding.parameters(), *model.network.head.parameters()]
    assert moved
    assert not moved & {id(one) for one in ends}
    network = MODELS["cnn"]().network
    assert [tuple(one.shape) for one in hidden_matrices(network)] == [(2, 1, 3, 3), (4, 32)]


def test_kernels_are_moved_as_the_matrices_that_they_are() -> None:
    def moved(shape: tuple[int, ...]) -> Tensor:
        torch.manual_seed(0)
        parameter = torch.nn.Parameter(torch.randn(4, 6).view(shape))
        parameter.grad = torch.randn(4, 6).view(shape)
        MuonWithAdamW([parameter], [torch.nn.Parameter(torch.zeros(1))], lr=0.1).step()
        return parameter.detach().flatten()

    torch.testing.assert_close(moved((4, 2, 3)), moved((4, 6)))


def test_head_and_unfrozen_blocks_have_their_rates_with_muon_too() -> None:
    options: Any = {"unfreeze_blocks": 1, "optimizer": "muon", "schedule": "constant"}
    model = Transfer(weights=None, image_size=32, hidden_size=4, **options)
    chosen: Any = model.configure_optimizers()
    rates = {id(one): group["lr"] for group in chosen.param_groups for one in group["params"]}
    assert {rates[id(one)] for one in model.network.head.parameters()} == {model.lr}
    assert {rates[id(one)] for one in model._tuned} == {model.backbone_lr}


def test_model_without_hidden_matrices_refuses_muon() -> None:
    with pytest.raises(ZooError, match="muon moves matrices of hidden layers, and this model has none"):
        Linear(optimizer="muon").configure_optimizers()
    with pytest.raises(ZooError, match="muon moves"):
        Backprop(optimizer="muon").configure_optimizers()


def test_unknown_names_are_told() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(ZooError, match="no optimizer 'adan'; there are adamw, adam, sgd, muon; did you mean 'adam'"):
        make_optimizer("adan", [([weight], 0.1)])  # type: ignore[arg-type]
    with pytest.raises(ZooError, match=r"no schedule 'cosin'.* did you mean 'cosine'"):
        CNN(schedule="cosin")
