"""What a Keras file of a MobileNetV2 holds (Sandler et al., 2018): weights by timm's names, and a reference."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from zoo.errors import ZooError

Arrays = dict[str, dict[str, np.ndarray]]
# Inverted-residual blocks of each of timm's stages; Keras numbers them through.
_STAGES = (1, 2, 3, 4, 3, 3, 1)
# Width of the first convolution -> timm's name.
_WIDTHS = {16: "mobilenetv2_050", 32: "mobilenetv2_100", 48: "mobilenetv2_140"}
_ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: (1 + np.tanh(x / 2)) / 2,
    "softmax": lambda x: (
        np.exp(x - x.max(1, keepdims=True)) / np.exp(x - x.max(1, keepdims=True)).sum(1, keepdims=True)
    ),
}


class Dense(NamedTuple):
    """What a file says of a dense layer: its name, its activation and whether it has a bias."""

    name: str
    activation: str
    bias: bool


@dataclass
class KerasMobileNetV2:
    """A MobileNetV2 as Keras wrote it.

    Attributes:
        layers: Layer -> weight -> array.
        epsilon: Of the batch normalisations.
        image_size: Height and width of the input.
        dense: The dense layers of the head, from input to output.
        dropout: Rate of the head's last dropout.
        scale: Factor of the rescaling that the model begins with; Keras' ``preprocess_input`` if there is none.
        offset: Offset of that rescaling.
        strange: Layers that belong neither to MobileNetV2 nor to a head of dense layers.
    """

    layers: Arrays
    epsilon: float = 1e-3
    image_size: int = 224
    dense: list[Dense] = field(default_factory=list)
    dropout: float = 0.0
    scale: float = 1 / 127.5
    offset: float = -1.0
    strange: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The architecture's name in timm."""
        return architecture(self.layers["Conv1"]["kernel"].shape)

    @property
    def num_features(self) -> int:
        """Number of features; 1280 unless the network is wider than usual."""
        return self._kernel("Conv_1").shape[-1]

    @property
    def options(self) -> dict[str, Any]:
        """What timm's architecture needs to compute what Keras computes."""
        return {"pad_type": "same", "bn_eps": self.epsilon}

    @property
    def std(self) -> float:
        """Standard deviation in 0..1 that normalises like the model's preprocessing."""
        return 1 / (255 * self.scale)

    @property
    def mean(self) -> float:
        """Mean in 0..1 that normalises like the model's preprocessing."""
        return -self.offset * self.std

    def backbone_state(self) -> dict[str, Tensor]:
        """The weights by timm's names."""
        state: dict[str, Tensor] = {}
        for convolution, normalisation, layer in pairs():
            axes = (2, 3, 0, 1) if layer.depthwise else (3, 2, 0, 1)
            state[f"{convolution}.weight"] = _tensor(self._kernel(layer.conv).transpose(axes))
            statistics = self.layers[layer.norm]
            for ours, theirs in NORM.items():
                state[f"{normalisation}.{ours}"] = _tensor(statistics[theirs])
            state[f"{normalisation}.num_batches_tracked"] = torch.tensor(0)
        return state

    def head_layers(self) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of the head's dense layers; a softmax over two classes as one logit.

        Raises:
            ZooError: The head is not one that :class:`zoo.vision.transfer.Transfer` has.
        """
        if self.strange:
            raise ZooError(
                f"the head holds {', '.join(sorted(set(self.strange)))}, expected pooling, dropout and one or two "
                "dense layers; --backbone imports the rest of it"
            )
        if len(self.dense) not in (1, 2):
            raise ZooError(
                f"the head has {len(self.dense)} dense layers, expected one or two; --backbone leaves it out"
            )
        if len(self.dense) == 2 and self.dense[0].activation != "relu":
            raise ZooError(
                f"the head's first layer has {self.dense[0].activation!r}, expected 'relu'; --backbone leaves it out"
            )
        head: list[tuple[Tensor, Tensor]] = []
        for kernel, biases in self._dense_arrays():
            inputs = len(head[-1][0]) if head else self.num_features
            if kernel.ndim != 2 or len(kernel) != inputs or biases.shape != kernel.shape[1:] or not biases.size:
                raise ZooError(
                    f"the head's dense layer {self.dense[len(head)].name} has a kernel {kernel.shape} and a bias "
                    f"{biases.shape}, expected {inputs} inputs (are the features pooled?) and a bias for each output; "
                    "--backbone leaves it out"
                )
            head.append((_tensor(kernel.T), _tensor(biases)))
        weight, bias = head[-1]
        activation, fitting = self.dense[-1].activation, "sigmoid" if len(weight) == 1 else "softmax"
        if activation not in (fitting, "linear"):
            raise ZooError(
                f"the head's last layer has {len(weight)} outputs with {activation!r}, expected {fitting!r} or "
                "'linear'; --backbone leaves it out"
            )
        if len(weight) == 2:  # softmax(a, b) = sigmoid(b - a)
            head[-1] = (weight[1:] - weight[:1], bias[1:] - bias[:1])
        return head

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Computes the class probabilities of features ``(N, F)`` as Keras defines them, in float64 NumPy."""
        x = features.astype(np.float64)
        for (kernel, bias), layer in zip(self._dense_arrays(), self.dense, strict=True):
            x = _ACTIVATIONS[layer.activation](x @ kernel.astype(np.float64) + bias)
        if self.dense[-1].activation == "linear":
            x = _ACTIVATIONS["sigmoid" if x.shape[1] == 1 else "softmax"](x)
        return np.hstack([1 - x, x]) if x.shape[1] == 1 else x

    def _dense_arrays(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Kernel and bias of each dense layer."""
        kernels = [self.layers[layer.name]["kernel"] for layer in self.dense]
        zeros = [np.zeros(kernel.shape[1:], kernel.dtype) for kernel in kernels]
        biases = [self.layers[layer.name].get("bias", zero) for layer, zero in zip(self.dense, zeros, strict=True)]
        return list(zip(kernels, biases, strict=True))

    def _kernel(self, layer: str) -> np.ndarray:
        weights = self.layers[layer]
        return weights["depthwise_kernel" if "depthwise_kernel" in weights else "kernel"]

    def reference(self, image: np.ndarray) -> np.ndarray:
        """Computes the features of one preprocessed image ``(H, W, 3)`` as Keras defines them, in float64 NumPy."""

        def norm(x: np.ndarray, layer: str, relu: bool = True) -> np.ndarray:
            found = {key: value.astype(np.float64) for key, value in self.layers[layer].items()}
            x = (x - found["moving_mean"]) / np.sqrt(found["moving_variance"] + self.epsilon)
            x = x * found["gamma"] + found["beta"]
            return x.clip(0, 6) if relu else x

        def kernel(layer: str) -> np.ndarray:
            return self._kernel(layer).astype(np.float64)

        def windows(x: np.ndarray, stride: int) -> np.ndarray:
            before, after = [((1, 1) if stride == 1 or size % 2 else (0, 1)) for size in x.shape[:2]], (0, 0)
            return sliding_window_view(np.pad(x, [*before, after]), (3, 3), (0, 1))[::stride, ::stride]

        x = norm(np.einsum("hwcij,ijco->hwo", windows(image.astype(np.float64), 2), kernel("Conv1")), "bn_Conv1")
        strides = {f"block_{number}_": 2 for number in (1, 3, 6, 13)}
        for prefix in ("expanded_conv_", *(f"block_{number}_" for number in range(1, 17))):
            y = x
            if prefix != "expanded_conv_":
                y = norm(y @ kernel(f"{prefix}expand")[0, 0], f"{prefix}expand_BN")
            depth = kernel(f"{prefix}depthwise")[:, :, :, 0]
            y = norm(np.einsum("hwcij,ijc->hwc", windows(y, strides.get(prefix, 1)), depth), f"{prefix}depthwise_BN")
            y = norm(y @ kernel(f"{prefix}project")[0, 0], f"{prefix}project_BN", relu=False)
            x = x + y if x.shape == y.shape and prefix != "expanded_conv_" else y
        return norm(x @ kernel("Conv_1")[0, 0], "Conv_1_bn").mean((0, 1))


@dataclass(frozen=True)
class _Layer:
    conv: str
    norm: str
    depthwise: bool = False


NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def pairs() -> Iterator[tuple[str, str, _Layer]]:
    """The names in timm of each convolution and batch normalisation, and Keras' names of both."""
    yield "conv_stem", "bn1", _Layer("Conv1", "bn_Conv1")
    number = 0
    for stage, blocks in enumerate(_STAGES):
        for block in range(blocks):
            ours = f"blocks.{stage}.{block}"
            theirs = f"block_{number}" if number else "expanded_conv"
            if number:
                yield f"{ours}.conv_pw", f"{ours}.bn1", _Layer(f"{theirs}_expand", f"{theirs}_expand_BN")
            first, second = ("bn2", "bn3") if number else ("bn1", "bn2")
            depthwise = _Layer(f"{theirs}_depthwise", f"{theirs}_depthwise_BN", depthwise=True)
            yield f"{ours}.conv_dw", f"{ours}.{first}", depthwise
            project = "conv_pwl" if number else "conv_pw"
            yield f"{ours}.{project}", f"{ours}.{second}", _Layer(f"{theirs}_project", f"{theirs}_project_BN")
            number += 1
    yield "conv_head", "bn2", _Layer("Conv_1", "Conv_1_bn")


def architecture(shape: tuple[int, ...]) -> str:
    """The name in timm of the MobileNetV2 whose first kernel has this shape."""
    if len(shape) != 4 or shape[-1] not in _WIDTHS:
        raise ZooError(
            f"the first convolution has a kernel {shape}, expected (3, 3, 3, N) with N one of "
            f"{', '.join(map(str, _WIDTHS))}"
        )
    return _WIDTHS[shape[-1]]


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
