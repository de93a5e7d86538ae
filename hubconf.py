"""For ``torch.hub``: ``torch.hub.load("lightning-zoo/lightning-zoo", "cnn_fashion_mnist")`` loads a published model."""

from functools import partial

import zoo

dependencies = ["torch", "torchvision", "lightning", "torchmetrics", "timm", "safetensors", "yaml", "matplotlib"]

# torch.hub finds entry points among the names of this module.
globals().update({name: partial(zoo.load, name) for name in zoo.list_models(pretrained=True)})
