"""Reads Keras' MobileNetV2 without TensorFlow (Sandler et al., 2018): weights, head, and a reference to check by."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
_PASSIVE = {"InputLayer", "Dropout", "SpatialDropout2D", "Flatten", "GlobalAveragePooling2D", "AveragePooling2D"}
_BODY = {"Conv2D", "DepthwiseConv2D", "BatchNormalization", "ReLU", "ZeroPadding2D", "Add", "Activation"}


@dataclass
class KerasMobileNetV2:
    """A MobileNetV2 as Keras wrote it.

    Attributes:
        layers: Layer -> weight -> array.
        epsilon: Of the batch normalisations.
        image_size: Height and width of the input.
        dense: The dense layers of the head, as ``(name, activation)`` from input to output.
        dropout: Rate of the head's last dropout.
        scale: Factor of a rescaling layer that the model begins with; Keras' ``preprocess_input`` if there is none.
        offset: Offset of that layer.
        strange: Layers that belong neither to MobileNetV2 nor to a head of dense layers.
    """

    layers: Arrays
    epsilon: float = 1e-3
    image_size: int = 224
    dense: list[tuple[str, str]] = field(default_factory=list)
    dropout: float = 0.0
    scale: float = 1 / 127.5
    offset: float = -1.0
    strange: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The architecture's name in timm."""
        width = self.layers["Conv1"]["kernel"].shape[-1]
        if width not in _WIDTHS:
            raise ZooError(f"the first convolution has {width} kernels, expected one of {', '.join(map(str, _WIDTHS))}")
        return _WIDTHS[width]

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
        for convolution, normalisation, layer in _pairs():
            axes = (2, 3, 0, 1) if layer.depthwise else (3, 2, 0, 1)
            state[f"{convolution}.weight"] = _tensor(self._kernel(layer.conv).transpose(axes))
            statistics = self.layers[layer.norm]
            for ours, theirs in _NORM.items():
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
        if len(self.dense) == 2 and self.dense[0][1] != "relu":
            raise ZooError(
                f"the head's first layer has {self.dense[0][1]!r}, expected 'relu'; --backbone leaves it out"
            )
        head = []
        for layer, _ in self.dense:
            kernel = self._kernel(layer)
            zeros = np.zeros(kernel.shape[1], kernel.dtype)
            head.append((_tensor(kernel.T), _tensor(self.layers[layer].get("bias", zeros))))
        weight, bias = head[-1]
        if len(weight) == 2:  # softmax(a, b) = sigmoid(b - a)
            head[-1] = (weight[1:] - weight[:1], bias[1:] - bias[:1])
        return head

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


_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def _pairs() -> Iterator[tuple[str, str, _Layer]]:
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


def read(path: Path) -> KerasMobileNetV2:
    """Reads a Keras file: a whole model, or its weights alone.

    Raises:
        ZooError: It is missing, no HDF5, or holds another architecture.
    """
    try:
        import h5py
    except ImportError as error:
        raise ZooError("reading Keras files needs h5py; install it with: pip install 'lightning-zoo[keras]'") from error
    layers: Arrays = {}

    def visit(name: str, found: Any) -> None:
        if isinstance(found, h5py.Dataset):
            *_, layer, weight = name.split("/")
            layers.setdefault(layer, {})[weight.partition(":")[0]] = np.asarray(found)

    try:
        with h5py.File(path, "r") as file:
            file.get("model_weights", file).visititems(visit)
            config = file.attrs.get("model_config")
    except FileNotFoundError as error:
        raise ZooError(f"no file {path}") from error
    except (OSError, KeyError, RuntimeError) as error:
        hint = "; a .keras file is a zip archive: save the model as .h5" if path.suffix == ".keras" else ""
        raise ZooError(f"{path} is damaged or no HDF5 file of Keras ({error}){hint}") from error
    needed = [layer for _, _, pair in _pairs() for layer in (pair.conv, pair.norm)]
    missing = [layer for layer in needed if layer not in layers]
    if missing:
        raise ZooError(
            f"{path} is no MobileNetV2: {len(missing)} of its {len(needed)} layers are missing, such as {missing[0]}"
        )
    model = KerasMobileNetV2(layers)
    if config is not None:
        _read_config(model, json.loads(config), set(needed))
    return model


def _read_config(model: KerasMobileNetV2, layer: dict[str, Any], body: set[str]) -> None:
    """Gathers what the description of the model says, nested models included, in the order of the layers."""
    kind, settings = layer["class_name"], layer["config"]
    if "layers" in settings:
        for inner in settings["layers"]:
            _read_config(model, inner, body)
    elif kind == "Dense":
        model.dense.append((settings["name"], settings["activation"]))
    elif kind == "BatchNormalization" and settings["name"] in body:
        model.epsilon = settings["epsilon"]
    elif kind == "Rescaling":
        model.scale, model.offset = settings["scale"], settings["offset"]
    elif kind == "InputLayer":
        shape = settings.get("batch_shape") or settings.get("batch_input_shape") or [None] * 4
        model.image_size = shape[1] or model.image_size
    elif kind == "Dropout":
        model.dropout = settings["rate"]
    elif kind not in _PASSIVE | _BODY:
        model.strange.append(kind)


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
