"""What ``zoo compare`` and ``zoo auto`` put beside each other: recipes, which they train, and runs that are there."""

import dataclasses
import shlex
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import yaml
from torch import Tensor

from datamodules import Table
from datamodules.series.series import Series
from zoo import weights
from zoo.commands.comparable import Facts, ensemble_class, held_out, references_of
from zoo.comparison.leaderboard import Entry
from zoo.comparison.own import Try
from zoo.comparison.peers import peers_of
from zoo.comparison.scores import SPLITS, KeepScores, read_scores
from zoo.ensemble import described
from zoo.errors import ZooError
from zoo.measures import measure
from zoo.registry import read_results, read_yaml
from zoo.training.cli import ZooCLI
from zoo.training.run_folder import write_results
from zoo.training.target import ONE_DEVICE, resolve

# Below so many seconds nothing can be trained that says anything.
_TOO_SHORT = 2.0


@dataclass
class Clock:
    """The time that a comparison may take.

    Attributes:
        budget: Seconds; None if it may take as long as it likes.
        started: When it began.
        reserved: Seconds for what is done at the end.
    """

    budget: float | None = None
    started: float = field(default_factory=time.monotonic)
    reserved: float = 0.0

    @property
    def spent(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started

    def share(self, of: int) -> float | None:
        """An equal part of the seconds that are left.

        Args:
            of: How many trainings are still to come.
        """
        return None if self.budget is None else max(self.budget - self.reserved - self.spent, 0.0) / of


class Contender(ABC):
    """Something that is trained and measured, seed by seed, and of a series fold by fold.

    Attributes:
        name: Of its folder, and in the leaderboard.
        seeds: With how many seeds.
        folds: Into how many pieces what lies before the test period of a series is cut.
        command: What was typed, for the runs.
    """

    name: str
    seeds: int
    folds: int
    command: Sequence[str]

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """What must agree between contenders."""

    @abstractmethod
    def build(self, folder: Path, run: Path, flags: Sequence[str], keep: KeepScores) -> ZooCLI:
        """What makes a run.

        Args:
            folder: Where the runs of all contenders go.
            run: The run's folder.
            flags: What makes it this run.
            keep: A callback that the run needs.
        """

    @property
    def trainings(self) -> int:
        """How many there are in all."""
        return self.seeds * (1 + (self.folds if self.facts.folds else 0))

    def runs(self, folder: Path, seed: int) -> Iterator[tuple[Path, list[str]]]:
        """The runs of a seed, the one that is to be used last, and the flags that make them what they are."""
        run = folder / self.name / f"seed-{seed}"
        flags = [f"--seed_everything={seed}"]
        for number in range(1, self.folds + 1) if self.facts.folds else ():
            fold = [f"--data.fold={number}/{self.folds}", "--data.fold_of=before", "--figures=false"]
            if not self.facts.chooses:
                fold.append("--data.fit_on=known")
            yield run / f"fold-{number}", [*flags, *fold]
        yield run, flags

    def train(self, folder: Path, clock: Clock, to_come: int) -> Iterator[Path]:
        """Trains all that is not trained yet, run by run.

        Args:
            folder: Where runs go.
            clock: The time that there is.
            to_come: How many trainings are still to come, these included.

        Yields:
            The folder of each run when it is done.

        Raises:
            ZooError: What is trained has learnt from other data.
        """
        held = [*self.facts.pieces, self.facts.data]
        for seed in range(self.seeds):
            for (run, flags), now in zip(self.runs(folder, seed), held, strict=True):
                if _is_done(run):
                    _check_unchanged(run, now)
                else:
                    self._train(folder, run, flags, clock.share(to_come))
                to_come -= 1
                yield run

    def _train(self, folder: Path, run: Path, flags: list[str], seconds: float | None) -> None:
        if seconds is not None and self.facts.chooses:
            if seconds < _TOO_SHORT:
                return
            flags = [*flags, f"--trainer.max_time={_as_days(seconds)}"]
        elif seconds == 0:
            return
        if any((run / "checkpoints").glob("*.ckpt")):
            flags = [*flags, "--ckpt_path", str(run / "checkpoints" / "last.ckpt")]
        keep = KeepScores()
        cli = self.build(folder, run, flags, keep)
        run.mkdir(parents=True, exist_ok=True)
        write_results(run, self.name, {"command": shlex.join(["zoo", *self.command])})
        results = cli.run(then_test=True)
        keep.write(run)
        write_results(run, self.name, results)

    def entry(self, folder: Path) -> Entry | None:
        """What came of it; None if nothing did, since the time was over.

        Args:
            folder: Where its runs are.
        """
        metric = self.facts.metric
        figures, tests, scores, epochs, seconds, cut = [], [], [], [], [], False
        finished = []
        for seed in range(self.seeds):
            *folds, (run, _) = self.runs(folder, seed)
            measured, split = ([fold for fold, _ in folds], "test") if folds else ([run], "validate")
            if not all(_is_done(one) for one in (*measured, run)):
                continue
            kept = [read_scores(one).get(SPLITS[split], torch.zeros(0)) for one in measured]
            found = [read_results(one)[split][metric] for one in measured]
            counts = [max(len(one), 1) for one in kept]
            figures.append(sum(f * n for f, n in zip(found, counts, strict=True)) / sum(counts))
            scores.append(torch.cat(kept))
            results = read_results(run)
            tests.append(results["test"][metric])
            fits = [read_results(one)["fit"] for one in (*measured, run)] if folds else [results["fit"]]
            epochs.append(results["fit"]["epochs"])
            seconds.append(sum(fit["seconds"] or 0.0 for fit in fits))
            cut |= any(_was_cut(one) for one in (*measured, run))
            finished.append(run)
        if not finished:
            return None
        note = "stopped by the budget" if cut else ""
        if len(finished) < self.seeds:
            note = f"{len(finished)} of {self.seeds} seeds within the budget"
        return Entry(
            name=self.name,
            run=finished[_best(figures, metric)],
            figures=figures,
            tests=tests,
            scores=_mean(scores),
            parameters=self.facts.parameters,
            epochs=epochs,
            seconds=statistics.fmean(seconds),
            note=note,
        )


class Recipe(Contender):
    """A recipe and the flags that it is trained with.

    Args:
        one: The recipe and what is asked of it alone.
        flags: Those that all contenders are given.
        seeds: Number of seeds.
        folds: Number of pieces.
        command: What was typed.

    Raises:
        ZooError: It is no recipe, or a flag has no place here.
    """

    def __init__(self, one: Try, flags: Sequence[str], seeds: int, folds: int, command: Sequence[str]) -> None:
        target = resolve("compare", [one.recipe, *ONE_DEVICE, *flags, *one.flags])
        if target.run is not None:
            raise ZooError(f"{one.recipe} is a run; recipes are compared with recipes, runs with runs")
        self.one, self.name = one, target.recipe + one.suffix
        self.arguments, self.seeds, self.folds = target.args, seeds, folds
        self.command = command
        for flag in (
            "--ckpt_path", "--seed_everything", "--data.fold", "--data.fit_on", "--epochs_of", "--test", "--projector",
        ):  # fmt: skip
            if any(argument.partition("=")[0] == flag for argument in flags):
                raise ZooError(f"{flag} has no place in a comparison, which sets it itself; leave it out")

    @cached_property
    def facts(self) -> Facts:
        """Found out by building model and data once.

        Raises:
            ZooError: It cannot be compared.
            DataError: The data does not suit it.
        """
        cli = ZooCLI(self.arguments, "compare", self.name, Path("runs"), quiet=True)
        if cli.trainer.world_size > 1:
            raise ZooError("a comparison trains on one device; use --trainer.devices 1")
        for split in ("val", "test"):
            if not getattr(cli.trainer, f"limit_{split}_batches"):
                raise ZooError(f"--trainer.limit_{split}_batches leaves nothing to compare by; leave it out")
        if getattr(cli.trainer.checkpoint_callback, "filename", None) is None:
            raise ZooError(f"{self.name} keeps no best checkpoint to be judged by; add a ModelCheckpoint to it")
        model, data = cli.model, cli.datamodule
        folds = []
        if isinstance(data, Series) and self.folds:
            folds = data.folds(self.folds, of="before", known=not model.chooses)
        count = sum(parameter.numel() for parameter in model.parameters())
        references = references_of(model, data, folds)
        return Facts(
            model.metric, held_out(data), bool(folds), count, references, [held_out(fold) for fold in folds],
            ensemble_class(model), model.chooses, getattr(model, "horizon", None), isinstance(data, Table),
        )  # fmt: skip

    def peers(self) -> dict[str, tuple[float, float | None]]:
        """What models of others reach on the same data; see :func:`peers_of`."""
        if not self.facts.has_peers:
            return {}
        data = ZooCLI(self.arguments, "compare", self.name, Path("runs"), quiet=True).datamodule
        return peers_of(self.facts.metric, data)

    def build(self, folder: Path, run: Path, flags: Sequence[str], keep: KeepScores) -> ZooCLI:
        """The recipe, as ``zoo fit`` trains it."""
        return ZooCLI([*self.arguments, *flags], "fit", self.name, run, quiet=True, callbacks=[keep])


class Together(Contender):
    """The mean of what others say, which are trained already.

    Args:
        members: The others.
        entries: What they reached.
    """

    def __init__(self, members: Sequence[Recipe], entries: Sequence[Entry]) -> None:
        first = members[0]
        self.name, self.members, self.entries = "ensemble", members, entries
        self.seeds, self.folds, self.command = first.seeds, first.folds, first.command

    @cached_property
    def facts(self) -> Facts:
        """Those of the first, but for the size."""
        count = sum(member.facts.parameters for member in self.members)
        return dataclasses.replace(self.members[0].facts, parameters=count, chooses=True)

    def build(self, folder: Path, run: Path, flags: Sequence[str], keep: KeepScores) -> ZooCLI:
        """The ensemble of the members' runs that correspond to this one."""
        place = run.relative_to(folder / self.name)
        runs = [folder / member.name / place for member in self.members]
        return ensemble_of(runs, run, self.facts, self.command, keep)

    def entry(self, folder: Path) -> Entry | None:
        """What came of it; the time is that of the members."""
        found = super().entry(folder)
        if found is None:
            return None
        names = [member.name for member in self.members]
        seconds = sum(entry.seconds for entry in self.entries)
        return dataclasses.replace(found, seconds=seconds, note=f"mean of {', '.join(names)}", recipes=names)


def ensemble_of(
    runs: Sequence[Path], run: Path, facts: Facts, command: Sequence[str], keep: KeepScores | None = None
) -> ZooCLI:
    """What makes a run of other runs: the mean of their models, on the data of the first.

    Args:
        runs: Their folders.
        run: The new folder.
        facts: Those of the models.
        command: What was typed.
        keep: A callback that the run needs.
    """
    models = [weights.load(one) for one in runs]
    configs = [read_yaml(one / "config.yaml") for one in runs]
    config = configs[0]
    data = _data_of_all(configs, max(getattr(model, "window", 1) for model in models))
    mode = "max" if measure(facts.metric).higher_is_better else "min"
    chooser = {"monitor": f"val_{facts.metric}", "mode": mode, "filename": "best"}
    content = {
        "seed_everything": config["seed_everything"],
        "model": {"class_path": facts.ensemble, "init_args": {"members": described(models)}},
        "data": data,
        "trainer": {
            "max_epochs": 1,
            "limit_train_batches": 1,
            "callbacks": [{"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": chooser}],
        },
    }
    with TemporaryDirectory() as scratch:
        recipe = Path(scratch) / "ensemble.yaml"
        recipe.write_text(yaml.safe_dump(content), encoding="utf-8")
        arguments = ["--config", str(recipe), *ONE_DEVICE]
        cli = ZooCLI(arguments, "fit", "ensemble", run, quiet=True, callbacks=[keep] if keep is not None else [])
    cli.model.take_weights(models)
    return cli


def _data_of_all(configs: Sequence[dict[str, Any]], window: int) -> dict[str, Any]:
    """The data of the first of several runs, as far back and as much of it as any of them looks at."""
    data = configs[0]["data"]
    arguments = data["init_args"]
    asked = [config["data"]["init_args"] for config in configs]
    if "window" in arguments:
        arguments["window"] = "longest" if any(one.get("window") == "longest" for one in asked) else window
    if any(one.get("fit_on") == "known" for one in asked):
        arguments["fit_on"] = "known"
    # Channels are no matter to a pooled model, but one that knows them needs them.
    if "pool" in arguments and not all(one.get("pool") for one in asked):
        arguments["pool"] = False
    # Members transform by themselves.
    arguments.pop("transform", None)
    return data


def measured_run(run: Path, trust: bool = False) -> tuple[Facts, Entry]:
    """A run that is there, measured on the validation and the test split; nothing is trained or written.

    Args:
        run: Its folder.
        trust: Whether it may name classes from outside the zoo.
    """
    keep = KeepScores()
    figures: dict[str, Any] = {}
    arguments = [str(run), *ONE_DEVICE, "--figures=false", *(["--trust"] if trust else [])]
    target = resolve("compare", [*arguments, "--ckpt_path", str(weights.best_checkpoint(run))])
    fit = read_results(run).get("fit", {})
    for verb in ("validate", "test"):
        cli = ZooCLI(target.args, verb, target.recipe, run, quiet=True, callbacks=[keep])
        figures |= cli.run()
    model, data = cli.model, cli.datamodule
    metric = model.metric
    count = sum(parameter.numel() for parameter in model.parameters())
    horizon = getattr(model, "horizon", None)
    facts = Facts(metric, held_out(data), False, count, references_of(model, data, []), horizon=horizon)
    return facts, Entry(
        name=str(run),
        run=run,
        figures=[figures["validate"][metric]],
        tests=[figures["test"][metric]],
        scores=keep.found.get("val"),
        parameters=count,
        epochs=[fit["epochs"]] if fit else [],
        seconds=fit.get("seconds") or 0.0,
    )


def _is_done(run: Path) -> bool:
    results = read_results(run)
    return "test" in results


def _check_unchanged(run: Path, now: Mapping[str, str]) -> None:
    """Refuses to put what was measured on other data beside what is measured now."""
    then = read_results(run).get("data", {})
    for split, checksum in now.items():
        if split in then and then[split]["sha256"] != checksum:
            raise ZooError(f"{run} was trained on other data than there is now; compare in a new folder: --out DIR")


def _was_cut(run: Path) -> bool:
    """Whether a training ended because its time was over."""
    return bool(read_results(run)["fit"].get("out_of_time"))


def _best(figures: Sequence[float], metric: str) -> int:
    return (max if measure(metric).higher_is_better else min)(range(len(figures)), key=figures.__getitem__)


def _mean(scores: Sequence[Tensor]) -> Tensor | None:
    if not len(scores[0]) or any(len(one) != len(scores[0]) for one in scores):
        return None
    return torch.stack(list(scores)).mean(0)


def _as_days(seconds: float) -> str:
    whole = timedelta(seconds=int(seconds))
    hours, rest = divmod(whole.seconds, 3600)
    return f"{whole.days:02d}:{hours:02d}:{rest // 60:02d}:{rest % 60:02d}"
