"""Training from Python: :func:`fit` does in this process what ``zoo fit`` does, and gives back the run."""

import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml
from lightning import LightningDataModule
from lightning.pytorch.callbacks import Callback

from datamodules.arguments import parameters
from zoo import names, registry, weights
from zoo.base.inputs import told
from zoo.base.module import ZooModule
from zoo.errors import ZooError, foreseen, shortened
from zoo.terminal import REPORTS, tell
from zoo.training import verbs
from zoo.training.cli import ZooCLI
from zoo.training.handed import SAVED, Handed, understood
from zoo.training.learnt_from import tell_changes
from zoo.training.run_folder import new_run_folder, read_metrics, remove_run
from zoo.training.surroundings import surroundings_kept
from zoo.training.target import Target, resolve
from zoo.training.trust import RunConfiguration

Settings = Mapping[str, Any]

_EXAMPLES = {"model": "{'dropout': 0.5}", "data": "{'batch_size': 64}", "trainer": "{'max_epochs': 5}"}


@dataclass(frozen=True)
class Run:
    """A run: what one training left in its folder. :func:`fit` makes one, :func:`open_run` finds it again.

    Attributes:
        folder: The folder.
        trust: Whether its configuration may name classes from outside the zoo.
        data: The data module that Python handed over to train on, if it did.
    """

    folder: Path
    trust: bool = field(default=False, repr=False)
    data: LightningDataModule | None = field(default=None, repr=False, compare=False)

    @property
    def results(self) -> dict[str, Any]:
        """What ``results.json`` tells: time, processor, and what the best checkpoint reaches on each split."""
        return registry.read_results(self.folder)

    @property
    def metrics(self) -> Any:
        """What was logged, a pandas ``DataFrame`` with a line an epoch; NaN where there was no such figure.

        Raises:
            ZooError: Nothing was logged yet, or the file is damaged.
        """
        import pandas

        lines = pandas.DataFrame(read_metrics(self.folder / "metrics.csv")).apply(pandas.to_numeric)
        # Training and validation each write a line of their own.
        return lines.groupby(["epoch", "step"], as_index=False).last()

    @property
    def figures(self) -> dict[str, Path]:
        """The pictures by name, such as ``learning_curves``."""
        return {path.stem: path for path in sorted((self.folder / "figures").glob("*.png"))}

    def load(self, device: str = "cpu") -> ZooModule:
        """The best model of the run, ready to use; see :func:`zoo.load`."""
        return weights.load(self.folder, device)

    def test(self, data: LightningDataModule | None = None, quiet: bool = False) -> dict[str, float]:
        """Measures the best checkpoint on the test split, as ``zoo test`` does, and adds that to the results.

        Args:
            data: The data module to measure on, where Python handed over what the run was trained on.
            quiet: Print nothing.

        Returns:
            Each figure by its name.

        Raises:
            ZooError: There is nothing to measure, or nothing to measure it on.
        """
        argv = [str(self.folder), *(["--trust"] if self.trust else []), *(["--quiet"] if quiet else [])]
        given = self.data if data is None else data
        with _as_a_function(lambda: None):
            cli, results = verbs.measure("test", resolve("test", argv), given)
            if not quiet:
                verbs.report(cli, results)
            tell_changes(str(self.folder), self.results.get("data"), cli.datamodule)
        return dict(results["test"])


def open_run(folder: str | PathLike[str], trust: bool = False) -> Run:
    """Opens the folder that a training left, from Python or from the command line.

    Args:
        folder: The folder.
        trust: Its configuration may name classes from outside the zoo, since the run is yours.

    Raises:
        ZooError: It is no run, or its configuration could run code from elsewhere.
    """
    path = Path(folder)
    config = path / "config.yaml"
    if not config.is_file():
        raise ZooError(f"{path} is no run folder: it holds no config.yaml")
    if not trust:
        RunConfiguration(registry.read_yaml(config), config).check()
    return Run(path, trust)


def fit(
    recipe: str | PathLike[str] | Run,
    *,
    model: Settings | type | None = None,
    data: Any = None,
    trainer: Settings | None = None,
    callbacks: Sequence[Callback] = (),
    seed_everything: int | None = None,
    ckpt_path: str | PathLike[str] | None = None,
    epochs_of: str | PathLike[str] | None = None,
    figures: bool | None = None,
    tune_precision: bool | None = None,
    tf32: bool | None = None,
    test: bool = False,
    quiet: bool = False,
    trust: bool = False,
) -> Run:
    """Trains a recipe, or goes on with a run, as ``zoo fit`` does, in this process; leaves one folder.

    What was a flag is an argument: ``--model.dropout 0.5`` becomes ``model={"dropout": 0.5}``, and ``--model Dense``
    becomes ``model={"class_path": "Dense"}``. Ctrl-C stops after the batch at hand, as KeyboardInterrupt; the run goes
    on with ``zoo.fit(folder)``. Random numbers, warnings, logging and all else of this process are afterwards as they
    were.

    Args:
        recipe: A recipe's name, a YAML file, or a run to go on with: its folder, or a :class:`Run`.
        model: Settings of the model that differ from the recipe's, or the class of another model.
        data: Settings of the data that differ from the recipe's; the class of other data; a data module; where your
            data lies, a folder of photos, a file of series or texts; or the data itself: pictures and their classes, a
            series (a frame of pandas, an array), texts, texts and their labels. With settings it is one of them, such
            as ``{"path": frame, "period": 7}``. Data of up to 64 MB is written into the run; more of it, as a data
            module from outside the zoo, is handed over again by who goes on with the run.
        trainer: Settings of Lightning's trainer that differ from the recipe's.
        callbacks: Callbacks beside the recipe's. They are not written down either.
        seed_everything: The seed.
        ckpt_path: A checkpoint to go on from.
        epochs_of: Of training on everything: the run, or published model, that tells how many epochs.
        figures: Whether to draw pictures into the run's folder.
        tune_precision: Whether to time training steps first and take the quickest precision, on one CPU process.
        tf32: Whether a GPU multiplies float32 matrices and kernels in TF32.
        test: Measure the best checkpoint on the test split, too.
        quiet: Print nothing.
        trust: The run folder may name classes from outside the zoo, since it is yours.

    Returns:
        The run.

    Raises:
        ZooError: Something given is wrong, in the words of the command line.
        KeyboardInterrupt: Ctrl-C stopped the training; what it says is how to go on.
    """
    given, trust = recipe, trust or (isinstance(recipe, Run) and recipe.trust)
    if isinstance(given, Run):
        recipe, data = given.folder, given.data if data is None else data
    elif not isinstance(given, str | PathLike):
        raise ZooError(f"the recipe is {told(given)}, expected a recipe's name, a YAML file or a run")
    name = str(recipe)
    if not name or name.startswith("-"):
        raise ZooError(f"the recipe is {name!r}, expected a recipe's name, a YAML file or a run")
    if isinstance(callbacks, Callback) or not all(isinstance(one, Callback) for one in callbacks):
        raise ZooError(f"callbacks is {told(callbacks)}, expected a list of callbacks of Lightning")
    settings = {
        "seed_everything": seed_everything, "ckpt_path": ckpt_path, "epochs_of": epochs_of, "figures": figures,
        "tune_precision": tune_precision, "tf32": tf32,
    }  # fmt: skip
    argv = [
        name,
        *_flags("model", model),
        *_flags("trainer", trainer),
        *(_flag(name, value) for name, value in settings.items() if value is not None),
    ]
    cli: ZooCLI | None = None
    with _as_a_function(lambda: cli):
        target = resolve("fit", [*argv, *(["--quiet"] if quiet else []), *(["--trust"] if trust else [])])
        module, described, folder = _laid_out(data, target, trainer or {})
        try:
            flags = list(_flags("data", described))
            argv += flags
            target.args += flags
            cli = verbs.build(target, module, callbacks, new_folder=folder)
        except BaseException:
            if folder is not None:
                remove_run(folder)
            raise
        if cli.folder is None:
            raise ZooError("--trainer.fast_dev_run leaves no run to give back; use --trainer.max_epochs 1")
        command = shlex.join(["zoo", "fit", *argv, *(["--test"] if test else [])])
        if objects := [*([module] if module is not None else []), *callbacks]:
            command += f"  # from Python, with {', '.join(type(one).__name__ for one in objects)}"
        results = verbs.train(cli, command, test)
        if not quiet:
            verbs.report(cli, results)
        # Of several processes the first one has named the folder, and has written what all go on to read.
        cli.trainer.strategy.barrier("results")
        return Run(Path(cli.trainer.default_root_dir), trust or target.run is None, module)


@contextmanager
def _as_a_function(cli: Callable[[], ZooCLI | None]) -> Iterator[None]:
    """Inside, what was written for a command behaves as a function: it leaves this process as it was, and running.

    Args:
        cli: Tells what trains, once it is built.

    Raises:
        KeyboardInterrupt: Ctrl-C stopped a training.
        ZooError: Something else did.
    """
    try:
        with surroundings_kept():
            yield
    except Exception as error:
        if (said := foreseen(error)) is None:
            raise
        if REPORTS in os.environ:
            tell(said)
        if isinstance(error, ZooError):
            raise
        raise ZooError(said) from error
    except SystemExit as stop:
        if REPORTS in os.environ:  # the process that has started this one waits for its exit code
            raise
        built = cli()
        how = f"; go on with: zoo.fit({str(built.folder)!r})" if built is not None and built.can_go_on else ""
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt(f"stopped{how}") from None
        if stop.code == 128 + signal.SIGTERM and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            # Lightning kept the signal from ending this process before the run was in order; now it may.
            signal.raise_signal(signal.SIGTERM)
        raise ZooError(f"stopped, with exit code {stop.code}{how}") from stop


def _flags(section: str, given: Settings | type | None) -> Iterator[str]:
    """Settings as flags of the command line, so that there is one way for them to go in."""
    if given is None:
        return
    if isinstance(given, type):
        given = {"class_path": given}
    if not isinstance(given, Mapping):
        raise ZooError(f"{section} is {told(given)}, expected settings by name, such as {_EXAMPLES[section]}")
    settings = {**given, **(given.get("init_args") or {})}
    settings.pop("init_args", None)
    if (kind := settings.pop("class_path", None)) is not None:
        yield _flag(section, names.path_of(kind) if isinstance(kind, type) else kind)
    for name, value in settings.items():
        if not re.fullmatch(r"[^\W\d]\w*(\.\w+)*\+?", str(name)) or name == "help":
            raise ZooError(f"{section} has a setting {shortened(name)}, expected the name of an argument")
        yield _flag(f"{section}.{name}", value)


def _flag(name: str, value: Any) -> str:
    """A setting as the command line takes it."""
    if isinstance(value, str | PathLike):
        text = os.fspath(value)
        if text in ("null", "Null", "NULL", "~"):
            raise ZooError(f"--{name} is {text!r}, which stands for nothing; give None, or something of another name")
    else:
        try:
            plain = yaml.safe_dump(_plain(value), default_flow_style=True, sort_keys=False, width=sys.maxsize)
        except yaml.representer.RepresenterError:
            raise ZooError(
                f"--{name} is {told(value)}, expected a number, a text, or a list of such; objects are for "
                "data=, and callbacks="
            ) from None
        text = plain.removesuffix("...\n").strip()
    return f"--{name}={text}"


def _plain(value: Any) -> Any:
    """Numbers of NumPy as those of Python, paths as texts, wherever they are."""
    match value:
        case np.generic():
            return value.item()
        case PathLike():
            return os.fspath(value)
        case Mapping():
            return {key: _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
    return value


def _laid_out(
    data: Any, target: Target, trainer: Settings
) -> tuple[LightningDataModule | None, Settings | type | None, Path | None]:
    """What a user gives as data, laid out for the command line.

    Data in hand is written into a new run's folder if it is small; else where it lasts as long as its data module.

    Args:
        data: What :func:`fit` is given.
        target: What is trained.
        trainer: Settings of the trainer.

    Returns:
        A data module that cannot be written down, settings that describe any other, and the run's folder if it had to
        be made.

    Raises:
        ZooError: It is no data for this recipe.
    """
    if isinstance(data, LightningDataModule):
        data = _written_down(data)
        return (data, None, None) if isinstance(data, LightningDataModule) else (None, data, None)
    if data is None or isinstance(data, type):
        return None, data, None
    found = understood(Path(target.args[1]), data)
    if not isinstance(found, Handed):
        return None, found, None
    if "LOCAL_RANK" in os.environ or trainer.get("devices", 1) not in (1, "auto", "1"):
        raise ZooError("data in hand is trained on in one process; save it, and say where it lies, to train in several")
    if found.is_small and target.run is None:
        folder = new_run_folder(Path(trainer.get("default_root_dir") or "runs") / target.recipe)
        try:
            return None, {"class_path": found.reader, **found.write(folder / SAVED)}, folder
        except BaseException:
            remove_run(folder)
            raise
    scratch = TemporaryDirectory(prefix="zoo-")
    module = found.reader(**_plain(found.write(Path(scratch.name) / SAVED)))
    module.scratch = scratch  # which lasts as long as the module
    return module, None, None


def _written_down(data: LightningDataModule) -> Settings | LightningDataModule:
    """A data module of the zoo as the settings that rebuild it, whoever goes on with the run; any other as it is."""
    path = names.path_of(type(data))
    if path.rpartition(".")[0] not in names.DATA:
        return data
    defaults = parameters(type(data))
    given = {name: value for name, value in data.hparams.items() if value != defaults[name].default}
    try:
        yaml.safe_dump(_plain(given))
    except yaml.representer.RepresenterError:
        return data
    return {"class_path": path, **given}
