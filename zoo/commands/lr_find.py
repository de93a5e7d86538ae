"""``zoo lr-find``: the learning-rate range test (Smith, 2015, arXiv:1506.01186)."""

from math import inf
from typing import Any

import numpy as np
from lightning.pytorch.tuner import Tuner
from matplotlib.figure import Figure

from zoo.commands.arguments import Arguments
from zoo.commands.outputs import write_figure
from zoo.drawing import COLOURS
from zoo.errors import ZooError
from zoo.terminal import say
from zoo.training.cli import ZooCLI
from zoo.training.run_folder import write_results
from zoo.training.target import resolve

# The first values of the smoothed loss say more about the smoothing than about the loss.
_SETTLING = 10
# More than any picture shows.
_MOST_STEPS = 100_000


def lr_find(argv: list[str]) -> None:
    """Raises the learning rate step by step, watches the loss, and suggests where it falls fastest.

    Every flag of 'zoo fit' may follow.
    """
    parser = Arguments("lr-find", lr_find.__doc__)
    parser.add_argument("recipe", help="a recipe, a YAML file or a run folder")
    parser.add_argument("--min_lr", type=float, default=1e-6, help="first learning rate (default %(default)s)")
    parser.add_argument("--max_lr", type=float, help="last learning rate (default 1, or ten times the recipe's)")
    parser.add_argument("--steps", type=int, default=100, help="training steps (default %(default)s)")
    options, flags = parser.parse_known_args(argv)
    if not 20 <= options.steps <= _MOST_STEPS or not 0 < options.min_lr < (options.max_lr or 1.0) < inf:
        raise ZooError(
            f"{options.steps} steps from {options.min_lr:g} to {options.max_lr or 1.0:g}; "
            f"expected 20 to {_MOST_STEPS:,} steps and 0 < min < max"
        )
    target = resolve("lr-find", [options.recipe, *flags])
    cli = ZooCLI(
        target.args, "lr-find", target.recipe, None, target.quiet, description=lr_find.__doc__, trust=target.trust
    )
    if not cli.model.automatic_optimization:
        cli.leave_no_trace()
        raise ZooError(f"{type(cli.model).__name__} trains two networks, so there is no one learning rate to find")
    if not hasattr(cli.model, "lr") or not list(cli.model.parameters()):
        cli.leave_no_trace()
        raise ZooError(f"{type(cli.model).__name__} has no learning rate to find")
    max_lr = options.max_lr or max(1.0, 10 * cli.model.lr)
    cli.model.watch_loss = False
    with cli.telling():
        finder = Tuner(cli.trainer).lr_find(
            cli.model,
            datamodule=cli.datamodule,
            min_lr=options.min_lr,
            max_lr=max_lr,
            num_training=options.steps,
            update_attr=False,
        )
    suggestion = None if finder is None else steepest_fall(finder.results)
    if finder is None or suggestion is None or cli.folder is None:
        raise ZooError("too few steps for a suggestion; try more with --steps, or a lower --max_lr")
    (cli.folder / "figures").mkdir(exist_ok=True)
    picture = cli.folder / "figures" / "learning_rate.png"
    write_figure(picture, draw_range_test(finder.results, suggestion, f"{target.recipe}: learning-rate range test"))
    write_results(cli.folder, target.recipe, {"lr_find": {"suggestion": suggestion, "recipe_lr": cli.model.lr}})
    say(f"suggested learning rate {suggestion:.3g} (the recipe has {cli.model.lr:g})")
    say(f"picture   {picture}")
    say(f"try       zoo fit {options.recipe} --model.lr {suggestion:.2g}")


def steepest_fall(results: dict[str, Any]) -> float | None:
    """The learning rate where the loss falls fastest per decade, on its way down to its least value.

    Args:
        results: ``lr`` and ``loss``, one value a step.

    Returns:
        It, or None if the loss never falls.
    """
    rates, losses = np.log10(results["lr"][_SETTLING:]), np.array(results["loss"][_SETTLING:])
    bottom = int(np.nanargmin(losses)) if np.isfinite(losses).any() else 0
    # A slope over few steps is that of single batches; over a seventh of the test it is that of the curve.
    span = max(len(losses) // 7, 2)
    if bottom < span or not losses[bottom] < losses[0]:
        return None
    slopes = (losses[span : bottom + 1] - losses[: bottom + 1 - span]) / (rates[span] - rates[0])
    place = int(slopes.argmin())
    return float(10 ** rates[place : place + span + 1].mean())


def draw_range_test(results: dict[str, Any], suggestion: float, title: str) -> Figure:
    """Draws the loss over the learning rate, the suggestion marked.

    Args:
        results: ``lr`` and ``loss``, one value a step.
        suggestion: The learning rate where the loss falls fastest.
        title: Heading.
    """
    figure = Figure(figsize=(6.5, 4), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    axes.plot(results["lr"][_SETTLING:], results["loss"][_SETTLING:], color=COLOURS[0])
    axes.axvline(suggestion, color=COLOURS[1], linestyle="--", label=f"suggested {suggestion:.2g}")
    # Where training diverges, the loss grows beyond all that one would want to see.
    shown = [loss for loss in results["loss"][_SETTLING:] if np.isfinite(loss)]
    low, start = min(shown), shown[0]
    axes.set_ylim(low - 0.1 * (start - low), start + 0.5 * max(start - low, 0.1 * abs(start)))
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss, smoothed")
    axes.set_title(title)
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    return figure
