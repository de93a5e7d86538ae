"""``zoo sweep``: which settings of a recipe are best, by trials whose settings Optuna draws."""

import re
import shlex
import time
import warnings
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.series.series import Series
from zoo import registry
from zoo.commands.arguments import Arguments
from zoo.commands.contenders import held_out
from zoo.commands.going_on import folder_of, seconds, split, with_out
from zoo.commands.outputs import write_figure
from zoo.comparison.space import Space, parse
from zoo.errors import ZooError, shortened
from zoo.measures import measure
from zoo.terminal import say
from zoo.training.cli import ZooCLI
from zoo.training.given import flag
from zoo.training.target import ONE_DEVICE, Target, resolve

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

# Of a folder of runs, the study of them.
_JOURNAL = "study.journal"
_SAMPLERS = ("tpe", "random", "grid", "gp")
_PRUNERS = ("median", "hyperband", "none")
# What a trial sets itself.
_OURS = ("--ckpt_path", "--data.fold", "--data.fold_of", "--epochs_of", "--figures")
# Flags that may be others when a sweep goes on.
_MAY_DIFFER = ("--trials", "--timeout", "--keep", "--pruner", "--sampler", "--seed")


def sweep(argv: list[str]) -> int:
    """Searches the settings of a recipe: trains it with one after the other, and gives up early what is bad.

    What to search says --search, or a recipe under 'search'. Trials are judged in validation, never by the test split.
    The same command with the same --out goes on with what was interrupted, and works on it with others at the same
    time; with --storage on other machines, too. Every flag of 'zoo fit' may follow, and holds for all trials.
    """
    names, rest = split(argv)
    parser = Arguments("sweep", sweep.__doc__)
    parser.usage = "zoo sweep RECIPE | FILE.yaml  --search 'model.lr=1e-4..1e-2 log' ...  [flags]"
    _add_flags(parser)
    options, flags = parser.parse_known_args(rest)
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise ZooError("a sweep needs optuna; install it with: pip install 'lightning-zoo[sweep]'") from error
    if options.show is not None:
        return _show(options, [*names, *flags])
    if len(names) != 1:
        raise ZooError("'zoo sweep' needs one recipe or YAML file, first; 'zoo list' shows the recipes")
    for name, least in (("trials", 1), ("keep", 0), ("folds", 0), ("seed", 0)):
        if getattr(options, name) is not None and getattr(options, name) < least:
            raise ZooError(f"--{name} is {getattr(options, name)}, expected at least {least}")
    return _search(names[0], flags, options, ["sweep", *argv])


def _add_flags(parser: Arguments) -> None:
    parser.add_argument(
        "--search",
        nargs="+",
        action="extend",
        default=[],
        metavar="SETTING=WHERE",
        help="a setting and where it may lie: 'model.lr=1e-4..1e-2 log', 'model.dropout=0..0.5 step 0.1', "
        "'model.hidden_size=[32,64,128]'; from whole numbers on, only whole ones",
    )
    parser.add_argument(
        "--trials", type=int, metavar="N", help="how many, of all workers together (default 20; of a grid all)"
    )
    parser.add_argument(
        "--timeout", type=seconds("--timeout"), metavar="TIME", help="begin no trial after this, such as 90s, 5m or 2h"
    )
    parser.add_argument(
        "--sampler", type=_sampler, choices=_SAMPLERS, default="tpe", help="what draws (default %(default)s)"
    )
    parser.add_argument(
        "--pruner", choices=_PRUNERS, default="median", help="what gives bad ones up early (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what draws (default %(default)s)")
    parser.add_argument(
        "--folds",
        type=int,
        default=0,
        metavar="N",
        help="judge a series by forecasts of N pieces before its test period, as zoo compare does (default: by the "
        "validation period)",
    )
    parser.add_argument(
        "--keep", type=int, default=3, metavar="N", help="keep the runs of the best N (default %(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the runs and their study (default: a new one in runs)"
    )
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="keep the study on a server, postgresql://USER@HOST/DATABASE, where any number of machines work on it; a "
        "password belongs into PGPASSWORD or ~/.pgpass",
    )
    parser.add_argument("--study", metavar="NAME", help="name of the study on the server (default: of the recipe)")
    parser.add_argument(
        "--show",
        metavar="STUDY",
        help="draw a study, by its folder, or with --storage its name: its history, what mattered, and each setting",
    )


def _sampler(name: str) -> str:
    if name == "cmaes":
        raise ZooError(
            "--sampler cmaes keeps its state in a form that can run code of whoever wrote the study (a pickle); use gp"
        )
    return name


def _search(recipe: str, flags: Sequence[str], options: Namespace, command: Sequence[str]) -> int:
    """Runs a sweep. What cannot be one is told before anything is written."""
    from zoo.comparison.studies import Sampler, check_url, open_journal, open_server, open_study, ranked, telling

    target = resolve("sweep", [recipe, *ONE_DEVICE, *flags])
    if target.run is not None:
        raise ZooError(f"{recipe} is a run, whose settings are chosen; name a recipe or a YAML file")
    texts, spaces = parse(options.search, registry.read_yaml(Path(target.args[1])).get("search"))
    _check_flags(flags, spaces)
    name = options.study or target.recipe
    if not re.fullmatch(r"[\w.-]{1,100}", name, re.ASCII):
        raise ZooError(
            f"the study is called {shortened(name)}, expected letters, digits, '.', '_' and '-': --study NAME"
        )
    if options.storage is not None:
        check_url(options.storage)
    sampler = Sampler(options.sampler, options.seed, spaces)
    count = options.trials or (20 if sampler.points is None else sampler.points)
    metric, data = _first_built(target, spaces, options.folds)
    about = {
        "recipe": recipe, "flags": list(flags), "search": dict(texts), "metric": metric, "folds": options.folds,
        "data": data,
    }  # fmt: skip
    storage = None if options.storage is None else open_server(options.storage)
    folder = folder_of("sweep", options.out, command, _MAY_DIFFER)
    where = options.storage or str(folder / _JOURNAL)
    storage = storage or open_journal(folder / _JOURNAL)
    with telling(where):
        study = open_study(storage, where, name, about, measure(metric).higher_is_better)
        study.sampler, study.pruner = sampler, _pruner(options.pruner)
        _run(study, target, spaces, metric, folder, count, options, command)
        if not ranked(study):
            raise ZooError("no trial was complete; give more with --trials or --timeout, or use --pruner none")
        _tell_best(study)
    studied = f"{study.study_name} --storage {shlex.quote(where)} --out DIR" if options.storage else str(folder)
    say(f"pictures  zoo sweep --show {studied}")
    return 0


def _check_flags(flags: Sequence[str], spaces: Mapping[str, Space]) -> None:
    given = [argument.partition("=")[0] for argument in flags]
    for name in (*given, *(f"--{name}" for name in spaces)):
        if name in _OURS:
            raise ZooError(f"{name} has no place in a sweep, which sets it itself; leave it out")
    for name in spaces:
        if f"--{name}" in given:
            raise ZooError(f"--{name} is given and searched; leave one out")


def _first_built(target: Target, spaces: Mapping[str, Space], folds: int) -> tuple[str, dict[str, str]]:
    """Builds what a first trial might be, which tells of typos; gives back how models are judged, and on what."""
    first = [flag(name, space.first) for name, space in spaces.items()]
    cli = ZooCLI([*target.args, *first], "sweep", target.recipe, Path("runs"), quiet=True)
    if cli.trainer.world_size > 1:
        raise ZooError("a trial trains on one device; use --trainer.devices 1, and a worker for each device")
    if getattr(cli.trainer.checkpoint_callback, "filename", None) is None:
        raise ZooError(f"{target.recipe} keeps no best checkpoint to be judged by; add a ModelCheckpoint to it")
    if folds and not isinstance(cli.datamodule, Series):
        raise ZooError(f"--folds is for series, and {type(cli.datamodule).__name__} is none; leave it out")
    if folds:
        cli.datamodule.folds(folds, of="before")  # tells where there are too few points
    return cli.model.metric, held_out(cli.datamodule)


def _pruner(name: str) -> Any:
    from zoo.comparison.studies import PRUNERS

    return PRUNERS[name]()


def _run(
    study: "Study",
    target: Target,
    spaces: Mapping[str, Space],
    metric: str,
    folder: Path,
    count: int,
    options: Namespace,
    command: Sequence[str],
) -> None:
    """Runs trials, and says of each what came of it."""
    from zoo.comparison.trials import Sweep

    typed = shlex.join(["zoo", *command])
    say(f"{count} trials of {target.recipe}, judged by {metric}; folder {folder}", flush=True)
    trials = Sweep(study, target.recipe, target.args, spaces, metric, folder, count, options.folds, options.keep, typed)
    try:
        for trial in trials.run(None if options.timeout is None else time.monotonic() + options.timeout):
            say(f"  trial {trial.number}: {_what_came(study, trial)}", flush=True)
    except (KeyboardInterrupt, SystemExit):
        say(f"\nstopped; go on with: {shlex.join(['zoo', *with_out(command, folder)])}")
        raise


def _what_came(study: "Study", trial: "FrozenTrial") -> str:
    from optuna.trial import TrialState

    from zoo.comparison.studies import about_of, ranked

    settings = ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in trial.params.items()
    )
    why = trial.user_attrs.get("why", "")
    if trial.state == TrialState.FAIL:
        return f"failed: {why}"
    if trial.state == TrialState.PRUNED:
        reports = len(trial.intermediate_values)
        return f"given up{f' after {reports} validations' if reports else f', {why}'}; {settings}"
    best = "  (the best so far)" if ranked(study)[0].number == trial.number else ""
    return f"{about_of(study, '')['metric']} {trial.value:.5g}; {settings}{best}"


def _tell_best(study: "Study") -> None:
    """Names the best trial, and the command that trains it."""
    from optuna.trial import TrialState

    from zoo.comparison.studies import about_of, ranked

    about, best = about_of(study, ""), ranked(study)[0]
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    others = ", ".join(
        f"{states.count(state)} {word}"
        for state, word in (
            (TrialState.PRUNED, "given up early"),
            (TrialState.FAIL, "failed"),
            (TrialState.RUNNING, "still running elsewhere"),
        )
        if state in states
    )
    better = "higher" if measure(about["metric"]).higher_is_better else "lower"
    say(f"trials    {states.count(TrialState.COMPLETE)} complete{f', {others}' if others else ''}")
    say(f"best      trial {best.number}, {about['metric']} {best.value:.5g} ({better} is better)")
    settings = [flag(name, value) for name, value in best.params.items()]
    run = best.user_attrs.get("run")
    if run is not None:
        say(f"run       {run}" + ("" if Path(run).is_dir() else f" on {best.user_attrs.get('host')}, if it was kept"))
    say(f"train it  {shlex.join(['zoo', 'fit', about['recipe'], *about['flags'], *settings])}")


def _show(options: Namespace, rest: Sequence[str]) -> int:
    """Draws a study."""
    from zoo.comparison.studies import find_study, open_journal, open_server, ranked, telling

    if rest:
        raise ZooError(f"{rest[0]} has no place beside --show, which draws what is there; leave it out")
    storage: BaseStorage
    if options.storage is not None:
        if options.out is None:
            raise ZooError("--show of a study on a server needs --out DIR, a folder to draw into")
        storage, where, name, folder = open_server(options.storage), options.storage, options.show, options.out
    else:
        path = Path(options.show)
        path = path / _JOURNAL if path.is_dir() else path
        if not path.is_file():
            raise ZooError(f"no study {path}; expected the folder of a sweep")
        storage, where, name = open_journal(path), str(path), None
        folder = options.out or path.parent
    with telling(where):
        study = find_study(storage, where, name)
        if not ranked(study):
            raise ZooError(f"no trial in {where} is complete, and there is nothing to draw")
        _tell_best(study)
        _draw(study, folder / "figures")
    return 0


def _draw(study: "Study", folder: Path) -> None:
    """Draws with Optuna's pictures."""
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib import rc_context
    from optuna.visualization import matplotlib as pictures

    from zoo.comparison.studies import about_of, ranked

    metric = about_of(study, "")["metric"].replace("_", " ").replace("$", r"\$")
    found = {"history": pictures.plot_optimization_history, "slices": pictures.plot_slice}
    if len({trial.value for trial in ranked(study)}) > 1:
        found["importances"] = pictures.plot_param_importances
    else:
        say("what mattered is not drawn: all trials reached the same")
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in found.items():
        # Optuna sets a style for the whole process, and takes figures from where windows come from.
        with rc_context(), plt.ioff(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plt.switch_backend("agg")
            figure = np.ravel(np.asarray(draw(study, target_name=metric), dtype=object))[0].figure
            figure.set_size_inches(max(8, 3 * len(figure.axes)), 4.5)
            figure.set_layout_engine("constrained")
            write_figure(folder / f"{name}.png", figure)
            plt.close(figure)
        say(f"picture   {folder / name}.png")
