"""What happens while training: signals, NaN, resuming, quiet, tuned precision."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT, Zoo
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from tiny import tiny_args, tiny_cli

import zoo
from datamodules import Digits
from zoo import registry, weights
from zoo.training.cli import ZooCLI
from zoo.training.precision import ReconsiderPrecision, time_settings
from zoo.vision.cnn import CNN

LONG = ["--trainer.max_epochs=200", "--trainer.callbacks=null", "--figures=false"]


@pytest.mark.parametrize(
    "kill",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
    ],
)
def test_killed_process_leaves_a_checkpoint_that_resumes(tmp_path: Path, kill: signal.Signals) -> None:
    command = [sys.executable, "-m", "zoo.cli", "fit", "dense_iris", *LONG]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores Ctrl-C
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("runs/*/*/checkpoints/last.ckpt")):
            assert time.monotonic() < deadline, "no checkpoint before the first epoch"
            time.sleep(0.1)
        time.sleep(0.5)
        process.send_signal(kill)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[kill]
    assert "Traceback" not in err
    (run,) = tmp_path.glob("runs/*/*")
    if kill != signal.SIGKILL:
        assert f"resume with: zoo fit {run.relative_to(tmp_path)}" in out
    resumed = subprocess.run(
        [sys.executable, "-m", "zoo.cli", "fit", str(run.relative_to(tmp_path))],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert f"run       {run.relative_to(tmp_path)}" in resumed.stdout
    assert json.loads((run / "results.json").read_text())["fit"]["epochs"] == 200
    with (run / "metrics.csv").open() as file:
        epochs = [int(row["epoch"]) for row in csv.DictReader(file) if row["train_loss"]]
    assert epochs == sorted(set(epochs))
    assert epochs[-1] == 199


def test_loss_that_turns_nan_stops_the_run(zoo_command: Zoo, tmp_path: Path) -> None:
    code, _, err = zoo_command("fit", "dense_iris", "--model.lr=1e30", "--model.schedule=constant", "--quiet")
    assert code == 2
    assert re.search(r"NaN or infinite in epoch \d+ at batch \d+ \(step \d+\)", err)
    (path,) = re.findall(r"last good checkpoint is (\S+);", err)
    state = weights.read_checkpoint(tmp_path / path)["state_dict"]
    assert all(torch.isfinite(tensor).all() for tensor in state.values())


def test_finished_run_is_not_trained_again(zoo_command: Zoo, tmp_path: Path) -> None:
    assert zoo_command("fit", "dense_iris", "--trainer.max_epochs=2", "--quiet")[0] == 0
    (run,) = (tmp_path / "runs" / "dense_iris").iterdir()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    code, _, err = zoo_command("fit", run)
    assert code == 2
    assert "has been trained for 2 epochs" in err
    code, _, err = zoo_command("fit", run, "--trainer.max_epochs=3", "--quiet")
    assert code == 2
    assert "a schedule cannot be stretched" in err
    assert {path: path.read_bytes() for path in before} == before


def test_testing_a_run_adds_to_its_folder_and_changes_nothing_else(zoo_command: Zoo, tmp_path: Path) -> None:
    assert zoo_command("fit", "dense_iris", "--trainer.max_epochs=2", "--quiet")[0] == 0
    (run,) = (tmp_path / "runs" / "dense_iris").iterdir()
    kept = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "results.json"}
    code, out, _ = zoo_command("test", run)
    assert code == 0
    results = json.loads((run / "results.json").read_text())
    assert results.keys() == {"recipe", "command", "data", "fit", "validate", "test"}
    assert f"{results['test']['accuracy']:.5g}" in out
    assert (run / "figures" / "test_confusion_matrix.png").is_file()
    assert {path: path.read_bytes() for path in kept} == kept
    assert list((tmp_path / "runs").iterdir()) == [run.parent]


def test_quiet_prints_the_result_only(zoo_command: Zoo) -> None:
    _, out, err = zoo_command("fit", "dense_iris", "--trainer.max_epochs=1", "--quiet")
    assert [line.split()[0] for line in out.splitlines()] == ["fit", "validate"]
    assert err == ""


def test_flags_win_over_the_checkpoint(zoo_command: Zoo, tmp_path: Path) -> None:
    flags = ["--model.schedule=constant", "--quiet", "--figures=false"]
    assert zoo_command("fit", "dense_iris", "--trainer.max_epochs=1", *flags)[0] == 0
    (run,) = (tmp_path / "runs" / "dense_iris").iterdir()
    assert zoo_command("fit", run, "--trainer.max_epochs=2", "--model.label_smoothing=0.25", *flags)[0] == 0
    assert zoo.load(run / "checkpoints" / "last.ckpt").label_smoothing == 0.25


def test_early_stopping_stops(tmp_path: Path) -> None:
    flags = ["--model.lr=0", "--model.schedule=constant", "--trainer.max_epochs=60", "--figures=false"]
    (tmp_path / "run").mkdir()
    cli = ZooCLI(
        ["--config", str(registry.recipe("dense_iris").path), *flags], "fit", "dense_iris", tmp_path / "run", True
    )
    cli.run()
    assert cli.trainer.current_epoch == 31  # the first epoch and a patience of thirty


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    def train(name: str, seed: int) -> torch.Tensor:
        (tmp_path / name).mkdir()
        args = [
            "--config",
            str(registry.recipe("backprop_iris").path),
            f"--seed_everything={seed}",
            "--trainer.max_epochs=2",
        ]
        cli = ZooCLI(args, "fit", "backprop_iris", tmp_path / name, quiet=True)
        cli.run()
        return cli.model.network.weights[0].detach()

    first = train("first", 0)
    assert torch.equal(first, train("second", 0))
    assert not torch.equal(first, train("third", 1))


def test_settings_are_timed_for_tuned_precision() -> None:
    data = Digits()
    model = CNN(image_size=8, num_classes=10)
    seconds = time_settings(model, (data.splits["train"][0][:16], data.splits["train"][1][:16]), steps=4)
    assert ("32-true", False) in seconds
    assert all(value > 0 for value in seconds.values())


def test_tuned_precision_is_the_quickest_and_is_written_down(zoo_command: Zoo) -> None:
    code, out, _ = zoo_command("fit", "cnn_digits", "--tune_precision", "true", "--trainer.max_epochs=1")
    assert code == 0
    run = next(Path.cwd().glob("runs/*/*"))
    results = json.loads((run / "results.json").read_text())
    timed = results["ms_a_step"]
    assert len(timed) > 1
    quickest = min(timed, key=timed.__getitem__)
    config = registry.read_yaml(run / "config.yaml")
    assert config["tune_precision"] is False
    layout = "channels last" if config["model"]["init_args"]["channels_last"] else "channels first"
    assert quickest == f"{config['trainer']['precision']}, {layout}"
    assert all(f"{milliseconds:.2f} ms a step" in out for milliseconds in timed.values())


def lstm_takes_bfloat16() -> bool:
    """Whether the processor has kernels to train one."""
    try:
        with torch.autocast("cpu", torch.bfloat16):
            torch.nn.LSTM(8, 8)(torch.zeros(2, 1, 8))[0].sum().backward()
    except RuntimeError:
        return False
    return True


# A recurrent model carries a state from step to step, whatever the precision of the next.
@pytest.mark.parametrize("name", ["cnn_digits", "char_rnn_shakespeare", "stateful_lstm_synthetic"])
@pytest.mark.parametrize(("float32_takes", "ends_in"), [(0.2, "32-true"), (2.0, "bf16-mixed")])
def test_slow_bfloat16_is_left_only_for_what_is_quicker(
    name: str, float32_takes: float, ends_in: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name != "cnn_digits" and not lstm_takes_bfloat16():
        pytest.skip("this processor has no LSTM in bfloat16")
    now = [0.0]
    monkeypatch.setattr("zoo.training.precision.time.perf_counter", lambda: now[0])

    class Load(Callback):
        def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
            slow = trainer.strategy.precision_plugin.precision == "bf16-mixed"
            now[0] += 1.0 if slow else float32_takes

    (tmp_path / "run").mkdir()
    args = [*tiny_args(name, precision="bf16-mixed", limit_train_batches=8), "--model.schedule=constant"]
    callbacks = [ReconsiderPrecision(0.1, steps=2), Load()]
    cli = ZooCLI([*args, "--trainer.max_epochs=1"], "fit", name, tmp_path / "run", True, callbacks)
    cli.run()
    assert cli.trainer.strategy.precision_plugin.precision == ends_in
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    resumed = ZooCLI([*args, "--ckpt_path", str(last)], "fit", name, tmp_path / "run", True, [Load()])
    resumed.run()
    assert resumed.trainer.strategy.precision_plugin.precision == ends_in
    assert [one for one in getattr(resumed.trainer, "callbacks", []) if isinstance(one, ReconsiderPrecision)]


def test_embedded_default_learns(tmp_path: Path) -> None:
    """Seed 0 reaches 0.978 on the validation split."""
    (tmp_path / "run").mkdir()
    cli = ZooCLI(
        ["--config", str(registry.recipe("cnn_digits").path)], "fit", "cnn_digits", tmp_path / "run", quiet=True
    )
    assert cli.run()["validate"]["accuracy"] >= 0.96


def test_no_callback_is_there_twice(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    args = ["--config", str(registry.recipe("cnn_digits").path), "--tune_precision=true"]
    cli = ZooCLI(args, "fit", "cnn_digits", tmp_path / "run", quiet=True)
    kinds = [type(callback).__name__ for callback in getattr(cli.trainer, "callbacks", [])]
    assert len(kinds) == len(set(kinds)) > 5


def test_run_interrupted_early_leaves_one_best_checkpoint(tmp_path: Path) -> None:
    """Before the second ``last.ckpt`` is written, ``best.ckpt`` is already ahead of it."""

    class Stop(Callback):
        def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            if trainer.current_epoch == 5:
                raise InterruptedError

    (tmp_path / "run").mkdir()
    args = ["--config", str(registry.recipe("dense_iris").path), "--trainer.max_epochs=12", "--figures=false"]
    with pytest.raises(InterruptedError):
        ZooCLI(args, "fit", "dense_iris", tmp_path / "run", True, [Stop()]).run()
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert weights.read_checkpoint(last)["epoch"] == 0
    ZooCLI([*args, "--ckpt_path", str(last)], "fit", "dense_iris", tmp_path / "run", True).run()
    assert sorted(path.name for path in last.parent.iterdir()) == ["best.ckpt", "last.ckpt"]
    with (tmp_path / "run" / "metrics.csv").open() as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file) if row["val_loss"]]
    assert len(losses) == 12
    assert weights.read_checkpoint(last.with_name("best.ckpt"))["epoch"] == losses.index(min(losses))


def test_run_that_stopped_early_is_not_trained_on(zoo_command: Zoo) -> None:
    flags = ["--model.lr=0", "--model.schedule=constant", "--trainer.callbacks.patience=2"]
    assert zoo_command("fit", "dense_iris", "--figures=false", *flags)[0] == 0
    (run,) = Path.cwd().glob("runs/*/*")
    code, _, error = zoo_command("fit", run)
    assert code == 2
    assert "was stopped early after 3 epochs" in error


def test_explicit_precision_is_not_tuned_away(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    flags = ["--tune_precision=true", "--trainer.precision=64-true"]
    cli = ZooCLI(
        ["--config", str(registry.recipe("cnn_digits").path), *flags], "fit", "cnn_digits", tmp_path / "run", True
    )
    assert cli.trainer.precision == "64-true"


def test_evaluation_that_turns_nan_stops_the_run(zoo_command: Zoo, tmp_path: Path) -> None:
    flags = ["--model.lr=1e30", "--model.schedule=constant", "--trainer.limit_train_batches=1", "--quiet"]
    code, _, err = zoo_command("fit", "dense_iris", *flags)
    assert code == 2
    assert "became NaN or infinite in epoch 0" in err
    (path,) = re.findall(r"last good checkpoint is (\S+);", err)
    state = weights.read_checkpoint(tmp_path / path)["state_dict"]
    assert all(tensor.abs().max() < 100 for tensor in state.values())


class InterruptInStep(Callback):
    """Presses Ctrl-C in the middle of a step."""

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        if trainer.global_step == 5:
            os.kill(os.getpid(), signal.SIGINT)


def test_interrupt_waits_for_the_batch_at_hand(tmp_path: Path) -> None:
    cli = tiny_cli("dense_iris", tmp_path / "run", callbacks=[InterruptInStep()])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit):
            cli.run()
    finally:
        signal.signal(signal.SIGINT, before)
    assert cli.trainer.global_step == 6
