"""LightningDataModules: each delivers one source of data in raw units and states its facts.

The classes are imported on first use, so that ``import datamodules`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datamodules.folder import ImageFolder, Things
    from datamodules.images import Digits, FashionMNIST
    from datamodules.sentences import MovieReviews, Sentences
    from datamodules.series import CO2, CsvSeries, Series, Sunspots, SyntheticSeries
    from datamodules.shapes import Shapes
    from datamodules.tabular import Celsius, Function1D, Iris, NoisyLine
    from datamodules.text import Corpus, Shakespeare

_HOMES = {
    "CO2": "datamodules.series",
    "Celsius": "datamodules.tabular",
    "Corpus": "datamodules.text",
    "CsvSeries": "datamodules.series",
    "Digits": "datamodules.images",
    "FashionMNIST": "datamodules.images",
    "Function1D": "datamodules.tabular",
    "ImageFolder": "datamodules.folder",
    "Iris": "datamodules.tabular",
    "MovieReviews": "datamodules.sentences",
    "NoisyLine": "datamodules.tabular",
    "Sentences": "datamodules.sentences",
    "Series": "datamodules.series",
    "Shakespeare": "datamodules.text",
    "Shapes": "datamodules.shapes",
    "Sunspots": "datamodules.series",
    "SyntheticSeries": "datamodules.series",
    "Things": "datamodules.folder",
}

__all__ = [
    "CO2",
    "Celsius",
    "Corpus",
    "CsvSeries",
    "Digits",
    "FashionMNIST",
    "Function1D",
    "ImageFolder",
    "Iris",
    "MovieReviews",
    "NoisyLine",
    "Sentences",
    "Series",
    "Shakespeare",
    "Shapes",
    "Sunspots",
    "SyntheticSeries",
    "Things",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'datamodules' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)
