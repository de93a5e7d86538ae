"""Lightning Zoo: models for PyTorch Lightning that people can trust, read, train and import.

Importing this package imports neither torch nor lightning; they come with the first class or function that needs them.
"""

import lazy_loader

__version__ = "0.1.0"

WINGS = ("vision", "series", "text", "gan", "tabular")

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[*WINGS, "base", "training"],
    submod_attrs={
        "base": ["ZooModule"],
        "errors": ["ZooError"],
        "registry": ["card", "list_models"],
        "start": ["create"],
        "training": ["Run", "fit", "open_run"],
        "weights": ["load"],
    },
)
