"""``zoo fit``, ``zoo validate`` and ``zoo test`` on the command line; :mod:`zoo.training.verbs` does the work."""

import shlex
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from datamodules.series.series import Series
from datamodules.vision.layout import holds_pictures
from zoo import registry, weights
from zoo.commands.compare import auto
from zoo.commands.likeness import tell_unlike
from zoo.commands.origin import find_checksums
from zoo.errors import ZooError
from zoo.series.forecaster import Forecaster
from zoo.terminal import say
from zoo.text.projector import check_embedding, write_embedding
from zoo.training import verbs
from zoo.training.cli import ZooCLI
from zoo.training.learnt_from import tell_changes
from zoo.training.target import resolve


def fit(argv: list[str]) -> int:
    """Trains a recipe, or goes on with a run; leaves one folder.

    A folder of pictures, one sub-folder a class, does for a recipe: 'zoo fit photos' is 'zoo auto vision --data.root
    photos'. Every setting of the recipe is a flag. Also: --quiet (print only the result), --test (measure the best
    checkpoint on the test split, too), --projector (show the embedding of words in TensorBoard's projector), --trust
    (the run folder may name classes from outside the zoo), --traceback.
    """
    if argv and _is_folder_of_pictures(argv[0]):
        same = ["vision", f"--data.root={argv[0]}", *argv[1:]]
        say(f"{argv[0]} is a folder of pictures; the same as: {shlex.join(['zoo', 'auto', *same])}", flush=True)
        return auto(same)
    target = resolve("fit", argv)
    cli = verbs.build(target, description=fit.__doc__)
    if target.projector:
        try:
            check_embedding(cli.model)
        except ZooError:
            cli.leave_no_trace()
            raise
    try:
        results = verbs.train(cli, shlex.join(["zoo", "fit", *argv]), target.test)
    except SystemExit:
        if cli.can_go_on:
            _say(f"\nstopped; resume with: zoo fit {cli.folder}")
        raise
    verbs.report(cli, results)
    if target.projector:
        _project(cli)
    return 0


def _is_folder_of_pictures(name: str) -> bool:
    """Whether it is neither a flag nor a recipe nor a run, but a folder that holds pictures."""
    folder = Path(name)
    if name.startswith("-") or name in registry.list_recipes() or not folder.is_dir():
        return False
    return not (folder / "config.yaml").exists() and holds_pictures(folder)


@rank_zero_only
def _project(cli: ZooCLI) -> None:
    if cli.folder is not None:
        write_embedding(weights.load(cli.folder), cli.folder)
        if not cli.quiet:
            say(f"projector tensorboard --logdir {cli.folder}   (tab PROJECTOR)")


@rank_zero_only
def _say(text: str) -> None:
    say(text, flush=True)


def validate(argv: list[str]) -> int:
    """Measures published weights, a run or --ckpt_path on the validation split. Also: --quiet, --trust, --traceback."""
    return _measure("validate", argv, validate.__doc__)


def test(argv: list[str]) -> int:
    """Measures published weights, a run or --ckpt_path on the test split. Also: --quiet, --trust, --traceback."""
    return _measure("test", argv, test.__doc__)


def _measure(verb: str, argv: list[str], description: str | None) -> int:
    target = resolve(verb, argv)
    cli, results = verbs.measure(verb, target, description=description)
    verbs.report(cli, results)
    measured = str(target.checkpoint or registry.CHECKPOINTS / target.recipe)
    name = str(target.run or measured)
    tell_changes(name, find_checksums(measured), cli.datamodule)
    if isinstance(cli.model, Forecaster) and isinstance(cli.datamodule, Series):
        tell_unlike(name, cli.model, cli.datamodule, target.trust)
    return 0
