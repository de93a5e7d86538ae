"""Loggers that people bring are added; everything stays in the folder of the run."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Zoo

FIT = ("fit", "cnn_digits", "--trainer.max_epochs=1", "--model.schedule=constant", "--quiet", "--figures=false")
LOGGERS = {
    "wandb": ["--trainer.logger=WandbLogger", "--trainer.logger.offline=true"],
    "wandb, unsaid": ["--trainer.logger=WandbLogger"],
    "mlflow": ["--trainer.logger=MLFlowLogger", "--trainer.logger.tracking_uri=sqlite:///mlflow.db"],
    "csv": ["--trainer.logger=CSVLogger", "--trainer.logger.save_dir=mine"],
    "several": [
        "--trainer.logger=[{class_path: CSVLogger, init_args: {save_dir: mine}},"
        " {class_path: TensorBoardLogger, init_args: {save_dir: mine}}]"
    ],
    "none": ["--trainer.logger=false"],
}
# What a user named lies where it was said, what nobody named in the run's folder.
LEFT = {"mlflow": ["mlflow.db"], "csv": ["mine"], "several": ["mine"]}
INSIDE = {"wandb": "wandb/offline-run-*", "wandb, unsaid": "wandb/offline-run-*"}


def fit(zoo_command: Zoo, *arguments: Any) -> tuple[int, str, str]:
    """Trains as a process of its own would: wandb goes on with a run until its process ends."""
    told = zoo_command(*arguments)
    if "wandb" in sys.modules:
        sys.modules["wandb"].finish()
    return told


@pytest.mark.parametrize("name", LOGGERS)
def test_logger_is_added_and_the_run_resumes(name: str, zoo_command: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in ("wandb", "wandb, unsaid", "mlflow"):
        pytest.importorskip(name.partition(",")[0], reason="the extra 'loggers' is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    Path("config.yaml").write_text("mine: true\n")
    assert fit(zoo_command, *FIT, *LOGGERS[name])[0] == 0
    (run,) = Path.cwd().glob("runs/*/*")
    assert Path("config.yaml").read_text() == "mine: true\n"
    # Former versions of mlflow make an empty folder of experiments, wherever they are told to write.
    found = [path.name for path in Path.cwd().iterdir() if path.is_file() or any(path.rglob("*.*"))]
    assert sorted(found) == sorted(["config.yaml", "runs", *LEFT.get(name, [])])
    kept = {path.name for path in run.iterdir()}
    assert {"config.yaml", "checkpoints", "results.json"} <= kept
    assert ("metrics.csv" in kept) == (name != "none")
    if name in INSIDE:
        assert len(list(run.glob(INSIDE[name]))) == 1
    before = {path: path.read_bytes() for path in Path.cwd().iterdir() if path.is_file()}
    code, _, error = fit(zoo_command, "fit", run, "--trainer.max_epochs=2", "--quiet", "--figures=false")
    assert (code, error.count("trust")) == (0, 0)
    assert {path: path.read_bytes() for path in before} == before, "a resumed run writes into its folder"
    if name in INSIDE:
        assert len(list(run.glob(INSIDE[name]))) == 2
    for file in run.glob("config*.yaml"):
        assert str(run) not in yaml.safe_dump(yaml.safe_load(file.read_text())["trainer"]), "a run can be moved"


@pytest.mark.parametrize("place", ["../mine", "/elsewhere/mine"])
def test_logger_of_a_run_stays_inside(place: str, zoo_command: Zoo) -> None:
    assert zoo_command(*FIT, *LOGGERS["csv"])[0] == 0
    (run,) = Path.cwd().glob("runs/*/*")
    config = yaml.safe_load((run / "config.yaml").read_text())
    for changed in ({"save_dir": place}, {"name": place}, {"version": place}):
        config["trainer"]["logger"]["init_args"] = {"save_dir": "mine", **changed}
        (run / "config.yaml").write_text(yaml.safe_dump(config))
        code, _, error = zoo_command("fit", run, "--trainer.max_epochs=2")
        assert code == 2
        assert "which lies outside of the run; add --trust" in error
