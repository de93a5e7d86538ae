"""A zoo model in a Trainer of your own: pretrained weights are trained on, with your callbacks and your settings."""

from lightning import Trainer
from lightning.pytorch.callbacks import EarlyStopping

import zoo
from datamodules import Digits

data = Digits(batch_size=128)
model = zoo.load("cnn_digits").train()
model.lr = 1e-4  # it has learnt most of what there is to learn

trainer = Trainer(
    max_epochs=5,
    accelerator="cpu",
    callbacks=[EarlyStopping("val_accuracy", mode="max", patience=3)],
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
)
trainer.fit(model, data)
trainer.test(model, data)

images, labels = data.splits["test"]
print("says  ", model.classify(images[:8]))
print("truth ", [data.classes[label] for label in labels[:8]])
