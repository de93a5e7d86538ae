"""What every data module states of itself, and runs without pictures."""

from pathlib import Path
from typing import Any

import pytest
from conftest import Zoo
from tiny import USER_FILES

import datamodules
from datamodules import CsvSeries, Iris, Shapes
from datamodules.arguments import parameters
from datamodules.memory import InMemory, Split
from datamodules.module import DataModule

MODULES = [getattr(datamodules, name) for name in dir(datamodules)]


@pytest.mark.parametrize("kind", MODULES, ids=lambda kind: kind.__name__)
def test_miniature_is_made_of_arguments(kind: Any) -> None:
    assert issubclass(kind, DataModule)
    assert kind.miniature.keys() <= parameters(kind).keys()
    assert kind.needs is None or USER_FILES[kind.needs]().keys() <= parameters(kind).keys()


def test_miniature_adds_to_that_of_the_base() -> None:
    assert Shapes.miniature.items() > DataModule.miniature.items()
    assert (CsvSeries.miniature["window"], CsvSeries.needs, Iris.needs) == (20, "series", None)


def test_data_module_is_told_without_being_read() -> None:
    class Unreadable(InMemory):
        def load(self) -> dict[str, Split]:
            raise AssertionError("read")

    assert (
        str(Unreadable(batch_size=3))
        == "Unreadable(batch_size=3, eval_batch_size=512, seed=0, workers=None, pin_memory=None)"
    )


def test_runs_without_pictures_are_like_others(zoo_command: Zoo, tmp_path: Path) -> None:
    shown = {}
    for figures in ("true", "false"):
        flags = [f"--figures={figures}", "--quiet", f"--trainer.default_root_dir={tmp_path / figures}"]
        code, shown["fit", figures], _ = zoo_command("fit", "linear_synthetic", "--trainer.max_epochs=1", *flags)
        assert code == 0
        (run,) = (tmp_path / figures / "linear_synthetic").iterdir()
        for verb in ("validate", "test"):
            code, shown[verb, figures], _ = zoo_command(verb, run, f"--figures={figures}", "--quiet")
            assert code == 0
        drawn = {path.stem for path in run.rglob("*.png")}
        splits = {f"{split}_{kind}" for split in ("validation", "test") for kind in ("forecasts", "residuals")}
        assert drawn == ({"learning_curves", "test_coverage", *splits} if figures == "true" else set())
    assert shown["validate", "true"] == shown["validate", "false"]
    assert shown["test", "true"] == shown["test", "false"]
