"""Forecasters in a trainer: every value counted once, learning, state that goes on, pictures of what was measured."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import LightningDataModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import zoo
from zoo.errors import ZooError
from zoo.series.baselines import Naive
from zoo.series.forecaster import Forecaster
from zoo.series.linear import Linear
from zoo.series.stateful import Stateful

from .small import SMALL, TWO_AHEAD, make, noise


class Batches(Dataset[Any]):
    """Batches made by hand."""

    times: np.ndarray
    names: list[str]

    def __init__(self, *batches: tuple[Tensor, Tensor]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        return self.batches[number]


def loader(*batches: tuple[Tensor, Tensor]) -> DataLoader[Any]:
    """Serves batches made by hand."""
    return DataLoader(Batches(*batches), batch_size=None)


def trainer(*callbacks: Callback, **arguments: Any) -> Trainer:
    """A trainer that is silent and leaves nothing."""
    return Trainer(
        logger=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu",
        callbacks=list(callbacks), enable_checkpointing=bool(callbacks), **arguments,
    )  # fmt: skip


def test_metrics_count_every_value_once() -> None:
    # The last values are 0 and 0, so the errors are the targets. Batches of unequal size must weigh by their values.
    model = Naive(num_series=2, mean=[0.0, 0.0], std=[10.0, 1.0], naive_mae=[1.0, 4.0])
    many, one = torch.tensor([[[3.0, -2.0]], [[1.0, 0.0]], [[0.0, 8.0]]]), torch.tensor([[[2.0, 4.0]]])
    batches = loader((torch.zeros(3, 1, 2), many), (torch.zeros(1, 1, 2), one))
    (found,) = trainer().test(model, batches, verbose=False)
    huber = (0.3**2 / 2 + 0.1**2 / 2 + 0.2**2 / 2 + 1.5 + 7.5 + 3.5) / 8
    expected = {"mae": 20 / 8, "mse": 98 / 8, "rmse": (98 / 8) ** 0.5, "mase": (6 + 14 / 4) / 8, "loss": huber}
    assert found == pytest.approx({f"test_{name}": value for name, value in expected.items()})
    first, second = model.breakdown(None).values()
    assert first == pytest.approx({"mae": 6 / 4, "mase": 6 / 4})
    assert second == pytest.approx({"mae": 14 / 4, "mase": 14 / 4 / 4})


def test_steps_ahead_are_also_told_alone() -> None:
    model = Naive(horizon=3, naive_mae=[2.0])
    targets = torch.tensor([[1.0, 2.0, 3.0], [1.0, -4.0, 7.0]])[..., None]
    (found,) = trainer().test(model, loader((torch.zeros(2, 1, 1), targets)), verbose=False)
    assert found["test_mae"] == pytest.approx(3)
    assert [found[f"test_{name}"] for name in ("mae_1", "mase_1", "mae_3", "mase_3")] == pytest.approx([1, 0.5, 5, 2.5])


def test_only_the_last_step_of_a_sequence_counts() -> None:
    model = make("rnn sequence")
    inputs, targets = noise(4, 12, 2), noise(4, 12, 2) + 1
    (found,) = trainer().validate(model, loader((inputs, targets)), verbose=False)
    assert found["val_mae"] == pytest.approx((model(inputs) - targets)[:, -1].abs().mean().item(), rel=1e-5)


@pytest.mark.parametrize("name", ["seasonal difference", "wavenet"])
def test_checkpoint_of_a_training_loads_alone(name: str, tmp_path: Path) -> None:
    model = make(name).train()
    batches = loader((noise(8, 12, 2), noise(8, 2, 2)))
    trainer(ModelCheckpoint(tmp_path, filename="mine"), max_epochs=1).fit(model, batches, batches)
    inputs = noise(2, 12, 2)
    assert torch.equal(zoo.load(tmp_path / "mine.ckpt")(inputs), model.eval()(inputs))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("loss", ["huber", "mse", "mae"])
def test_training_learns(optimizer: Any, loss: Any) -> None:
    torch.manual_seed(0)
    inputs = noise(64, 12, 2)
    targets = inputs[:, -3:-1] * 0.5
    model = Linear(**{**TWO_AHEAD, "mean": [0.0], "std": [1.0]}, optimizer=optimizer, loss=loss, lr=0.03)
    batches = loader((inputs, targets))
    before = (model(inputs) - targets).abs().mean().item()
    trainer(max_epochs=60).fit(model, batches)
    assert (model(inputs) - targets).abs().mean().item() < 0.4 * before


class Lanes(LightningDataModule):
    """Two lanes of training in three chunks, one of validation in two chunks that follows the second lane."""

    def __init__(self) -> None:
        super().__init__()
        self.series = noise(61, 2)

    def history(self, split: str) -> Tensor:
        return self.series[None, :40]

    def train_dataloader(self) -> DataLoader[Any]:
        lanes = self.series[:40].unflatten(0, (2, 20)), self.series[1:41].unflatten(0, (2, 20))
        return loader(*zip(*(part.split(7, 1) for part in lanes), strict=True))

    def val_dataloader(self) -> DataLoader[Any]:
        lane = self.series[None, 40:-1], self.series[None, 41:]
        return loader(*zip(*(part.split(13, 1) for part in lane), strict=True))

    test_dataloader = val_dataloader

    def error(self, model: Forecaster, start: int) -> float:
        """The error of the validation when the state begins at ``start``."""
        forecasts = model(self.series[None, start:-1])
        return (forecasts[:, 40 - start :] - self.series[None, 41:]).abs().mean().item()


def test_validation_of_a_stateful_model_goes_on_from_the_last_training_lane() -> None:
    model, data = make("stateful lstm").train(), Lanes()
    model.lr = 0.0
    fitted = trainer(max_epochs=2, num_sanity_val_steps=0)
    fitted.fit(model, datamodule=data)
    assert fitted.callback_metrics["val_mae"].item() == pytest.approx(data.error(model.eval(), start=20), rel=1e-5)


@pytest.mark.parametrize("noise", [{"input_noise": 0.5}, {"level_noise": 2.0}, {"dropout": 0.9}])
def test_noise_of_a_stateful_training_stays_out_of_its_validation(noise: dict[str, Any]) -> None:
    data = Lanes()
    model = Stateful(**SMALL, cell="lstm", hidden_size=6, lr=0.0, **noise)
    fitted = trainer(max_epochs=2, num_sanity_val_steps=0)
    fitted.fit(model, datamodule=data)
    assert fitted.callback_metrics["val_mae"].item() == pytest.approx(data.error(model.eval(), start=0), rel=1e-5)


def test_lanes_keep_their_level_for_an_epoch() -> None:
    model = Stateful(**SMALL, level_noise=2.0)
    chunks = [model.disturb(torch.zeros(3, 12, 2), torch.zeros(3, 12, 2))[0] for _ in range(2)]
    assert torch.equal(*chunks)
    assert len(chunks[0][:, 0].unique()) == 6
    model.on_train_epoch_start()
    assert not torch.equal(model.disturb(torch.zeros(3, 12, 2), torch.zeros(3, 12, 2))[0], chunks[0])


def test_measured_stateful_model_has_read_what_went_before() -> None:
    model, data = make("stateful lstm"), Lanes()
    (found,) = trainer().test(model, datamodule=data, verbose=False)
    assert found["test_mae"] == pytest.approx(data.error(model, start=0), rel=1e-5)


def test_validation_leaves_the_state_of_the_training_alone() -> None:
    finals = []
    for checks in (3, 1):
        model = make("stateful lstm").train()
        trainer(max_epochs=2, val_check_interval=checks).fit(model, datamodule=Lanes())
        finals.append(model.state_dict())
    assert all(torch.equal(finals[0][key], finals[1][key]) for key in finals[0])


def test_every_epoch_of_a_stateful_training_starts_empty() -> None:
    model, data = make("stateful rnn").train(), Lanes()
    assert isinstance(model, Stateful)
    model.read(noise(2, 9, 2))
    model.lr = 0.0
    trainer(max_epochs=2, limit_val_batches=0).fit(model, datamodule=data)
    seen = model.state
    model.reset()
    model.read(data.series[:40].unflatten(0, (2, 20)))
    assert seen is not None
    assert model.state is not None
    torch.testing.assert_close(seen, model.state)


@pytest.mark.parametrize("name", ["linear", "stateful rnn"])
def test_pictures_of_an_evaluation(name: str) -> None:
    model = make(name)
    steps = 2 if name == "linear" else 12
    outputs = []
    for number in range(2):
        batch = noise(1 if steps == 12 else 5, 12, 2), noise(1 if steps == 12 else 5, steps, 2)
        outputs.append(model.validation_step(batch, number))
    joined = {key: torch.cat([part[key].detach() for part in outputs]) for key in outputs[0]}
    shown = 11 if steps == 2 else 24
    rows = Batches()
    pictures = model.figures(joined, rows)
    assert pictures.keys() == {"forecasts", "residuals"}
    first = pictures["forecasts"].axes[0]
    assert len(np.asarray(first.lines[0].get_ydata())) == shown
    assert first.get_title().startswith("series 1: ")
    assert pictures["forecasts"].axes[-1].get_xlabel() == "step of the evaluated period"
    # Rows that know them state the times of all that they forecast, even if fewer were evaluated.
    rows.times, rows.names = np.datetime64("2024-01-29") + 7 * np.arange(shown + 5), ["bread", "cakes"]
    for figure, number in zip(model.figures(joined, rows).values(), (0, 0), strict=True):
        line = figure.axes[number].lines[0]
        assert list(np.asarray(line.get_xdata())[:2].astype("M8[D]").astype(str)) == ["2024-01-29", "2024-02-05"]
        assert figure.axes[number].get_title().startswith("bread: ")


def test_lanes_must_not_change_within_an_epoch() -> None:
    model = Stateful(hidden_size=4)
    model.read(torch.zeros(3, 5, 1))
    with pytest.raises(ZooError, match="2 lanes follow 3"):
        model.read(torch.zeros(2, 5, 1))
