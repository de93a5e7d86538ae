"""``zoo compare``: recipes trained on the same data, or runs that are there, ranked; ``zoo auto``: the one to use."""

import contextlib
import dataclasses
import shlex
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from datamodules.errors import TooShortError, UserError
from zoo import registry
from zoo.base.conformal import fewest_errors
from zoo.commands.arguments import Arguments
from zoo.commands.comparable import Facts, check_alike
from zoo.commands.contenders import (
    Clock,
    Contender,
    Recipe,
    Together,
    ensemble_of,
    measured_run,
)
from zoo.commands.going_on import DURATION, folder_of, seconds, split, with_out, without
from zoo.commands.intervals import LEVELS
from zoo.commands.outputs import write_csv, write_figure
from zoo.commands.tables import show_table
from zoo.comparison.leaderboard import COLUMNS, Entry, Leaderboard
from zoo.comparison.own import FAMILIES, Try, field_of, value_of
from zoo.errors import ZooError
from zoo.measures import measure
from zoo.registry import read_results
from zoo.terminal import human_time, say, warn
from zoo.training.cli import ZooCLI
from zoo.training.run_folder import write_results
from zoo.training.target import ONE_DEVICE, resolve

# Pieces that a series is cut into, if it is long enough.
_FOLDS = 3
# What the winner of a family is trained on in the end; of rows and pictures those of the test are left, to tell how
# good it is.
_FIT_ON = {"series": "all", "tabular": "known", "vision": "known"}


def compare(argv: list[str]) -> int:
    """Trains recipes on the same data and ranks them, or ranks runs that are there.

    The ranking is by validation, never by the test split, whose figure is told beside it. A series is ranked by
    forecasts of pieces before its test period, each by a model trained on what lies before the piece. Every training is
    a run like any other; what was interrupted goes on when the same command names the same --out. Every flag of 'zoo
    fit' may follow, and holds for all.
    """
    names, rest = split(argv)
    parser = Arguments("compare", compare.__doc__)
    parser.usage = "zoo compare RECIPE... | RUN...  [flags]"
    _add_flags(parser, ensemble=0)
    parser.add_argument("--trust", action="store_true", help="runs may name classes from outside the zoo")
    options, flags = parser.parse_known_args(rest)
    if not names:
        raise ZooError("'zoo compare' needs recipes or runs to compare; 'zoo list' shows recipes, 'zoo runs' runs")
    doubled = [name for name in names if names.count(name) > 1]
    if doubled:
        raise ZooError(f"{doubled[0]} is named twice; --seeds N trains it with several seeds")
    runs = [Path(name) for name in names if (Path(name) / "config.yaml").is_file()]
    if not runs:
        command = ["compare", *argv]
        board, folder, _ = _trained([Try(name) for name in names], flags, options, Clock(), command)
        _show(board, folder)
        return 0
    if len(runs) < len(names):
        raise ZooError(f"{names[0]} and others are runs and recipes; compare runs with runs, or recipes with recipes")
    training = [*flags, *(["--seeds"] if options.seeds != 1 else []), *(["--ensemble"] if options.ensemble else [])]
    if training:
        raise ZooError(f"{training[0]} is for training, and runs are measured as they are; leave it out")
    facts: dict[str, Facts] = {}
    entries = []
    for run in runs:
        facts[str(run)], entry = measured_run(run, options.trust)
        entries.append(entry)
    check_alike(facts)
    first = next(iter(facts.values()))
    _show(Leaderboard(first.metric, "validation", entries, first.references), options.out)
    return 0


def auto(argv: list[str]) -> int:
    """Finds the model for your own data: trains the recipes of a family within a budget and says which to use.

    The cheapest recipe comes first; each may take an equal part of the time that is left. The winner is the best in
    validation; of a series the mean of the best three, unless a single one is better beyond noise, trained once more,
    on everything; of a table, or of pictures, trained once more on those of training and validation. Every flag of 'zoo
    fit' may follow, such as --data.root photos or --data.path sales.csv.
    """
    names, rest = split(argv)
    parser = Arguments("auto", auto.__doc__)
    parser.usage = "zoo auto " + " | ".join(FAMILIES) + "  --data...  [flags]"
    parser.add_argument(
        "--budget",
        type=seconds("--budget"),
        default="10m",
        metavar="TIME",
        help="such as 90s, 5m or 2h (default %(default)s)",
    )
    _add_flags(parser, ensemble=3)
    options, flags = parser.parse_known_args(rest)
    if len(names) != 1 or names[0] not in FAMILIES:
        raise ZooError(f"'zoo auto' needs the family of your data first: {', '.join(FAMILIES)}")
    field = field_of(names[0], flags)
    draws = value_of("--figures", flags)
    # Pictures of all of them take longer than many of them train.
    flags = flags if draws is not None else [*flags, "--figures=false"]
    clock, command = Clock(options.budget), ["auto", *argv]
    board, folder, recipes = _trained(field.tries(flags), flags, options, clock, command, finishes=True)
    _show(board, folder)
    best, reference = _to_use(board, names[0]), board.best_reference
    run = best.run
    if fit_on := _FIT_ON.get(names[0]):
        winners = [recipes[name] for name in best.recipes or (best.name,)]
        run = _on_everything(best, winners, folder / "winner", flags, command, fit_on)
    alike = [entry.name for entry in board.ranked if (gap := board.from_best(entry)) is not None and gap.is_noise]
    alike = [name for name in dict.fromkeys([board.best.name, *alike]) if name != best.name]
    within = f"; not told apart from {', '.join(alike)}" if alike and len(board.ranked) > 1 else ""
    say(f"best      {best.name}, {board.split} {board.metric} {best.figure:.5g}{within}")
    if reference is not None and not board.is_better(best.figure, board.references[reference][0]):
        say(f"          {reference} reaches {board.references[reference][0]:.5g} and costs nothing: nothing was learnt")
    say(f"run       {run}{_measured(run, board.metric) if fit_on == 'known' else ''}")
    if draws is None:
        say(f"pictures  zoo test {shlex.quote(str(best.run if fit_on == 'all' else run))}")
    horizon = registry.read_yaml(run / "config.yaml")["data"]["init_args"].get("horizon")
    use = field.use.format(run=shlex.quote(str(run)), horizon=horizon, intervals=_intervals(best.run, horizon))
    say(f"use it    {use}")
    return 0


def _measured(run: Path, metric: str) -> str:
    """What to say of a run that was trained on training and validation rows."""
    return f", trained on training and validation data: test {metric} {read_results(run)['test'][metric]:.5g}"


def _intervals(tested: Path, horizon: int | None) -> str:
    """What to say of the intervals of forecasts: by which run, or none where a short series leaves too few errors."""
    ends = {split: told["shape"][0] for split, told in read_results(tested).get("data", {}).items() if "shape" in told}
    known = ends.get("test", 0) - ends.get("train", 0)
    enough = known - (horizon or 1) + 1 >= fewest_errors(min(LEVELS))
    return f"--calibrate {shlex.quote(str(tested))}" if enough else "--no-intervals"


def _add_flags(parser: Arguments, ensemble: int) -> None:
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="train each with N seeds (default 1)")
    parser.add_argument(
        "--folds",
        type=int,
        metavar="N",
        help="of a series: pieces before the test period that the ranking is by (default 3, fewer of a short one)",
    )
    parser.add_argument(
        "--ensemble",
        type=int,
        default=ensemble,
        metavar="N",
        help="put the mean of the best N beside them, of classifiers of pictures and of forecasters "
        "(default %(default)s; 0: none)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the comparison and its runs; one that was interrupted goes on (default: a new one in runs)",
    )


def _trained(
    tries: Sequence[Try],
    flags: Sequence[str],
    options: Namespace,
    clock: Clock,
    command: Sequence[str],
    finishes: bool = False,
) -> tuple[Leaderboard, Path, dict[str, Recipe]]:
    """Trains recipes one by one; what cannot be compared leaves no folder.

    Args:
        tries: The recipes.
        flags: Those of ``zoo fit``.
        options: Those of the verb.
        clock: The time that there is.
        command: What was typed after ``zoo``.
        finishes: Whether the winner is trained once more, for which time is left.
    """
    for flag, count, least in (
        ("--seeds", options.seeds, 1), ("--folds", options.folds or 1, 1), ("--ensemble", options.ensemble, 0),
    ):  # fmt: skip
        if count < least:
            raise ZooError(f"{flag} is {count}, expected at least {least}")
    recipes = _prepared_as_folds_allow(tries, flags, options, command, leave_out=finishes)
    first = next(iter(recipes.values())).facts
    asked = any(word.partition("=")[0] == "--ensemble" for word in command) and options.ensemble
    if asked and (options.ensemble == 1 or len(tries) < 2 or first.ensemble is None):
        raise ZooError(f"--ensemble {options.ensemble} needs two recipes of pictures, or of forecasters, at least")
    folder = folder_of("comparison", options.out, command)
    later = _later(tries, recipes) if finishes else []
    to_come = (len(recipes) + len(later)) * next(iter(recipes.values())).trainings
    say(f"{len(recipes) + len(later)} recipes, {to_come} trainings; folder {folder}", flush=True)
    prepared = clock.spent
    split = f"{options.folds} fold{'s' if options.folds > 1 else ''} before the test," if first.folds else "validation"
    entries: list[Entry] = []
    try:
        for recipe in chain(list(recipes.values()), _in_turn(later, recipes, flags, options, command, clock)):
            _add(recipe, entries, folder, clock, to_come)
            to_come -= recipe.trainings
            if finishes and entries:
                board = Leaderboard(first.metric, split, entries, first.references)
                each, spent = recipe.trainings // recipe.seeds, clock.spent - prepared
                clock.reserved = _to_finish(board, each, options.ensemble, spent)
        if not entries:
            raise ZooError("the budget did not suffice for a single training; give more with --budget")
        board = Leaderboard(first.metric, split, entries, first.references)
        best = [one for one in board.ranked if recipes[one.name].facts.ensemble is not None][: options.ensemble]
        if len(best) > 1:
            _add(Together([recipes[entry.name] for entry in best], best), entries, folder, Clock(), 1)
    except (KeyboardInterrupt, SystemExit):
        say(f"\nstopped; go on with: {shlex.join(['zoo', *with_out(command, folder)])}")
        raise
    peers = next(iter(recipes.values())).peers()
    return Leaderboard(first.metric, split, entries, first.references, peers), folder, recipes


def _prepared_as_folds_allow(
    tries: Sequence[Try], flags: Sequence[str], options: Namespace, command: Sequence[str], leave_out: bool
) -> dict[str, Recipe]:
    """The same as :func:`_prepared`, with as many folds as a series is long enough for, if nobody says how many."""
    if options.folds is not None:
        return _prepared(tries, flags, options, command, leave_out)
    for options.folds in range(_FOLDS, 1, -1):
        with contextlib.suppress(TooShortError):
            return _prepared(tries, flags, options, command, leave_out, more=True)
    options.folds = 1
    return _prepared(tries, flags, options, command, leave_out)


def _prepared(
    tries: Sequence[Try], flags: Sequence[str], options: Namespace, command: Sequence[str], leave_out: bool,
    more: bool = False,
) -> dict[str, Recipe]:  # fmt: skip
    """Recipes, whose models and data were built once.

    Args:
        tries: The recipes.
        flags: Those of ``zoo fit``.
        options: Those of the verb.
        command: What was typed after ``zoo``.
        leave_out: Go on without those that the data, or a flag, does not suit, and say so; the first that is left is
            enough, since others are prepared when their turn comes.
        more: Whether a series that is too short for as many folds may be cut into fewer.
    """
    recipes: dict[str, Recipe] = {}
    unsuited: dict[str, list[str]] = {}
    for one in tries:
        recipe = Recipe(one, flags, options.seeds, options.folds, command)
        try:
            _check_beside(recipe, recipes)
            recipes[recipe.name] = recipe
            if leave_out:
                break
        except UserError as error:
            shorter = more and isinstance(error, TooShortError)
            if not leave_out or (not recipes and (shorter or one is tries[-1])):
                raise
            unsuited.setdefault(str(error), []).append(one.name)
    _tell_left_out(unsuited)
    return recipes


def _later(tries: Sequence[Try], recipes: Mapping[str, Recipe]) -> Sequence[Try]:
    """What comes after the one recipe that has been prepared."""
    (first,) = recipes.values()
    return tries[list(tries).index(first.one) + 1 :]


def _in_turn(
    later: Sequence[Try], recipes: dict[str, Recipe], flags: Sequence[str], options: Namespace, command: Sequence[str],
    clock: Clock,
) -> Iterator[Recipe]:  # fmt: skip
    """Recipes that are prepared, and joined to the others, when their turn comes, if any time is left then."""
    unsuited: dict[str, list[str]] = {}
    for one in later:
        if clock.share(1) == 0:
            say(f"  {one.name}: not trained, the time was over", flush=True)
            continue
        recipe = Recipe(one, flags, options.seeds, options.folds, command)
        try:
            _check_beside(recipe, recipes)
        except UserError as error:
            unsuited.setdefault(str(error), []).append(one.name)
            continue
        recipes[recipe.name] = recipe
        yield recipe
    _tell_left_out(unsuited)


def _check_beside(recipe: Recipe, recipes: Mapping[str, Recipe]) -> None:
    """Refuses a recipe that cannot be ranked with those that are there."""
    check_alike({name: one.facts for name, one in [*list(recipes.items())[:1], (recipe.name, recipe)]})


def _tell_left_out(unsuited: Mapping[str, Sequence[str]]) -> None:
    """Says which recipes the data, or a flag, does not suit, by the reason."""
    for reason, names in unsuited.items():
        warn(f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} left out: {reason}")


def _add(contender: Contender, entries: list[Entry], folder: Path, clock: Clock, to_come: int) -> None:
    """Trains a contender, and adds what it reached."""
    for _ in contender.train(folder, clock, to_come):
        pass
    entry = contender.entry(folder)
    if entry is None:
        say(f"  {contender.name}: not trained, the time was over", flush=True)
        return
    entries.append(entry)
    figure = f"{contender.facts.metric} {entry.figure:.5g}"
    say(f"  {contender.name}: {figure} in {human_time(entry.seconds)}", flush=True)


def _to_finish(board: Leaderboard, each: int, members: int, spent: float) -> float:
    """Seconds that the mean of the best takes, and then the winner, or all of the members, trained on everything.

    Args:
        board: What has been trained.
        each: Trainings of each.
        members: How many make the mean.
        spent: Seconds of all trainings, with what each takes besides.
    """
    besides = max(spent - sum(entry.seconds for entry in board.entries), 0.0) / (each * len(board.entries))
    best = board.ranked[: max(members, 1)]
    return besides * (each + 1) + sum(besides + entry.seconds / each for entry in best)


def _to_use(board: Leaderboard, family: str) -> Entry:
    """The best entry, or one that cannot be told apart from it and is to be trusted more.

    Of forecasters that is the mean of several (Bates and Granger, 1969), of models of tables the cheapest, as few rows
    often favour a large model by chance (Breiman et al., 1984).

    Args:
        board: The leaderboard.
        family: Of the models.
    """
    trusted = {
        "series": [entry for entry in board.entries if entry.recipes],
        "tabular": board.entries,
    }.get(family, ())
    for entry in trusted:
        gap = board.from_best(entry)
        if entry is board.best or (gap is not None and gap.is_noise):
            return entry
    return board.best


def _on_everything(
    best: Entry, recipes: Sequence[Recipe], folder: Path, flags: Sequence[str], command: Sequence[str], fit_on: str
) -> Path:
    """Trains the winner on everything, for as long as was best; measures it if test rows are left.

    Args:
        best: The winner.
        recipes: Its recipe; an ensemble has several.
        folder: Of the run to be.
        flags: Those of ``zoo fit``.
        command: What was typed after ``zoo``.
        fit_on: What everything is: ``all``, or ``known``, which leaves test rows.
    """
    if "fit" in read_results(folder):
        return folder
    if len(recipes) == 1:
        one = recipes[0].one
        seed = registry.read_yaml(best.run / "config.yaml")["seed_everything"]
        more = [f"--data.fit_on={fit_on}", f"--seed_everything={seed}", "--figures=false"]
        more += [f"--epochs_of={best.run}"] if recipes[0].facts.chooses else []
        target = resolve("auto", [one.recipe, *ONE_DEVICE, *without(flags, *DURATION), *one.flags, *more])
        cli = ZooCLI(target.args, "fit", target.recipe, folder, quiet=True)
    else:
        place = best.run.parent.parent
        runs = []
        for recipe in recipes:
            entry = dataclasses.replace(best, name=recipe.name, run=place / recipe.name / best.run.name)
            runs.append(_on_everything(entry, [recipe], folder / "members" / recipe.name, flags, command, fit_on))
        cli = ensemble_of(runs, folder, recipes[0].facts, command)
    folder.mkdir(parents=True, exist_ok=True)
    write_results(folder, cli.recipe, {"command": shlex.join(["zoo", *command])})
    write_results(folder, cli.recipe, cli.run(then_test=fit_on == "known"))
    return folder


def _show(board: Leaderboard, folder: Path | None) -> None:
    """Prints the leaderboard, and writes it as a table and a picture."""
    show_table(board.table())
    better = "higher" if measure(board.metric).higher_is_better else "lower"
    say(f"{board.metric}: {better} is better; within noise: not told apart from the best with 95% confidence")
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    rows = ([row[column] for column in COLUMNS] for row in board.rows())
    write_csv(folder / "leaderboard.csv", COLUMNS, rows, safe=False)
    picture = folder / "figures" / "leaderboard.png"
    picture.parent.mkdir(exist_ok=True)
    write_figure(picture, board.draw())
    say(f"table     {folder / 'leaderboard.csv'}\npicture   {picture}")
