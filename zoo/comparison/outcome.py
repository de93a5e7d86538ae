"""What came of a sweep: in words, and as Optuna's pictures."""

import shlex
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization import matplotlib as optunas

from zoo.comparison.studies import about_of, ranked
from zoo.errors import ZooError
from zoo.measures import measure
from zoo.training.given import flag

_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "given up early",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "still running",
}


def in_words(study: Study, trial: FrozenTrial) -> str:
    """What came of a trial."""
    settings = ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in trial.params.items()
    )
    why = trial.user_attrs.get("why")
    if trial.state == TrialState.FAIL:
        return f"failed: {why}"
    if trial.state == TrialState.PRUNED:
        reason = f"since {why}" if why else f"after {len(trial.intermediate_values)} validations"
        return f"given up {reason}; {settings}"
    best = "  (the best so far)" if ranked(study)[0].number == trial.number else ""
    return f"{about_of(study)['metric']} {trial.value:.5g}; {settings}{best}"


def best_in_words(study: Study) -> str:
    """How many trials there are, which is the best, where its run lies, and the command that trains it.

    Raises:
        ZooError: None is complete.
    """
    if not ranked(study):
        raise ZooError("no trial is complete; allow for more with --trials or --timeout, or use --pruner none")
    about, best = about_of(study), ranked(study)[0]
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    counts = [f"{states.count(state)} {word}" for state, word in _STATES.items() if state in states]
    better = "higher" if measure(about["metric"]).higher_is_better else "lower"
    settings = [flag(name, value) for name, value in best.params.items()]
    run, host = (str(best.user_attrs.get(name)) for name in ("run", "host"))
    lines = {
        "trials": ", ".join(counts),
        "best": f"trial {best.number}, {about['metric']} {best.value:.5g} ({better} is better)",
        "run": run if Path(run).is_dir() else f"{run}, if it was kept, on {host}",
        "train it": shlex.join(["zoo", "fit", about["recipe"], *map(str, about["flags"]), *settings]),
    }
    return "\n".join(f"{name:9s} {line}" for name, line in lines.items())


def pictures(study: Study) -> Iterator[tuple[str, Figure]]:
    """Draws a study: how it went, each setting, and how much each of them mattered.

    Yields:
        The name of each picture, and the picture.
    """
    metric = about_of(study)["metric"].replace("_", " ").replace("$", r"\$")
    found: dict[str, Callable[..., Any]] = {"history": optunas.plot_optimization_history, "slices": optunas.plot_slice}
    # Where all reached the same, nothing mattered.
    if len({trial.value for trial in ranked(study)}) > 1:
        found["importances"] = optunas.plot_param_importances
    for name, draw in found.items():
        # Optuna sets a style for the whole process, and takes figures from where windows come from.
        with rc_context(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plt.switch_backend("agg")
            axes = np.ravel(draw(study, target_name=metric))
            figure = axes[0].figure
            figure.set_size_inches(max(8, 3 * len(axes)), 4.5)
            figure.set_layout_engine("constrained")
            yield name, figure
            plt.close(figure)
