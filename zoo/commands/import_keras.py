"""``zoo import-keras``: a MobileNetV2 that Keras trained becomes weights of the zoo."""

from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zoo import __version__, weights
from zoo.base.module import ZooModule
from zoo.commands.arguments import Arguments
from zoo.errors import ZooError
from zoo.terminal import say
from zoo.vision import keras
from zoo.vision.backbone import Backbone
from zoo.vision.keras_model import KerasMobileNetV2
from zoo.vision.transfer import Transfer

# Float32 rounding through 53 layers stays below; a wrong epsilon or padding is a hundred times worse.
TOLERANCE = 1e-4
# Of probabilities: a head with large weights magnifies that rounding, a wrong activation is far off all the same.
HEAD_TOLERANCE = 1e-3


def import_keras(argv: list[str]) -> None:
    """Turns a Keras MobileNetV2 (.h5) into weights that 'zoo classify', 'zoo fit' and zoo.load take.

    No TensorFlow is needed. The features, and the class probabilities if there is a head, are compared with a NumPy
    reference of what Keras computes, and nothing is written unless they agree.
    """
    parser = Arguments("import-keras", import_keras.__doc__)
    parser.add_argument("file", type=Path, metavar="FILE.h5", help="a model, or its weights, saved by Keras")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="folder to write; the file's name without .h5")
    parser.add_argument("--classes", metavar="A,B,...", help="names of the classes, in the order of the outputs")
    parser.add_argument("--backbone", action="store_true", help="import the feature extractor without its head")
    parser.add_argument("--licence", default="that of the file", help="licence of the weights, for the card")
    parser.add_argument("--overwrite", action="store_true", help="replace the model in FOLDER")
    options = parser.parse_args(argv)
    folder = options.to or Path(options.file.stem)
    if folder.exists():
        # Also with --overwrite: a folder of photos may well have the name of the file.
        if not (folder / "card.json").is_file():
            raise ZooError(
                f"{folder} exists and holds no model (no card.json), so it stays; --to FOLDER writes elsewhere"
            )
        if not options.overwrite:
            raise ZooError(f"{folder} exists; --overwrite replaces it, --to FOLDER writes elsewhere")
    found = keras.read(options.file, head=not options.backbone)
    model: ZooModule
    if options.backbone or not (found.dense or found.strange):
        if options.classes:
            raise ZooError("a backbone has no classes; leave --classes out")
        model = backbone(found)
    else:
        classes = [name.strip() for name in options.classes.split(",")] if options.classes else None
        model = classifier(found, classes)
    differences = {"difference": verify(found, model)}
    agreement = f"features differ from the NumPy reference by {differences['difference']:.1e} of the largest"
    if isinstance(model, Transfer):
        differences["difference_of_probabilities"] = verify_head(found, model)
        agreement += f", its class probabilities by {differences['difference_of_probabilities']:.1e}"
    content = options.file.read_bytes()
    source = {
        "name": f"Keras file {options.file.name}",
        "url": "a local file",
        "licence": options.licence,
        f"sha256 of {options.file.name}": sha256(content).hexdigest(),
    }
    summary = f"{type(model).__name__} imported from the Keras file {options.file.name}."
    golden = {"input": example_images(found.image_size)}
    weights.save(model, folder, imported_card(folder.name, model, summary, source, differences), golden)
    say(
        f"imported {found.name} with {sum(p.numel() for p in model.parameters()):,} parameters into {folder}; "
        f"its {agreement}"
    )
    if isinstance(model, Transfer):
        say(f"try: zoo classify {folder} photo.jpg")
    else:
        say(f"try: zoo fit mobilenetv2_folder --data.root PHOTOS --model.weights {folder}")


def backbone(found: KerasMobileNetV2) -> Backbone:
    """The feature extractor alone."""
    mean, std = [found.mean] * 3, [found.std] * 3
    model = Backbone(found.name, found.options, found.image_size, mean, std)
    model.network.load_state_dict(found.backbone_state(), strict=True)
    return model.eval()


def classifier(found: KerasMobileNetV2, classes: list[str] | None) -> Transfer:
    """The whole model, head and all."""
    head = found.head_layers()
    outputs = len(head[-1][0])
    num_classes = 2 if outputs == 1 else outputs
    if classes is not None and len(classes) != num_classes:
        raise ZooError(f"--classes names {len(classes)}, the model has {num_classes} classes")
    model = Transfer(
        weights=None,
        backbone=found.name,
        options=found.options,
        pixel_mean=[found.mean] * 3,
        pixel_std=[found.std] * 3,
        image_size=found.image_size,
        num_classes=num_classes,
        classes=classes,
        hidden_size=len(head[0][0]) if len(head) == 2 else 0,
        dropout=found.dropout,
    )
    model.network.backbone.load_state_dict(found.backbone_state(), strict=True)
    layers = [layer for layer in model.network.head if isinstance(layer, torch.nn.Linear)]
    for layer, (weight, bias) in zip(layers, head, strict=True):
        layer.weight.data, layer.bias.data = weight, bias
    return model.eval()


def verify(found: KerasMobileNetV2, model: Any) -> float:
    """Compares features with the reference.

    Returns:
        The largest difference over the largest feature.

    Raises:
        ZooError: They differ by more than rounding.
    """
    images, expected = _reference(found)
    with torch.inference_mode():
        features = model.features(images).numpy()
    difference = float(np.abs(features - expected).max() / np.abs(expected).max())
    if not difference < TOLERANCE:
        raise ZooError(
            f"the converted features differ from Keras' by {difference:.1e} of the largest, expected less than "
            f"{TOLERANCE:.0e}; nothing was written"
        )
    return float(f"{difference:.2g}")


def verify_head(found: KerasMobileNetV2, model: Transfer) -> float:
    """Compares class probabilities, from pixels on, with the reference.

    Returns:
        The largest difference.

    Raises:
        ZooError: They differ by more than rounding.
    """
    images, features = _reference(found)
    expected = found.probabilities(features)
    difference = float(np.abs(model.probabilities(images).numpy() - expected).max())
    if not difference < HEAD_TOLERANCE:
        raise ZooError(
            f"the converted class probabilities differ from Keras' by {difference:.1e}, expected less than "
            f"{HEAD_TOLERANCE:.0e}; nothing was written"
        )
    return float(f"{difference:.2g}")


def _reference(found: KerasMobileNetV2) -> tuple[torch.Tensor, np.ndarray]:
    """Two images and their features by the reference."""
    images = example_images(96)[:2]
    inputs = [image.movedim(0, -1).numpy() * found.scale + found.offset for image in images]
    return images, np.stack([found.reference(one) for one in inputs])


def example_images(size: int) -> torch.Tensor:
    """Four smooth random pictures, uint8 ``(4, 3, size, size)``."""
    coarse = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return (255 * torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")).to(torch.uint8)


def imported_card(
    name: str, model: ZooModule, summary: str, source: dict[str, str], metrics: dict[str, float]
) -> dict[str, Any]:
    """The facts of weights that were not trained here."""
    return {
        "recipe": name,
        "summary": summary,
        "family": "vision",
        "metric": next(iter(metrics)),
        "metrics": metrics,
        "classes": getattr(model, "classes", None),
        "data": {"source": source},
        "licence": source["licence"],
        "versions": {"zoo": __version__, **{package: version(package) for package in ("torch", "timm")}},
        "date": datetime.now(UTC).date().isoformat(),
    }
