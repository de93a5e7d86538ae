"""LightningCLI behind ``zoo fit``, ``zoo validate`` and ``zoo test``: one recipe in, one run folder out."""

import contextlib
import errno
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from lightning import LightningDataModule, Trainer
from lightning.pytorch.callbacks import Callback, ProgressBar, Timer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException

from datamodules.arguments import parameters
from datamodules.errors import UserError
from zoo import names, weights
from zoo.base.module import ZooModule, unfilled
from zoo.base.optimization import Scheduled
from zoo.errors import ZooError
from zoo.registry import UNVALIDATED, read_results, read_yaml
from zoo.start import Start, begin
from zoo.terminal import say
from zoo.training.callbacks import (
    Finish,
    InterruptBetweenBatches,
    SaveConfig,
    SeedEpochs,
    ValidateAtLastStep,
    progress,
)
from zoo.training.checkpoints import LastCheckpoint, SealedCheckpointIO, resumed_from, settle_choosers
from zoo.training.company import Company, SumInOrder
from zoo.training.duration import Duration, chosen_duration, plans_to_fit_on_all
from zoo.training.facts import FACTS, check_given, check_trained
from zoo.training.figures import Figures
from zoo.training.learnt_from import RememberData
from zoo.training.messages import ZooParser, reason, sections, told
from zoo.training.places import has_unsaid_places, settled
from zoo.training.plugins import NoProfiler, quieten
from zoo.training.precision import (
    ReconsiderPrecision,
    check_precision,
    float32_products,
    on_one_cpu,
    settle_tf32,
    time_settings,
)
from zoo.training.processes import OneFolder, check_processes
from zoo.training.resumption import check_state, why_over
from zoo.training.run_folder import KeepMetrics, MetricsLogger, device_name, held, new_run_folder, remove_run
from zoo.training.trust import RunConfiguration

# What a disk that is full, or a user's share of it, says without naming a file.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


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
        data: A data module in place of what recipe and flags say, from Python; the run's configuration leaves it open.
        is_new: Whether the folder was made for this run, so that nothing goes on in it.
        trust: Take weights from a run folder whatever its configuration names.
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
        data: LightningDataModule | None = None,
        is_new: bool = False,
        trust: bool = False,
    ) -> None:
        self.trust = trust
        self.start: Start | None = None
        self.verb, self.recipe, self.folder, self.quiet = verb, recipe, folder, quiet
        self.more_callbacks, self.given_data = callbacks, data
        if data is not None:
            # Whatever the recipe's own needs, such as the path of a file, nobody has to give.
            args = [*args, "--data=lightning.LightningDataModule"]
        self.args_given = args
        self.flags = [argument.partition("=")[0] for argument in args if argument.startswith("--")]
        self.checkpoint: Path | None = None
        self.tf32 = self._tf32_when_measured = False
        self.duration: Duration | None = None
        # What a step takes in each precision and memory format, in milliseconds, if that was timed.
        self.step_times: dict[str, float] = {}
        self._folder_is_new, self._resumed = is_new, False
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
                "epilog": "The flags of a recipe's model and data: --model.help CNN, --data.help Digits, or as "
                "'zoo show RECIPE' names the classes.",
                "allow_abbrev": False,
                "parser_mode": ZooParser.MODE,
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
            "--init_from",
            type=str | None,
            default=None,
            help="Begin with what fits of other weights: a published model, a run folder (its best checkpoint), or a "
            "file, .ckpt or .safetensors. Tokens, classes and steps are matched by name; facts are those of the data.",
        )
        parser.add_argument(
            "--freeze",
            type=str | list[str] | None,
            default=None,
            help="Parameters that training leaves as they are, such as 'network.0.*'; a list in brackets, or with "
            "commas between. Short for --model.freeze.",
        )
        parser.add_argument(
            "--lr_of",
            type=str | list[str] | None,
            default=None,
            help="Learning rates of some parameters, as multiples of the others', such as 'network.11.*=10'; likewise. "
            "Short for --model.lr_of.",
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
            "--tf32",
            type=bool | None,
            default=None,
            help="Whether a GPU multiplies float32 matrices and kernels in TF32: many times as fast, of 10 bits. By "
            "default where it has that and trains images, texts or GANs; what is measured is never rounded unasked.",
        )
        parser.add_argument(
            "--epochs_of",
            type=str | None,
            default=None,
            help="With --data.fit_on all or known: as many epochs as this run, or published model, had at its best "
            "checkpoint, on the same learning-rate schedule; by default the weights published of the recipe tell.",
        )
        parser.add_argument(
            "--figures", type=bool, default=True, help="Whether to draw pictures into the run's folder."
        )
        for fact in FACTS:
            parser.link_arguments(f"data.{fact}", f"model.init_args.{fact}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses, and refuses a seed that cannot be set."""
        super().parse_arguments(parser, args)
        seed = self.config.get("seed_everything")
        if seed is not None and not isinstance(seed, bool) and not 0 <= seed < 1 << 32:
            raise ZooError(f"--seed_everything is {seed}, expected 0 to {(1 << 32) - 1}")
        if self.given_data is not None:
            self.config["data"] = self.given_data
        elif self.config.get("data") is None and self.folder is not None:
            raise ZooError(
                f"{self.folder} was trained on what Python handed over; hand it over again: "
                f"zoo.{'fit' if self.verb == 'fit' else 'open_run'}({str(self.folder)!r}"
                f"{', data=...)' if self.verb == 'fit' else ').test(data=...)'}"
            )
        elif self.config.get("data") is None:
            raise ZooError("nothing to train on is named; name a data module, such as --data Digits")

    def before_instantiate_classes(self) -> None:
        """Checks the checkpoint before anything is built or written."""
        checkpoint = self.config.pop("ckpt_path")
        self.config["ckpt_path"] = None
        model = self.config["model"]
        if names.find(model["class_path"]) is ZooModule:
            raise ZooError("no model is named; name one, such as --model CNN")
        if model.get("init_args") is None:
            model["init_args"] = Namespace()
        if checkpoint is not None:
            self.checkpoint = Path(checkpoint)
            read = weights.read_checkpoint(self.checkpoint)
            check_state(read, self.checkpoint, self.verb, self.config["model"]["class_path"])
            self._trained = read.get("hyper_parameters", {})
            if self.verb == "fit" and ReconsiderPrecision.__qualname__ in read.get("callbacks", {}):
                self.more_callbacks = [*self.more_callbacks, ReconsiderPrecision(0.0)]  # which takes up its state
            arguments = self.config["model"]["init_args"]
            for name, value in self._trained.items():
                # What the model found out when it was made may not be found again, such as where its weights came from.
                if name in arguments and name not in FACTS and arguments[name] is None:
                    arguments[name] = value
        self._settle_start()
        source = self.config.pop("epochs_of")
        self.config["epochs_of"] = None
        self.duration = self._settled_duration(source)
        if self.duration is not None:
            settings = self.config["trainer"]
            settings["max_epochs"] = self.duration.max_epochs
            stop = Namespace(class_path="zoo.training.StopAfter", init_args=Namespace(epochs=self.duration.epochs))
            settings["callbacks"] = [*_as_list(settings["callbacks"]), stop]

    def _settle_start(self) -> None:
        """Hands to the model what is said of its parameters; a training that goes on does not begin anew."""
        given = next((flag for flag in ("--init_from", "--freeze", "--lr_of") if flag in self.flags), None)
        if given is not None and self.verb in ("validate", "test"):
            raise ZooError(f"{given} is for zoo fit, which trains; 'zoo {self.verb}' measures what is trained")
        if self.checkpoint is not None and "--init_from" in self.flags:
            raise ZooError(
                f"--init_from begins a training, and {self.checkpoint} goes on with one, weights and all; "
                "leave --init_from out, or start a new run of the recipe with it"
            )
        kind, arguments = names.find(self.config["model"]["class_path"]), self.config["model"]["init_args"]
        for name in ("freeze", "lr_of"):
            asked = self.config.pop(name)
            self.config[name] = None
            if asked is not None and name not in parameters(kind):
                raise ZooError(f"{kind.__name__} learns without gradients, so --{name} means nothing; leave it out")
            if asked is not None:
                arguments[name] = asked
            if self.verb == "fit" and self._trained and arguments.get(name) != self._trained.get(name):
                raise ZooError(
                    f"{name} is {arguments[name]!r}, but {self.checkpoint} was trained with "
                    f"{self._trained.get(name)!r}, and its optimizer goes on with what it moves; leave it as it was, "
                    "or start a new run"
                )

    def _settled_duration(self, source: str | None) -> Duration | None:
        """How long training on everything lasts; None where nothing has to be settled."""
        fit_on = self.config.get("data.init_args.fit_on")
        on_all = fit_on in UNVALIDATED
        said = [flag for flag in ("--trainer.max_epochs", "--trainer.max_steps") if flag in self.flags]
        if source is not None and (said or not on_all or self.verb != "fit"):
            told = f"{said[0]} says already how long" if said else "it is for zoo fit with --data.fit_on all"
            raise ZooError(f"--epochs_of {source} has nothing to tell: {told}; leave it out")
        settings = self.config["trainer"]
        kind: Any = names.find(self.config["model"]["class_path"])
        settled = said or settings["max_epochs"] == 1 or not kind.chooses or plans_to_fit_on_all(self.args_given)
        if self.verb != "fit" or not on_all or (settled and source is None):
            return None
        if self.checkpoint is not None:
            raise ZooError(
                f"training on everything begins anew, not with {self.checkpoint}; use: zoo fit {self.recipe} "
                f"--data.fit_on {fit_on} --epochs_of {self.checkpoint.parent.parent}"
            )
        if settings["max_steps"] != -1:
            raise ZooError(
                "an epoch of everything has more steps, and max_steps counts them; use --trainer.max_steps N"
            )
        return chosen_duration(source or self.recipe)

    def instantiate_classes(self) -> None:
        """Builds everything; an error that a constructor told comes through as it was told."""
        # Weights that are about to be loaded need none before them, which might have to be fetched.
        filled_later = self.verb in ("validate", "test") or self.checkpoint is not None
        self._resumed = self.folder is not None and not self._folder_is_new
        try:
            self._settle_places()
            with unfilled() if filled_later else contextlib.nullcontext():
                super().instantiate_classes()
            if self.given_data is not None:
                self.config["data"] = None
            # Lightning would refuse a data module of one's own whose arguments are called as those of the model are.
            self.datamodule._log_hyperparams = False
            self._begin()
        except Exception as error:  # libraries raise anything for an argument that they did not expect
            self.leave_no_trace()
            raise told(error) or ZooError(reason(error)) from error

    def _begin(self) -> None:
        """Lets a training that begins do so with other weights, if any are named; checks its patterns."""
        if isinstance(self.model, Scheduled):
            self.model.check_patterns()
        origin = self.config["init_from"]
        if origin is None or self.checkpoint is not None or self.verb in ("validate", "test"):
            return
        config = Path(origin) / "config.yaml"
        if config.is_file() and not self.trust:
            RunConfiguration(read_yaml(config), config).check()
        self.start = begin(self.model, origin)

    def _settle_places(self) -> None:
        """Has everything written into the run's folder, for as long as objects are built of the configuration."""
        self._as_said = self.config["trainer"]
        if self._as_said["fast_dev_run"] or not (self._resumed or has_unsaid_places(self._as_said)):
            return
        if self.folder is None:
            self._make_folder(self._as_said)
        assert self.folder is not None
        self.config["trainer"] = settled(self._as_said, self.folder, self._resumed)

    def _make_folder(self, settings: Any) -> None:
        if self.folder is None:
            self.folder = new_run_folder(Path(settings.get("default_root_dir") or "runs") / self.recipe)
            self._folder_is_new = True

    def _given_to_the_model(self) -> dict[str, str]:
        """The arguments of the model that flags and files give, by what gives them."""
        given = {flag: flag.rpartition(".")[2] for flag in self.flags if flag.startswith("--model.")}
        for section in sections("model", self.args_given):
            given |= {f"model.init_args.{name}": name for name in section.get("init_args", {})}
        return given

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Builds the trainer around the run's folder, when it is known that model and data go together."""
        self.config["trainer"] = self._as_said  # which is what the run's config.yaml tells
        check_given(self._given_to_the_model(), self.datamodule)
        check_trained(self._trained, self.datamodule, self.checkpoint)
        settings = self._get(self.config_init, "trainer")
        if settings.get("fast_dev_run"):
            return self._accompanied(super().instantiate_trainer(**kwargs))
        if self.verb == "fit":
            _check_intervals(settings)
            if settings["barebones"]:
                raise ZooError(
                    "--trainer.barebones keeps neither figures nor checkpoints, so no run is left; leave it out"
                )
            kind = type(self.datamodule)
            if settings["overfit_batches"] and kind.__module__.startswith("datamodules."):
                raise ZooError(
                    f"--trainer.overfit_batches takes the batches of {kind.__name__} apart, which come as wholes; use "
                    "--trainer.limit_train_batches, which draws other ones every epoch"
                )
            self._check_optimization(settings)
        self._make_folder(settings)
        assert self.folder is not None
        kwargs.setdefault("default_root_dir", str(self.folder))
        if self.verb != "fit":
            kwargs["logger"] = False
        elif settings.get("logger") is not False:
            theirs = settings.get("logger")
            # Lightning's callbacks write beside what the first logger writes.
            kwargs["logger"] = [
                MetricsLogger(self.folder),
                TensorBoardLogger(self.folder, name="", version="", default_hp_metric=False),
                *_as_list(None if theirs is True else theirs),
            ]
        if settings.get("profiler") is None:
            kwargs["profiler"] = NoProfiler()
        kwargs["plugins"] = [*_as_list(settings.get("plugins")), SealedCheckpointIO()]
        if self.quiet or not isinstance(progress(), ProgressBar):
            kwargs["enable_progress_bar"] = False
        chosen = settings.get("precision") is not None or self.checkpoint is not None
        tune = self.verb == "fit" and self._get(self.config, "tune_precision") and not chosen
        if tune and not getattr(self.model, "channels_last", False) and on_one_cpu(settings):
            kwargs["precision"] = self._tune_precision()
        on_all = getattr(self.datamodule, "fit_on", "train") in UNVALIDATED
        settings["callbacks"] = settle_choosers(_as_list(settings.get("callbacks")), on_all)
        self.trainer_defaults = {**self.trainer_defaults, "callbacks": self._own_callbacks()}
        return self._accompanied(super().instantiate_trainer(**kwargs))

    def _accompanied(self, trainer: Trainer) -> Trainer:
        """The trainer, whose processes are as many as were started, and watched."""
        check_processes(trainer)
        check_precision(trainer)
        asked, device = self._get(self.config, "tf32"), trainer.strategy.root_device
        self.tf32 = settle_tf32(asked, self.model, device, self.verb == "fit")
        self._tf32_when_measured = bool(asked)
        self.company = Company(trainer, self.leave_no_trace)
        return trainer

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

    def _own_callbacks(self) -> list[Callback]:
        ours: list[Callback] = [
            OneFolder(),
            *self.more_callbacks,
            SeedEpochs(self._get(self.config, "seed_everything")),
        ]
        if self._get(self.config, "figures"):
            ours.append(Figures())
        if self.verb == "fit":
            ours.append(SumInOrder())
            ours.append(InterruptBetweenBatches())
            ours.append(ValidateAtLastStep())
            ours.append(RememberData(self.recipe, self.checkpoint is not None))
            ours.append(LastCheckpoint())
            if not self.quiet:
                ours.append(progress())
        return ours

    def _tune_precision(self) -> Any:
        """Times training steps and keeps the quickest setting, in the model and in the configuration."""
        self.datamodule.prepare_data()
        self.datamodule.setup("fit")
        batch = next(iter(self.datamodule.train_dataloader()))
        seconds = time_settings(self.model, batch)
        (precision, channels_last), _ = min(seconds.items(), key=lambda item: item[1])
        formats = {False: "channels first", True: "channels last"}
        self.step_times = {f"{name}, {formats[last]}": round(1000 * s, 3) for (name, last), s in seconds.items()}
        if not self.quiet:
            for setting, milliseconds in self.step_times.items():
                say(f"  {setting:26s} {milliseconds:7.2f} ms a step")
            say(f"training in {precision}, {formats[channels_last]}")
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
        with self.telling(), self.company:
            return self._fit(then_test) if self.verb == "fit" else self._evaluate(self.verb, self.checkpoint)

    @contextlib.contextmanager
    def telling(self) -> Iterator[None]:
        """Meanwhile what a library raises is told in one line; a run that never began leaves no folder."""
        try:
            yield
        except UserError:
            self.leave_no_trace()
            raise
        except SIGTERMException as stop:
            # Lightning gives no code to what a scheduler ended, which would read as success.
            raise SystemExit(128 + signal.SIGTERM) from stop
        except MisconfigurationException as error:
            self.leave_no_trace(first_epoch=self.trainer.current_epoch == 0)
            raise told(error) or ZooError(reason(error)) from error
        except Exception as error:
            if (found := told(error)) is not None:
                self.leave_no_trace()
                raise found from error
            if "conditioned on metric" in str(error):
                self.leave_no_trace(first_epoch=self.trainer.current_epoch == 0)
                raise ZooError(reason(error)) from error
            if isinstance(error, OSError) and error.errno in _FULL and self.folder is not None:
                self.leave_no_trace()
                raise ZooError(f"{self.folder} cannot be written: {error.strerror or error}") from error
            if isinstance(error, OSError) or (self.verb == "fit" and self.trainer.global_step > 0):
                raise
            # What fails at once was not meant to go together.
            self.leave_no_trace(first_epoch=True)
            model, data = type(self.model).__name__, type(self.datamodule).__name__
            begin = "begin" if self.checkpoint is None else f"go on from {self.checkpoint}"
            raise ZooError(
                f"{model} cannot {begin} on {data} with these settings ({type(error).__name__}: {reason(error)}); "
                "'zoo list' shows which data a recipe's model takes, --traceback where it failed"
            ) from error

    @property
    def can_go_on(self) -> bool:
        """Whether the run's folder holds a checkpoint to go on from."""
        return self.folder is not None and (self.folder / "checkpoints" / "last.ckpt").is_file()

    def leave_no_trace(self, first_epoch: bool = False) -> None:
        """Removes the folder of a run that never began, or did not get through its first epoch."""
        if not self._folder_is_new or self.folder is None or getattr(rank_zero_only, "rank", 0) != 0:
            return
        if first_epoch or not any(self.folder.rglob("*.ckpt")):
            remove_run(self.folder)

    def _fit(self, then_test: bool) -> dict[str, Any]:
        with held(self.folder) if self.folder is not None else contextlib.nullcontext():
            return self._fit_alone(then_test)

    def _fit_alone(self, then_test: bool) -> dict[str, Any]:
        checkpoint = self.checkpoint
        over = why_over(self.trainer, checkpoint) if checkpoint is not None else None
        if over is not None and not self._is_unfinished():
            raise ZooError(over)
        if checkpoint is not None:
            checkpoint = resumed_from(checkpoint) if over is None else checkpoint
            callbacks = getattr(self.trainer, "callbacks", [])
            callbacks[:0] = [KeepMetrics(checkpoint), *([] if over is None else [Finish()])]
        with float32_products(self.tf32):
            self.trainer.fit(self.model, datamodule=self.datamodule, ckpt_path=checkpoint, weights_only=True)
        last = next((one for one in self.trainer.checkpoint_callbacks if isinstance(one, LastCheckpoint)), None)
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        results: dict[str, Any] = {
            "fit": {
                # Of a training that was killed at the end of its last epoch, that one is processed, but not completed.
                "epochs": progress.processed,
                "steps": self.trainer.global_step,
                "seconds": round(last.spent, 1) if last is not None else None,
                "precision": str(self.trainer.precision),
                **({"tf32": True} if self.tf32 else {}),
                "processes": self.trainer.world_size,
                "device": device_name(self.trainer),
                **({"out_of_time": True} if _is_out_of_time(self.trainer) else {}),
            }
        }
        best, fit_on = self._best_checkpoint(), getattr(self.datamodule, "fit_on", "train")
        if best:
            # A checkpoint counts the epochs that were complete when it was written in the course of the next one.
            results["fit"]["max_epochs"] = self.trainer.max_epochs
            results["fit"]["best_epoch"] = weights.read_checkpoint(best)["epoch"] + 1
        if best and self.trainer.world_size == 1:
            self.trainer.loggers = []
            if self.trainer.limit_val_batches and fit_on not in UNVALIDATED:
                results.update(self._evaluate("validate", best))
        if then_test and (best or fit_on == "known"):
            self.trainer.loggers = []
            best = best or self._last_checkpoint()
            results.update(self._evaluate("test", best))
            if fit_on == "known" and self.model.calibrated:
                weights.recalibrate(best, self.model)
        return results

    def _best_checkpoint(self) -> Path | None:
        """The checkpoint that was chosen, if any was."""
        path = getattr(self.trainer.checkpoint_callback, "best_model_path", "")
        return Path(path) if path else None

    def _last_checkpoint(self) -> Path:
        """The checkpoint of the end of a training that chose nothing."""
        assert self.folder is not None
        return self.folder / "checkpoints" / "last.ckpt"

    def _is_unfinished(self) -> bool:
        """Whether the run was ended after its training and before its results were written."""
        run = self.checkpoint.parent.parent if self.checkpoint is not None else None
        return run is not None and run == self.folder and "fit" not in read_results(run)

    def _evaluate(self, verb: str, checkpoint: Path | None) -> dict[str, Any]:
        run = getattr(self.trainer, verb)
        try:
            with float32_products(self._tf32_when_measured):
                figures = run(
                    self.model, datamodule=self.datamodule, ckpt_path=checkpoint, verbose=False, weights_only=True
                )
        except RuntimeError as error:
            if "loading state_dict" not in str(error):
                raise
            raise ZooError(
                f"the weights in {checkpoint} do not fit {type(self.model).__name__}: {reason(error)}"
            ) from error
        if not figures:
            split = "val" if verb == "validate" else "test"
            fit_on = getattr(self.datamodule, "fit_on", "train")
            why = {
                "all": "--data.fit_on all trains on everything",
                "known": "--data.fit_on known trains on what would be validated on",
            }.get(fit_on, f"--trainer.limit_{split}_batches leaves none")
            raise ZooError(f"nothing is left to {verb} on: {why}")
        of_each = self.model.breakdown(self.datamodule)
        return {
            verb: {name.partition("_")[2]: value for name, value in figures[0].items()},
            **({f"{verb}_of_each": of_each} if of_each else {}),
        }


def _check_intervals(settings: Any) -> None:
    """Refuses to do something every zeroth time."""
    for name in ("accumulate_grad_batches", "check_val_every_n_epoch", "val_check_interval"):
        value = settings[name]
        if isinstance(value, int | float) and value <= 0:
            raise ZooError(f"--trainer.{name} is {value}, expected more than 0")


def _is_out_of_time(trainer: Trainer) -> bool:
    """Whether training ended because ``max_time`` was over."""
    left = [one.time_remaining() for one in getattr(trainer, "callbacks", []) if isinstance(one, Timer)]
    return any(seconds is not None and seconds <= 0 for seconds in left)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
