"""Training from Python: :func:`fit` does in this process what ``zoo fit`` does, and gives back the run."""

import os
import shlex
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from lightning import LightningDataModule
from lightning.pytorch.callbacks import Callback

from zoo import registry, weights
from zoo.base.inputs import told
from zoo.base.module import ZooModule
from zoo.errors import ZooError, foreseen
from zoo.terminal import REPORTS, tell
from zoo.training import verbs
from zoo.training.cli import ZooCLI
from zoo.training.given import Settings, flag, flags, laid_out
from zoo.training.learnt_from import tell_changes
from zoo.training.run_folder import read_metrics, remove_run
from zoo.training.surroundings import surroundings_kept
from zoo.training.target import resolve
from zoo.training.trust import RunConfiguration


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

    def test(self, data: Any = None, quiet: bool = False) -> dict[str, float]:
        """Measures the best checkpoint on the test split, as ``zoo test`` does, and adds that to the results.

        Args:
            data: What to measure on in place of what the run says, as :func:`fit` takes it.
            quiet: Print nothing.

        Returns:
            Each figure by its name.

        Raises:
            ZooError: There is nothing to measure, or nothing to measure it on.
        """
        argv = [str(self.folder), *(["--trust"] if self.trust else []), *(["--quiet"] if quiet else [])]
        with _as_a_function(lambda: None):
            target = resolve("test", argv)
            module, described, _ = laid_out(self.data if data is None else data, target, {})
            target.args += flags("data", described)
            cli, results = verbs.measure("test", target, module)
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
    init_from: str | PathLike[str] | None = None,
    freeze: str | Sequence[str] | None = None,
    lr_of: str | Sequence[str] | None = None,
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
        init_from: Other weights to begin with: a published model, a run, or a file.
        freeze: Parameters that training leaves as they are, such as ``"network.0.*"``.
        lr_of: Learning rates of some parameters, as multiples of the others', such as ``"network.11.*=10"``.
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
        "seed_everything": seed_everything, "init_from": init_from, "freeze": freeze, "lr_of": lr_of,
        "ckpt_path": ckpt_path, "epochs_of": epochs_of, "figures": figures, "tune_precision": tune_precision,
        "tf32": tf32,
    }  # fmt: skip
    argv = [
        name,
        *flags("model", model),
        *flags("trainer", trainer),
        *(flag(name, value) for name, value in settings.items() if value is not None),
    ]
    cli: ZooCLI | None = None
    with _as_a_function(lambda: cli):
        target = resolve("fit", [*argv, *(["--quiet"] if quiet else []), *(["--trust"] if trust else [])])
        module, described, folder = laid_out(data, target, trainer or {})
        try:
            of_data = list(flags("data", described))
            argv += of_data
            target.args += of_data
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
        if built is not None and not built.can_go_on:
            built.leave_no_trace()
        how = f"; go on with: zoo.fit({str(built.folder)!r})" if built is not None and built.can_go_on else ""
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt(f"stopped{how}") from None
        if stop.code == 128 + signal.SIGTERM and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            # Lightning kept the signal from ending this process before the run was in order; now it may.
            signal.raise_signal(signal.SIGTERM)
        raise ZooError(f"stopped, with exit code {stop.code}{how}") from stop
