"""Heat maps of where in an image its class is seen, through captum."""

from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import ZooError


class GradCAM:
    """Finds where in an image its predicted class is seen (Selvaraju et al., 2017, arXiv:1610.02391).

    The feature maps that are weighed are those of the last convolution whose outputs still lie at different places of
    the image, after the normalisation and activation that follow it: before them, most maps of a network with ReLU are
    negative and explain nothing.

    Args:
        model: A classifier of images; it cannot be trained any more.

    Raises:
        ZooError: The model has no such convolution.
    """

    def __init__(self, model: Any) -> None:
        convolution, self.layer = _last_feature_maps(model)
        # Gradients reach down to the convolution and no further, which spares the memory of all that lies before it.
        model.requires_grad_(False)
        convolution.requires_grad_()
        self.model = model

    def __call__(self, images: Any) -> Tensor:
        """Returns the heat maps ``(N, 1, H, W)`` of images: from 0 to 1 in each, or all 0 if nothing is seen.

        Args:
            images: As the model takes them: uint8 ``(N, C, H, W)``, or pictures.
        """
        from captum.attr import LayerAttribution, LayerGradCam

        images = self.model.take(images)
        heat = LayerGradCam(self._evidence, self.layer).attribute(self.model.normalise(images), relu_attributions=True)
        heat = LayerAttribution.interpolate(heat, tuple(images.shape[-2:]), "bilinear").detach()
        return heat / heat.amax((1, 2, 3), keepdim=True).clamp_min(torch.finfo(heat.dtype).tiny)

    def _evidence(self, inputs: Tensor) -> Tensor:
        """What speaks for the predicted class; a single logit speaks for class 1, and its negative for class 0."""
        logits = self.model.network(inputs)
        return logits.squeeze(1).abs() if logits.shape[1] == 1 else logits.amax(1)


def _last_feature_maps(model: Any) -> tuple[nn.Module, nn.Module]:
    """The last convolution with outputs of more than a pixel, and the last layer whose outputs have the same pixels."""
    ran: list[tuple[nn.Module, torch.Size]] = []

    def note(layer: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[-2:]) > 1:
            ran.append((layer, output.shape))

    leaves = [layer for layer in model.network.modules() if not list(layer.children())]
    hooks = [layer.register_forward_hook(note) for layer in leaves]
    with torch.inference_mode():
        model(model.example_input())
    for hook in hooks:
        hook.remove()
    places = [place for place, (layer, _) in enumerate(ran) if isinstance(layer, nn.Conv2d)]
    if not places:
        raise ZooError(f"{type(model).__name__} has no convolutions, which --explain looks into; leave --explain out")
    convolution, wanted = ran[places[-1]]
    return convolution, [layer for layer, shape in ran[places[-1] :] if shape[-2:] == wanted[-2:]][-1]
