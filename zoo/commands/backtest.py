"""``zoo backtest``: roll-forward evaluation (Tashman, 2000; Hyndman and Athanasopoulos, 2021, section 5.10)."""

import csv
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from datamodules.errors import DataError
from datamodules.series.series import Series
from zoo import weights
from zoo.commands.arguments import Arguments
from zoo.commands.going_on import DURATION, without
from zoo.commands.outputs import write_figure
from zoo.commands.tables import show_table
from zoo.errors import ZooError
from zoo.series.backtesting import KeepForecasts, Piece, draw_backtest, over_all_points
from zoo.series.forecaster import Forecaster
from zoo.series.metrics import naive_errors
from zoo.terminal import say
from zoo.training.cli import ZooCLI
from zoo.training.run_folder import write_results
from zoo.training.target import ONE_DEVICE, resolve

_SHOWN = ("mae", "rmse", "mase", "naive_mae", "seasonal_naive_mae")


def backtest(argv: list[str]) -> int:
    """Forecasts the test period fold by fold, each with a model trained on what lies before it.

    A fold is trained twice: once it stops by the points just before its piece of the test period, then it is trained as
    long on all that lies before the piece, and forecasts it. Each is a run like any other. Every flag of 'zoo fit' may
    follow.
    """
    parser = Arguments("backtest", backtest.__doc__)
    parser.add_argument("recipe", help="a recipe of a series, a YAML file or a run folder")
    parser.add_argument("--folds", type=int, required=True, help="number of pieces that the test period is cut into")
    parser.add_argument(
        "--continue",
        action="store_true",
        dest="goes_on",
        help="go on with the weights of the fold before, on what that did not train on; mean, standard deviation and "
        "the scale of MASE stay those of the first fold (by default every fold begins anew, on all that came before)",
    )
    parser.add_argument(
        "--once",
        action="store_true",
        help="let the weights that validation chose forecast the piece, which have not seen the points just before it",
    )
    options, flags = parser.parse_known_args(argv)
    target = resolve("backtest", [options.recipe, *ONE_DEVICE, *flags])
    if target.checkpoint is not None:
        raise ZooError("--ckpt_path is for 'zoo fit' and 'zoo test': a backtest trains every fold itself")
    name = f"{target.recipe}-backtest"
    whole = ZooCLI(target.args, "backtest", name, quiet=target.quiet, description=backtest.__doc__, trust=target.trust)
    again = not (options.goes_on or options.once)
    try:
        folds = _divide(whole, options.folds, not options.goes_on)
    except (ZooError, DataError):
        whole.leave_no_trace()
        raise
    folder, command = whole.folder or Path(), shlex.join(["zoo", "backtest", *argv])
    if not target.quiet:
        say(f"{target.recipe} in {options.folds} folds; folder {folder}", flush=True)
    pieces: list[Piece] = []
    model: Any = None
    for number, fold in enumerate(folds, start=1):
        if not target.quiet:
            say(f"fold {number}: trains on {len(fold.periods['train']):,} points, forecasts {_span(fold)}", flush=True)
        flags = [f"--data.fold={number}/{options.folds}", f"--data.refit={str(not options.goes_on).lower()}"]
        run = folder / f"fold-{number}"
        arguments = [*target.args, *flags]
        chosen: dict[str, Any] = {}
        try:
            if again and whole.model.chooses:
                choice = run / "choice"
                cli = ZooCLI(arguments, "fit", name, choice, target.quiet, trust=target.trust)
                choice.mkdir(parents=True)
                write_results(choice, name, {"command": command})
                chosen = cli.run()
                write_results(choice, name, chosen)
                arguments = [*without(target.args, *DURATION), *flags, f"--epochs_of={choice}"]
            if again:
                arguments.append("--data.fit_on=known")
            keep = KeepForecasts()
            cli = ZooCLI(arguments, "fit", name, run, target.quiet, [keep], is_new=bool(chosen), trust=target.trust)
            if options.goes_on and model is not None:
                weights.fill(cli.model, model.state_dict(), folder / f"fold-{number - 1}")
            run.mkdir(exist_ok=True)
            write_results(run, name, {"command": command})
            results = cli.run(then_test=True)
        except (KeyboardInterrupt, SystemExit):
            say(f"\nstopped in fold {number} of {options.folds}{_told(pieces, folder)}")
            raise
        except (ZooError, DataError) as error:
            whole.leave_no_trace()
            raise ZooError(f"fold {number} of {options.folds}: {error}{_told(pieces, folder)}") from error
        write_results(run, name, results)
        model = cli.model
        pieces.append(_piece(cli.datamodule, keep, {**results, "fit": {**results["fit"], **_told_of(chosen)}}))
        _write(folder / "backtest.csv", pieces, whole.datamodule)
    errors = over_all_points(pieces)
    write_results(folder, name, {"command": command, "backtest": {"folds": len(pieces), **errors}})
    picture = folder / "figures" / "backtest.png"
    picture.parent.mkdir(exist_ok=True)
    data = whole.datamodule
    times = np.append(data.times, data.future_times(1))
    write_figure(picture, draw_backtest(data.values, times, pieces, data.names))
    _print(pieces, errors, data)
    if not target.quiet:
        say(f"run       {folder}\ntable     {folder / 'backtest.csv'}\npicture   {picture}")
    return 0


def _divide(whole: ZooCLI, count: int, refit: bool) -> list[Series]:
    """The data of each fold, after checking that all of them can be trained and measured."""
    model, data = type(whole.model).__name__, type(whole.datamodule).__name__
    if not isinstance(whole.model, Forecaster) or not isinstance(whole.datamodule, Series):
        raise ZooError(f"{model} on {data} forecasts no series; 'zoo list' shows the recipes of the family series")
    if "fold" not in whole.datamodule.hparams:
        raise ZooError(f"{data} takes no argument 'fold'; it needs those of datamodules.CsvSeries")
    if whole.datamodule.hparams["fold"] is not None:
        raise ZooError(f"fold {whole.datamodule.hparams['fold']} is a piece already; leave out --data.fold")
    if not refit and whole.model.learns and not whole.model.chooses:
        raise ZooError(f"{model} is found at once, from all that it is given, and cannot go on; leave out --continue")
    if whole.folder is None:
        raise ZooError("--trainer.fast_dev_run leaves nothing to measure; use --trainer.max_epochs 1")
    if whole.trainer.world_size > 1:
        raise ZooError("a backtest is measured on one device; use --trainer.devices 1")
    folds = whole.datamodule.folds(count, refit, known=refit and not whole.model.chooses)
    # Without one of the recipe's there is Lightning's own, which has no name and writes none where the runs look.
    if getattr(whole.trainer.checkpoint_callback, "filename", None) is None:
        raise ZooError("no checkpoint is kept to forecast with; add a ModelCheckpoint, see 'zoo show lstm_co2'")
    return folds


def _told_of(choice: dict[str, Any]) -> dict[str, Any]:
    """How long a training went on, and when it was best, as the one that chose it tells."""
    return {name: choice["fit"][name] for name in ("epochs", "best_epoch")} if choice else {}


def _piece(fold: Series, keep: KeepForecasts, results: dict[str, Any]) -> Piece:
    points, forecasts = fold.periods["test"], keep.forecasts
    errors = {name: results["test"][name] for name in ("mae", "mse", "rmse", "mase")}
    errors |= naive_errors(fold.values, points, forecasts.shape, fold.period)
    fit = results["fit"]
    best_epoch = fit.get("best_epoch", fit["epochs"])
    return Piece(points, forecasts, len(fold.periods["train"]), fit["epochs"], best_epoch, errors)


def _span(fold: Series) -> str:
    points = fold.periods["test"]
    return f"{len(points):,} from {fold.times[points.start]} to {fold.times[points.stop - 1]}"


def _told(pieces: Sequence[Piece], folder: Path) -> str:
    """What a backtest that did not reach its end leaves."""
    return f"; the folds before it are done, see {folder / 'backtest.csv'}" if pieces else ""


def _write(path: Path, pieces: Sequence[Piece], whole: Series) -> None:
    """Writes the table, a line a fold."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("fold", "first", "last", "trained_on", "epochs", "best_epoch", *pieces[0].errors))
        for number, piece in enumerate(pieces, start=1):
            first, last = _ends(piece, whole.times)
            row = (number, first, last, piece.trained_on, piece.epochs, piece.best_epoch)
            writer.writerow((*row, *("" if value is None else f"{value:.9g}" for value in piece.errors.values())))


def _print(pieces: Sequence[Piece], errors: dict[str, float | None], whole: Series) -> None:
    """Prints the table, a line a fold and one for all points."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("fold", "first", "last"):
        table.add_column(column, no_wrap=True)
    for column in ("trained on", "epochs", *(name.replace("_", " ") for name in _SHOWN)):
        table.add_column(column, justify="right", no_wrap=True)
    for number, piece in enumerate(pieces, start=1):
        epochs = f"{piece.best_epoch} of {piece.epochs}"
        table.add_row(
            str(number), *_ends(piece, whole.times), f"{piece.trained_on:,}", epochs, *_figures(piece.errors)
        )  # fmt: skip
    everything = (_ends(pieces[0], whole.times)[0], _ends(pieces[-1], whole.times)[1])
    table.add_row("all", *everything, "", "", *_figures(errors), style="bold")
    show_table(table)


def _ends(piece: Piece, times: np.ndarray) -> tuple[str, str]:
    return str(times[piece.points.start]), str(times[piece.points.stop - 1])


def _figures(errors: dict[str, float | None]) -> list[str]:
    return ["-" if errors[name] is None else f"{errors[name]:.5g}" for name in _SHOWN]
