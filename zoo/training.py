"""LightningCLI behind ``zoo fit``, ``zoo validate`` and ``zoo test``: one recipe in, one run folder out."""

import contextlib
import copy
import csv
import inspect
import itertools
import json
import logging
import os
import random
import re
import shutil
import signal
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Sequence
from datetime import datetime
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from jsonargparse import Namespace
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.callbacks.checkpoint import Checkpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from datamodules.errors import DataError
from zoo import registry, weights
from zoo.duration import Duration, StopAfter, chosen_duration
from zoo.errors import ZooError, did_you_mean
from zoo.figures import Figures
from zoo.module import ZooModule, unfilled
from zoo.precision import ReconsiderPrecision, has_bfloat16
from zoo.registry import read_results

# Facts of the data that reach the model as constructor arguments of the same name.
FACTS = (
    "num_classes", "classes", "in_features", "in_channels", "image_size", "mean", "std",
    "target_mean", "target_std", "num_series", "window", "horizon", "period", "naive_mae", "vocab_size", "tokenizer",
    "length",
)  # fmt: skip


class ZooParser(LightningArgumentParser):
    """A parser that reports bad input as a :class:`ZooError` in one line instead of printing its usage."""

    parsed: list[str] = []

    def parse_args(self, args: Any = None, *rest: Any, **options: Any) -> Any:
        """Remembers what is parsed, for the sake of :meth:`error`."""
        ZooParser.parsed = list(args or [])
        return super().parse_args(args, *rest, **options)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raises what argparse would print."""
        told = _told(ex) if ex is not None else None
        raise told or ZooError(one_line(message, self.parsed)) from ex


class ZooCLI(LightningCLI):
    """Builds model, data module and trainer from a recipe and flags; :meth:`run` runs one verb.

    Args:
        args: LightningCLI arguments, such as ``["--config", "recipe.yaml", "--trainer.max_epochs", "3"]``.
        verb: ``fit``, ``validate`` or ``test``.
        recipe: Name that run folder and card will carry.
        folder: Run folder to use; a new one by default.
        quiet: Show nothing but errors and the result.
        callbacks: More callbacks than the recipe's.
        description: What the verb's help says.
    """

    def __init__(
        self,
        args: list[str],
        verb: str,
        recipe: str = "custom",
        folder: Path | None = None,
        quiet: bool = False,
        callbacks: Sequence[Callback] = (),
        description: str | None = None,
    ) -> None:
        self.verb, self.recipe, self.folder, self.quiet = verb, recipe, folder, quiet
        self.more_callbacks = callbacks
        self.args_given = args
        self.flags = [argument.partition("=")[0] for argument in args if argument.startswith("--")]
        self.checkpoint: Path | None = None
        self.duration: Duration | None = None
        self._folder_is_new = False
        self._trained: dict[str, Any] = {}
        if not torch.cuda.is_available():
            # Lightning has torch look for NVIDIA's library, which every step of an optimizer would do again in vain.
            os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
        quieten(quiet)
        super().__init__(
            args=args,
            run=False,
            parser_class=ZooParser,
            parser_kwargs={
                "prog": f"zoo {verb}",
                "usage": f"zoo {verb} RECIPE | FILE.yaml | RUN_FOLDER  [flags]",
                "description": description,
                "epilog": "The flags of a recipe's model and data: --model.help zoo.vision.cnn.CNN, "
                "--data.help datamodules.images.Digits, or as 'zoo show RECIPE' names the classes.",
                "allow_abbrev": False,
            },
            trainer_defaults={"enable_model_summary": False, "devices": 1},
            model_class=ZooModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            save_config_callback=SaveConfig if verb == "fit" else None,
            save_config_kwargs={"overwrite": True},
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the zoo's own flags and links every fact of the data to the model."""
        parser.add_argument(
            "--ckpt_path",
            type=str | None,
            default=None,
            help="Checkpoint to resume (fit) or evaluate (validate, test).",
        )
        parser.add_argument(
            "--tune_precision",
            type=bool,
            default=False,
            help="On one CPU process, if neither precision nor channels_last is set, time a few training steps in "
            "float32, channels-last and bfloat16 first, and train with the quickest; what was chosen is written into "
            "the run's config.yaml.",
        )
        parser.add_argument(
            "--epochs_of",
            type=str | None,
            default=None,
            help="With --data.fit_on all: train as many epochs as this run, or published model, had at its best "
            "checkpoint, on the same learning-rate schedule; by default the weights published of the recipe tell.",
        )
        for fact in FACTS:
            parser.link_arguments(f"data.{fact}", f"model.init_args.{fact}", apply_on="instantiate")

    def before_instantiate_classes(self) -> None:
        """Checks the checkpoint before anything is built or written."""
        checkpoint = self.config.pop("ckpt_path")
        self.config["ckpt_path"] = None
        if checkpoint is not None:
            self.checkpoint = Path(checkpoint)
            read = weights.read_checkpoint(self.checkpoint)
            self._trained = read.get("hyper_parameters", {})
            if self.verb == "fit" and ReconsiderPrecision.__qualname__ in read.get("callbacks", {}):
                self.more_callbacks = [*self.more_callbacks, ReconsiderPrecision(0.0)]  # which takes up its state
            arguments = self.config["model"]["init_args"]
            for name, value in self._trained.items():
                # What the model found out when it was made may not be found again, such as where its weights came from.
                if name in arguments and name not in FACTS and arguments[name] is None:
                    arguments[name] = value
        source = self.config.pop("epochs_of")
        self.config["epochs_of"] = None
        self._settle_duration(source)

    def _settle_duration(self, source: str | None) -> None:
        """Lets training on everything last as long as another run chose, unless it is said how long."""
        on_all = self._get(self.config, "data.init_args.fit_on") == "all"
        said = [flag for flag in ("--trainer.max_epochs", "--trainer.max_steps") if flag in self.flags]
        if source is not None and (said or not on_all or self.verb != "fit"):
            told = f"{said[0]} says already how long" if said else "it is for zoo fit with --data.fit_on all"
            raise ZooError(f"--epochs_of {source} has nothing to tell: {told}; leave it out")
        settings = self.config["trainer"]
        settled = said or settings["max_epochs"] == 1 or _plans_to_fit_on_all(self.args_given)
        if self.verb != "fit" or not on_all or (settled and source is None):
            return
        if self.checkpoint is not None:
            raise ZooError(
                f"training on everything begins anew, not with {self.checkpoint}; use: zoo fit {self.recipe} "
                f"--data.fit_on all --epochs_of {self.checkpoint.parent.parent}"
            )
        if settings["max_steps"] != -1:
            raise ZooError(
                "an epoch of everything has more steps, and max_steps counts them; use --trainer.max_steps N"
            )
        self.duration = chosen_duration(source or self.recipe)
        settings["max_epochs"] = self.duration.max_epochs
        stop = Namespace(class_path="zoo.duration.StopAfter", init_args=Namespace(epochs=self.duration.epochs))
        settings["callbacks"] = [*_as_list(settings["callbacks"]), stop]

    def instantiate_classes(self) -> None:
        """Builds everything; an error that a constructor told comes through as it was told."""
        # Weights that are about to be loaded need none before them, which might have to be fetched.
        filled_later = self.verb in ("validate", "test") or self.checkpoint is not None
        try:
            with unfilled() if filled_later else contextlib.nullcontext():
                super().instantiate_classes()
            self._check_facts()
            self._check_classes()
        except (ZooError, DataError, ValueError, RuntimeError, MisconfigurationException) as error:
            self.leave_no_trace()
            raise _told(error) or ZooError(_reason(error)) from error

    def _check_facts(self) -> None:
        """Refuses facts that were given to the model: only the data can state them, and nobody would notice."""
        given = {flag: flag.rpartition(".")[2] for flag in self.flags if flag.startswith("--model.")}
        for section in _sections("model", self.args_given):
            given |= {f"model.init_args.{name}": name for name in section.get("init_args", {})}
        for flag, fact in given.items():
            if fact in FACTS:
                says = getattr(self.datamodule, fact, None)
                said = textwrap.shorten(str(says), 60, placeholder=" ...")
                told = f"says {said}" if says is not None else "does not state it, so the model's default stands"
                advice = f"use --data.{fact}" if fact in self.datamodule.hparams else "leave it out"
                raise ZooError(f"{flag} is for the data to say, which {told}; {advice}")

    def _check_classes(self) -> None:
        trained, found = self._trained.get("classes"), getattr(self.datamodule, "classes", None)
        if trained and found and list(trained) != list(found):
            raise ZooError(
                f"{self.checkpoint} was trained to tell {', '.join(map(str, trained))}; "
                f"the data has {', '.join(map(str, found))}"
            )

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Builds the trainer around the run's folder."""
        settings = self._get(self.config_init, "trainer")
        if settings.get("fast_dev_run"):
            return super().instantiate_trainer(**kwargs)
        if self.verb == "fit":
            self._check_optimization(settings)
        if self.folder is None:
            self.folder = new_run_folder(Path(settings.get("default_root_dir") or "runs") / self.recipe)
            self._folder_is_new = True
        kwargs.setdefault("default_root_dir", str(self.folder))
        if self.verb != "fit":
            kwargs["logger"] = False
        elif settings.get("logger") in (None, True):
            kwargs["logger"] = [
                CSVLogger(self.folder, name="", version="", flush_logs_every_n_steps=1000),
                TensorBoardLogger(self.folder, name="", version="", default_hp_metric=False),
            ]
        if settings.get("profiler") is None:
            kwargs["profiler"] = NoProfiler()
        kwargs["plugins"] = [*_as_list(settings.get("plugins")), SealedCheckpointIO()]
        if self.quiet or not sys.stdout.isatty():
            kwargs["enable_progress_bar"] = False
        chosen = settings.get("precision") is not None or self.checkpoint is not None
        tune = self.verb == "fit" and self._get(self.config, "tune_precision") and not chosen
        if tune and not getattr(self.model, "channels_last", False) and _one_cpu_process(settings):
            kwargs["precision"] = self._tune_precision()
        for callback in settings.get("callbacks") or []:
            if isinstance(callback, ModelCheckpoint):
                # A resumed run writes its best.ckpt over the one it left, not beside it.
                callback._enable_version_counter = False
        if getattr(self.datamodule, "fit_on", "train") == "all":
            # Nothing is left to choose by: the weights of the last epoch are those to use.
            chooses = (EarlyStopping, ModelCheckpoint)
            settings["callbacks"] = [one for one in _as_list(settings.get("callbacks")) if not isinstance(one, chooses)]
        self.trainer_defaults = {**self.trainer_defaults, "callbacks": self._own_callbacks(self.folder)}
        return super().instantiate_trainer(**kwargs)

    def _check_optimization(self, settings: Any) -> None:
        """Says what to type instead where a model with several optimizers does itself what the trainer is asked to."""
        if self.model.automatic_optimization:
            return
        name, clip, gather = (
            type(self.model).__name__,
            settings["gradient_clip_val"],
            settings["accumulate_grad_batches"],
        )
        if clip:
            raise ZooError(f"{name} clips the gradients of each network itself; use --model.clip_norm {clip}")
        if gather not in (None, 1):
            raise ZooError(
                f"{name} trains two networks in turn and gathers no gradients; use a larger --data.batch_size"
            )

    def _own_callbacks(self, folder: Path) -> list[Callback]:
        ours: list[Callback] = [
            *self.more_callbacks,
            SeedEpochs(self._get(self.config, "seed_everything")),
            Figures(folder),
        ]
        if self.verb == "fit":
            ours.append(InterruptBetweenBatches())
            ours.append(LastCheckpoint(folder / "checkpoints"))
            if not self.quiet:
                ours.append(RichProgressBar() if sys.stdout.isatty() else EpochLines())
        return ours

    def _tune_precision(self) -> Any:
        """Times training steps and keeps the quickest setting, in the model and in the configuration."""
        self.datamodule.prepare_data()
        self.datamodule.setup("fit")
        batch = next(iter(self.datamodule.train_dataloader()))
        seconds = time_settings(self.model, batch)
        (precision, channels_last), _ = min(seconds.items(), key=lambda item: item[1])
        if not self.quiet:
            for (name, last), second in seconds.items():
                print(f"  {name:10s} {'channels last' if last else 'channels first'}  {1000 * second:7.2f} ms a step")
            print(f"training in {precision}, {'channels last' if channels_last else 'channels first'}")
        if hasattr(self.model, "channels_last"):
            self.model.channels_last = channels_last
            self.model.hparams["channels_last"] = channels_last
            self.config["model"]["init_args"]["channels_last"] = channels_last
        if precision == "bf16-mixed":
            self.more_callbacks = [*self.more_callbacks, ReconsiderPrecision(seconds[precision, channels_last])]
        self.config["trainer"]["precision"] = precision
        self.config["tune_precision"] = False
        return precision

    def run(self, then_test: bool = False) -> dict[str, Any]:
        """Runs the verb; a run that never began leaves no folder.

        Args:
            then_test: After training measure the best checkpoint on the test split, too.

        Returns:
            What belongs into ``results.json``.
        """
        try:
            return self._fit(then_test) if self.verb == "fit" else self._evaluate(self.verb, self.checkpoint)
        except (ZooError, DataError):
            self.leave_no_trace()
            raise
        except (MisconfigurationException, RuntimeError) as error:
            if not isinstance(error, MisconfigurationException) and "conditioned on metric" not in str(error):
                raise
            self.leave_no_trace(first_epoch=self.trainer.current_epoch == 0)
            raise ZooError(_reason(error)) from error

    def leave_no_trace(self, first_epoch: bool = False) -> None:
        """Removes the folder of a run that never began, or did not get through its first epoch."""
        if not self._folder_is_new or self.folder is None:
            return
        if first_epoch or not any(self.folder.rglob("*.ckpt")):
            shutil.rmtree(self.folder, ignore_errors=True)
            for parent in list(self.folder.parents)[:2]:
                with contextlib.suppress(OSError):
                    parent.rmdir()

    def _fit(self, then_test: bool) -> dict[str, Any]:
        if self.checkpoint is not None:
            self._check_resumable(self.checkpoint)
            keep_metrics(self.trainer, self.checkpoint)
        self.trainer.fit(self.model, datamodule=self.datamodule, ckpt_path=self.checkpoint, weights_only=True)
        last = next((one for one in self.trainer.checkpoint_callbacks if isinstance(one, LastCheckpoint)), None)
        results: dict[str, Any] = {
            "fit": {
                "epochs": self.trainer.current_epoch,
                "steps": self.trainer.global_step,
                "seconds": round(last.spent, 1) if last is not None else None,
                "precision": str(self.trainer.precision),
                "processes": self.trainer.world_size,
                "device": device_name(self.trainer),
            }
        }
        best = getattr(self.trainer.checkpoint_callback, "best_model_path", "")
        if best:
            # A checkpoint counts the epochs that were complete when it was written in the course of the next one.
            results["fit"]["max_epochs"] = self.trainer.max_epochs
            results["fit"]["best_epoch"] = weights.read_checkpoint(Path(best))["epoch"] + 1
        if best and self.trainer.world_size == 1:
            self.trainer.loggers = []
            results.update(self._evaluate("validate", Path(best)))
            if then_test:
                results.update(self._evaluate("test", Path(best)))
        return results

    def _check_resumable(self, checkpoint: Path) -> None:
        content = weights.read_checkpoint(checkpoint)
        progress = content["loops"]["fit_loop"]["epoch_progress"]
        epochs, wanted = progress["current"]["processed"], self.trainer.max_epochs
        if wanted is not None and 0 < wanted <= epochs:
            raise ZooError(
                f"{checkpoint} has been trained for {epochs} epochs, {wanted} are wanted; "
                f"raise --trainer.max_epochs to train on, or 'zoo test' the run"
            )
        callbacks = getattr(self.trainer, "callbacks", [])
        for callback in callbacks:
            if isinstance(callback, StopAfter) and epochs >= callback.epochs:
                raise ZooError(f"{checkpoint} has been trained for {epochs} epochs, as many as were chosen; use it")
            state = content["callbacks"].get(getattr(callback, "state_key", ""), {})
            if isinstance(callback, EarlyStopping) and state.get("wait_count", 0) >= callback.patience:
                raise ZooError(
                    f"{checkpoint} was stopped early after {epochs} epochs: {callback.monitor} had not improved for "
                    f"{callback.patience}; 'zoo test' the run, or start a new one with more patience"
                )

    def _evaluate(self, verb: str, checkpoint: Path | None) -> dict[str, Any]:
        run = getattr(self.trainer, verb)
        figures = run(self.model, datamodule=self.datamodule, ckpt_path=checkpoint, verbose=False, weights_only=True)
        return {verb: {name.partition("_")[2]: value for name, value in figures[0].items()}}


class SaveConfig(SaveConfigCallback):
    """Writes ``config.yaml`` only once training really starts: a refused resumption leaves the run as it was."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Nothing yet."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the file."""
        super().setup(trainer, pl_module, "fit")


class SeedEpochs(Callback):
    """Seeds every epoch from (seed, epoch, process).

    Lightning checkpoints hold no random state. With this, dropout and augmentation of an epoch do not depend on what
    was drawn before, so a resumed run ends bit-identical to an uninterrupted one, and every process draws its own
    numbers.

    Args:
        seed: The run's seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Seeds Python, NumPy and torch."""
        sequence = np.random.SeedSequence([self.seed, trainer.current_epoch, trainer.global_rank])
        seed = int(sequence.generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)


class InterruptBetweenBatches(Callback):
    """Lets Ctrl-C stop the training after the batch at hand; a second one stops at once.

    An exception that strikes anywhere, such as inside the queue of TensorBoard's writer thread, can leave a lock behind
    that the shutdown then waits for without end.
    """

    def __init__(self) -> None:
        self._interrupted = False
        self._previous: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes the signal over, where Python would raise KeyboardInterrupt."""
        main_thread = threading.current_thread() is threading.main_thread()
        if main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._previous = signal.signal(signal.SIGINT, self._remember)

    def _remember(self, number: int, frame: Any) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True

    def on_train_batch_end(self, *_: Any) -> None:
        """Stops if Ctrl-C was pressed during the batch."""
        if self._interrupted:
            raise KeyboardInterrupt

    def on_validation_batch_end(self, *_: Any) -> None:
        """Stops if Ctrl-C was pressed during the batch."""
        if self._interrupted:
            raise KeyboardInterrupt

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gives the signal back."""
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Gives the signal back, unless Lightning is shutting down and wants to hear no more of it."""
        if not isinstance(exception, KeyboardInterrupt):
            self.on_train_end(trainer, pl_module)


class EpochLines(Callback):
    """Prints a line now and then where no progress bar can be drawn: into a file, under a scheduler.

    Args:
        seconds: Shortest time between two lines.
    """

    def __init__(self, seconds: float = 5.0) -> None:
        self.seconds = seconds
        self._printed_at = time.monotonic()

    @rank_zero_only
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints the epoch and its metrics."""
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if not last and time.monotonic() - self._printed_at < self.seconds:
            return
        self._printed_at = time.monotonic()
        metrics = "  ".join(f"{name} {value:.5g}" for name, value in sorted(trainer.callback_metrics.items()))
        print(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {metrics}", flush=True)


class NoProfiler(Profiler):
    """Measures nothing, faster than Lightning's own way of doing so.

    Lightning enters a profiling context around every hook of every callback, some seventy times a step, which counts
    where a step takes a millisecond; this one is always the same empty context.
    """

    _nothing = contextlib.nullcontext()

    def profile(self, action_name: str) -> Any:
        """Returns an empty context."""
        return self._nothing

    def start(self, action_name: str) -> None:
        """Nothing."""

    def stop(self, action_name: str) -> None:
        """Nothing."""

    def summary(self) -> str:
        """Nothing."""
        return ""


class SealedCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints through :mod:`zoo.weights`: atomically and with a checksum."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Writes a checkpoint."""
        weights.write_checkpoint(checkpoint, Path(path))


class LastCheckpoint(Checkpoint):
    """Keeps ``last.ckpt`` fresh, so that a run can be killed at any moment and resumed.

    It is written before the first epoch, then at the end of an epoch (at most every few seconds: the epochs of small
    models take milliseconds) and at the end of training; always at an epoch's border, from which resuming is exact.

    Args:
        folder: Where to.
        seconds: Shortest time between two writes.
    """

    def __init__(self, folder: Path, seconds: float = 10.0) -> None:
        self.path = folder / "last.ckpt"
        self.seconds = seconds
        self.last_model_path = ""
        self.spent = 0.0
        self._clock = self._written_at = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Keeps the seconds spent on training, so that a resumed run goes on counting."""
        return {"spent": self.spent}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the count."""
        self.spent = state_dict["spent"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the starting point."""
        self._clock = time.monotonic()
        self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes if it is time to; all processes do what the first one's clock says."""
        if trainer.strategy.broadcast(time.monotonic() - self._written_at >= self.seconds or trainer.should_stop):
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the end."""
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        now = time.monotonic()
        self.spent, self._clock = self.spent + now - self._clock, now
        trainer.save_checkpoint(self.path, weights_only=False)
        self.last_model_path = str(self.path)
        self._written_at = now


def quieten(quiet: bool) -> None:
    """Silences what Lightning says about itself; what concerns the run is said by the zoo.

    Args:
        quiet: Silence warnings, too.
    """
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR if quiet else logging.WARNING)
    if quiet:
        warnings.filterwarnings("ignore")
    for message in (
        "LightningCLI's args parameter",
        ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated",
        "Found .* module\\(s\\) in eval mode at the start of training",  # a frozen backbone
        "The number of training batches .* is smaller than the logging interval",
        "The '.*_dataloader' does not have many workers",
        "Checkpoint directory .* exists and is not empty",
        "Experiment logs directory .* exists and is not empty",
        "`LightningModule.configure_optimizers` returned `None`",  # a baseline, which learns nothing
        "`training_step` returned `None`",
        "Total length of `list` across ranks is zero",  # nothing is left to validate on
        "Be aware that when using `ckpt_path`, callbacks used to create the checkpoint",  # an evaluation needs none
        ".*lr_scheduler.step\\(\\)` before `optimizer.step",
    ):
        warnings.filterwarnings("ignore", message=message)


def new_run_folder(parent: Path) -> Path:
    """Makes ``parent/<time>``; only the first process makes it."""
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    folder = parent / stamp
    if getattr(rank_zero_only, "rank", 0) != 0:
        return folder
    for attempt in itertools.count(2):
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:  # another run began in this second
            folder = parent / f"{stamp}_{attempt}"
    return folder


@rank_zero_only
def keep_metrics(trainer: Trainer, checkpoint: Path) -> None:
    """Hands the CSV logger of a resumed run the lines written before the checkpoint; by itself it would delete them."""
    logger = next((logger for logger in trainer.loggers if isinstance(logger, CSVLogger)), None)
    path = Path(logger.log_dir) / "metrics.csv" if logger is not None else Path()
    if logger is None or not path.is_file():
        return
    # Loggers count batches; where two optimizers take turns, there are more steps than batches.
    step = weights.read_checkpoint(checkpoint)["loops"]["fit_loop"]["epoch_loop.state_dict"]["_batches_that_stepped"]
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["step"]) < step]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Experiment logs directory")
        writer = logger.experiment
    writer.metrics.extend({key: value for key, value in row.items() if value} for row in rows)
    writer.save()


def write_results(folder: Path, recipe: str, results: dict[str, Any]) -> None:
    """Adds results to a run's ``results.json``."""
    content = {**read_results(folder), "recipe": recipe, **results}
    (folder / "results.json").write_text(json.dumps(content, indent=2) + "\n")


def time_settings(model: ZooModule, batch: Any, steps: int = 8) -> dict[tuple[str, bool], float]:
    """Times a forward and backward pass in each precision and memory format that the processor supports.

    Returns:
        Seconds a step, the quickest of ``steps``, by ``(precision, channels last)``.
    """
    formats = (False, True) if hasattr(model, "channels_last") and batch[0].ndim == 4 else (False,)
    precisions = {"32-true": False}
    if has_bfloat16():
        precisions["bf16-mixed"] = True
    seconds = {}
    for precision, autocast in precisions.items():
        for channels_last in formats:
            trial: Any = copy.deepcopy(model).train()
            trial.channels_last = channels_last
            trial.setup("validate")
            times = []
            for _ in range(steps):
                start = time.perf_counter()
                with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                    trial.trial_step(batch)
                times.append(time.perf_counter() - start)
            seconds[precision, channels_last] = min(times[2:])
    return seconds


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _one_cpu_process(settings: Any) -> bool:
    placing = {name: settings[name] for name in ("accelerator", "devices", "num_nodes", "strategy")}
    trainer = Trainer(**placing, logger=False, enable_checkpointing=False, enable_progress_bar=False)
    return trainer.world_size == 1 and trainer.strategy.root_device.type == "cpu"


def device_name(trainer: Trainer) -> str:
    """The processor that trains, in words."""
    device = trainer.strategy.root_device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = device.type
    return f"{name}, {torch.get_num_threads()} threads"


def one_line(message: str, args: list[str]) -> str:
    """Turns jsonargparse's report into one line: what was found, what was expected, what to type.

    Args:
        message: The report, several lines about every type of a union.
        args: The arguments that were parsed.
    """
    key = _first(r'Parser key "([^"]+)"', message) or ""
    if option := _first(r"Option '([^']+)' is not accepted", message):
        flag = _flag_of(option, args)
        found = _class_of(flag.removeprefix("--").partition(".")[0], args)
        if found is None:
            return f"{flag} is not accepted"
        accepted = [name for name in inspect.signature(found).parameters if name not in FACTS]
        hint = did_you_mean(option, accepted) or f"; it takes {', '.join(accepted)}"
        return f"{flag}: {found.__name__} takes no '{option}'{hint}"
    if match := re.search(r'Parser key "([^"]+)":\s+Expected a (.+?)\. Got value: (.*)', message):
        option, expected, value = match.groups()
        return f"{_flag_of(option, args)} is {value.strip()!r}, expected {_plain_type(expected)}"
    if match := re.search(r"Problem with given class_path '([^']+)':\s*(.*)", message):
        return f"--{key} is {match[1]!r}, expected the path of a class: {match[2].strip()}"
    if (value := _first(r"Given value: (.*)", message)) and key:
        expected = " or ".join(_plain_type(name) for name in re.findall(r"Expected an? (.+)", message))
        return f"--{key} is {value!r}, expected {expected or 'something else'}"
    if flags := _first(r"(?i)unrecognized arguments: (.*)", message):
        flag = flags.split()[0].partition("=")[0]
        return f"no flag '{flag}'{did_you_mean(flag, _known_flags(args))}; '--help' shows all"
    if path := _first(r"File does not exist: '?([^']+)'?", message):
        return f"no file {path}"
    return " ".join(message.split())


def _flag_of(option: str, args: list[str]) -> str:
    """The flag that set an option; without one it stands in a configuration file."""
    flags = [argument.partition("=")[0] for argument in args if argument.startswith("--")]
    for flag in flags:
        if flag.split(".")[-1].removesuffix("+") == option:
            return flag
    for key in ("model", "data"):
        for section in _sections(key, args):
            if option in section.get("init_args", {}):
                return f"{key}.init_args.{option}"
    return option


def _files(args: list[str]) -> list[dict[str, Any]]:
    """What the configuration files say."""
    files = [Path(value) for flag, value in pairwise([*args, ""]) if flag == "--config" and Path(value).is_file()]
    return [registry.read_yaml(file) for file in files]


def _sections(key: str, args: list[str]) -> list[dict[str, Any]]:
    """What the configuration files say under ``key``."""
    return [section for file in _files(args) if isinstance(section := file.get(key), dict)]


def _plans_to_fit_on_all(args: list[str]) -> bool:
    """Whether a single file says both to train on everything and how long; that of a run does."""
    return any(registry.fits_on_all(file) and "max_epochs" in (file.get("trainer") or {}) for file in _files(args))


def _first(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return match.group(1) if match else None


def _plain_type(name: str) -> str:
    name = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", name.strip().rstrip("."))
    name = re.sub(r"Literal\[([^\]]*)\]", lambda match: " or ".join(match[1].split(", ")), name)
    return name.replace("NoneType", "null").replace("typing.", "")


def _class_of(key: str, args: list[str]) -> type | None:
    """The class that ``--model``, ``--data`` or a configuration file names under ``key``."""
    named = [section["class_path"] for section in _sections(key, args) if "class_path" in section]
    named += [value for flag, value in pairwise([*args, ""]) if flag in (f"--{key}", f"--{key}.class_path")]
    class_path = named[-1] if named else ""
    module, _, name = class_path.rpartition(".")
    return getattr(import_module(module), name, None) if module else None


def _known_flags(args: list[str]) -> list[str]:
    trainer = [f"--trainer.{name}" for name in inspect.signature(Trainer).parameters]
    settings = ["--seed_everything", "--ckpt_path", "--tune_precision", "--epochs_of"]
    return [*settings, "--config", "--quiet", "--test", "--print_config", *trainer]


def _reason(error: BaseException) -> str:
    """What an error of a library says, in one line; of a report about a union the reason inside."""
    text = str(error)
    inner = [line.strip() for line in re.findall(r"^ +- (.*)", text, re.MULTILINE) if "NoneType" not in line]
    return " ".join((inner[-1] if "Union subtypes" in text and inner else text).split())


def _told(error: BaseException) -> BaseException | None:
    """The zoo's own error among the causes of another."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, ZooError | DataError):
        seen = seen.__cause__ or seen.__context__
    return seen
