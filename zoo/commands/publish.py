"""``zoo publish``: a run becomes published weights with a card of measured facts."""

import statistics
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from zoo import __version__, registry, weights
from zoo.commands.arguments import Arguments
from zoo.errors import ZooError
from zoo.training import ZooCLI, read_results, write_results


def publish(argv: list[str]) -> None:
    """Measures a run's best checkpoint on the test split and writes weights, card and golden tensors.

    This is the one place where a recipe's test split is read. Further runs of the same recipe with other seeds are
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
    name = read_results(options.run).get("recipe") or options.run.resolve().parent.name
    folder = options.to / name
    if folder.exists() and not options.overwrite:
        raise ZooError(f"{folder} exists; --overwrite replaces it")
    measured = [measure(run, name) for run in (options.run, *options.others)]
    cli, metrics = measured[0]
    spread = [(other.config["seed_everything"], found) for other, found in measured]
    card = make_card(cli, name, options.run, metrics, spread)
    weights.save(cli.model, folder, card, cli.model.golden(cli.datamodule))
    print(f"published {folder}: " + ", ".join(f"{key} {value:.5g}" for key, value in metrics.items()))


def measure(run: Path, name: str) -> tuple[ZooCLI, dict[str, float]]:
    """Evaluates a run's best checkpoint on the test split, in float32 on one device.

    Returns:
        The command line that holds model and data, and the metrics by name.
    """
    flags = ["--trainer.precision", "32-true", "--trainer.devices", "1", "--trainer.strategy", "auto"]
    args = ["--config", str(run / "config.yaml"), "--ckpt_path", str(weights.best_checkpoint(run)), *flags]
    cli = ZooCLI(args, "test", name, run, quiet=True)
    results = cli.run()
    write_results(run, name, results)
    return cli, {key: float(f"{value:.6g}") for key, value in results["test"].items()}


def make_card(
    cli: ZooCLI, name: str, run: Path, metrics: dict[str, float], spread: list[tuple[int, dict[str, float]]]
) -> dict[str, Any]:
    """Gathers the facts of a card; those of the weights themselves are added by :func:`zoo.weights.save`."""
    metric = cli.model.metric
    values = [found[metric] for _, found in spread]
    training = read_results(run).get("fit", {})
    return {
        "recipe": name,
        "family": type(cli.model).__module__.split(".")[1],
        "metric": metric,
        "metrics": metrics,
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
        },
        "trained_with": f"zoo fit {name} --seed_everything {cli.config['seed_everything']}",
        "training": training,
        "licence": "Apache-2.0",
        "versions": {
            "zoo": __version__,
            **{package: version(package) for package in ("torch", "torchvision", "lightning", "torchmetrics")},
        },
        "date": datetime.now(UTC).date().isoformat(),
        "dtype": str(next(cli.model.parameters()).dtype).removeprefix("torch.") if _has_parameters(cli.model) else None,
    }


def _has_parameters(model: torch.nn.Module) -> bool:
    return next(model.parameters(), None) is not None
