"""``zoo fit``, ``zoo validate`` and ``zoo test``: a recipe, a YAML file or a run folder, and any flags."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from zoo import registry, weights
from zoo.commands.origin import find_checksums
from zoo.errors import ZooError
from zoo.registry import read_results
from zoo.terminal import say
from zoo.text.projector import check_embedding, write_embedding
from zoo.training.cli import ZooCLI
from zoo.training.learnt_from import tell_changes
from zoo.training.run_folder import write_results
from zoo.training.trust import RunConfiguration

_SWITCHES = ("--quiet", "--test", "--trust", "--projector")
# Figures that go into results and cards are measured on one device, however many trained.
ONE_DEVICE = ("--trainer.devices=1", "--trainer.num_nodes=1", "--trainer.strategy=auto")


@dataclass
class Target:
    """What a verb works on.

    Attributes:
        recipe: Name that run folder and card carry.
        args: LightningCLI arguments.
        run: The run folder named, if one was.
        quiet: Show nothing but the result.
        test: Measure on the test split after training.
        trust: Whether run folders may name classes from outside the zoo.
        projector: Show the embedding of the best weights in TensorBoard's projector.
    """

    recipe: str
    args: list[str]
    run: Path | None
    quiet: bool
    test: bool
    trust: bool
    projector: bool

    @property
    def checkpoint(self) -> Path | None:
        """The checkpoint that the arguments name, the last one winning."""
        found = None
        for position, argument in enumerate(self.args):
            flag, _, value = argument.partition("=")
            if flag == "--ckpt_path":
                found = value or (self.args[position + 1] if position + 1 < len(self.args) else "")
        return Path(found) if found else None


def resolve(verb: str, argv: list[str]) -> Target:
    """Reads the first argument: a recipe's name, a YAML file, a run folder, or already a LightningCLI flag.

    Raises:
        ZooError: It is none of these.
    """
    given = [argument for argument in argv if argument not in _SWITCHES]
    quiet, test, trust, projector = (switch in argv for switch in _SWITCHES)
    if not given:
        raise ZooError(f"'zoo {verb}' needs a recipe, a YAML file or a run folder; 'zoo list' shows the recipes")
    if projector and verb != "fit":
        raise ZooError(
            f"--projector is for zoo fit, which writes the embedding of what it trained; 'zoo {verb}' does not"
        )
    first, *flags = given
    if verb in ("validate", "test"):
        flags = [*ONE_DEVICE, *flags]
    path = Path(first)
    run = None
    if first.startswith("-"):
        names = [argument for argument in given if argument in registry.list_recipes()]
        if names:
            raise ZooError(f"the recipe comes first: zoo {verb} {names[0]} {first} ...")
        return Target("custom", given, None, quiet, test, trust, projector)
    if first in registry.list_recipes():
        name, config = first, registry.recipe(first).path
    elif (path / "config.yaml").is_file():
        name, config, run = path.resolve().parent.name, path / "config.yaml", path
        name = read_results(path).get("recipe", name)
        if not trust:
            RunConfiguration(registry.read_yaml(config), config).check()
        # Where its writer kept runs says nothing here.
        flags = ["--trainer.default_root_dir=null", *flags]
    elif path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise ZooError(f"no file {path}; 'zoo show NAME --recipe > {path}' makes one from a recipe")
        _check_sections(path)
        name, config = path.stem, path
    elif path.is_dir():
        raise ZooError(f"{path} is no run folder: it holds no config.yaml")
    else:
        config = registry.recipe(first).path
    return Target(name, ["--config", str(config), *flags], run, quiet, test, trust, projector)


def _check_sections(path: Path) -> None:
    """Says what is wrong with a file, or with what it says of trainer, model and data."""
    content = registry.read_yaml(path)
    for key, example in (("trainer", "{max_epochs: 10}"), ("model", "CNN"), ("data", "Digits")):
        value = content.get(key, {})
        if not isinstance(value, dict) and not (isinstance(value, str) and key != "trainer"):
            raise ZooError(f"{path} has {key} {value!r}, expected settings by name, such as {key}: {example}")


def fit(argv: list[str]) -> int:
    """Trains a recipe, or goes on with a run; leaves one folder.

    Every setting of the recipe is a flag. Also: --quiet (print only the result), --test (measure the best checkpoint on
    the test split, too), --projector (show the embedding of words in TensorBoard's projector), --trust (the run folder
    may name classes from outside the zoo), --traceback.
    """
    target = resolve("fit", argv)
    folder = _continued_run(target.checkpoint)
    if target.run is not None and target.checkpoint is None:
        folder, last = target.run, target.run / "checkpoints" / "last.ckpt"
        if any(last.parent.glob("*.ckpt")):
            target.args += ["--ckpt_path", str(last)]
        # Otherwise it was ended before the first checkpoint was written, and begins again.
    cli = ZooCLI(target.args, "fit", target.recipe, folder, target.quiet, description=fit.__doc__, trust=target.trust)
    if target.projector:
        try:
            check_embedding(cli.model)
        except ZooError:
            cli.leave_no_trace()
            raise
    _announce(cli, shlex.join(["zoo", "fit", *argv]))
    try:
        results = cli.run(then_test=target.test)
    except SystemExit:
        if cli.folder is not None and (cli.folder / "checkpoints" / "last.ckpt").is_file():
            _say(f"\nstopped; resume with: zoo fit {cli.folder}")
        raise
    _report(cli, results)
    if target.projector:
        _project(cli)
    return 0


@rank_zero_only
def _project(cli: ZooCLI) -> None:
    if cli.folder is not None:
        write_embedding(weights.load(cli.folder), cli.folder)
        if not cli.quiet:
            say(f"projector tensorboard --logdir {cli.folder}   (tab PROJECTOR)")


def validate(argv: list[str]) -> int:
    """Measures published weights, a run or --ckpt_path on the validation split. Also: --quiet, --trust, --traceback."""
    return _evaluate("validate", argv)


def test(argv: list[str]) -> int:
    """Measures published weights, a run or --ckpt_path on the test split. Also: --quiet, --trust, --traceback."""
    return _evaluate("test", argv)


def _evaluate(verb: str, argv: list[str]) -> int:
    target = resolve(verb, argv)
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
    description = (validate if verb == "validate" else test).__doc__
    cli = ZooCLI(target.args, verb, target.recipe, target.run, target.quiet, description=description)
    if published is not None:
        weights.fill(cli.model, weights.load_published(published).state_dict(), published)
    _report(cli, cli.run())
    measured = str(published or target.checkpoint)
    tell_changes(str(published or target.run or measured), find_checksums(measured), cli.datamodule)
    return 0


def _continued_run(checkpoint: Path | None) -> Path | None:
    """The run that a ``last.ckpt`` belongs to: resuming goes on in its folder."""
    if checkpoint is None or checkpoint.name != "last.ckpt":
        return None
    run = checkpoint.parent.parent
    return run if (run / "config.yaml").is_file() else None


@rank_zero_only
def _say(text: str) -> None:
    say(text, flush=True)


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
def _report(cli: ZooCLI, results: dict[str, Any]) -> None:
    if cli.folder is None:
        return
    write_results(cli.folder, cli.recipe, results)
    for verb, figures in results.items():
        if not isinstance(figures, dict):
            continue
        line = "  ".join(
            f"{name} {value:.5g}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
        )
        say(f"{verb:9s} {line}")
    if not cli.quiet:
        if cli.trainer.world_size > 1:
            say(f"measure   zoo test {cli.folder}   (on one device)")
        say(f"run       {cli.folder}")
        for picture in sorted((cli.folder / "figures").glob("*.png")):
            say(f"picture   {picture}")
