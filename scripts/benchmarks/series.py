"""Forecasters: training against hand-written loops, windows over a long series, forecasts at all of its steps."""

import copy
import sys
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from datamodules.series.periods import divide
from datamodules.series.pooled import DRAWN
from datamodules.series.recording import Recording
from datamodules.series.series import PORTION, Series
from datamodules.series.timeline import Timeline
from scripts.benchmarks.harness import Batches, Bench, Measured, Race, measured, quotient
from scripts.benchmarks.report import Row
from zoo.series.causal_conv import CausalConv
from zoo.series.recurrent import State
from zoo.training.cli import ZooCLI


class HandWrittenForecaster:
    """A PyTorch loop with the network, loss, optimizer and schedule of a forecasting recipe, on its windows, no more.

    The series is normalised once, and its windows are copied into one tensor that each epoch indexes in a new order.
    That is as plain as a ``TensorDataset`` with a ``DataLoader`` and quicker, since no windows are collated.
    Lanes are cut into chunks once; the state is detached between them.

    Args:
        cli: The recipe, not run yet, in float32.
        epochs: How often it will train.
    """

    def __init__(self, cli: ZooCLI, epochs: int) -> None:
        model: Any = cli.model
        loader = cli.datamodule.train_dataloader()
        self.batch_size = cli.datamodule.batch_size
        self.chunks: list[tuple[Tensor, Tensor]] = []
        self._copy(cli, loader.dataset)
        self.network = copy.deepcopy(model.network).train()
        self.anchor: Any = None if model.residual == "none" else model.anchor
        self.relative, self.input_noise, self.level_noise = model.relative, model.input_noise, model.level_noise
        losses: dict[str, Callable[[Tensor, Tensor], Tensor]]
        losses = {"huber": partial(F.huber_loss, delta=model.delta), "mse": F.mse_loss, "mae": F.l1_loss}
        self.loss = losses[model.loss]
        decayed = [parameter for parameter in self.network.parameters() if parameter.ndim > 1]
        others = [parameter for parameter in self.network.parameters() if parameter.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": model.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer: torch.optim.Optimizer
        if model.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(groups, model.lr, momentum=model.momentum)
        else:
            self.optimizer = torch.optim.AdamW(groups, model.lr, fused=True)
        steps = epochs * len(loader)
        self.scheduler: LRScheduler | None = None
        if model.schedule == "one_cycle":
            self.scheduler = OneCycleLR(self.optimizer, model.lr, steps + 1, cycle_momentum=model.optimizer == "adamw")
        elif model.schedule == "cosine":
            self.scheduler = CosineAnnealingLR(self.optimizer, steps)

    def _copy(self, cli: ZooCLI, rows: Any) -> None:
        """Copies the windows; of lanes, their chunks."""
        model: Any = cli.model
        # Of windows (N, T, C) and (N, H, C), of lanes both (lanes, steps, C).
        inputs, targets = (((part - model.mean) / model.std).contiguous() for part in rows.tensors)
        self.windows = (inputs, targets)
        if cli.datamodule.mode == "lanes":
            length = cli.datamodule.window
            self.chunks = list(zip(inputs.split(length, 1), targets.split(length, 1), strict=True))

    def train(self) -> int:
        """Trains for an epoch and returns on how many windows, or chunks of a lane."""
        seen = 0
        state: State | None = None
        level: Tensor | None = None
        for inputs, targets in self.chunks or self._batches():
            if self.level_noise:
                # The level of a lane lasts for the epoch.
                if level is None or not self.chunks:
                    level = self.level_noise * torch.randn_like(targets[:, :1])
                inputs, targets = inputs + level, targets + level
            if self.input_noise:
                inputs = inputs + self.input_noise * torch.randn_like(inputs)
            anchor: Any = self.anchor(inputs) if self.anchor is not None else 0.0
            seen_by_network = inputs - anchor[:, :1] if self.relative else inputs
            if self.chunks:
                forecasts, carried = self.network.advance(seen_by_network, state)
                state = tuple(part.detach() for part in carried)
            else:
                forecasts = self.network(seen_by_network)
            forecasts = forecasts + anchor
            loss = self.loss(forecasts, targets)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if self.scheduler is not None:
                self.scheduler.step()
            seen += len(inputs)
        return seen

    def _batches(self) -> Batches:
        inputs, targets = self.windows
        for rows in torch.randperm(len(inputs)).split(self.batch_size):
            yield inputs[rows], targets[rows]


class HandWrittenPool(HandWrittenForecaster):
    """The same loop over windows that are drawn from many whole series, each in its own scale."""

    def _copy(self, cli: ZooCLI, rows: Any) -> None:
        self.series = cli.datamodule.splits["train"].T.contiguous()
        self.window, self.horizon = cli.datamodule.window, cli.datamodule.horizon
        self.drawn = min(DRAWN, len(rows))

    def _batches(self) -> Batches:
        count, length = self.series.shape
        steps = torch.arange(self.window + self.horizon)
        for drawn in torch.arange(self.drawn).split(self.batch_size):
            places = torch.randint(count, drawn.shape) * length
            places += torch.randint(length - len(steps) + 1, drawn.shape)
            windows = self.series.view(-1).take(places[:, None] + steps)
            seen = windows[:, : self.window]
            mean, std = seen.mean(1, keepdim=True), seen.std(1, correction=0, keepdim=True)
            scaled = ((windows - mean) / std)[..., None]
            yield scaled[:, : self.window], scaled[:, self.window :]


def pooled(bench: Bench) -> list[Row]:
    """One model of many series: training against a hand-written loop, forecasts of all at once and one by one."""
    rounds, count, length = bench.choose((8, 1000, 1000), (4, 1000, 1000), (2, 3, 200))
    path, times = bench.folder / "many.csv", np.arange(length)
    random = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as file:
        file.write("series,step,value\n")
        for number in range(count):
            values = 10 + np.sin(times * 2 * np.pi / 7) + 0.1 * random.normal(size=length).cumsum()
            file.writelines(f"{number},{step},{value:.4f}\n" for step, value in zip(times, values, strict=True))
    flags = (f"--data.path={path}", "--data.id=series", "--data.time=step", "--data.value=value", "--data.period=7")
    plain = ("--trainer.callbacks=null", "--trainer.precision=32-true", f"--trainer.max_epochs={rounds}")
    cli = bench.cli("lstm_csv", *flags, *plain)
    race = Race({"loop": HandWrittenPool(cli, rounds).train}, "windows")
    bench.fit(cli, race)
    found = race.row(f"lstm_csv of {count:,} series: zoo fit to hand-written loop", "loop", 0.95)
    model: Any = cli.model
    many = torch.rand(length, bench.choose(10_000, 10_000, 20)) + 1
    with measured() as together:
        model.forecast(many, model.horizon)
    some = many[:, : bench.choose(200, 100, 5)]
    with measured() as alone:
        for column in some.T:
            model.forecast(column, model.horizon)
    each = alone.seconds / some.shape[1]
    faster = each * many.shape[1] / together.seconds
    what = f"{together.seconds:.2f} s together, {1000 * each:.1f} ms each by itself"
    return [found, Row(f"lstm_csv: forecasts of {many.shape[1]:,} series", f"{faster:.0f} x ({what})")]


def series(bench: Bench) -> list[Row]:
    """The forecasting recipes against hand-written loops; of the smallest networks for information only.

    A step of these takes little longer than the calls around it, whoever makes them.
    """
    rounds, epochs = bench.choose((8, 5), (4, 2), (2, 1))
    networks = (
        "rnn", "rnn_sequence", "lstm", "gru", "stateful_rnn", "stateful_lstm", "causal_conv", "wavenet", "conv_lstm"
    )  # fmt: skip
    rows = []
    for network in (*networks, "dense", "linear"):
        recipe = f"{network}_synthetic"
        # Without the recipe's callbacks nothing stops early.
        plain = ("--trainer.callbacks=null", "--trainer.precision=32-true", f"--trainer.max_epochs={rounds * epochs}")
        cli = bench.cli(recipe, *plain)
        race = Race({"loop": HandWrittenForecaster(cli, rounds * epochs).train}, "windows", epochs)
        bench.fit(cli, race)
        rows.append(race.row(f"{recipe}: zoo fit to hand-written loop", "loop", 0.9 if network in networks else None))
    return rows


def windows(bench: Bench) -> list[Row]:
    """Windows over a long series, which are views of it."""
    if sys.platform != "linux":
        return []
    points, batches = bench.choose((10_000_000, 1000), (10_000_000, 1000), (10_000, 10))
    set_up, first, more = bench.in_own_process(_measure_windows, points, batches)
    what = f"windows over {points:,} points in float32"
    order = f"{first.seconds:.2f} s, {first.megabytes:.0f} MB"
    each = f"{1e6 * more.seconds / batches:.0f} us a batch, {more.megabytes:.0f} MB"
    quick, small = set_up.seconds < 1, set_up.megabytes < 5
    return [
        Row(f"{what}: set-up, and mean, deviation, scale of the errors", f"{set_up.seconds:.2f} s", "< 1 s", quick),
        Row(f"{what}: memory for that beyond the series", f"{set_up.megabytes:.1f} MB", "< 5 MB", small),
        Row(f"{what}: the order of an epoch, shuffled, and its first batch", order),
        Row(f"{what}: {batches:,} further batches of 32", each),
    ]


def _measure_windows(points: int, batches: int) -> tuple[Measured, Measured, Measured]:
    """Measures set-up, the first training batch, and some more."""
    values = np.random.default_rng(0).random((points, 1), dtype=np.float32)
    for part in (values[: 10 * PORTION], values):  # what torch loads on first use is no part of the series
        with measured() as set_up:
            recording = Recording("a long series", part, ["value"], Timeline())
            data = Series(recording, divide(recording), batch_size=32)
            _ = data.mean, data.std, data.naive_mae
            loader = data.train_dataloader()
        with measured() as first:
            iterator = iter(loader)
            next(iterator)
        with measured() as more:
            for _ in islice(iterator, batches):
                pass
    return set_up, first, more


def inference(bench: Bench) -> list[Row]:
    """A forecast at every step of a long series in one call, which is cut so that its memory is bounded."""
    if sys.platform != "linux":
        return []
    cli = bench.cli(
        "causal_conv_synthetic", "--model.output=sequence", "--model.relative=false", "--data.mode=sequence"
    )
    settings = dict(cli.model.hparams)
    steps = bench.choose(1_000_000, 1_000_000, 2 * CausalConv.LONG)
    one, four, whole = (
        bench.in_own_process(_measure_inference, settings, times * steps, cut)
        for times, cut in ((1, True), (4, True), (1, False))
    )
    what = "causal_conv_synthetic as sequence"
    beyond = "memory beyond input and output"
    grows = quotient(four.megabytes, one.megabytes)
    saves = quotient(whole.megabytes, one.megabytes)
    return [
        Row(
            f"{what} on {4 * steps:,} steps in one call to {steps:,}: {beyond}",
            f"{grows:.2f} x ({four.megabytes:.0f} to {one.megabytes:.0f} MB)", "<= 1.25 x", grows <= 1.25,
        ),
        Row(
            f"{what} on {steps:,} steps: all at once to cut as it is, {beyond}",
            f"{saves:.1f} x ({whole.megabytes:,.0f} to {one.megabytes:.0f} MB)",
        ),
        Row(
            f"{what} on {steps:,} steps: time, cut as it is",
            f"{one.seconds:.1f} s (all at once {whole.seconds:.1f} s)",
        ),
    ]  # fmt: skip


def _measure_inference(settings: dict[str, Any], steps: int, cut: bool) -> Measured:
    """Measures a forecast at each of many steps; of its memory what is beyond input and output."""
    model = CausalConv(**settings).eval()
    inputs = torch.randn(1, steps, 1)
    with torch.inference_mode():
        model(inputs[:, :1000])  # loads kernels
        if not cut:
            model.LONG = steps
        with measured() as found:
            outputs = model(inputs)
    found.megabytes -= outputs.nbytes / 1e6
    return found
