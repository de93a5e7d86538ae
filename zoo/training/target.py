"""What is trained or measured: a recipe, a YAML file or a run folder, and any flags."""

from dataclasses import dataclass
from pathlib import Path

from zoo import registry
from zoo.errors import ZooError
from zoo.registry import read_results
from zoo.training.handed import saved_in
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
        saved = [f"--data.{argument}={place}" for argument, place in saved_in(path).items()]
        flags = ["--trainer.default_root_dir=null", *saved, *flags]
    elif path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise ZooError(f"no file {path}; 'zoo show NAME --recipe > {path}' makes one from a recipe")
        _check_sections(path)
        name, config = path.stem, path
    elif path.is_dir():
        pictures = ", nor of pictures: no folder in it holds any" if verb == "fit" else ""
        raise ZooError(f"{path} is no run folder: it holds no config.yaml{pictures}")
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
