"""Reads Keras' MobileNetV2 without TensorFlow: the file, its weights and what it says of its head."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch

from zoo.errors import ZooError
from zoo.vision.keras_model import NORM, Arrays, Dense, KerasMobileNetV2, architecture, pairs

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
    needed = [layer for _, _, pair in pairs() for layer in (pair.conv, pair.norm)]
    missing = [layer for layer in needed if layer not in found]
    if missing:
        raise ZooError(
            f"{path} is no MobileNetV2: {len(missing)} of its {len(needed)} layers are missing, such as {missing[0]}"
        )
    _check_weights("Conv1", found["Conv1"], {"kernel"}, path)
    with torch.device("meta"):
        state = timm.create_model(architecture(found["Conv1"]["kernel"].shape), num_classes=0).state_dict()
    layers: Arrays = {}
    for convolution, normalisation, pair in pairs():
        outputs, inputs, *size = state[f"{convolution}.weight"].shape
        kernel = "depthwise_kernel" if "depthwise_kernel" in found[pair.conv] else "kernel"
        shapes = {
            pair.conv: {kernel: (*size, outputs, inputs) if pair.depthwise else (*size, inputs, outputs)},
            pair.norm: dict.fromkeys(NORM.values(), tuple(state[f"{normalisation}.weight"].shape)),
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
