"""For ``torch.hub``: ``torch.hub.load("lightning-zoo/lightning-zoo", "pretrained", "cnn_fashion_mnist")``."""

from typing import Any

dependencies = ["torch", "torchvision", "lightning", "torchmetrics", "safetensors", "yaml", "matplotlib"]


def pretrained(name: str) -> Any:
    """Loads a published model by name; see :func:`zoo.load`."""
    import zoo

    return zoo.load(name)
