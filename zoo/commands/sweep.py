"""``zoo sweep``: which settings of a recipe are best, by trials whose settings Optuna draws."""

import re
import shlex
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.series.series import Series
from zoo import registry
from zoo.commands.arguments import Arguments
from zoo.commands.comparable import held_out
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

# Of a folder of runs, the study of them.
_JOURNAL = "study.journal"
_SAMPLERS = ("tpe", "random", "grid", "gp")
_PRUNERS = ("median", "hyperband", "none")
# What would make trials something else, or is set by them.
_OUT_OF_PLACE = (
    "--ckpt_path", "--data.fold", "--data.fold_of", "--epochs_of", "--figures", "--test", "--trainer.fast_dev_run",
)  # fmt: skip
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
        import_module("optuna")
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
    from zoo.comparison.outcome import best_in_words
    from zoo.comparison.studies import PRUNERS, Sampler, check_url, open_journal, open_server, open_study, telling

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
        study.sampler, study.pruner = sampler, PRUNERS[options.pruner]()
        _run(study, target, spaces, metric, folder, count, options, command)
        say(best_in_words(study))
    studied = f"{study.study_name} --storage {shlex.quote(where)} --out DIR" if options.storage else str(folder)
    say(f"pictures  zoo sweep --show {studied}")
    return 0


def _check_flags(flags: Sequence[str], spaces: Mapping[str, Space]) -> None:
    given = [argument.partition("=")[0] for argument in flags]
    for name in (*given, *(f"--{name}" for name in spaces)):
        if name in _OUT_OF_PLACE:
            raise ZooError(f"{name} has no place in a sweep; leave it out")
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
    from zoo.comparison.outcome import in_words
    from zoo.comparison.trials import Sweep

    typed = shlex.join(["zoo", *command])
    say(f"{count} trials of {target.recipe}, judged by {metric}; folder {folder}", flush=True)
    trials = Sweep(study, target.recipe, target.args, spaces, metric, folder, count, options.folds, options.keep, typed)
    try:
        for trial in trials.run(None if options.timeout is None else time.monotonic() + options.timeout):
            say(f"  trial {trial.number}: {in_words(study, trial)}", flush=True)
    except (KeyboardInterrupt, SystemExit):
        say(f"\nstopped; go on with: {shlex.join(['zoo', *with_out(command, folder)])}")
        raise


def _show(options: Namespace, rest: Sequence[str]) -> int:
    """Draws a study."""
    from zoo.comparison.outcome import best_in_words, pictures
    from zoo.comparison.studies import find_study, open_journal, open_server, telling

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
        say(best_in_words(study))
        for picture, figure in pictures(study):
            path = folder / "figures" / f"{picture}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_figure(path, figure)
            say(f"picture   {path}")
    return 0
