"""Training from Python: what ``zoo fit`` does, as a function that leaves its process as it was."""

import contextlib
import json
import logging
import os
import random
import shlex
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import nbformat
import numpy as np
import pytest
import torch
from conftest import ROOT, Zoo
from lightning import LightningDataModule, Trainer
from lightning.pytorch.callbacks import Callback
from nbclient import NotebookClient
from tiny import photos
from torch import nn

import zoo
from datamodules import Digits, Iris, Shapes
from zoo import weights
from zoo.vision import CNN, Dense

QUICK: dict[str, Any] = {"tune_precision": False, "figures": False, "quiet": True}
ONE: dict[str, Any] = {"trainer": {"max_epochs": 1}, **QUICK}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Handed(LightningDataModule):
    """Somebody's own data module, which nothing but an object can describe."""

    def __init__(self, digits: Digits) -> None:
        super().__init__()
        self.digits = digits
        self.num_classes, self.classes, self.in_channels = digits.num_classes, digits.classes, digits.in_channels
        self.image_size, self.mean, self.std = digits.image_size, digits.mean, digits.std

    def train_dataloader(self) -> Any:
        return self.digits.train_dataloader()

    def val_dataloader(self) -> Any:
        return self.digits.val_dataloader()

    def test_dataloader(self) -> Any:
        return self.digits.test_dataloader()


class At(Callback):
    """Does something when an epoch begins."""

    def __init__(self, epoch: int, act: Callable[[], Any]) -> None:
        self.epoch, self.act = epoch, act

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        if trainer.current_epoch == self.epoch:
            self.act()


def state(run: Path) -> dict[str, torch.Tensor]:
    return weights.read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]


def same(one: Path, other: Path) -> bool:
    return all(torch.equal(value, state(other)[name]) for name, value in state(one).items())


def test_python_and_the_command_line_train_alike(zoo_command: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    run = zoo.fit(
        "cnn_digits", model={"dropout": 0.5, "channels": (8, np.int64(8))}, data={"batch_size": 128},
        trainer={"max_epochs": 2, "callbacks.patience": 7}, seed_everything=3, test=True, **QUICK,
    )  # fmt: skip
    command = shlex.split(run.results["command"])
    assert command[:3] == ["zoo", "fit", "cnn_digits"]
    zoo_command(*command[1:], "--quiet", "--trainer.default_root_dir=typed")
    (typed,) = Path("typed/cnn_digits").iterdir()
    assert same(run.folder, typed)
    assert run.results["test"] == zoo.open_run(typed).results["test"]


def test_run_gives_what_its_folder_holds(capsys: pytest.CaptureFixture[str]) -> None:
    run = zoo.fit("dense_iris", trainer={"max_epochs": 3}, tune_precision=False, quiet=True)
    assert capsys.readouterr().out == ""
    assert list(run.metrics["epoch"]) == [0, 1, 2]
    assert run.metrics["val_accuracy"].between(0, 1).all()
    assert run.metrics["train_loss"].notna().all()
    assert run.figures["learning_curves"].is_file()
    assert isinstance(run.load(), Dense)
    assert run.test(quiet=True) == run.results["test"]
    assert zoo.open_run(str(run.folder)).results == run.results
    assert capsys.readouterr().out == ""


def test_what_is_printed_is_what_the_command_line_prints(capsys: pytest.CaptureFixture[str]) -> None:
    run = zoo.fit("dense_iris", trainer={"max_epochs": 1}, figures=False)
    told = capsys.readouterr().out
    assert told.startswith(f"dense_iris: Dense, 131 parameters; run folder {run.folder}\n")
    assert told.endswith(f"run       {run.folder}\n")


def surroundings() -> dict[str, Any]:
    """All of this process that a training might change."""
    return {
        "random numbers": (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()),
        "warnings": (list(warnings.filters), warnings.showwarning),
        "logging": [logging.getLogger(name).level for name in (None, "lightning", "lightning.pytorch")],
        "environment": dict(os.environ),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)],
        "matplotlib": (matplotlib.get_backend(), dict(matplotlib.rcParams)),
        "products": torch.get_float32_matmul_precision(),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "dtype": torch.get_default_dtype(),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "threads": torch.get_num_threads(),
        "streams": (sys.stdout, sys.stderr, sys.excepthook, list(sys.argv)),
    }


@pytest.mark.parametrize(
    "ends",
    [
        lambda: zoo.fit("cnn_digits", trainer={"max_epochs": 1, "deterministic": True, "benchmark": True}, quiet=True),
        lambda: zoo.fit("cnn_digits", model={"lr": float("nan")}, **ONE),
        lambda: zoo.fit("cnn_digits", callbacks=[At(0, lambda: signal.raise_signal(signal.SIGINT))], **ONE),
        lambda: zoo.fit("cnn_digits", callbacks=[At(0, lambda: 1 / 0)], **ONE),
    ],
    ids=["well", "refused", "interrupted", "broken"],
)
def test_nothing_around_it_is_changed(ends: Callable[[], Any]) -> None:
    zoo.fit("dense_iris", **ONE)  # whatever is imported comes with it
    before = surroundings()
    with contextlib.suppress(zoo.ZooError, KeyboardInterrupt, ZeroDivisionError):
        ends()
    after = surroundings()
    assert [name for name, value in before.items() if after[name] != value] == []


# What Python is given, and what is typed for the same.
WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "takes no 'dropot'; did you mean 'dropout'?": ({"model": {"dropot": 0.5}}, ["--model.dropot=0.5"]),
    "--model.dropout is 'much', expected float": ({"model": {"dropout": "much"}}, ["--model.dropout=much"]),
    "no flag '--trainer.max_epoch'; did you mean": ({"trainer": {"max_epoch": 1}}, ["--trainer.max_epoch=1"]),
    "--model.mean is for the data to say": ({"model": {"mean": [0.5]}}, ["--model.mean=[0.5]"]),
    "--seed_everything is -1, expected 0 to": ({"seed_everything": -1}, ["--seed_everything=-1"]),
    "no data module": ({"data": {"class_path": "Digit"}}, ["--data=Digit"]),
    "batch_size is 0, expected at least 1": ({"data": {"batch_size": 0}}, ["--data.batch_size=0"]),
    "no checkpoint at gone.ckpt": ({"ckpt_path": Path("gone.ckpt")}, ["--ckpt_path=gone.ckpt"]),
    "use --trainer.strategy ddp": (
        {"trainer": {"devices": 2, "accelerator": "cpu", "strategy": "ddp_spawn"}},
        ["--trainer.devices=2", "--trainer.accelerator=cpu", "--trainer.strategy=ddp_spawn"],
    ),
}


@pytest.mark.parametrize("told", WRONG)
def test_what_is_wrong_is_told_in_the_words_of_the_command_line(told: str, zoo_command: Zoo) -> None:
    given, typed = WRONG[told]
    with pytest.raises(zoo.ZooError) as caught:
        zoo.fit("cnn_digits", quiet=True, **given)
    assert zoo_command("fit", "cnn_digits", "--quiet", *typed)[::2] == (2, f"zoo: {caught.value}\n")
    assert told in str(caught.value) or told == "no data module"
    assert not list(Path().glob("runs/*/*"))


# Typed so that what type checkers would refuse can be tried.
fit: Any = zoo.fit


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda: fit(3), "the recipe is an int, expected a recipe's name, a YAML file or a run"),
        (lambda: fit(CNN()), "the recipe is a CNN, expected"),
        (lambda: fit("--help"), "the recipe is '--help', expected"),
        (lambda: fit(""), "the recipe is '', expected"),
        (lambda: fit("cnn_digit"), "no recipe 'cnn_digit'; did you mean"),
        (lambda: fit("cnn_digits", model=CNN()), "model is a CNN, expected settings by name, such as {'dropout': 0.5}"),
        (
            lambda: fit("cnn_digits", model=nn.Linear),
            "--model has 'torch.nn.modules.linear.Linear', expected the name of a class",
        ),
        (lambda: fit("cnn_digits", model=["CNN"]), "model is a list of 1 str, expected settings by name"),
        (lambda: fit("cnn_digits", model={"help": "CNN"}), "model has a setting 'help', expected the name of"),
        (lambda: fit("cnn_digits", model={"lr=1 --trust": 1}), "model has a setting 'lr=1 --trust', expected"),
        (lambda: fit("cnn_digits", model={3: 4}), "model has a setting 3, expected"),
        (lambda: fit("cnn_digits", model={"lr": object()}), "--model.lr is an object, expected a number, a text"),
        (lambda: fit("cnn_digits", model={"optimizer": "null"}), "--model.optimizer is 'null', which stands for"),
        (lambda: fit("cnn_digits", trainer={"callbacks": [At(0, print)]}), "objects are for data=, and callbacks="),
        (lambda: fit("cnn_digits", callbacks=At(0, print)), "callbacks is an At, expected a list of callbacks"),
        (lambda: fit("cnn_digits", callbacks=[print]), "expected a list of callbacks of Lightning"),
        (lambda: fit("cnn_digits", data="photos"), "photos does not exist; expected a folder of pictures"),
        (lambda: fit("mobilenetv2_folder", data="gone"), "gone does not exist; expected a folder of pictures"),
        (lambda: fit("lstm_csv", data=Path("gone.csv")), "cannot read gone.csv"),
        (lambda: fit("cnn_digits", trainer={"fast_dev_run": True}), "leaves no run to give back"),
        (lambda: fit("cnn_digits", epochs_of="dense_iris"), "--epochs_of dense_iris has nothing to tell"),
        (lambda: zoo.open_run("gone"), "gone is no run folder: it holds no config.yaml"),
        (lambda: zoo.open_run(Path("runs") / "\0"), "is no run folder"),
    ],
)
def test_what_cannot_be_meant_is_told_in_one_line(ask: Callable[[], Any], told: str) -> None:
    with pytest.raises(zoo.ZooError) as caught:
        ask()
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_classes_are_given_as_such() -> None:
    run = zoo.fit("cnn_digits", model=Dense, data={"class_path": Shapes, "init_args": {**Shapes.miniature}}, **ONE)
    assert "--model=zoo.vision.Dense " in run.results["command"]
    assert " --data=datamodules.Shapes --data." in run.results["command"]
    assert isinstance(run.load(), Dense)


def test_training_from_python_begins_with_other_weights() -> None:
    start: dict[str, Any] = {
        "init_from": "cnn_fashion_mnist",
        "freeze": ["network.0", "network.3"],
        "lr_of": "network.11.*=10",
    }
    run = zoo.fit("cnn_digits", **start, **ONE)
    assert run.results["init_from"]["taken"] == ["network.0", "network.3"]
    assert run.load().hparams["freeze"] == ["network.0", "network.3"]
    assert zoo.fit("cnn_digits", init_from=run.folder, **ONE).results["init_from"]["fresh"] == []


def test_data_module_of_the_zoo_is_written_down(zoo_command: Zoo) -> None:
    run = zoo.fit("cnn_digits", model={"schedule": "constant"}, data=Digits(batch_size=300, seed=7), **ONE)
    assert "--data=datamodules.Digits --data.batch_size=300 --data.seed=7" in run.results["command"]
    assert zoo_command("fit", run.folder, "--trainer.max_epochs=2", "--quiet")[0] == 0
    assert run.results["fit"]["epochs"] == 2


def test_other_data_module_is_asked_for_again(zoo_command: Zoo) -> None:
    run = zoo.fit("cnn_digits", model={"schedule": "constant"}, data=Handed(Digits()), **ONE)
    assert run.results["command"].endswith("# from Python, with Handed")
    assert run.test(quiet=True)["accuracy"] > 0.2
    again = zoo.open_run(run.folder)
    with pytest.raises(zoo.ZooError, match=r"was trained on what Python handed over; hand it over again"):
        again.test()
    with pytest.raises(zoo.ZooError, match=r"hand it over again: zoo\.fit\('runs/.*', data=\.\.\.\)"):
        zoo.fit(again)
    code, _, err = zoo_command("fit", run.folder)
    assert (code, err.count("\n")) == (2, 1)
    assert again.test(data=Handed(Digits()), quiet=True) == run.results["test"]
    more: dict[str, Any] = {"trainer": {"max_epochs": 2}, "quiet": True}
    assert zoo.fit(again, data=Handed(Digits()), **more).results["fit"]["epochs"] == 2


def test_data_handed_over_stands_for_what_the_recipe_needs() -> None:
    run = zoo.fit("mobilenetv2_folder", model=CNN, data=Handed(Digits()), **ONE)
    assert run.results["validate"]["accuracy"] > 0


def test_folder_of_photos_is_all_that_a_recipe_for_them_needs() -> None:
    run = zoo.fit("mobilenetv2_folder", data=photos(), model=CNN, **ONE)
    assert f"--data.root={photos()}" in run.results["command"]
    more = zoo.fit("cnn_digits", data={"class_path": "ImageFolder", "root": photos(), "image_size": 16}, **ONE)
    assert more.results["data"]["train"]["shape"][1:] == [3, 16, 16]


def test_file_of_settings_trains_under_its_own_name(zoo_command: Zoo) -> None:
    Path("mine.yaml").write_text(zoo_command("show", "dense_iris", "--recipe")[1])
    run = zoo.fit(Path("mine.yaml"), data=Iris(seed=1), **ONE)
    assert run.folder.parts[:2] == ("runs", "mine")


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C does what it does in a terminal; a job in the background, as a test may be, ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_leaves_a_run_that_resumes() -> None:
    settings: dict[str, Any] = {"model": {"schedule": "constant"}, "trainer": {"max_epochs": 4}, **QUICK}
    with pytest.raises(KeyboardInterrupt, match=r"stopped; go on with: zoo\.fit\('runs/cnn_digits/.*'\)"):
        zoo.fit("cnn_digits", callbacks=[At(2, lambda: signal.raise_signal(signal.SIGINT))], **settings)
    (folder,) = Path("runs/cnn_digits").iterdir()
    resumed, whole = zoo.fit(folder, quiet=True), zoo.fit("cnn_digits", **settings)
    assert resumed.results["fit"]["epochs"] == 4
    assert same(resumed.folder, whole.folder)


def test_run_folder_may_name_nothing_foreign() -> None:
    run = zoo.fit("dense_iris", **ONE)
    config = run.folder / "config.yaml"
    config.write_text(config.read_text().replace("datamodules.Iris", "antigravity.Iris"))
    for ask in (lambda: zoo.open_run(run.folder), lambda: zoo.fit(run.folder), lambda: zoo.Run(run.folder).test()):
        with pytest.raises(zoo.ZooError, match=r"names 'antigravity.Iris', which may run any code; add --trust"):
            ask()
    assert "antigravity" not in sys.modules
    assert zoo.open_run(run.folder, trust=True).results == run.results


def test_damaged_folder_is_told_when_it_is_read() -> None:
    run = zoo.fit("dense_iris", **ONE)
    (run.folder / "results.json").write_text("[")
    (run.folder / "metrics.csv").write_text("epoch,step\n0,many\n")
    for ask in (lambda: run.results, lambda: run.metrics):
        with pytest.raises(zoo.ZooError, match="is damaged"):
            ask()
    (run.folder / "metrics.csv").unlink()
    with pytest.raises(zoo.ZooError, match=r"cannot read .*metrics\.csv"):
        _ = run.metrics


def test_interactive_python_trains_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    for strategy in ("ddp_notebook", "ddp_spawn"):
        trainer = {"devices": 2, "accelerator": "cpu", "strategy": strategy}
        with pytest.raises(
            zoo.ZooError, match=r"an interactive Python trains in one process; use --trainer\.devices 1"
        ):
            zoo.fit("cnn_digits", trainer=trainer, quiet=True)
    assert not Path("runs").exists()


def program(text: str) -> subprocess.CompletedProcess[str]:
    """What becomes of a program."""
    Path("program.py").write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "program.py"], env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_signal_to_end_ends_a_program_when_its_run_is_in_order() -> None:
    done = program(
        "import os, signal, zoo\n"
        "from lightning.pytorch.callbacks import Callback\n"
        "class End(Callback):\n"
        "    def on_train_epoch_end(self, trainer, model):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "zoo.fit('cnn_digits', callbacks=[End()], quiet=True, figures=False)\n"
    )
    assert done.returncode == -signal.SIGTERM
    (folder,) = Path("runs/cnn_digits").iterdir()
    assert zoo.fit(folder, quiet=True).results["fit"]["epochs"] > 1


@pytest.mark.slow
def test_program_trains_in_two_processes() -> None:
    done = program(
        "import zoo\n"
        "for seed in (0, 1):\n"
        "    run = zoo.fit('cnn_digits', trainer={'max_epochs': 1, 'devices': 2, 'accelerator': 'cpu'},\n"
        "                  seed_everything=seed, quiet=True, figures=False)\n"
        "    print(f\"{run.folder} {run.results['fit']['processes']}\\n\", end='', flush=True)\n"
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(f"{path} 2" for path in Path().glob("runs/*/*") for _ in "ab")


@pytest.mark.slow
def test_notebook_shows_a_bar_and_goes_on_after_ctrl_c() -> None:
    cells = [
        "import zoo\nrun = zoo.fit('cnn_digits', trainer={'max_epochs': 2}, figures=False)",
        "import signal\nfrom lightning.pytorch.callbacks import Callback\n"
        "class Stop(Callback):\n"
        "    def on_train_epoch_start(self, trainer, model):\n"
        "        if trainer.current_epoch == 1:\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        "zoo.fit('cnn_digits', callbacks=[Stop()], quiet=True)",
        "print('goes on', run.test(quiet=True))",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    NotebookClient(notebook, timeout=300, allow_errors=True).execute(env=environment)
    told = [json.dumps(cell.outputs) for cell in notebook.cells]
    assert "Epoch 1: 100%" in told[0]
    assert '"ename": "KeyboardInterrupt"' in told[1]
    assert "go on with: zoo.fit(" in told[1]
    assert "goes on" in told[2]


def test_what_the_system_refuses_is_told_as_well() -> None:
    Path("runs").write_text("")
    with pytest.raises(zoo.ZooError, match="runs"):
        zoo.fit("dense_iris", **ONE)


def test_folder_called_data_in_a_run_is_nobodys_business(zoo_command: Zoo) -> None:
    run = zoo.fit("dense_iris", **ONE)
    (run.folder / "data").mkdir()
    assert zoo_command("test", run.folder, "--quiet")[0] == 0
