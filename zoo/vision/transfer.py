"""Transfer learning: a pretrained feature extractor and a new head (Donahue et al., 2014; the notes' MobileNetV2)."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.nn import Parameter

from zoo.base.optimization import Part, Schedule, hidden_matrices
from zoo.errors import ZooError
from zoo.vision import backbone as backbones
from zoo.vision.classifier import Classifier
from zoo.vision.feature_cache import FeatureCache


class TransferNet(nn.Module):
    """A backbone and a head of one or two dense layers.

    Args:
        backbone: Maps images to features.
        in_features: Number of these features.
        num_logits: Number of outputs.
        hidden_size: Width of a dense layer with ReLU between features and logits; 0 for none.
        dropout: Probability of dropping an input of the last layer in training.

    Shape:
        - Input: ``(N, 3, H, W)``.
        - Output: ``(N, num_logits)``.
    """

    def __init__(
        self, backbone: nn.Module, in_features: int, num_logits: int, hidden_size: int = 0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.backbone = backbone
        layers: list[nn.Module] = [nn.Linear(in_features, hidden_size), nn.ReLU()] if hidden_size else []
        self.head = nn.Sequential(
            *layers,
            nn.Dropout(dropout) if dropout else nn.Identity(),
            nn.Linear(hidden_size or in_features, num_logits),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits."""
        return self.head(self.backbone(images))


class Transfer(Classifier):
    """Classifies images by the features of a pretrained backbone. See :class:`Classifier` for what is not listed.

    The backbone stays in evaluation mode, so that its batch-norm statistics never change, and is frozen. While it is,
    the features of each image are computed once and only the head is trained, on these. Later its last blocks can be
    unfrozen, at a learning rate of their own, on images again. Until then early stopping waits, however little the head
    improves, and ``plateau`` lowers the rate of the head alone; the patience of both begins anew with the blocks.

    Args:
        weights: A published backbone, a file, ``timm`` for timm's hub, or null for random weights; see
            :func:`zoo.vision.backbone.find`.
        backbone: timm's name of the architecture; published weights know theirs, others are those of a
            ``mobilenetv2_100`` unless said.
        options: More arguments of ``timm.create_model``; published weights know theirs.
        pixel_mean: Mean of red, green and blue in 0..1 that the weights want; known with the weights.
        pixel_std: Standard deviation, likewise.
        image_size: Height and width of an image.
        hidden_size: Width of a dense layer with ReLU between features and logits; 0 for none.
        dropout: Probability of dropping an input of the last layer in training.
        cache_features: Compute the features of each image only once while the whole backbone is frozen.
        augmented_copies: Cache the features of so many augmented copies of the training images and train on one copy
            after the other, an epoch each.
        unfreeze_blocks: Train so many of the backbone's last blocks, too, and the layers after the last.
        unfreeze_epoch: From this epoch on, counted from 0.
        backbone_lr: Highest learning rate of the unfrozen blocks.

    Shape:
        - Input: uint8 ``(N, 3, H, W)``, or grey ``(N, 1, H, W)``; or features ``(N, F)``.
        - Output: logits ``(N, num_classes)``, or ``(N, 1)`` for two classes.
    """

    in_channels: int
    image_size: int
    takes_rows = True
    network: TransferNet
    # Images are brought to what the backbone was trained on, whatever the data's own mean is.
    learnt = ("network.", "mean", "std")

    def __init__(
        self,
        weights: str | None = "mobilenetv2_imagenet",
        backbone: str | None = None,
        options: dict[str, Any] | None = None,
        pixel_mean: Sequence[float] | None = None,
        pixel_std: Sequence[float] | None = None,
        image_size: int = 224,
        num_classes: int = 2,
        hidden_size: int = 0,
        dropout: float = 0.2,
        cache_features: bool = True,
        augmented_copies: int = 0,
        unfreeze_blocks: int = 0,
        unfreeze_epoch: int = 0,
        backbone_lr: float = 1e-4,
        schedule: Schedule = "plateau",
        **inherited: Any,
    ) -> None:
        source = backbones.find(weights, backbone, options)
        mean = list(pixel_mean or source.mean)
        std = list(pixel_std or source.std)
        super().__init__(num_classes=num_classes, mean=mean, std=std, schedule=schedule, **inherited)
        # What was found is kept, so that a checkpoint can be loaded where the weights that it began with are not.
        self.hparams.update(backbone=source.name, options=source.options, pixel_mean=mean, pixel_std=std)
        self.in_channels, self.image_size = 3, image_size
        self.cache_features, self.augmented_copies = cache_features, augmented_copies
        self._cache = FeatureCache(augmented_copies)
        self.hidden_size = hidden_size
        self.unfreeze_blocks, self.unfreeze_epoch, self.backbone_lr = unfreeze_blocks, unfreeze_epoch, backbone_lr
        self._check_arguments()
        backbones.check_size(source, image_size)
        extractor = source.build().requires_grad_(False)
        self.num_features = backbones.num_features(extractor)
        self.network = TransferNet(extractor, self.num_features, self.num_logits, hidden_size, dropout)
        self._tuned = backbones.last_blocks(extractor, unfreeze_blocks) if unfreeze_blocks else []

    def _check_arguments(self) -> None:
        for name in ("augmented_copies", "unfreeze_blocks", "unfreeze_epoch", "hidden_size"):
            if getattr(self, name) < 0:
                raise ZooError(f"{name} is {getattr(self, name)}, expected 0 or more")
        frozen_first = not (self.unfreeze_blocks and self.unfreeze_epoch == 0)
        if self.cache_features and self.augmentation and not self.augmented_copies and frozen_first:
            raise ZooError(
                "features that are computed once cannot follow augmentation: train on several augmented copies of each "
                "image with --model.augmented_copies 8, or compute features anew in every epoch with "
                "--model.cache_features false"
            )
        if self.augmented_copies and not (self.cache_features and self.augmentation):
            raise ZooError(
                f"augmented_copies is {self.augmented_copies}, but there is "
                f"{'no augmentation to make them by' if self.cache_features else 'no cache to keep them in'}; "
                "leave it out, or set both cache_features and an augmentation such as --model.flip true"
            )

    def features(self, images: Tensor) -> Tensor:
        """Returns the backbone's features ``(N, F)`` of raw images; F is 1280 for MobileNetV2."""
        return self.network.backbone(self.normalise(self.take(images)))

    def normalise(self, inputs: Tensor) -> Tensor:
        """Brings raw images, grey ones as colour, to zero mean and unit variance in the model's own precision."""
        return super().normalise(backbones.in_colour(inputs))

    @property
    def takes(self) -> str:
        """uint8 images of any size, or features."""
        return f"uint8 images (N, 3, H, W) or (N, 1, H, W), pictures, or features (N, {self.num_features})"

    def check(self, inputs: Tensor) -> None:
        """Refuses what are neither images nor features.

        Raises:
            ZooError: They are neither.
        """
        if inputs.ndim == 2 and inputs.shape[1] == self.num_features and inputs.is_floating_point():
            return
        backbones.check_images(self, inputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns the logits of raw images, or of features."""
        given = self.take(inputs)
        return self.network.head(given if given.ndim == 2 else self.features(given))

    def train(self, mode: bool = True) -> "Transfer":
        """Switches the head; the backbone stays in evaluation mode, also where it is being trained."""
        super().train(mode)
        self.network.backbone.eval()
        return self

    @property
    def compiled_parts(self) -> list[nn.Module]:
        """Backbone and head, which are called one by one."""
        return [self.network.backbone, self.network.head]

    @property
    def frozen(self) -> bool:
        """Whether the whole backbone is frozen in the current epoch."""
        return not self.unfreeze_blocks or self.current_epoch < self.unfreeze_epoch

    def setup(self, stage: str) -> None:
        """Keeps data from fetching pictures ahead where features are cached, before the trainer asks for batches.

        What is frozen by name stays so when its block is unfrozen.
        """
        super().setup(stage)
        names, frozen = {id(one): name for name, one in self.named_parameters()}, self.frozen_names()
        self._tuned = [one for one in self._tuned if names[id(one)] not in frozen]
        data: Any = getattr(self._trainer, "datamodule", None)
        if stage == "fit" and self.cache_features and getattr(data, "workers", 0) is None:
            data.workers = 0

    def on_fit_start(self) -> None:
        """Starts without features, for the data may be other than before; warns if nothing will be unfrozen."""
        self._cache.begin(torch.initial_seed())
        last = self.trainer.max_epochs
        if self.unfreeze_blocks and last is not None and 0 <= last <= self.unfreeze_epoch:
            rank_zero_warn(
                f"training ends after {last} epochs, before unfreeze_epoch {self.unfreeze_epoch}, so no block is "
                f"unfrozen; give it more with --trainer.max_epochs, or begin sooner with --model.unfreeze_epoch"
            )

    def on_train_epoch_start(self) -> None:
        """Unfreezes when it is time; until then the epoch is one of features."""
        super().on_train_epoch_start()
        for parameter in self._tuned:
            parameter.requires_grad_(not self.frozen)
        self._wait_for_unfreezing()
        if self.cache_features:
            self._cache.before_training(self.trainer, self)

    def on_validation_start(self) -> None:
        """Lets the validation during training run on features, too."""
        self._wait_for_unfreezing()
        if self.cache_features and self.trainer.state.fn == "fit":
            self._cache.before_validation(self.trainer, self)

    def _wait_for_unfreezing(self) -> None:
        """Keeps early stopping from ending the training before the blocks are unfrozen; its patience begins then."""
        if self.unfreeze_blocks and self.current_epoch <= self.unfreeze_epoch:
            for stop in self.trainer.early_stopping_callbacks:
                # A check that finds nothing better counts one up, and a patience of 0 ends at 0.
                stop.wait_count = -2 if self.frozen else 0

    def on_fit_end(self) -> None:
        """Gives the data its images back."""
        self._cache.end()

    def on_after_backward(self) -> None:
        """Averages the gradients of the unfrozen blocks over the processes.

        A distributed trainer looks once, before training, which parameters are trained, and leaves out those that are
        frozen then.
        """
        if self.trainer.world_size > 1 and not self.frozen:
            for parameter in self._tuned:
                if parameter.grad is not None:
                    parameter.grad = self.trainer.strategy.reduce(parameter.grad, reduce_op="mean")

    def trained_parts(self) -> list[Part]:
        """The head, and with a rate of their own the blocks that are or will be unfrozen."""
        return [(list(self.network.head.parameters()), self.lr), (self._tuned, self.backbone_lr)]

    def hidden_matrices(self) -> list[Parameter]:
        """What ``muon`` moves: of the head all but the last layer, and the unfrozen kernels."""
        return hidden_matrices(self.network.head) + [one for one in self._tuned if one.ndim > 1]

    def borrowed(self) -> dict[str, str]:
        """A backbone that stayed frozen is still the published one."""
        return {"network.backbone.": str(self.hparams["weights"])} if not self.unfreeze_blocks else {}

    def example_input(self) -> Tensor:
        """One black image."""
        return torch.zeros(1, 3, self.image_size, self.image_size, dtype=torch.uint8)
