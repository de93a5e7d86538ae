"""``zoo import-keras``: files as Keras writes them, made here of random weights."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import timm
import torch
from conftest import Zoo
from torch import nn

import zoo
from zoo.vision import keras

EPSILON = 1e-3
IMAGES = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network() -> Any:
    """A narrow MobileNetV2 whose batch normalisations have seen something."""
    torch.manual_seed(0)
    network = timm.create_model("mobilenetv2_050", num_classes=0, pad_type="same", bn_eps=EPSILON)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -0.5, 0.5), (module.running_var, 0.5, 1.5), (module.weight, 0.5, 1.5),
                (module.bias, -0.5, 0.5),
            ):  # fmt: skip
                nn.init.uniform_(tensor, low, high)  # type: ignore[arg-type]
    return network.eval()


def write(
    path: Path, network: Any, head: list[dict[str, Any]] | None = None, epsilon: float = EPSILON, nested: bool = True,
    **more: Any,
) -> Path:  # fmt: skip
    """Writes what Keras would write of ``network`` and a head."""
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    with h5py.File(path, "w") as file:
        weights = file.create_group("model_weights") if head is not None else file
        for convolution, norm, names in keras._pairs():
            kernel, key = state[f"{convolution}.weight"], "depthwise_kernel" if names.depthwise else "kernel"
            axes = (2, 3, 0, 1) if names.depthwise else (2, 3, 1, 0)
            weights[f"{names.conv}/{names.conv}/{key}:0"] = kernel.transpose(axes)
            for ours, theirs in keras._NORM.items():
                weights[f"{names.norm}/{names.norm}/{theirs}:0"] = state[f"{norm}.{ours}"]
        if head is None:
            return path
        body = [{"class_name": "BatchNormalization", "config": {"name": "bn_Conv1", "epsilon": epsilon}}]
        start = {"class_name": "InputLayer", "config": {"batch_shape": [None, 64, 64, 3]}}
        for layer in head:
            if layer["class_name"] == "Dense":
                name, kernel = layer["config"]["name"], layer.pop("kernel")
                weights[f"{name}/{name}/kernel:0"], weights[f"{name}/{name}/bias:0"] = kernel, layer.pop("bias")
        inner = [{"class_name": "Functional", "config": {"layers": [start, *body]}}] if nested else [start, *body]
        layers = [*more.get("first", []), *inner, *head]
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": {"layers": layers}})
    return path


def dense(name: str, inputs: int, outputs: int, activation: str) -> dict[str, Any]:
    numbers = np.random.default_rng(len(name))
    return {
        "class_name": "Dense",
        "config": {"name": name, "activation": activation},
        "kernel": numbers.normal(size=(inputs, outputs)).astype(np.float32) / 10,
        "bias": numbers.normal(size=outputs).astype(np.float32),
    }


def layer(kind: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": kind.lower(), **config}}


def test_backbone_computes_what_keras_computes(network: Any, zoo_command: Zoo, tmp_path: Path) -> None:
    path = write(tmp_path / "weights.h5", network)
    code, out, err = zoo_command("import-keras", path)
    assert (code, err) == (0, "")
    assert "mobilenetv2_050" in out
    backbone = zoo.load(tmp_path / "weights")
    torch.testing.assert_close(backbone.features(IMAGES), network(IMAGES / 127.5 - 1), rtol=1e-4, atol=1e-4)
    assert zoo_command("import-keras", path)[0] == 2, "nothing is overwritten unasked"


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize(("outputs", "activation"), [(1, "sigmoid"), (2, "softmax"), (3, "softmax")])
def test_whole_classifier_with_the_head_of_the_mask_classifier(
    network: Any, zoo_command: Zoo, tmp_path: Path, nested: bool, outputs: int, activation: str
) -> None:
    hidden, last = dense("dense", 1280, 16, "relu"), dense("dense_1", 16, outputs, activation)
    kernels = [hidden["kernel"], last["kernel"]]
    biases = [hidden["bias"], last["bias"]]
    head = [layer("AveragePooling2D"), layer("Flatten"), hidden, layer("Dropout", rate=0.5), last]
    path = write(tmp_path / "masks.h5", network, head, nested=nested)
    classes = ["mask", "none", "other"][: max(outputs, 2)]
    code, _, err = zoo_command("import-keras", path, "--classes", ",".join(classes))
    assert (code, err) == (0, "")
    model = zoo.load(tmp_path / "masks")
    assert model.classes == classes
    assert (model.image_size, model.hparams["dropout"]) == (64, 0.5)
    features = network(IMAGES / 127.5 - 1).detach().numpy()
    logits = torch.from_numpy(np.maximum(features @ kernels[0] + biases[0], 0) @ kernels[1] + biases[1])
    expected = logits.softmax(1) if outputs > 1 else torch.cat([1 - logits.sigmoid(), logits.sigmoid()], 1)
    torch.testing.assert_close(model.probabilities(IMAGES), expected, rtol=1e-3, atol=1e-4)


def test_rescaling_layer_is_honoured(network: Any, zoo_command: Zoo, tmp_path: Path) -> None:
    first = [layer("Rescaling", scale=1 / 255, offset=0.0)]
    path = write(tmp_path / "scaled.h5", network, [layer("GlobalAveragePooling2D")], first=first)
    assert zoo_command("import-keras", path)[0] == 0
    model = zoo.load(tmp_path / "scaled")
    torch.testing.assert_close(model.features(IMAGES), network(IMAGES / 255), rtol=1e-4, atol=1e-4)


def test_a_wrong_conversion_would_be_noticed(
    network: Any, zoo_command: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "weights.h5", network)
    monkeypatch.setattr(keras.KerasMobileNetV2, "options", {"pad_type": "", "bn_eps": EPSILON})
    code, _, err = zoo_command("import-keras", path)
    assert code == 2
    assert "differ from Keras'" in err
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize(
    ("head", "arguments", "expected"),
    [
        ([layer("MultiHeadAttention")], [], "the head holds MultiHeadAttention, expected pooling"),
        ([dense(name, 8, 8, "relu") for name in ("a", "bb", "ccc")], [], "the head has 3 dense layers"),
        ([dense("a", 1280, 8, "tanh"), dense("b", 8, 3, "softmax")], [], "first layer has 'tanh'"),
        ([dense("a", 1280, 3, "softmax")], ["--classes", "a,b"], "names 2, the model has 3 classes"),
        ([dense("a", 1280, 3, "softmax")], ["--backbone", "--classes", "a,b"], "a backbone has no classes"),
    ],
)
def test_heads_that_do_not_fit_are_refused(
    head: list[dict[str, Any]], arguments: list[str], expected: str, network: Any, zoo_command: Zoo, tmp_path: Path
) -> None:
    head = [dict(part) for part in head]
    if head[0]["class_name"] != "Dense":
        head.append(dense("a", 1280, 3, "softmax"))
    code, _, err = zoo_command("import-keras", write(tmp_path / "model.h5", network, head), *arguments)
    assert code == 2
    assert expected in err
    assert [path.name for path in tmp_path.iterdir()] == ["model.h5"]


def test_other_files_are_refused(zoo_command: Zoo, tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("no HDF5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["dense/dense/kernel:0"] = np.zeros((2, 2))
    for name, expected in (
        ("missing.h5", "no file"),
        ("text.h5", "damaged or no HDF5 file of Keras"),
        ("other.h5", "is no MobileNetV2: 104 of its 104 layers are missing, such as Conv1"),
    ):
        code, _, err = zoo_command("import-keras", tmp_path / name)
        assert (code, len(err.strip().splitlines())) == (2, 1)
        assert expected in err
