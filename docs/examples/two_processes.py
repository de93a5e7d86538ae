"""Two processes share one training; torchrun starts them.

torchrun --standalone --nproc_per_node 2 docs/examples/two_processes.py

Each sees its own half of every epoch. Validation is shared, and equals that of one process.
"""

from lightning import Trainer

from datamodules import Digits
from zoo.vision import CNN

data = Digits()
model = CNN(
    in_channels=data.in_channels,
    image_size=data.image_size,
    num_classes=data.num_classes,
    mean=data.mean,
    std=data.std,
    lr=3e-3,
)
trainer = Trainer(
    max_epochs=4,
    accelerator="cpu",
    devices=2,
    strategy="ddp",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
)
trainer.fit(model, data)
(measured,) = trainer.validate(model, data, verbose=False)
if trainer.is_global_zero:
    print(f"accuracy on all validation pictures: {measured['val_accuracy']:.3f}")
