"""Rows of a file of one's own, for recipes by name: ``zoo fit pca_iris --data mytable.Table --data.path rows.csv``."""

import numpy as np
import torch

from datamodules.memory import InMemory, Split


class Table(InMemory):
    """Batches are ``(features (N, F),)``, float64; the last fifth of the file is kept for the test."""

    source = {"name": "my rows"}

    def __init__(self, path: str, **options: int) -> None:
        super().__init__(**options)
        self.rows = torch.from_numpy(np.loadtxt(path, delimiter=",", skiprows=1))
        self.in_features = self.rows.shape[1]

    def load(self) -> dict[str, Split]:
        """Cuts the rows in order."""
        train, val, test = np.split(self.rows, [int(len(self.rows) * share) for share in (0.6, 0.8)])
        return {"train": (train,), "val": (val,), "test": (test,)}
