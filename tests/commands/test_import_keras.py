"""``zoo import-keras``: files as Keras writes them, made here of random weights."""

import json
from collections.abc import Callable
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
from zoo.vision import Backbone, Transfer, keras_model

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
        for convolution, norm, names in keras_model.pairs():
            kernel, key = state[f"{convolution}.weight"], "depthwise_kernel" if names.depthwise else "kernel"
            axes = (2, 3, 0, 1) if names.depthwise else (2, 3, 1, 0)
            weights[f"{names.conv}/{names.conv}/{key}:0"] = kernel.transpose(axes)
            for ours, theirs in keras_model.NORM.items():
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
    backbone = zoo.load(tmp_path / "weights", kind=Backbone)
    torch.testing.assert_close(backbone.features(IMAGES), network(IMAGES / 127.5 - 1), rtol=1e-4, atol=1e-4)
    assert zoo_command("import-keras", path)[0] == 2, "nothing is overwritten unasked"


@pytest.mark.parametrize(
    ("outputs", "activation", "nested"),
    [(1, "sigmoid", True), (2, "softmax", True), (3, "softmax", False), (1, "linear", False), (3, "linear", True)],
)
def test_whole_classifier_with_the_head_of_the_mask_classifier(
    network: Any, zoo_command: Zoo, tmp_path: Path, outputs: int, activation: str, nested: bool
) -> None:
    hidden, last = dense("dense", 1280, 16, "relu"), dense("dense_1", 16, outputs, activation)
    kernels = [hidden["kernel"], last["kernel"]]
    biases = [hidden["bias"], last["bias"]]
    head = [layer("AveragePooling2D"), layer("Flatten"), hidden, layer("Dropout", rate=0.5), last]
    path = write(tmp_path / "masks.h5", network, head, nested=nested)
    classes = ["mask", "none", "other"][: max(outputs, 2)]
    code, out, err = zoo_command("import-keras", path, "--classes", ", ".join(classes))
    assert (code, err) == (0, "")
    assert "its class probabilities by" in out
    model = zoo.load(tmp_path / "masks", kind=Transfer)
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
    model = zoo.load(tmp_path / "scaled", kind=Backbone)
    torch.testing.assert_close(model.features(IMAGES), network(IMAGES / 255), rtol=1e-4, atol=1e-4)


def constant(kind: str, number: float, **config: Any) -> list[dict[str, Any]]:
    """An operation with a constant, as Keras 2 and as Keras 3 write it."""
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": ["input", 0, 0]}}
    old = {**layer("TFOpLambda", **config), "inbound_nodes": [["input", 0, 0, {"y": number, "name": None}]]}
    return [old, {**layer(kind), "inbound_nodes": [{"args": [tensor, number], "kwargs": {}}]}]


DIVISIONS = constant("TrueDivide", 51.0, function="math.truediv")
SUBTRACTIONS = constant("Subtract", 2.0, function="math.subtract")


@pytest.mark.parametrize("keras_version", [2, 3])
def test_the_input_of_the_official_tutorial_is_understood(
    network: Any, zoo_command: Zoo, tmp_path: Path, keras_version: int
) -> None:
    flips = {"class_name": "Sequential", "config": {"layers": [layer("RandomFlip"), layer("RandomRotation")]}}
    first = [flips, DIVISIONS[keras_version - 2], SUBTRACTIONS[keras_version - 2]]
    path = write(tmp_path / "tutorial.h5", network, [layer("GlobalAveragePooling2D")], first=first)
    code, _, err = zoo_command("import-keras", path)
    assert (code, err) == (0, "")
    model = zoo.load(tmp_path / "tutorial", kind=Backbone)
    torch.testing.assert_close(model.features(IMAGES), network(IMAGES / 51 - 2), rtol=1e-4, atol=1e-4)


def test_an_input_that_is_not_understood_is_refused(network: Any, zoo_command: Zoo, tmp_path: Path) -> None:
    two_tensors = {**layer("Subtract"), "inbound_nodes": [{"args": [{}, {}], "kwargs": {}}]}
    head = [dense("a", 1280, 3, "softmax")]
    path = write(tmp_path / "model.h5", network, head, first=[two_tensors, layer("Normalization")])
    code, _, err = zoo_command("import-keras", path)
    assert code == 2
    assert "holds Normalization, Subtract" in err


def test_a_head_without_dense_layers_is_not_dropped(network: Any, zoo_command: Zoo, tmp_path: Path) -> None:
    path = write(tmp_path / "model.h5", network, [layer("Conv2D"), layer("GlobalAveragePooling2D")])
    code, _, err = zoo_command("import-keras", path)
    assert code == 2
    assert "the head holds Conv2D" in err
    assert zoo_command("import-keras", path, "--backbone")[0] == 0


def test_a_wrong_head_would_be_noticed(
    network: Any, zoo_command: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "model.h5", network, [dense("a", 1280, 3, "softmax")])
    right = keras_model.KerasMobileNetV2.head_layers
    monkeypatch.setattr(
        keras_model.KerasMobileNetV2,
        "head_layers",
        lambda found: [(weight, bias.flip(0)) for weight, bias in right(found)],
    )
    code, _, err = zoo_command("import-keras", path)
    assert code == 2
    assert "the converted class probabilities differ from Keras'" in err
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("arguments", [[], ["--overwrite"]])
def test_a_folder_without_a_model_is_never_replaced(
    network: Any, zoo_command: Zoo, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("a cat")
    code, _, err = zoo_command("import-keras", write(tmp_path / "photos.h5", network), *arguments)
    assert (code, len(err.strip().splitlines())) == (2, 1)
    assert "holds no model" in err
    assert "--overwrite" not in err
    assert (tmp_path / "photos" / "cat.jpg").read_text() == "a cat"


def test_a_model_is_replaced_when_asked(network: Any, zoo_command: Zoo, tmp_path: Path) -> None:
    path = write(tmp_path / "model.h5", network)
    assert zoo_command("import-keras", path)[0] == 0
    assert "--overwrite replaces it" in zoo_command("import-keras", path)[2]
    assert zoo_command("import-keras", path, "--overwrite", "--licence", "MIT")[0] == 0
    assert json.loads((tmp_path / "model" / "card.json").read_text())["licence"] == "MIT"


def test_a_wrong_conversion_would_be_noticed(
    network: Any, zoo_command: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "weights.h5", network)
    monkeypatch.setattr(keras_model.KerasMobileNetV2, "options", {"pad_type": "", "bn_eps": EPSILON})
    code, _, err = zoo_command("import-keras", path)
    assert code == 2
    assert "differ from Keras'" in err
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize(
    ("head", "arguments", "expected"),
    [
        ([layer("MultiHeadAttention")], [], "the head holds MultiHeadAttention, expected pooling"),
        ([layer("BatchNormalization", epsilon=1e-3)], [], "the head holds BatchNormalization"),
        ([layer("Activation", activation="relu")], [], "the head holds Activation"),
        ([layer("AveragePooling2D", pool_size=[3, 3])], [], "the head holds AveragePooling2D"),
        ([dense("a", 1280, 3, "sigmoid")], [], "3 outputs with 'sigmoid', expected 'softmax' or 'linear'; --backbone"),
        ([dense("a", 1280, 2, "sigmoid")], [], "2 outputs with 'sigmoid', expected 'softmax'"),
        ([dense("a", 1280, 1, "softmax")], [], "1 outputs with 'softmax', expected 'sigmoid'"),
        ([dense("a", 5120, 3, "softmax")], [], "a has a kernel (5120, 3)"),
        ([dense("a", 1280, 8, "relu"), dense("b", 9, 3, "softmax")], [], "b has a kernel (9, 3)"),
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


def top_level(file: h5py.File) -> None:
    file["model_weights/number"] = np.zeros(3)
    file["number"] = np.zeros(3)
    del file["model_weights/Conv1"]


def damaged_config(file: h5py.File) -> None:
    file.attrs["model_config"] = "{damaged"


def other_config(file: h5py.File) -> None:
    file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": {"layers": [1]}})


def huge_images(file: h5py.File) -> None:
    start = layer("InputLayer", batch_shape=[None, 10**6, 10**6, 3])
    file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": {"layers": [start]}})


def replaced(file: h5py.File, name: str, **arguments: Any) -> None:
    del file[name]
    file.create_dataset(name, dtype="f4", **arguments)


def sixteen_tebibytes(file: h5py.File) -> None:
    replaced(file, "model_weights/bn_Conv1/bn_Conv1/gamma:0", shape=(2**42,), chunks=(2**20,))


def sixteen_tebibytes_in_the_head(file: h5py.File) -> None:
    replaced(file, "model_weights/a/a/kernel:0", shape=(1280, 2**32), chunks=(1, 2**20))


def external(file: h5py.File) -> None:
    replaced(file, "model_weights/a/a/kernel:0", shape=(1280, 3), external=[("/etc/passwd", 0, 1280 * 12)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((1280, 3), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "kernel", (1280, 3))
    del file["model_weights/a/a/kernel:0"]
    file.create_virtual_dataset("model_weights/a/a/kernel:0", layout)


def linked(file: h5py.File) -> None:
    del file["model_weights"]
    file["model_weights"] = h5py.ExternalLink("model.h5", "/model_weights")


def linked_layer(file: h5py.File) -> None:
    del file["model_weights/Conv1"]
    file["model_weights/Conv1"] = h5py.ExternalLink("model.h5", "/model_weights/Conv1")


def other_width(file: h5py.File) -> None:
    del file["model_weights/block_3_expand/block_3_expand/kernel:0"]
    file["model_weights/block_3_expand/block_3_expand/kernel:0"] = np.zeros((1, 1, 8, 48), np.float32)


def without_bias(file: h5py.File) -> None:
    del file["model_weights/a/a/bias:0"]


def text(file: h5py.File) -> None:
    del file["model_weights/a/a/bias:0"]
    file["model_weights/a/a/bias:0"] = ["one", "two", "three"]


def weights_of_keras_3(file: h5py.File) -> None:
    file.clear()
    file["layers/functional/layers/conv2d/vars/0"] = np.zeros((3, 3, 3, 16))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (top_level, "1 of its 104 layers are missing, such as Conv1"),
        (damaged_config, "is damaged: its model_config cannot be read (JSONDecodeError"),
        (other_config, "is damaged: its model_config cannot be read (TypeError"),
        (huge_images, "images of 1000000 pixels, expected 32 to 1024"),
        (sixteen_tebibytes, "gamma:0 has shape (4398046511104,), MobileNetV2 has (16,)"),
        (sixteen_tebibytes_in_the_head, "larger than anything that fits MobileNetV2"),
        (external, "kernel:0 lie in other files"),
        (virtual, "kernel:0 lie in other files"),
        (linked, "keeps its weights in another file"),
        (linked_layer, "1 of its 104 layers are missing, such as Conv1"),
        (other_width, "MobileNetV2 has (1, 1, 16, 96)"),
        (without_bias, "the layer a has kernel, expected bias, kernel"),
        (text, "expected floating-point numbers"),
        (weights_of_keras_3, "is of Keras 3's save_weights, which does not keep the names of layers; save the whole"),
    ],
)
def test_damaged_and_hostile_files_are_refused(
    network: Any, zoo_command: Zoo, tmp_path: Path, change: Callable[[h5py.File], None], expected: str
) -> None:
    path = write(tmp_path / "model.h5", network, [dense("a", 1280, 3, "softmax")])
    with h5py.File(path, "a") as file:
        change(file)
    code, _, err = zoo_command("import-keras", path)
    assert (code, len(err.strip().splitlines())) == (2, 1)
    assert expected in err
    assert [path.name for path in tmp_path.iterdir()] == ["model.h5"]
