"""Embeddings for TensorBoard's projector, which turns them into clouds of words."""

from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from zoo.errors import ZooError

# Signs that would break a table, or could not be seen in it.
_SHOWN = str.maketrans({"\n": "\\n", "\t": "\\t", "\r": "\\r", " ": "\u2423"})


def check_embedding(model: Any) -> None:
    """Refuses a model that has no words.

    Raises:
        ZooError: It has no embedding.
    """
    if not hasattr(model, "embedding") or not hasattr(model, "tokenizer"):
        raise ZooError(f"--projector shows the embedding of words, and {type(model).__name__} has none; leave it out")


def write_embedding(model: Any, folder: Path) -> None:
    """Writes the vectors of all tokens and what they stand for, where ``tensorboard --logdir FOLDER`` finds them."""
    names = [token.translate(_SHOWN) or "(empty)" for token in model.tokenizer.vocabulary]
    with SummaryWriter(str(folder)) as writer:
        writer.add_embedding(model.embedding.weight.detach().float().cpu(), metadata=names, tag="embedding")
