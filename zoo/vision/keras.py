"""Reads Keras' MobileNetV2 without TensorFlow (Sandler et al., 2018): weights, head, and a reference to check by."""

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import timm
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from zoo.errors import ZooError

Arrays = dict[str, dict[str, np.ndarray]]
# Inverted-residual blocks of each of timm's stages; Keras numbers them through.
_STAGES = (1, 2, 3, 4, 3, 3, 1)
# Width of the first convolution -> timm's name.
_WIDTHS = {16: "mobilenetv2_050", 32: "mobilenetv2_100", 48: "mobilenetv2_140"}
# What does nothing at inference, beside the pooling; RandomCrop is missing, for it crops the centre then.
_PASSIVE = {
    *("InputLayer", "Dropout", "SpatialDropout2D", "GaussianNoise", "Flatten", "GlobalAveragePooling2D"),
    *("RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomHeight", "RandomWidth", "RandomShear"),
    *("RandomContrast", "RandomBrightness", "RandomHue", "RandomSaturation", "RandomColorJitter", "RandomErasing"),
}
_BODY = {"Conv2D", "DepthwiseConv2D", "BatchNormalization", "ReLU", "ZeroPadding2D", "Add", "Activation"}
_BODY_NAME = re.compile(
    r"Conv1(_pad|_relu)?|bn_Conv1|Conv_1(_bn)?|out_relu"
    r"|(expanded_conv|block_([1-9]|1[0-6]))_(add|pad|(expand|depthwise|project)(_BN|_relu)?)"
)
# No array of MobileNetV2 with a head that fits it is larger; what a file declares may be 16 TiB in a few bytes.
_MOST_ELEMENTS = 2**24
_MOST_PIXELS = 1024
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
        return _architecture(self.layers["Conv1"]["kernel"].shape)

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


def read(path: Path, head: bool = True) -> KerasMobileNetV2:
    """Reads a Keras file: a whole model, or its weights alone. It may come from anywhere: nothing of it is believed.

    Args:
        path: The file.
        head: Read the weights of the head, too.

    Raises:
        ZooError: It is missing, no HDF5, or holds another architecture.
    """
    try:
        import h5py
    except ImportError as error:
        raise ZooError("reading Keras files needs h5py; install it with: pip install 'lightning-zoo[keras]'") from error
    try:
        with h5py.File(path, "r") as file:
            found = _data_sets(file, path)
            model = KerasMobileNetV2(_read_body(found, path))
            if "model_config" in file.attrs:
                _read_config(model, file, path)
            if head and len(model.dense) <= 2:
                for layer in model.dense:
                    weights = {"kernel", "bias"} if layer.bias else {"kernel"}
                    _check_weights(layer.name, found.get(layer.name, {}), weights, path)
                    model.layers[layer.name] = {weight: _read(found[layer.name][weight], path) for weight in weights}
    except FileNotFoundError as error:
        raise ZooError(f"no file {path}") from error
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        hint = "; a .keras file is a zip archive: save the model as .h5" if path.suffix == ".keras" else ""
        reason = " ".join(str(error).split())
        raise ZooError(f"{path} is damaged or no HDF5 file of Keras ({reason}){hint}") from error
    return model


def _data_sets(file: Any, path: Path) -> dict[str, dict[str, Any]]:
    """The data sets of each layer, not read yet. Links, to other files or in this one, are not followed."""
    import h5py

    found: dict[str, dict[str, Any]] = {}

    def visit(name: str, item: Any) -> None:
        *_, layer, weight = ["", *name.split("/")]
        if isinstance(item, h5py.Dataset) and layer:
            weight = weight.partition(":")[0]
            if weight in found.setdefault(layer, {}):
                raise ZooError(f"{path} holds two layers {layer}, expected one; rename one of them in Keras")
            found[layer][weight] = item

    def visit_new_format(name: str, item: Any) -> bool | None:
        return name.endswith("/vars/0") or None

    if "layers" in file and "model_weights" not in file and file.visititems(visit_new_format):
        raise ZooError(
            f"{path} is of Keras 3's save_weights, which does not keep the names of layers; save the whole model: "
            "model.save('model.h5')"
        )
    weights = file
    if "model_weights" in file:
        if not isinstance(file.get("model_weights", getlink=True), h5py.HardLink):
            raise ZooError(f"{path} keeps its weights in another file; save the model in one: model.save('model.h5')")
        weights = file["model_weights"]
        if not isinstance(weights, h5py.Group):
            raise ZooError(f"{path} is damaged: its model_weights are no group of layers")
    weights.visititems(visit)
    return found


def _read_body(found: dict[str, dict[str, Any]], path: Path) -> Arrays:
    """Reads the layers of MobileNetV2, each only if it is what it has to be."""
    needed = [layer for _, _, pair in _pairs() for layer in (pair.conv, pair.norm)]
    missing = [layer for layer in needed if layer not in found]
    if missing:
        raise ZooError(
            f"{path} is no MobileNetV2: {len(missing)} of its {len(needed)} layers are missing, such as {missing[0]}"
        )
    _check_weights("Conv1", found["Conv1"], {"kernel"}, path)
    with torch.device("meta"):
        state = timm.create_model(_architecture(found["Conv1"]["kernel"].shape), num_classes=0).state_dict()
    layers: Arrays = {}
    for convolution, normalisation, pair in _pairs():
        outputs, inputs, *size = state[f"{convolution}.weight"].shape
        kernel = "depthwise_kernel" if "depthwise_kernel" in found[pair.conv] else "kernel"
        shapes = {
            pair.conv: {kernel: (*size, outputs, inputs) if pair.depthwise else (*size, inputs, outputs)},
            pair.norm: dict.fromkeys(_NORM.values(), tuple(state[f"{normalisation}.weight"].shape)),
        }
        for layer, weights in shapes.items():
            _check_weights(layer, found[layer], set(weights), path)
            layers[layer] = {weight: _read(found[layer][weight], path, shape) for weight, shape in weights.items()}
    return layers


def _check_weights(layer: str, found: dict[str, Any], expected: set[str], path: Path) -> None:
    if found.keys() != expected:
        raise ZooError(
            f"{path}: the layer {layer} has {', '.join(sorted(found)) or 'no weights'}, expected "
            f"{', '.join(sorted(expected))}"
        )


def _read(found: Any, path: Path, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Reads a data set that has a plausible size and lies in the file itself."""
    if found.external or found.is_virtual:
        raise ZooError(f"{path}: the data of {found.name} lie in other files; save the model in one file")
    if shape is not None and found.shape != shape:
        raise ZooError(f"{path}: {found.name} has shape {found.shape}, MobileNetV2 has {shape}")
    if found.shape is None or found.dtype.kind != "f":
        raise ZooError(f"{path}: {found.name} holds {found.dtype}, expected floating-point numbers")
    if max(math.prod(found.shape), math.prod(found.chunks or ())) > _MOST_ELEMENTS:
        raise ZooError(
            f"{path}: {found.name} has shape {found.shape}, larger than anything that fits MobileNetV2; --backbone "
            "leaves heads out"
        )
    return np.asarray(found)


def _read_config(model: KerasMobileNetV2, file: Any, path: Path) -> None:
    """Gathers what the description of the model says."""
    try:
        if file.attrs.get_id("model_config").shape != ():
            raise ValueError("no text")
        layers = list(_leaves(json.loads(file.attrs["model_config"])))
        _describe(model, layers)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ZooError(
            f"{path} is damaged: its model_config cannot be read ({type(error).__name__}: {error}); save the model "
            "anew: model.save('model.h5')"
        ) from error


def _leaves(layer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The layers in their order, those of nested models included."""
    inner = layer["config"] if isinstance(layer["config"], list) else layer["config"].get("layers")
    if inner is None:
        yield layer
    else:
        for one in inner:
            yield from _leaves(one)


def _describe(model: KerasMobileNetV2, layers: list[dict[str, Any]]) -> None:
    rescalings: list[tuple[float, float]] = []
    past_input = False
    for layer in layers:
        kind, settings = layer["class_name"], layer["config"]
        if kind in _BODY and _BODY_NAME.fullmatch(settings.get("name", "")):
            past_input = True
            if kind == "BatchNormalization":
                model.epsilon = float(settings["epsilon"])
        elif kind == "Dense":
            activation = settings["activation"]
            named = activation if isinstance(activation, str) else activation["class_name"]
            model.dense.append(Dense(settings["name"], named, settings.get("use_bias", True)))
        elif kind == "InputLayer":
            shape = settings.get("batch_shape") or settings.get("batch_input_shape") or [None] * 4
            model.image_size = shape[1] or model.image_size
        elif not past_input and (rescaling := _rescaling(layer)):
            rescalings.append(rescaling)
        elif kind not in _PASSIVE and not (kind == "AveragePooling2D" and _pools(settings, model.image_size)):
            model.strange.append(kind)
        if kind == "Dropout":
            model.dropout = float(settings["rate"])
    if rescalings:
        model.scale, model.offset = 1.0, 0.0
    for scale, offset in rescalings:
        model.scale, model.offset = model.scale * scale, model.offset * scale + offset
    if not isinstance(model.image_size, int) or not 32 <= model.image_size <= _MOST_PIXELS:
        raise ValueError(f"images of {model.image_size!r} pixels, expected 32 to {_MOST_PIXELS}")
    if not (0 < model.epsilon < 1 and 0 <= model.dropout < 1 and 1e-6 < model.scale < 1e6 and abs(model.offset) < 1e6):
        raise ValueError(
            f"epsilon {model.epsilon}, dropout {model.dropout}, scale {model.scale}, offset {model.offset}"
        )


def _rescaling(layer: dict[str, Any]) -> tuple[float, float] | None:
    """Factor and offset of a layer that rescales pixels, or None.

    Beside the layer of this name these are the division and the subtraction that ``preprocess_input`` becomes.
    """
    settings = layer["config"]
    if layer["class_name"] == "Rescaling":
        scale, offset = settings["scale"], settings.get("offset", 0.0)
        plain = isinstance(scale, int | float) and isinstance(offset, int | float)
        return (float(scale), float(offset)) if plain else None
    operation = settings.get("function") if layer["class_name"] == "TFOpLambda" else layer["class_name"]
    match layer.get("inbound_nodes"):
        case [[str(), int(), int(), {"y": int() | float() as number}]]:  # Keras 2
            pass
        case [{"args": [dict(), int() | float() as number]}]:  # Keras 3
            pass
        case _:
            return None
    if operation in ("math.truediv", "TrueDivide") and number:
        return 1 / number, 0.0
    return (1.0, -float(number)) if operation in ("math.subtract", "Subtract") else None


def _pools(settings: dict[str, Any], image_size: int) -> bool:
    """Whether a pooling layer leaves no border of the last feature map out, and sees nothing twice."""
    pool = settings.get("pool_size", [2, 2])
    sides = [pool, pool] if isinstance(pool, int) else list(pool)
    strides = settings.get("strides")
    same = strides is None or ([strides, strides] if isinstance(strides, int) else list(strides)) == sides
    return same and all(math.ceil(image_size / 32) % side == 0 for side in sides)


def _architecture(shape: tuple[int, ...]) -> str:
    """The name in timm of the MobileNetV2 whose first kernel has this shape."""
    if len(shape) != 4 or shape[-1] not in _WIDTHS:
        raise ZooError(
            f"the first convolution has a kernel {shape}, expected (3, 3, 3, N) with N one of "
            f"{', '.join(map(str, _WIDTHS))}"
        )
    return _WIDTHS[shape[-1]]


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
