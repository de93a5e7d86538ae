# Written by scripts/stubs.py; do not edit.

from os import PathLike
from typing import Any, Literal, TypeVar, overload

from torch import device as Device

from . import base as base
from . import gan as gan
from . import series as series
from . import tabular as tabular
from . import text as text
from . import training as training
from . import vision as vision
from .base import ZooModule as ZooModule
from .errors import ZooError as ZooError
from .registry import card as card
from .registry import list_models as list_models
from .training import Run as Run
from .training import fit as fit
from .training import open_run as open_run

_Model = TypeVar("_Model", bound=ZooModule)

WINGS: tuple[str, ...]
__version__: str
@overload
def load(
    name: Literal[
        "conditional_dcgan_fashion_mnist",
    ],
    device: str | Device = ...,
) -> gan.ConditionalDCGAN: ...
@overload
def load(
    name: Literal[
        "dcgan_digits",
        "dcgan_fashion_mnist",
    ],
    device: str | Device = ...,
) -> gan.DCGAN: ...
@overload
def load(
    name: Literal[
        "wgan_fashion_mnist",
    ],
    device: str | Device = ...,
) -> gan.WGAN: ...
@overload
def load(
    name: Literal[
        "wgan_gp_fashion_mnist",
    ],
    device: str | Device = ...,
) -> gan.WGANGP: ...
@overload
def load(
    name: Literal[
        "causal_conv_co2",
        "causal_conv_synthetic",
        "wavenet_synthetic",
    ],
    device: str | Device = ...,
) -> series.CausalConv: ...
@overload
def load(
    name: Literal[
        "conv_lstm_synthetic",
    ],
    device: str | Device = ...,
) -> series.ConvLSTM: ...
@overload
def load(
    name: Literal[
        "dense_synthetic",
    ],
    device: str | Device = ...,
) -> series.DenseForecaster: ...
@overload
def load(
    name: Literal[
        "linear_synthetic",
    ],
    device: str | Device = ...,
) -> series.Linear: ...
@overload
def load(
    name: Literal[
        "moving_average_synthetic",
    ],
    device: str | Device = ...,
) -> series.MovingAverage: ...
@overload
def load(
    name: Literal[
        "naive_synthetic",
    ],
    device: str | Device = ...,
) -> series.Naive: ...
@overload
def load(
    name: Literal[
        "gru_synthetic",
        "lstm_co2",
        "lstm_sunspots",
        "lstm_synthetic",
        "rnn_sequence_synthetic",
        "rnn_synthetic",
    ],
    device: str | Device = ...,
) -> series.Recurrent: ...
@overload
def load(
    name: Literal[
        "seasonal_difference_synthetic",
    ],
    device: str | Device = ...,
) -> series.SeasonalDifference: ...
@overload
def load(
    name: Literal[
        "seasonal_naive_co2",
    ],
    device: str | Device = ...,
) -> series.SeasonalNaive: ...
@overload
def load(
    name: Literal[
        "stateful_lstm_synthetic",
        "stateful_rnn_synthetic",
    ],
    device: str | Device = ...,
) -> series.Stateful: ...
@overload
def load(
    name: Literal[
        "backprop_iris",
        "backprop_sine",
    ],
    device: str | Device = ...,
) -> tabular.Backprop: ...
@overload
def load(
    name: Literal[
        "kmeans_fashion_mnist",
        "kmeans_iris",
    ],
    device: str | Device = ...,
) -> tabular.KMeans: ...
@overload
def load(
    name: Literal[
        "linear_batch",
        "linear_celsius",
        "linear_celsius_notes",
        "linear_minibatch",
        "linear_stochastic",
    ],
    device: str | Device = ...,
) -> tabular.LinearRegression: ...
@overload
def load(
    name: Literal[
        "pca_fashion_mnist",
        "pca_iris",
    ],
    device: str | Device = ...,
) -> tabular.PCA: ...
@overload
def load(
    name: Literal[
        "bigram_shakespeare",
        "char_ngram8_shakespeare",
        "ngram5_shakespeare",
        "trigram_shakespeare",
    ],
    device: str | Device = ...,
) -> text.NGramLM: ...
@overload
def load(
    name: Literal[
        "char_rnn_shakespeare",
        "word_lstm_shakespeare",
    ],
    device: str | Device = ...,
) -> text.RNNLM: ...
@overload
def load(
    name: Literal[
        "sentiment_average_reviews",
        "sentiment_bigru_reviews",
        "sentiment_bilstm_reviews",
        "sentiment_conv_reviews",
        "sentiment_flatten_reviews",
    ],
    device: str | Device = ...,
) -> text.SentimentClassifier: ...
@overload
def load(
    name: Literal[
        "char_transformer_shakespeare",
        "char_transformer_shakespeare_quick",
    ],
    device: str | Device = ...,
) -> text.TransformerLM: ...
@overload
def load(
    name: Literal[
        "efficientnet_lite0_imagenet",
        "efficientnet_lite1_imagenet",
        "efficientnet_lite2_imagenet",
        "mobilenetv2_imagenet",
    ],
    device: str | Device = ...,
) -> vision.Backbone: ...
@overload
def load(
    name: Literal[
        "cnn_digits",
        "cnn_fashion_mnist",
        "cnn_shapes",
        "cnn_shapes_augmented",
        "cnn_things",
        "cnn_things_augmented",
    ],
    device: str | Device = ...,
) -> vision.CNN: ...
@overload
def load(
    name: Literal[
        "dense_fashion_mnist",
        "dense_iris",
    ],
    device: str | Device = ...,
) -> vision.Dense: ...
@overload
def load(
    name: Literal[
        "efficientnet_lite0_things",
        "mobilenetv2_things",
        "mobilenetv2_things_finetuned",
    ],
    device: str | Device = ...,
) -> vision.Transfer: ...
@overload
def load(name: str | PathLike[str], device: str | Device = ...) -> ZooModule: ...
@overload
def load(name: str | PathLike[str], device: str | Device = ..., *, kind: type[_Model]) -> _Model: ...
@overload
def create(
    name: Literal[
        "conditional_dcgan_fashion_mnist",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> gan.ConditionalDCGAN: ...
@overload
def create(
    name: Literal[
        "dcgan_digits",
        "dcgan_fashion_mnist",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> gan.DCGAN: ...
@overload
def create(
    name: Literal[
        "wgan_fashion_mnist",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> gan.WGAN: ...
@overload
def create(
    name: Literal[
        "wgan_gp_fashion_mnist",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> gan.WGANGP: ...
@overload
def create(
    name: Literal[
        "causal_conv_co2",
        "causal_conv_csv",
        "causal_conv_synthetic",
        "wavenet_csv",
        "wavenet_synthetic",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> series.CausalConv: ...
@overload
def create(
    name: Literal[
        "conv_lstm_synthetic",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> series.ConvLSTM: ...
@overload
def create(
    name: Literal[
        "dense_synthetic",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> series.DenseForecaster: ...
@overload
def create(
    name: Literal[
        "linear_csv",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> series.DirectLinear: ...
@overload
def create(
    name: Literal[
        "ets_csv",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> series.ExponentialSmoothing: ...
@overload
def create(
    name: Literal[
        "linear_synthetic",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> series.Linear: ...
@overload
def create(
    name: Literal[
        "moving_average_synthetic",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> series.MovingAverage: ...
@overload
def create(
    name: Literal[
        "naive_csv",
        "naive_synthetic",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> series.Naive: ...
@overload
def create(
    name: Literal[
        "gru_csv",
        "gru_synthetic",
        "lstm_co2",
        "lstm_csv",
        "lstm_sunspots",
        "lstm_synthetic",
        "rnn_sequence_synthetic",
        "rnn_synthetic",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> series.Recurrent: ...
@overload
def create(
    name: Literal[
        "sarima_csv",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> series.SARIMA: ...
@overload
def create(
    name: Literal[
        "seasonal_difference_synthetic",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> series.SeasonalDifference: ...
@overload
def create(
    name: Literal[
        "seasonal_naive_co2",
        "seasonal_naive_csv",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> series.SeasonalNaive: ...
@overload
def create(
    name: Literal[
        "stateful_lstm_csv",
        "stateful_lstm_synthetic",
        "stateful_rnn_synthetic",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> series.Stateful: ...
@overload
def create(
    name: Literal[
        "theta_csv",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> series.Theta: ...
@overload
def create(
    name: Literal[
        "backprop_iris",
        "backprop_sine",
        "backprop_table",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> tabular.Backprop: ...
@overload
def create(
    name: Literal[
        "dense_table",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> tabular.DenseClassifier: ...
@overload
def create(
    name: Literal[
        "dense_regression_table",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> tabular.DenseRegression: ...
@overload
def create(
    name: Literal[
        "kmeans_fashion_mnist",
        "kmeans_iris",
        "kmeans_table",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> tabular.KMeans: ...
@overload
def create(
    name: Literal[
        "linear_table",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> tabular.LeastSquares: ...
@overload
def create(
    name: Literal[
        "linear_batch",
        "linear_celsius",
        "linear_celsius_notes",
        "linear_minibatch",
        "linear_stochastic",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> tabular.LinearRegression: ...
@overload
def create(
    name: Literal[
        "logistic_table",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> tabular.LogisticRegression: ...
@overload
def create(
    name: Literal[
        "pca_fashion_mnist",
        "pca_iris",
        "pca_table",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> tabular.PCA: ...
@overload
def create(
    name: Literal[
        "bigram_shakespeare",
        "char_ngram8_shakespeare",
        "ngram5_shakespeare",
        "trigram_shakespeare",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> text.NGramLM: ...
@overload
def create(
    name: Literal[
        "char_rnn_shakespeare",
        "char_rnn_text",
        "word_lstm_shakespeare",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> text.RNNLM: ...
@overload
def create(
    name: Literal[
        "sentiment_average_reviews",
        "sentiment_bigru_reviews",
        "sentiment_bilstm_reviews",
        "sentiment_conv_reviews",
        "sentiment_csv",
        "sentiment_flatten_reviews",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> text.SentimentClassifier: ...
@overload
def create(
    name: Literal[
        "char_transformer_shakespeare",
        "char_transformer_shakespeare_quick",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> text.TransformerLM: ...
@overload
def create(
    name: Literal[
        "cnn_digits",
        "cnn_fashion_mnist",
        "cnn_shapes",
        "cnn_shapes_augmented",
        "cnn_things",
        "cnn_things_augmented",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> vision.CNN: ...
@overload
def create(
    name: Literal[
        "dense_fashion_mnist",
        "dense_iris",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> vision.Dense: ...
@overload
def create(
    name: Literal[
        "efficientnet_lite0_folder",
        "efficientnet_lite1_folder",
        "efficientnet_lite2_folder",
        "mobilenetv2_folder",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> vision.LinearProbe: ...
@overload
def create(
    name: Literal[
        "efficientnet_lite0_things",
        "mobilenetv2_finetuned_folder",
        "mobilenetv2_things",
        "mobilenetv2_things_finetuned",
    ],
    *,
    init_from: str | PathLike[str] | None = ...,
    **overrides: Any,
) -> vision.Transfer: ...
@overload
def create(name: str, *, init_from: str | PathLike[str] | None = ..., **overrides: Any) -> ZooModule: ...
