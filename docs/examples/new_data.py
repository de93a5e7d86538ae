"""New data: rows of numbers in their own units, an honest split, and the facts that a model needs to know."""

import numpy as np
import torch
from lightning import Trainer
from sklearn.datasets import load_wine

from datamodules.memory import InMemory, Split, stratified_split
from zoo.vision import Dense


class Wine(InMemory):
    """178 wines of three growers, bundled with scikit-learn; batches are ``(features (N, 13), grower (N,))``."""

    classes = ["first", "second", "third"]
    num_classes = 3
    in_features = 13
    source = {"name": "Wine, as bundled with scikit-learn", "licence": "CC BY 4.0"}

    def load(self) -> dict[str, Split]:
        """Reads and splits the wines; the test split is touched by nobody."""
        wines = load_wine()
        rest, test = stratified_split(wines.target, 0.25, self.seed)
        train, val = stratified_split(wines.target[rest], 0.2, self.seed)
        return {
            name: (torch.from_numpy(wines.data[rows].astype(np.float32)), torch.from_numpy(wines.target[rows]))
            for name, rows in {"train": rest[train], "val": rest[val], "test": test}.items()
        }

    @property
    def mean(self) -> list[float]:
        """Of each feature, over the training wines."""
        return self.splits["train"][0].mean(0).tolist()

    @property
    def std(self) -> list[float]:
        """Of each feature, over the training wines."""
        return self.splits["train"][0].std(0).tolist()


data = Wine(batch_size=16)
facts = {name: getattr(data, name) for name in ("in_features", "num_classes", "classes", "mean", "std")}
trainer = Trainer(max_epochs=20, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
model = Dense(**facts, lr=3e-3)
trainer.fit(model, data)
trainer.test(model, data)
