"""Lines by gradient descent: degrees as the notes have them, and the paths over the loss surface."""

import csv
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT, Zoo
from lightning import Trainer
from tiny import tiny_cli

import zoo
from datamodules import Celsius, NoisyLine
from datamodules.errors import DataError
from zoo.errors import ZooError
from zoo.tabular.descent import DescentPath, Surface
from zoo.tabular.linear import LinearRegression
from zoo.training.run_folder import write_results

# What Keras reaches with the notes' settings, the mean of several initialisations.
KERAS_WEIGHT = 1.824


def least_squares(data: Any) -> tuple[float, float]:
    inputs, targets = (part.double().numpy() for part in data.splits["train"])
    weight, bias = np.linalg.lstsq(np.hstack([inputs, np.ones_like(inputs)]), targets, rcond=None)[0][:, 0]
    return float(weight), float(bias)


def facts(data: Any) -> dict[str, Any]:
    return {name: getattr(data, name) for name in ("in_features", "mean", "std", "target_mean", "target_std")}


def fit(model: LinearRegression, data: Any, epochs: int) -> Trainer:
    trainer = Trainer(
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        limit_val_batches=0,
    )
    trainer.fit(model, datamodule=data)
    return trainer


def test_published_degrees_are_the_least_squares_line() -> None:
    model = zoo.load("linear_celsius")
    weight, bias = least_squares(Celsius())
    assert (weight, bias) == pytest.approx((1.797949, 31.952526), abs=1e-6)
    assert (float(model.weight[0]), float(model.bias)) == pytest.approx((weight, bias), abs=1e-3)
    assert model(torch.tensor([[100.0]])).item() == pytest.approx(211.75, abs=0.01)


def test_settings_of_the_notes_end_where_keras_ends() -> None:
    model = zoo.load("linear_celsius_notes")
    assert float(model.weight[0]) == pytest.approx(KERAS_WEIGHT, abs=0.1)
    assert 28 < float(model.bias) < 30, "short of the least-squares line's 31.95"


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("hidden_sizes", [[], [4, 4]])
def test_weight_and_bias_are_those_of_the_data_as_it_is(hidden_sizes: list[int], normalise: bool) -> None:
    torch.manual_seed(0)
    model = LinearRegression(hidden_sizes=hidden_sizes, normalise=normalise, **facts(Celsius()))
    inputs = torch.tensor([[-40.0], [0.0], [100.0]])
    expected = inputs.double() * model.weight + model.bias
    torch.testing.assert_close(model(inputs).double(), expected, rtol=1e-5, atol=1e-4)


def test_three_layers_of_the_notes_have_33_parameters() -> None:
    assert sum(one.numel() for one in LinearRegression(hidden_sizes=[4, 4]).parameters()) == 33


def test_planes_of_several_features_are_fitted_too() -> None:
    torch.manual_seed(0)
    model = LinearRegression(in_features=3, mean=[1.0, 2.0, 3.0], std=[1.0, 2.0, 4.0])
    inputs = torch.randn(5, 3)
    expected = inputs.double() @ model.weight + model.bias
    torch.testing.assert_close(model(inputs).double().squeeze(1), expected, rtol=1e-5, atol=1e-5)
    assert model.example_input().shape == (1, 3)


def test_surface_is_the_mean_squared_error() -> None:
    data = NoisyLine(points=50)
    inputs, targets = data.splits["train"]
    surface = Surface.of(inputs, targets)
    for weight, bias in ((0.3, -2.0), (2.0, -1.0), surface.minimum):
        expected = float((inputs.double() * weight + bias - targets.double()).square().mean())
        assert float(surface.loss(torch.tensor(weight), torch.tensor(bias))) == pytest.approx(expected, rel=1e-6)
    assert surface.minimum == pytest.approx(least_squares(data), rel=1e-6)


@pytest.mark.parametrize(("share", "converges"), [(0.98, True), (1.02, False)])
def test_rates_beyond_the_highest_diverge(share: float, converges: bool) -> None:
    data = NoisyLine(points=50, batch_size=50)
    surface = Surface.of(*data.splits["train"])
    torch.manual_seed(0)
    model = LinearRegression(normalise=False, optimizer="sgd", lr=share * surface.highest_rate, **facts(data))
    fit(model, data, 150)
    start, *_, end = surface.loss(*model.path.state()[:, :2].unbind(1)).tolist()
    assert (end < start) == converges


@pytest.mark.parametrize("batch_size", [1, 4, 20])
def test_path_has_a_point_for_every_step(batch_size: int) -> None:
    data = NoisyLine(points=20, batch_size=batch_size)
    model = LinearRegression(normalise=False, optimizer="sgd", lr=0.01, **facts(data))
    start = float(model.weight[0]), float(model.bias)
    trainer = fit(model, data, 2)
    path = model.path.state()
    assert len(path) == trainer.global_step + 1 == 2 * 20 // batch_size + 1
    assert tuple(path[0].tolist()) == (*start, 0)
    assert path[-1, :2].tolist() == [float(model.weight[0]), float(model.bias)]
    assert (path[:, 2].diff() > 0).all(), "time goes on"


def test_path_goes_on_where_it_was_interrupted() -> None:
    path = DescentPath()
    for step in range(3):
        path.add(torch.tensor([float(step)]), torch.tensor(0.0))
    resumed = DescentPath(path.state())
    resumed.start_clock()
    resumed.add(torch.tensor([3.0]), torch.tensor(0.0))
    assert resumed.state()[:, 0].tolist() == [0, 1, 2, 3]
    assert (resumed.state()[:, 2].diff() > 0).all()


def test_runs_are_drawn_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [tmp_path / name / "run" for name in ("linear_batch", "linear_minibatch")]
    for run in runs:
        write_results(run, run.parent.name, tiny_cli(run.parent.name, run, figures=True).run())
        with (run / "metrics.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if row["weight"]]
        assert [int(row["epoch"]) for row in rows] == [0, 1]
        assert (run / "figures" / "descent.png").stat().st_size > 5_000
    arguments = [*map(str, runs), "--diverging", str(runs[0]), "--plot", str(tmp_path / "descent.png")]
    monkeypatch.setattr(sys, "argv", ["descent.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "scripts" / "descent.py"), run_name="__main__")
    assert stop.value.code == 0
    assert (tmp_path / "descent.png").stat().st_size > 20_000


def test_diverging_run_tells_a_rate_that_converges(zoo_command: Zoo) -> None:
    code, _, err = zoo_command("fit", "linear_batch", "--model.lr=5", "--quiet")
    assert code == 2
    assert "became NaN or infinite in epoch" in err
    assert "try a smaller learning rate: of this data, in full batches, one below 0.483 converges" in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: NoisyLine(points=1), "1 points from 0.0 to 2.0"),
        (lambda: NoisyLine(low=2.0, high=1.0), "200 points from 2.0 to 1.0"),
        (lambda: NoisyLine(noise=-1.0), "noise is -1.0"),
        (lambda: LinearRegression(std=[0.0]), "what is constant has no slope"),
        (lambda: LinearRegression(hidden_sizes=[4, 0]), "expected at least 1 in each"),
        (lambda: LinearRegression(optimizer="lbfgs"), "no optimizer 'lbfgs'"),  # type: ignore[arg-type]
    ],
)
def test_bad_input_is_named(build: Any, says: str) -> None:
    with pytest.raises((ZooError, DataError), match=says):
        build()


def test_splits_of_a_noisy_line_are_different_points_of_the_same_line() -> None:
    splits = NoisyLine(noise=0.0, points=30).splits
    assert not torch.equal(splits["train"][0], splits["test"][0])
    for inputs, targets in splits.values():
        torch.testing.assert_close(targets, 2 * inputs - 1)
    assert torch.equal(NoisyLine(seed=3).splits["val"][1], NoisyLine(seed=3).splits["val"][1])
