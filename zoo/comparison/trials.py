"""Trials of a sweep: runs of one recipe, whose settings Optuna draws, which are judged in validation."""

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from optuna.exceptions import TrialPruned
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from datamodules.series.series import Series
from zoo.base.loss_watch import DivergedError
from zoo.comparison.pruning import Prune
from zoo.comparison.space import Space
from zoo.comparison.studies import ENDED, fail_killed, hold, let_go, name_of, ranked
from zoo.errors import ZooError, foreseen
from zoo.terminal import say
from zoo.training.cli import ZooCLI
from zoo.training.given import flag
from zoo.training.run_folder import remove_run, write_results

# When so many trials have failed one after the other, the next would, too.
_IN_A_ROW = 5


class FailedError(ZooError):
    """A trial that came to nothing, which is no reason to end the sweep."""


@dataclass
class Sweep:
    """A recipe, what is searched, and where its trials go.

    Attributes:
        study: Where trials are written down.
        recipe: Name of the recipe.
        arguments: Those of LightningCLI that all trials have.
        spaces: What is searched, by name of the setting.
        metric: Figure that trials are judged by.
        folder: Where their runs go.
        count: How many are to be ended, by all workers together.
        folds: Into how many pieces what lies before the test period of a series is cut, to be judged by; 0 if the
            validation split is what counts.
        keep: How many runs stay.
        command: What was typed, for the runs.
    """

    study: Study
    recipe: str
    arguments: Sequence[str]
    spaces: Mapping[str, Space]
    metric: str
    folder: Path
    count: int
    folds: int
    keep: int
    command: str

    def run(self, until: float | None = None) -> Iterator[FrozenTrial]:
        """Runs trials until there are enough.

        Args:
            until: When no further one begins, by ``time.monotonic()``.

        Yields:
            Each when it has ended, whether complete, pruned or failed.

        Raises:
            ZooError: One after the other failed.
        """
        failed = 0
        while until is None or time.monotonic() < until:
            for number in fail_killed(self.study, self.folder):
                say(f"  trial {number}: failed, since its process was ended; its settings are tried again", flush=True)
            if len(self._of(*ENDED, TrialState.RUNNING)) >= self.count:
                return
            self._lock: FileLock | None = None
            self.study.optimize(self._objective, n_trials=1, catch=(FailedError,))
            if self._lock is not None:
                let_go(self._lock)
            self._tidy()
            trial = self.study.get_trials(deepcopy=False)[self._number]
            yield trial
            failed = failed + 1 if trial.state == TrialState.FAIL else 0
            if failed == _IN_A_ROW:
                raise ZooError(f"{failed} trials failed one after the other; the last: {trial.user_attrs.get('why')}")

    def _of(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states)

    def _objective(self, trial: Trial) -> float:
        self._number = trial.number
        run = self.folder / name_of(trial.number)
        self._lock = hold(run)
        if sum(one.number < trial.number for one in self._of(*ENDED, TrialState.RUNNING)) >= self.count:
            trial.set_user_attr("why", "another worker was quicker to begin the last one")
            raise FailedError
        settings = [flag(name, space.draw(trial, name)) for name, space in self.spaces.items()]
        trial.set_user_attr("run", str(run))
        trial.set_user_attr("host", platform.node())
        try:
            return self._reached(trial, run, settings)
        except KeyboardInterrupt as stop:
            # Optuna would mark it failed, and who goes on would not try its settings again.
            raise SystemExit from stop
        except TrialPruned:
            raise
        except Exception as error:
            if (why := foreseen(error)) is None:
                raise
            trial.set_user_attr("why", why)
            if isinstance(error, DivergedError):
                raise TrialPruned from error
            raise FailedError(why) from error

    def _reached(self, trial: Trial, run: Path, settings: Sequence[str]) -> float:
        """Trains, and gives back what was reached; of a series fold by fold, the mean."""
        total, windows = 0.0, 0
        for fold in range(1, self.folds + 1):
            piece = [f"--data.fold={fold}/{self.folds}", "--data.fold_of=before"]
            cli = self._built(run / f"fold-{fold}", [*settings, *piece])
            results = cli.run(then_test=True)
            data = cli.datamodule
            assert isinstance(data, Series)
            rows = len(data.periods["test"]) - data.horizon + 1
            total, windows = total + results["test"][self.metric] * rows, windows + rows
            trial.report(total / windows, fold)
            self._write(cli, results, pruned=fold < self.folds and trial.should_prune())
        if self.folds:
            return total / windows
        prune = Prune(trial, self.metric)
        cli = self._built(run, settings, prune)
        results = cli.run()
        self._write(cli, results, prune.has_pruned)
        if self.metric not in results.get("validate", {}):
            raise ZooError(f"{self.recipe} does not measure {self.metric} in validation, and cannot be judged by it")
        return float(results["validate"][self.metric])

    def _built(self, run: Path, settings: Sequence[str], *callbacks: Prune) -> ZooCLI:
        arguments = [*self.arguments, *settings, "--figures=false"]
        cli = ZooCLI(arguments, "fit", self.recipe, run, quiet=True, callbacks=callbacks, is_new=True)
        run.mkdir(parents=True, exist_ok=True)
        write_results(run, self.recipe, {"command": self.command})
        return cli

    def _write(self, cli: ZooCLI, results: dict[str, dict[str, object]], pruned: bool) -> None:
        """Writes the results of a run.

        Raises:
            TrialPruned: The trial is not worth going on with.
        """
        assert cli.folder is not None
        if pruned:
            results["fit"]["pruned"] = True
        write_results(cli.folder, self.recipe, results)
        if pruned:
            raise TrialPruned

    def _tidy(self) -> None:
        """Removes the runs of all trials that have ended but for the best."""
        kept = {trial.number for trial in ranked(self.study)[: self.keep]}
        for trial in self._of(*ENDED, TrialState.FAIL):
            run = self.folder / name_of(trial.number)
            if trial.number not in kept and run.is_dir():
                remove_run(run)
