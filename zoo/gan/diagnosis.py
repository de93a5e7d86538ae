"""Names the diseases of adversarial training by the figures that show them.

The generator's gradient vanishes where the discriminator is certain of everything; the generator collapses to a few
modes, so that whole classes are missing; the two chase each other and the images become worse again (Goodfellow, 2016,
arXiv:1701.00160; Arjovsky and Bottou, 2017, arXiv:1701.04862).
"""

from collections.abc import Sequence

# Epochs that a training is given to find its feet.
_GRACE = 3


def diagnose(history: Sequence[dict[str, float]], distance: str, missing: Sequence[str]) -> list[str]:
    """Says what ails a training since its last epoch; what was said of the epoch before is not said again.

    Args:
        history: Figures of every epoch, the last one last: ``discriminator_accuracy``, ``generator_gradient_norm``,
            ``classes_covered``, ``recall`` and the distance, where there are any.
        distance: Name of the distance to real images.
        missing: Classes that the last samples lack.

    Returns:
        A line for each disease.
    """
    now, before = _symptoms(history, distance, missing), _symptoms(history[:-1], distance, ())
    return [message for disease, message in now.items() if disease not in before]


def _symptoms(history: Sequence[dict[str, float]], distance: str, missing: Sequence[str]) -> dict[str, str]:
    if len(history) < _GRACE:
        return {}
    last, found = history[-1], {}
    norms = [epoch["generator_gradient_norm"] for epoch in history if "generator_gradient_norm" in epoch]
    certain = last.get("discriminator_accuracy", 0.0) > 0.99
    if certain and norms and norms[-1] < max(0.01, 0.01 * max(norms)):
        found["vanishing gradient"] = (
            f"vanishing gradient: the discriminator is right about {last['discriminator_accuracy']:.1%} of the images "
            f"and the generator's gradient has a norm of {norms[-1]:.2g} (at most {max(norms):.2g} before); try the "
            "non-saturating loss, a smaller --model.discriminator_lr, or a WGAN-GP"
        )
    covers = [epoch["classes_covered"] for epoch in history if "classes_covered" in epoch]
    recalls = [epoch["recall"] for epoch in history if "recall" in epoch]
    if covers and covers[-1] < max(covers) and "classes_covered" in last:
        lacks = f"; {', '.join(missing)} missing" if missing else ""
        found["mode collapse"] = (
            f"mode collapse: the samples cover {covers[-1]:.0f} classes, once {max(covers):.0f}{lacks}; "
            "try a smaller --model.lr, or a WGAN-GP"
        )
    elif recalls and "recall" in last and recalls[-1] < 0.1 * max(recalls):
        found["mode collapse"] = (
            f"mode collapse: the samples reach {recalls[-1]:.1%} of the real images (recall), once {max(recalls):.1%}; "
            "try a smaller --model.lr, or a WGAN-GP"
        )
    distances = [epoch[distance] for epoch in history if distance in epoch]
    if distances and distances[-1] > 2 * min(distances):
        found["unstable convergence"] = (
            f"unstable convergence: {distance} is {distances[-1]:.3g} and was {min(distances):.3g} at best; the best "
            "checkpoint is kept, and a smaller --model.lr or a schedule holds the networks together"
        )
    return found
