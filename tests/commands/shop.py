"""Sales of a shop in a file, and runs that learn to forecast them."""

from pathlib import Path

import numpy as np

from zoo.cli import main

SYNTHETIC = {"class_path": "datamodules.SyntheticSeries", "init_args": {"inner": True}}
DAYS = np.datetime64("2024-01-01") + np.arange(400)

SHOP = """# Two series of a shop.
seed_everything: 0
model:
  class_path: zoo.series.Recurrent
  init_args: {hidden_size: 4, num_layers: 1, output: sequence}
data:
  class_path: datamodules.CsvSeries
  init_args: {path: PATH, value: [bread, cakes], time: day, period: 7, window: 14, mode: sequence, val: 0.2}
trainer:
  max_epochs: 1
  callbacks:
    - class_path: lightning.pytorch.callbacks.ModelCheckpoint
      init_args: {monitor: val_mae, filename: best}
"""


def write_shop(path: Path, seed: int = 0, days: np.ndarray = DAYS) -> Path:
    """Sales of a shop; different days, other noise, the same columns."""
    walks = 100 + np.random.RandomState(seed).randn(len(days), 2).cumsum(0).round(3)
    rows = "\n".join(f"{day},{bread},{cakes}" for day, (bread, cakes) in zip(days, walks, strict=True))
    path.write_text(f"day,bread,cakes\n{rows}\n")
    return path


def fit(root: Path, *arguments: str) -> Path:
    """The folder of a training."""
    before = set(root.rglob("config.yaml"))
    assert main(["fit", *arguments, f"--trainer.default_root_dir={root}", "--quiet", "--figures=false"]) == 0
    (config,) = set(root.rglob("config.yaml")) - before
    return config.parent
