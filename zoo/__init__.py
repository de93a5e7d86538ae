"""Lightning Zoo: models for PyTorch Lightning that people can trust, read, train and import.

Importing this package imports neither torch nor lightning; they come with the first function that needs them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.errors import ZooError
    from zoo.registry import card, list_models
    from zoo.weights import create, load

__version__ = "0.1.0"
__all__ = ["ZooError", "card", "create", "list_models", "load"]

_HOMES = {
    "ZooError": "zoo.errors",
    "card": "zoo.registry",
    "list_models": "zoo.registry",
    "create": "zoo.weights",
    "load": "zoo.weights",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)
