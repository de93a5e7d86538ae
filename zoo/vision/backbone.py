"""Pretrained feature extractors: image models of timm (Wightman, 2019) without their classifiers."""

import difflib
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import group_parameters
from torch import Tensor, nn

from zoo import registry
from zoo import weights as published
from zoo.base.module import ZooModule, is_unfilled
from zoo.errors import ZooError
from zoo.vision.inputs import ImageInputs
from zoo.vision.normalisation import normalise

HALF = (0.5, 0.5, 0.5)


@dataclass
class Source:
    """What is known of a backbone before it is built.

    Attributes:
        name: timm's name of the architecture.
        options: More arguments of ``timm.create_model``.
        mean: Mean of red, green and blue in 0..1 that the weights want.
        std: Standard deviation, likewise.
        state: The weights; None for random ones.
    """

    name: str
    options: dict[str, Any]
    mean: Sequence[float] = HALF
    std: Sequence[float] = HALF
    state: dict[str, Tensor] | None = None

    def build(self) -> nn.Module:
        """Builds the backbone and fills it, in evaluation mode."""
        network = build(self.name, self.options)
        if self.state is not None:
            try:
                network.load_state_dict(self.state, strict=True)
            except RuntimeError as error:
                reason = " ".join(str(error).split())
                raise ZooError(
                    f"the weights do not fit timm's {self.name}: {reason[:300]}; name their architecture with "
                    "--model.backbone"
                ) from error
        return network.eval()


class Backbone(ImageInputs, ZooModule):
    """A feature extractor. It is not trained itself; see :class:`zoo.vision.Transfer`.

    Args:
        name: timm's name of the architecture.
        options: More arguments of ``timm.create_model``, such as Keras' padding and epsilon.
        image_size: Height and width that the weights were trained on; others work, too, for most architectures.
        mean: Mean of red, green and blue in 0..1.
        std: Standard deviation, likewise.

    Shape:
        - Input: uint8 ``(N, 3, H, W)``, or grey ``(N, 1, H, W)``.
        - Output: features ``(N, F)``; F is 1280 for MobileNetV2.
    """

    metric = "probe_accuracy"
    in_channels: int
    image_size: int
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str = "mobilenetv2_100",
        options: dict[str, Any] | None = None,
        image_size: int = 224,
        mean: Sequence[float] = HALF,
        std: Sequence[float] = HALF,
    ) -> None:
        super().__init__()
        self.in_channels, self.image_size = 3, image_size
        self.network = build(name, options or {})
        self.register_buffer("mean", torch.tensor(list(mean), dtype=torch.float32))
        self.register_buffer("std", torch.tensor(list(std), dtype=torch.float32))

    def forward(self, images: Tensor) -> Tensor:
        """Returns the features of raw images."""
        return self.network(normalise(in_colour(self.take(images)), self.mean, self.std))

    features = forward

    @property
    def takes(self) -> str:
        """uint8 images of any size."""
        return "uint8 images (N, 3, H, W) or (N, 1, H, W), or pictures"

    def check(self, inputs: Tensor) -> None:
        """Refuses what are no images.

        Raises:
            ZooError: They are not.
        """
        check_images(self, inputs)

    def example_input(self) -> Tensor:
        """One black image."""
        return torch.zeros(1, 3, self.image_size, self.image_size, dtype=torch.uint8)


def find(weights: str | None, name: str | None, options: dict[str, Any] | None) -> Source:
    """Finds a pretrained backbone.

    Args:
        weights: A published backbone (``"mobilenetv2_imagenet"``), a folder of published weights, a file
            (``.safetensors``, or a ``state_dict`` in ``.pth``), ``"timm"`` for timm's hub, or None for random weights.
        name: timm's name of the architecture; published weights know theirs.
        options: More arguments of ``timm.create_model``; published weights know theirs.

    Raises:
        ZooError: There are no such weights, or they cannot be had.
    """
    if weights is None:
        return Source(name or "mobilenetv2_100", options or {})
    path = Path(weights)
    folder = registry.entry(weights).folder if weights in registry.list_models(pretrained=True) else path
    if is_unfilled():
        return _described(folder, name, options)
    if (folder / "card.json").is_file():
        return _of_published(folder, name, options or {})
    if weights == "timm":
        return _of_hub(name or "mobilenetv2_100", options or {})
    if path.is_file():
        return _of_file(path, name or "mobilenetv2_100", options or {})
    known = ", ".join(registry.list_models("*_imagenet", pretrained=True))
    raise ZooError(f"no weights {weights!r}; expected published ones ({known}), a file, or 'timm' for timm's hub")


def _described(folder: Path, name: str | None, options: dict[str, Any] | None) -> Source:
    """What is known of a backbone whose weights are not wanted; a checkpoint's own arguments say all of it."""
    if (name is None or options is None) and (folder / "card.json").is_file():
        arguments = registry.read_card(folder)["model"]["init_args"]
        known = arguments.get("backbone", arguments.get("name"))
        if known is None or name not in (None, known):
            raise ZooError(f"{folder.name} holds {'no backbone' if known is None else f'a {known}'}, not a {name}")
        mean, std = (arguments.get(key, arguments.get(f"pixel_{key}", HALF)) for key in ("mean", "std"))
        return Source(known, {**(arguments.get("options") or {}), **(options or {})}, mean, std)
    name = name or "mobilenetv2_100"
    config = timm.get_pretrained_cfg(name)
    return Source(name, options or {}, list(config.mean), list(config.std)) if config else Source(name, options or {})


def _of_published(folder: Path, name: str | None, options: dict[str, Any]) -> Source:
    model: Any = published.load_published(folder)
    if isinstance(model, Backbone):
        network, arguments = model.network, model.hparams
        found = arguments["name"]
    elif isinstance(getattr(model.network, "backbone", None), nn.Module):
        network, arguments = model.network.backbone, model.hparams
        found = arguments["backbone"]
    else:
        raise ZooError(f"{folder.name} has no backbone: {type(model).__name__} was trained from scratch")
    if name not in (None, found):
        raise ZooError(f"the weights {folder.name} are those of a {found}, not of a {name}; leave --model.backbone out")
    mean, std = (buffer.expand(3).tolist() for buffer in (model.mean, model.std))
    return Source(found, {**(arguments["options"] or {}), **options}, mean, std, network.state_dict())


def _of_hub(name: str, options: dict[str, Any]) -> Source:
    build(name, options)
    config = timm.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        raise ZooError(f"timm has no weights for {name}; 'timm.list_pretrained()' names those it has")
    try:
        network = timm.create_model(name, pretrained=True, num_classes=0, **options)
    except Exception as error:  # the hub's client raises whatever its HTTP library raises
        raise ZooError(
            f"the weights of {name} could not be fetched from timm's hub ({type(error).__name__}): without a network, "
            "use published weights (--model.weights mobilenetv2_imagenet) or a file (--model.weights FILE.safetensors)"
        ) from error
    return Source(name, options, list(config.mean), list(config.std), network.state_dict())


def _of_file(path: Path, name: str, options: dict[str, Any]) -> Source:
    state: Any
    try:
        is_safe = path.suffix == ".safetensors"
        state = load_file(path) if is_safe else torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ZooError(f"{path} is damaged or holds no weights: {' '.join(str(error).split())[:200]}") from error
    except pickle.UnpicklingError as error:
        raise ZooError(f"{path} was refused: it holds more than tensors, and loading it might run code") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ZooError(f"{path} holds no weights by name; expected a state_dict of timm's {name}")
    config = timm.get_pretrained_cfg(name)
    heads = getattr(config, "classifier", None) or ()
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    kept = {key: value for key, value in state.items() if not key.startswith(tuple(f"{head}." for head in heads))}
    mean, std = (list(config.mean), list(config.std)) if config is not None else (list(HALF), list(HALF))
    return Source(name, options, mean, std, kept)


def build(name: str, options: dict[str, Any]) -> nn.Module:
    """Builds one of timm's models without its classifier, with random weights.

    Raises:
        ZooError: timm has no such model, or it does not take these options.
    """
    if not timm.is_model(name.partition(".")[0]):
        close = difflib.get_close_matches(name, timm.list_models(), 1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise ZooError(f"timm has no model '{name}'{hint}")
    try:
        return timm.create_model(name, pretrained=False, num_classes=0, **options)
    except TypeError as error:
        raise ZooError(f"timm's {name} does not take these options: {error}") from error


def check_size(source: Source, image_size: int) -> None:
    """Refuses images of a size that the architecture cannot take.

    Raises:
        ZooError: It was made for one size only, such as most vision transformers.
    """
    config = timm.get_pretrained_cfg(source.name)
    if config is None or not config.fixed_input_size or "img_size" in source.options:
        return
    wanted = config.input_size[-1]
    if image_size != wanted:
        raise ZooError(
            f"timm's {source.name} takes images of {wanted} pixels, not of {image_size}; add --data.image_size {wanted}"
        )


def num_features(network: Any) -> int:
    """Number of features that a backbone gives for one image."""
    return int(getattr(network, "head_hidden_size", None) or network.num_features)


def last_blocks(network: Any, count: int) -> list[nn.Parameter]:
    """The parameters of the last blocks, as timm groups its models; what follows the last block belongs to it.

    Raises:
        ZooError: There are fewer.
    """
    groups = group_parameters(network, network.group_matcher(coarse=False))
    if count > len(groups):
        raise ZooError(f"unfreeze_blocks is {count}, expected 0 to {len(groups)}: so many blocks has the backbone")
    names = {name for block in sorted(groups)[len(groups) - count :] for name in groups[block]}
    return [parameter for name, parameter in network.named_parameters() if name in names]


def check_images(model: ZooModule, inputs: Tensor) -> None:
    """Refuses what are no uint8 images of any size, in colour or grey.

    Raises:
        ZooError: They are not.
    """
    if inputs.dtype != torch.uint8 or inputs.ndim != 4 or inputs.shape[1] not in (1, 3):
        raise model.refusal(inputs)


def in_colour(images: Tensor) -> Tensor:
    """Lets grey images pass as colour."""
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
