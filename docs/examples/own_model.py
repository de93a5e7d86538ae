"""A model of your own on data of the zoo: any LightningModule takes the batches, and the facts come with them."""

import torch.nn.functional as F
from lightning import LightningModule, Trainer
from torch import Tensor, nn, optim

from datamodules import Iris


class TwoLayers(LightningModule):
    """Two layers and a softmax, without anything of the zoo."""

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.BatchNorm1d(in_features), nn.Linear(in_features, 32), nn.ReLU(), nn.Linear(32, num_classes)
        )

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Cross-entropy of a batch."""
        features, species = batch
        return F.cross_entropy(self.network(features), species)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Logs the accuracy."""
        features, species = batch
        self.log("test_accuracy", (self.network(features).argmax(1) == species).float().mean())

    def configure_optimizers(self) -> optim.Optimizer:
        """Adam."""
        return optim.Adam(self.parameters(), lr=1e-2)


data = Iris()
model = TwoLayers(data.in_features, data.num_classes)
trainer = Trainer(max_epochs=40, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
trainer.fit(model, data)
trainer.test(model, data)
