"""``zoo publish``: a run becomes published weights with a card of measured facts."""

import math
import statistics
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from zoo import __version__, registry, weights
from zoo.commands.arguments import Arguments
from zoo.commands.origin import find_checksums
from zoo.errors import ZooError
from zoo.registry import read_results
from zoo.terminal import say
from zoo.training.cli import ZooCLI
from zoo.training.learnt_from import tell_changes
from zoo.training.run_folder import read_metrics, write_results
from zoo.training.target import ONE_DEVICE, resolve

# From so many parameters on the file is worth halving.
LARGE = 1_000_000


def publish(argv: list[str]) -> None:
    """Measures a run's best checkpoint on the test split and writes weights, card and golden tensors.

    Nothing else reads a test split unless it is asked to. Weights of large models are stored in half precision if
    the figure they are judged by does not move. Further runs of the same recipe with other seeds are
    measured, too, and give the card its spread.
    """
    parser = Arguments("publish", publish.__doc__)
    parser.add_argument("run", type=Path, help="folder of the run to publish")
    parser.add_argument("others", type=Path, nargs="*", help="folders of runs with other seeds")
    parser.add_argument("--to", type=Path, default=registry.CHECKPOINTS, help="folder of all published weights")
    parser.add_argument("--overwrite", action="store_true", help="replace what is published under this name")
    options = parser.parse_args(argv)
    for run in (options.run, *options.others):
        if not (run / "config.yaml").is_file():
            raise ZooError(f"{run} is no run folder: it holds no config.yaml")
    runs = [read_results(run) for run in (options.run, *options.others)]
    name = runs[0].get("recipe", "")
    for run, results in zip((options.run, *options.others), runs, strict=True):
        if "fit" not in results:
            raise ZooError(f"{run} is not trained to its end; go on with: zoo fit {run}")
        if results["recipe"] != name:
            raise ZooError(f"{run} is a run of '{results['recipe']}', expected one of '{name}'")
        if weights.best_checkpoint(run).name == "last.ckpt":
            raise ZooError(f"{run} was trained on everything, so nothing is left to measure it on; zoo.load takes it")
    if options.to == registry.CHECKPOINTS:
        registry.recipe(name)
    if not name or name.startswith(".") or Path(name).name != name or "\\" in name:
        raise ZooError(f"{options.run} is a run of {name!r}, which is no name for a folder")
    folder = options.to / name
    if folder.exists() and not options.overwrite:
        raise ZooError(f"{folder} exists; --overwrite replaces it")
    measured = [measure(run, name) for run in (options.run, *options.others)]
    cli, metrics = measured[0]
    seeds = [other.config["seed_everything"] for other, _ in measured]
    if len(set(seeds)) < len(seeds):
        raise ZooError(f"the runs have seeds {seeds}, expected different ones")
    spread = [(other.config["seed_everything"], found) for other, found in measured]
    model, metrics, is_half = in_half_precision(cli, metrics)
    card = make_card(cli, name, options.run, metrics, spread)
    weights.save(model, folder, card, model.golden(cli.datamodule), is_half, borrow=options.to == registry.CHECKPOINTS)
    say(f"published {folder}: " + ", ".join(f"{key} {value:.5g}" for key, value in metrics.items()))


def measure(run: Path, name: str) -> tuple[ZooCLI, dict[str, float]]:
    """Evaluates a run's best checkpoint on the test split, in float32 on one device.

    Returns:
        The command line that holds model and data, and the metrics by name.
    """
    whole = ["--trainer.precision=32-true", "--trainer.limit_test_batches=1.0", *ONE_DEVICE]
    flags = ["--ckpt_path", str(weights.best_checkpoint(run)), *whole]
    cli = ZooCLI(resolve("publish", [str(run), *flags]).args, "test", name, run, quiet=True)
    results = cli.run()
    tell_changes(str(run), find_checksums(str(run)), cli.datamodule)
    write_results(run, name, results)
    return cli, {key: float(f"{value:.7g}") for key, value in results["test"].items()}


def in_half_precision(cli: ZooCLI, metrics: dict[str, float]) -> tuple[Any, dict[str, float], bool]:
    """Rounds a large model, if the figure it is judged by stays what it is; see ``ZooModule.rounding_tolerance``.

    Returns:
        The model to publish, its metrics, and whether it was rounded.
    """
    if sum(parameter.numel() for parameter in cli.model.parameters()) < LARGE:
        return cli.model, metrics, False
    rounded = weights.half(cli.model)
    (found,) = cli.trainer.test(rounded, datamodule=cli.datamodule, verbose=False)
    measured = {key.removeprefix("test_"): float(f"{value:.7g}") for key, value in found.items()}
    same = math.isclose(measured[cli.model.metric], metrics[cli.model.metric], rel_tol=cli.model.rounding_tolerance)
    return (rounded, measured, True) if same else (cli.model, metrics, False)


def make_card(
    cli: ZooCLI, name: str, run: Path, metrics: dict[str, float], spread: list[tuple[int, dict[str, float]]]
) -> dict[str, Any]:
    """Gathers the facts of a card; those of the weights themselves are added by :func:`zoo.weights.save`."""
    metric = cli.model.metric
    calibration = cli.model.calibration(cli.datamodule)
    values = [found[metric] for _, found in spread]
    results = read_results(run)
    return {
        "recipe": name,
        "about": registry.recipe(name).about if name in registry.list_recipes() else "",
        "family": type(cli.model).__module__.split(".")[1],
        "metric": metric,
        "metrics": metrics,
        **({"calibration": calibration} if calibration else {}),
        "measured_with": f"zoo test {name}",
        "seed": cli.config["seed_everything"],
        "seeds": {str(seed): found[metric] for seed, found in spread},
        "seeds_mean": float(f"{statistics.fmean(values):.6g}"),
        "seeds_std": float(f"{statistics.stdev(values):.3g}") if len(values) > 1 else None,
        "classes": getattr(cli.model, "classes", None),
        "data": {
            "class_path": cli.config["data"]["class_path"],
            "init_args": cli.config["data"]["init_args"].as_dict(),
            "source": cli.datamodule.source,
            **({"checksums": results["data"]} if "data" in results else {}),
        },
        "trained_with": results.get("command", f"zoo fit {name} --seed_everything {cli.config['seed_everything']}"),
        **({"init_from": results["init_from"]} if "init_from" in results else {}),
        "training": results["fit"],
        "validation": validation(run, results["fit"].get("best_epoch")),
        "curve": curve(run, f"val_{metric}"),
        "licence": _licence(cli.model, results),
        "versions": {
            "zoo": __version__,
            **{package: version(package) for package in ("torch", "torchvision", "lightning", "torchmetrics")},
        },
        "date": datetime.now(UTC).date().isoformat(),
    }


def validation(run: Path, epoch: int | None) -> dict[str, float]:
    """What a run measured on the validation split in the epoch that its checkpoint is of."""
    rows = [row for row in read_metrics(run / "metrics.csv") if any(row[key] for key in row if key.startswith("val_"))]
    of_epoch = [row for row in rows if epoch is None or int(row["epoch"]) + 1 == epoch]
    row: dict[str, str] = of_epoch[-1] if of_epoch else {}
    return {
        key.removeprefix("val_"): float(f"{float(row[key]):.7g}") for key in row if key.startswith("val_") and row[key]
    }


def curve(run: Path, column: str) -> dict[str, list[float]]:
    """How a figure went in a run: steps and values."""
    rows = [(int(row["step"]) + 1, float(row[column])) for row in read_metrics(run / "metrics.csv") if row.get(column)]
    return {"steps": [step for step, _ in rows], column: [float(f"{value:.5g}") for _, value in rows]}


def _licence(model: Any, results: dict[str, Any]) -> str:
    """That of the zoo, and those of published weights which the model began with."""
    starts = {"backbone": model.hparams.get("weights"), "begun with": results.get("init_from", {}).get("name")}
    published = registry.list_models(pretrained=True)
    terms = [f"{part} {name}: {registry.card(name)['licence']}" for part, name in starts.items() if name in published]
    return "; ".join(["Apache-2.0", *terms])
