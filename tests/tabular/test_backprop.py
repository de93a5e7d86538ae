"""Backpropagation by hand: the network from scratch."""

import pytest
import torch
from lightning import Trainer

from datamodules import Function1D
from zoo.errors import ZooError
from zoo.tabular.backprop import Activation, Backprop, BackpropNet


@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
@pytest.mark.parametrize("architecture", [[4, 5, 3], [1, 10, 10, 10, 1], [3, 7, 2]])
def test_gradients_by_hand_equal_autograd(architecture: list[int], activation: Activation) -> None:
    torch.manual_seed(0)
    network = BackpropNet(architecture, activation).double()
    inputs, targets = torch.randn(9, architecture[0]).double(), torch.randn(9, architecture[-1]).double()
    by_hand = network.gradients(network.activations(inputs), targets)
    loss = (network(inputs) - targets).square().sum(1).mean()
    by_autograd = torch.autograd.grad(loss, list(network.parameters()))
    assert len(by_hand) == len(by_autograd)
    for ours, theirs in zip(by_hand, by_autograd, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)


def test_training_never_asks_autograd() -> None:
    model = Backprop(classes=["a", "b", "c"])
    loss = model.training_step((torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1])), 0)
    assert loss > 0
    assert not loss.requires_grad


def test_accumulated_batches_take_the_step_of_one_large_batch() -> None:
    def train(batch_size: int, accumulate: int) -> list[torch.Tensor]:
        torch.manual_seed(0)
        data = Function1D(points=64, batch_size=batch_size)
        model = Backprop([1, 6, 1], lr=0.5)
        trainer = Trainer(
            max_epochs=1,
            accumulate_grad_batches=accumulate,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            accelerator="cpu",
        )
        trainer.fit(model, datamodule=data)
        assert trainer.global_step == 1
        return [*model.parameters(), trainer.callback_metrics["train_loss"]]

    for large, small in zip(train(64, 1), train(16, 4), strict=True):
        torch.testing.assert_close(large, small, rtol=1e-5, atol=1e-6)


def test_weights_start_uniform_in_minus_one_to_one() -> None:
    torch.manual_seed(0)
    values = torch.cat([parameter.detach().flatten() for parameter in BackpropNet([100, 100, 100]).parameters()])
    assert -1 <= values.min() < -0.99
    assert 0.99 < values.max() < 1
    assert abs(values.mean()) < 0.02


@pytest.mark.parametrize("architecture", [[4, 3], [4], [], [4, 0, 3]])
def test_architecture_without_a_hidden_layer_is_refused(architecture: list[int]) -> None:
    with pytest.raises(ZooError, match="no hidden layer or an empty one; expected sizes like"):
        BackpropNet(architecture)


def test_a_model_of_numbers_does_not_classify() -> None:
    with pytest.raises(ZooError, match="has no classes"):
        Backprop([1, 2, 1]).classify(torch.zeros(1, 1))


def test_ends_of_the_architecture_follow_the_data() -> None:
    model = Backprop(architecture=[0, 5, 0], in_features=7, classes=["a", "b", "c"])
    assert [tuple(one.shape) for one in model.network.weights] == [(5, 7), (3, 5)]
    assert Backprop(architecture=[0, 5, 0], mean=[0.0, 1.0])(torch.zeros(3, 2)).shape == (3, 1)
    with pytest.raises(ZooError, match="takes 4 features, and the data has 7; the first size must be 7, or 0"):
        Backprop(architecture=[4, 5, 3], in_features=7)
