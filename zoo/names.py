"""Names of classes: what recipes, run folders, checkpoints and cards record, and what may be typed instead.

A class is recorded by its public path, ``zoo.vision.CNN``, wherever its file lies, so that files may move and what was
written stays readable. Paths that were recorded before are in :data:`FORMER` and are read for ever. Imports neither
torch nor lightning.
"""

import sys
from importlib import import_module
from typing import Any

from zoo.errors import ZooError, did_you_mean

# Packages whose names are public, by what is looked for there.
MODELS = ("zoo.vision", "zoo.series", "zoo.text", "zoo.gan", "zoo.tabular", "zoo.base")
DATA = ("datamodules",)
CALLBACKS = (*MODELS, "zoo.training")

# Paths that version 0.1.0 recorded until 2026-11-28, and the public ones that took their place.
FORMER = {
    "datamodules.folder.ImageFolder": "datamodules.ImageFolder",
    "datamodules.folder.Things": "datamodules.Things",
    "datamodules.images.Digits": "datamodules.Digits",
    "datamodules.images.FashionMNIST": "datamodules.FashionMNIST",
    "datamodules.sentences.MovieReviews": "datamodules.MovieReviews",
    "datamodules.sentences.Sentences": "datamodules.Sentences",
    "datamodules.series.CO2": "datamodules.CO2",
    "datamodules.series.CsvSeries": "datamodules.CsvSeries",
    "datamodules.series.Series": "datamodules.Series",
    "datamodules.series.Sunspots": "datamodules.Sunspots",
    "datamodules.series.SyntheticSeries": "datamodules.SyntheticSeries",
    "datamodules.shapes.Shapes": "datamodules.Shapes",
    "datamodules.tabular.Celsius": "datamodules.Celsius",
    "datamodules.tabular.Function1D": "datamodules.Function1D",
    "datamodules.tabular.Iris": "datamodules.Iris",
    "datamodules.tabular.NoisyLine": "datamodules.NoisyLine",
    "datamodules.text.Corpus": "datamodules.Corpus",
    "datamodules.text.Shakespeare": "datamodules.Shakespeare",
    "zoo.duration.StopAfter": "zoo.training.StopAfter",
    "zoo.figures.Figures": "zoo.training.Figures",
    "zoo.gan.dcgan.ConditionalDCGAN": "zoo.gan.ConditionalDCGAN",
    "zoo.gan.dcgan.DCGAN": "zoo.gan.DCGAN",
    "zoo.gan.wgan.WGAN": "zoo.gan.WGAN",
    "zoo.gan.wgan.WGANGP": "zoo.gan.WGANGP",
    "zoo.precision.ReconsiderPrecision": "zoo.training.ReconsiderPrecision",
    "zoo.series.baselines.MovingAverage": "zoo.series.MovingAverage",
    "zoo.series.baselines.Naive": "zoo.series.Naive",
    "zoo.series.baselines.SeasonalDifference": "zoo.series.SeasonalDifference",
    "zoo.series.baselines.SeasonalNaive": "zoo.series.SeasonalNaive",
    "zoo.series.causal_conv.CausalConv": "zoo.series.CausalConv",
    "zoo.series.conv_lstm.ConvLSTM": "zoo.series.ConvLSTM",
    "zoo.series.linear.DenseForecaster": "zoo.series.DenseForecaster",
    "zoo.series.linear.Linear": "zoo.series.Linear",
    "zoo.series.recurrent.Recurrent": "zoo.series.Recurrent",
    "zoo.series.stateful.Stateful": "zoo.series.Stateful",
    "zoo.tabular.backprop.Backprop": "zoo.tabular.Backprop",
    "zoo.tabular.kmeans.KMeans": "zoo.tabular.KMeans",
    "zoo.tabular.linear.LinearRegression": "zoo.tabular.LinearRegression",
    "zoo.tabular.pca.PCA": "zoo.tabular.PCA",
    "zoo.text.ngram.NGramLM": "zoo.text.NGramLM",
    "zoo.text.recurrent.RNNLM": "zoo.text.RNNLM",
    "zoo.text.sentiment.SentimentClassifier": "zoo.text.SentimentClassifier",
    "zoo.text.transformer.TransformerLM": "zoo.text.TransformerLM",
    "zoo.vision.backbone.Backbone": "zoo.vision.Backbone",
    "zoo.vision.cnn.CNN": "zoo.vision.CNN",
    "zoo.vision.dense.Dense": "zoo.vision.Dense",
    "zoo.vision.distillation.Distillation": "zoo.vision.Distillation",
    "zoo.vision.transfer.Transfer": "zoo.vision.Transfer",
}


def path_of(kind: type) -> str:
    """The public path of a class; of one that is not the zoo's where it is defined."""
    name = kind.__qualname__
    for package in (*CALLBACKS, *DATA):
        module = import_module(package)
        # Only where it may be is it asked for, since asking imports.
        if kind.__module__.startswith(f"{package}.") and name in module.__all__ and getattr(module, name) is kind:
            return f"{package}.{name}"
    return f"{kind.__module__}.{name}"


def current(path: str) -> str:
    """The path that a class has today, given one that it has or had."""
    return FORMER.get(path, path)


def in_full(name: str, packages: tuple[str, ...] = (*CALLBACKS, *DATA)) -> str:
    """The path that a class's bare name stands for; a path, or a name that is not the zoo's, is given back as it is.

    Args:
        name: Such as ``CNN``, ``zoo.vision.CNN`` or a path of former times.
        packages: Where bare names are looked for.

    Raises:
        ZooError: There are several classes of that name.
    """
    if not name.isidentifier():
        return current(name)
    found = [f"{package}.{name}" for package in packages if name in import_module(package).__all__]
    if len(found) > 1:
        raise ZooError(f"'{name}' may be any of {', '.join(found)}; give the whole path")
    return found[0] if found else name


def known(packages: tuple[str, ...]) -> list[str]:
    """The bare names of all public classes."""
    names = {name for package in packages for name in import_module(package).__all__}
    return sorted(name for name in names if name[0].isupper())


def find(path: str) -> Any:
    """What a public path, or one of former times, stands for; of what is not the zoo's only what is imported already.

    Raises:
        ZooError: It is not there, or would have to be imported from outside of the zoo.
    """
    path = current(path)
    package, _, name = path.rpartition(".")
    if package in (*CALLBACKS, *DATA):
        if name in import_module(package).__all__:
            return getattr(import_module(package), name)
        raise ZooError(f"no class {path!r} in this version of the zoo{did_you_mean(name, known((package,)))}")
    if package not in sys.modules:
        raise ZooError(
            f"refused to import {path!r}: not part of the zoo; if it is your class, import {package!r} first"
        )
    found = getattr(sys.modules[package], name, None)
    if found is None:
        raise ZooError(f"no class {path!r}")
    return found


def updated(config: Any) -> Any:
    """A configuration in which every ``class_path`` is a whole path of today, whatever else it holds."""
    if isinstance(config, dict):
        return {
            key: in_full(value) if key == "class_path" and isinstance(value, str) else updated(value)
            for key, value in config.items()
        }
    return [updated(value) for value in config] if isinstance(config, list) else config
