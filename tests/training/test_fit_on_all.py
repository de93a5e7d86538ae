"""Training on everything before deployment, as long as early stopping chose where there was something to choose by."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import Zoo
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

import zoo
from zoo import registry, weights
from zoo.registry import read_results
from zoo.training.cli import ZooCLI

SCHEDULE = ["--model.schedule=one_cycle", "--model.lr=0.03"]
CALLBACKS = """
trainer:
  callbacks:
    - class_path: lightning.pytorch.callbacks.ModelCheckpoint
      init_args: {monitor: val_mae, filename: best}
    - class_path: lightning.pytorch.callbacks.EarlyStopping
      init_args: {monitor: val_mae, patience: 3}
"""
ON_ALL = ["--data.fit_on=all", "--figures=false", *SCHEDULE]


def learning_rates(run: Path) -> list[float]:
    """Those at the end of each epoch."""
    with (run / "metrics.csv").open(newline="") as file:
        return [float(row["learning_rate"]) for row in csv.DictReader(file) if row.get("learning_rate")]


def newest(root: Path) -> Path:
    """The run that began last."""
    return max((root / "runs" / "dense_synthetic").iterdir(), key=lambda run: (run / "config.yaml").stat().st_mtime_ns)


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose best checkpoint is not its last."""
    from zoo.cli import main

    root = tmp_path_factory.mktemp("chosen")
    (root / "callbacks.yaml").write_text(CALLBACKS)
    flags = ["--config", str(root / "callbacks.yaml"), "--trainer.max_epochs=12", f"--trainer.default_root_dir={root}"]
    assert main(["fit", "dense_synthetic", *flags, *SCHEDULE, "--quiet", "--figures=false"]) == 0
    (run,) = (root / "dense_synthetic").iterdir()
    return run


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder in place of the zoo's own weights."""
    folder = tmp_path_factory.mktemp("checkpoints")
    monkeypatch.setattr(registry, "CHECKPOINTS", folder)
    return folder


def test_results_tell_after_which_epoch_the_best_checkpoint_was_written(chosen: Path) -> None:
    with (chosen / "metrics.csv").open(newline="") as file:
        errors = [float(row["val_mae"]) for row in csv.DictReader(file) if row["val_mae"]]
    fit = read_results(chosen)["fit"]
    assert fit["best_epoch"] == errors.index(min(errors)) + 1 < fit["epochs"]
    assert fit["max_epochs"] == 12


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
def test_learning_rates_are_those_of_the_run_that_chose(zoo_command: Zoo, tmp_path: Path, schedule: str) -> None:
    flags = [f"--model.schedule={schedule}", "--quiet", "--figures=false"]
    assert zoo_command("fit", "dense_synthetic", "--trainer.max_epochs=6", *flags)[0] == 0
    run = newest(tmp_path)
    results = read_results(run)
    results["fit"]["best_epoch"] = 4
    (run / "results.json").write_text(json.dumps(results))
    assert zoo_command("fit", "dense_synthetic", "--data.fit_on=all", *flags, "--epochs_of", run)[0] == 0
    on_all = newest(tmp_path)
    assert read_results(on_all)["fit"]["epochs"] == 4
    # An epoch has fewer steps in one run than in the other, and torch shortens the rise of a cycle by a step.
    assert learning_rates(on_all) == pytest.approx(learning_rates(run)[:4], rel=0.02)


def test_published_weights_tell_how_long(zoo_command: Zoo, tmp_path: Path, chosen: Path, published: Path) -> None:
    assert zoo_command("publish", chosen)[0] == 0
    training = registry.read_card(published / "dense_synthetic")["training"]
    code, out, _ = zoo_command("fit", "dense_synthetic", *ON_ALL)
    epochs = training["best_epoch"]
    best = "as many as the best checkpoint of the published dense_synthetic had"
    told = f"training on everything for {epochs} epochs, {best}"
    assert (code, told in out.splitlines()) == (0, True)
    run = newest(tmp_path)
    assert read_results(run)["fit"]["epochs"] == epochs
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["last.ckpt"]


def test_run_on_everything_is_loaded_by_its_folder(zoo_command: Zoo, tmp_path: Path, chosen: Path) -> None:
    code, out, _ = zoo_command("fit", "dense_synthetic", *ON_ALL, "--epochs_of", chosen)
    assert (code, f"as many as the best checkpoint of {chosen} had" in out) == (0, True)
    run = newest(tmp_path)
    state = weights.read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]
    assert all(torch.equal(tensor, state[key]) for key, tensor in zoo.load(run).state_dict().items())
    for verb, told in (
        ("publish", "nothing is left to measure it on"),
        ("test", "none is left to test on"),
        ("fit", "as many as were chosen"),
    ):
        code, _, err = zoo_command(verb, run)
        assert (code, told in err, len(err.strip().splitlines())) == (2, True, 1)


class StopInSecondEpoch(Callback):
    """Stands for a signal."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 1:
            raise InterruptedError


def test_killed_run_on_everything_is_not_taken_for_done_and_resumes(
    zoo_command: Zoo, tmp_path: Path, chosen: Path
) -> None:
    run = tmp_path / "runs" / "dense_synthetic" / "killed"
    run.mkdir(parents=True)
    recipe = str(registry.recipe("dense_synthetic").path)
    args = ["--config", recipe, *ON_ALL, "--epochs_of", str(chosen)]
    with pytest.raises(InterruptedError):
        ZooCLI(args, "fit", "dense_synthetic", run, True, [StopInSecondEpoch()]).run()
    with pytest.raises(zoo.ZooError, match=f"is not trained to its end; go on with: zoo fit {run}"):
        zoo.load(run)
    assert zoo_command("fit", run, "--quiet", "--figures=false")[0] == 0
    assert read_results(run)["fit"]["epochs"] == read_results(chosen)["fit"]["best_epoch"]
    assert zoo.load(run).window == 64


def test_run_that_chose_nothing_is_loaded_only_by_its_checkpoint(tmp_path: Path, chosen: Path) -> None:
    shutil.copytree(chosen, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "best.ckpt").unlink()
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    with pytest.raises(zoo.ZooError, match=f"chose no best.ckpt; if its last checkpoint will do, name it: {last}"):
        zoo.load(tmp_path / "run")
    assert zoo.load(last).window == 64


def test_what_has_nothing_to_choose_needs_nobody_to_tell(zoo_command: Zoo, published: Path) -> None:
    assert zoo_command("fit", "naive_synthetic", "--data.fit_on=all", "--quiet", "--figures=false")[0] == 0


def test_file_that_plans_it_all_needs_nobody_to_tell(zoo_command: Zoo, tmp_path: Path, published: Path) -> None:
    recipe = registry.recipe("dense_synthetic").config
    recipe["data"]["init_args"]["fit_on"] = "all"
    recipe["trainer"]["max_epochs"] = 2
    (tmp_path / "mine.yaml").write_text(json.dumps(recipe))
    assert zoo_command("fit", "mine.yaml", "--quiet", "--figures=false")[0] == 0
    (run,) = (tmp_path / "runs" / "mine").iterdir()
    assert read_results(run)["fit"]["epochs"] == 2


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--data.fit_on=all", "--trainer.max_epochs=1", "--test"], "leaves nothing for --test; leave one of them out"),
        (["--data.fit_on=all"], "say how long with --epochs_of RUN or --trainer.max_epochs N"),
        (["--data.fit_on=all", "--epochs_of=dense_synthetik"], "nothing published of 'dense_synthetik' tells how long"),
        (["--data.fit_on=all", "--epochs_of=runs/gone"], "runs/gone is no run folder: it holds no config.yaml"),
        (["--data.fit_on=all", "--epochs_of=old"], "old does not tell after which epoch its best checkpoint"),
        (["--data.fit_on=all", "--epochs_of=begun"], "begun is not trained to its end; go on with: zoo fit begun"),
        (["--data.fit_on=all", "--epochs_of=old", "--trainer.max_epochs=3"], "--trainer.max_epochs says already"),
        (["--epochs_of=old"], "it is for zoo fit with --data.fit_on all"),
    ],
)
def test_what_tells_no_duration_is_refused_in_one_line(
    zoo_command: Zoo, tmp_path: Path, chosen: Path, published: Path, flags: list[str], told: str
) -> None:
    for name in ("old", "begun"):
        (tmp_path / name).mkdir()
        shutil.copy(chosen / "config.yaml", tmp_path / name)
    (tmp_path / "old" / "results.json").write_text('{"fit": {"epochs": 12}}')
    code, _, err = zoo_command("fit", "dense_synthetic", *flags, "--quiet")
    assert (code, told in err, len(err.strip().splitlines())) == (2, True, 1)
    assert not (tmp_path / "runs").exists()


def test_run_does_not_go_on_with_other_data(zoo_command: Zoo, chosen: Path) -> None:
    before = {path: path.read_bytes() for path in chosen.rglob("*") if path.is_file()}
    code, _, err = zoo_command("fit", chosen, "--data.fit_on=all", "--quiet")
    told = f"use: zoo fit dense_synthetic --data.fit_on all --epochs_of {chosen}"
    assert (code, told in err) == (2, True)
    assert {path: path.read_bytes() for path in before} == before
