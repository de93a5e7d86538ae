"""Names the diseases of adversarial training by the figures that show them.

The generator's gradient vanishes where the discriminator is certain of everything; the generator collapses to a few
modes, so that whole classes are missing; the two chase each other and the images become worse again (Goodfellow, 2016,
arXiv:1701.00160; Arjovsky and Bottou, 2017, arXiv:1701.04862).
"""

from collections.abc import Sequence

# Epochs that a training is given to find its feet.
_GRACE = 3
# Recall that is as good as none.
_NO_RECALL = 0.01
# Evaluations after which what was never there is missed, too.
_PATIENCE = 5


def diagnose(history: Sequence[dict[str, float]], distance: str, missing: Sequence[str]) -> list[str]:
    """Says what ails a training since its last epoch; what was said of the epoch before is not said again.

    Args:
        history: Figures of every epoch, the last one last: ``discriminator_accuracy``, ``generator_gradient_norm``,
            ``classes_covered``, ``classes_missing``, ``recall`` and the distance, where there are any.
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
    lacking = [epoch["classes_missing"] for epoch in history if "classes_missing" in epoch]
    never = len(covers) >= _PATIENCE and lacking and lacking[-1] > 0
    if covers and (covers[-1] < max(covers) or never):
        lacks = f"; {', '.join(missing)} missing" if missing else ""
        found["mode collapse"] = (
            f"mode collapse: the samples cover {covers[-1]:.0f} classes, at most {max(covers):.0f} so far{lacks}; "
            "try a smaller --model.lr, or a WGAN-GP"
        )
    elif recalls and (recalls[-1] < 0.1 * max(recalls) or (len(recalls) >= _PATIENCE and recalls[-1] < _NO_RECALL)):
        found["mode collapse"] = (
            f"mode collapse: the samples reach {recalls[-1]:.1%} of the real images (recall), at most "
            f"{max(recalls):.1%} so far; try a smaller --model.lr, or a WGAN-GP"
        )
    distances = [epoch[distance] for epoch in history if distance in epoch]
    if distances and distances[-1] > 2 * min(distances):
        found["unstable convergence"] = (
            f"unstable convergence: {distance} is {distances[-1]:.3g} and was {min(distances):.3g} at best; the best "
            "checkpoint is kept, and a smaller --model.lr or a schedule holds the networks together"
        )
    return found
