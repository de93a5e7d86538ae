"""What ``zoo fit``, ``zoo validate`` and ``zoo test`` do, for the command line and for Python alike."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import LightningDataModule
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only

from zoo import registry, weights
from zoo.errors import ZooError
from zoo.measures import measure as measure_of
from zoo.registry import read_results
from zoo.terminal import say
from zoo.training.cli import ZooCLI
from zoo.training.run_folder import write_results
from zoo.training.target import Target

# Of more parts of the data not all are told.
_PARTS = 20


def build(
    target: Target,
    data: LightningDataModule | None = None,
    callbacks: Sequence[Callback] = (),
    description: str | None = None,
    new_folder: Path | None = None,
) -> ZooCLI:
    """Builds what a training takes; a run goes on from its last checkpoint, in its folder.

    Args:
        target: What to train.
        data: A data module to train on in place of what the target says.
        callbacks: More callbacks than the recipe's.
        description: What the verb's help says.
        new_folder: Folder for a new run, if it is made already.
    """
    folder = new_folder or _continued_run(target.checkpoint)
    if target.run is not None and target.checkpoint is None:
        folder, last = target.run, target.run / "checkpoints" / "last.ckpt"
        if any(last.parent.glob("*.ckpt")):
            target.args += ["--ckpt_path", str(last)]
        # Otherwise it was ended before the first checkpoint was written, and begins again.
    is_new = new_folder is not None
    return ZooCLI(
        target.args, "fit", target.recipe, folder, target.quiet, callbacks, description, data, is_new, target.trust
    )


def _continued_run(checkpoint: Path | None) -> Path | None:
    """The run that a ``last.ckpt`` belongs to: resuming goes on in its folder."""
    if checkpoint is None or checkpoint.name != "last.ckpt":
        return None
    run = checkpoint.parent.parent
    return run if (run / "config.yaml").is_file() else None


def train(cli: ZooCLI, command: str, then_test: bool = False) -> dict[str, Any]:
    """Trains what :func:`build` built, and writes the results into the run's folder.

    Args:
        cli: What was built.
        command: What began it, for ``results.json``.
        then_test: Measure the best checkpoint on the test split, too.

    Returns:
        The results.

    Raises:
        ZooError: Nothing is left to measure on.
    """
    if then_test and getattr(cli.datamodule, "fit_on", "train") == "all":
        cli.leave_no_trace()
        raise ZooError("--data.fit_on all trains on everything and leaves nothing for --test; leave one of them out")
    _announce(cli, command)
    results = cli.run(then_test)
    _keep(cli, results)
    return results


def measure(
    verb: str, target: Target, data: LightningDataModule | None = None, description: str | None = None
) -> tuple[ZooCLI, dict[str, Any]]:
    """Measures published weights, a run's best checkpoint, or the one that is named, on a split.

    Args:
        verb: ``validate`` or ``test``.
        target: What to measure.
        data: A data module to measure on in place of what the target says.
        description: What the verb's help says.

    Returns:
        What was built to measure, and the results, which are written into the run's folder.

    Raises:
        ZooError: There is nothing to measure.
    """
    if target.run is not None and target.checkpoint is None:
        target.args += ["--ckpt_path", str(weights.best_checkpoint(target.run))]
    asks_only = {"--help", "-h", "--print_config"} & {argument.partition("=")[0] for argument in target.args}
    published = None
    if target.checkpoint is None and not asks_only:
        published = registry.CHECKPOINTS / target.recipe
        if not (published / "card.json").is_file():
            raise ZooError(
                f"nothing is published of '{target.recipe}' to {verb}; name a run folder (zoo {verb} runs/...) "
                "or a checkpoint (--ckpt_path FILE)"
            )
    cli = ZooCLI(target.args, verb, target.recipe, target.run, target.quiet, (), description, data)
    if published is not None:
        weights.fill(cli.model, weights.load_published(published).state_dict(), published)
    results = cli.run()
    _keep(cli, results)
    return cli, results


@rank_zero_only
def _keep(cli: ZooCLI, results: dict[str, Any]) -> None:
    if cli.folder is not None:
        write_results(cli.folder, cli.recipe, results)


@rank_zero_only
def _announce(cli: ZooCLI, command: str) -> None:
    if cli.folder is not None and "command" not in read_results(cli.folder):
        timed = {"ms_a_step": cli.step_times} if cli.step_times else {}
        begun = {"init_from": cli.start._asdict()} if cli.start is not None else {}
        write_results(cli.folder, cli.recipe, {"command": command, **timed, **begun})
    if not cli.quiet:
        count = sum(parameter.numel() for parameter in cli.model.parameters())
        name = type(cli.model).__name__
        say(
            f"{cli.recipe}: {name}, {count:,} parameters; run folder {cli.folder or '(none: fast_dev_run)'}", flush=True
        )
        if cli.start is not None:
            say(str(cli.start), flush=True)
        if cli.tf32 and cli.trainer.precision == "32-true":
            say("float32 products are rounded to TF32, 10 bits; --tf32 false computes all 23", flush=True)
        if cli.duration is not None:
            epochs, _, origin = cli.duration
            say(
                f"training on everything for {epochs} epochs, as many as the best checkpoint of {origin} had",
                flush=True,
            )


@rank_zero_only
def report(cli: ZooCLI, results: dict[str, Any]) -> None:
    """Says what came of a run, and where it lies."""
    if cli.folder is None:
        return
    for verb, figures in results.items():
        if verb in ("fit", "validate", "test"):
            say(f"{verb:9s} {_line(figures)}")
            _say_each(results.get(f"{verb}_of_each", {}))
    _say_beside(cli, results)
    if not cli.quiet:
        if cli.trainer.world_size > 1:
            say(f"measure   zoo test {cli.folder}   (on one device)")
        say(f"run       {cli.folder}")
        for picture in sorted((cli.folder / "figures").glob("*.png")):
            say(f"picture   {picture}")
        for table in sorted((cli.folder / "figures").glob("*.csv")):
            say(f"table     {table}")


def _line(figures: dict[str, Any]) -> str:
    return "  ".join(
        f"{name} {value:.5g}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
    )


def _say_each(found: dict[str, dict[str, float]]) -> None:
    """Says what was found of each part of the data; of many, of those at both ends of the last figure."""
    ordered = list(found)
    if len(found) > _PARTS:
        ordered = sorted(found, key=lambda name: list(found[name].values())[-1])
        say(f"{'':9s} of {len(found):,}, the best and the worst by {list(found[ordered[0]])[-1]}; results.json has all")
        ordered = [*ordered[: _PARTS // 2], *ordered[-_PARTS // 2 :]]
    width = max(map(len, ordered), default=0)
    for name in ordered:
        say(f"{'':9s} {name:{width}s}  {_line(found[name])}")


def _say_beside(cli: ZooCLI, results: dict[str, Any]) -> None:
    """Says what costs nothing reaches on the split that was measured last, and whether that is better."""
    verb = next((verb for verb in ("test", "validate") if verb in results), None)
    split = {"test": "test", "validate": "val"}.get(verb or "")
    model, data = cli.model, cli.datamodule
    if verb is None or not hasattr(data, "checksums") or getattr(cli.trainer, f"limit_{split}_batches") != 1.0:
        return
    found, reached = model.references(data, split), results[verb].get(model.metric)
    if not found or reached is None:
        return
    if not cli.quiet:
        told = "  ".join(f"{name} {value:.5g}" for name, value in found.items())
        say(f"beside    {told}   ({model.metric} of what costs nothing)")
    higher = measure_of(model.metric).higher_is_better
    best = (max if higher else min)(found, key=found.__getitem__)
    if (found[best] > reached) if higher else (found[best] < reached):
        say(f"worse     than {best}, {model.metric} {found[best]:.5g}, which costs nothing: nothing was learnt")
