"""How long to train on everything, where nothing is left to validate on: as long as early stopping chose elsewhere."""

from pathlib import Path
from typing import NamedTuple

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from zoo import registry
from zoo.errors import ZooError, did_you_mean
from zoo.training.messages import files

_ADVICE = "say how long with --epochs_of RUN or --trainer.max_epochs N"


class Duration(NamedTuple):
    """How long the best checkpoint of a run was trained.

    Attributes:
        epochs: Number of epochs.
        max_epochs: Number of epochs that the run's learning-rate schedule was laid out for.
        origin: The run, in words.
    """

    epochs: int
    max_epochs: int
    origin: str


def chosen_duration(source: str) -> Duration:
    """Reads how long the best checkpoint of a run was trained.

    Args:
        source: A run folder, or the name of published weights.

    Raises:
        ZooError: It is neither, or does not tell.
    """
    if (Path(source) / "config.yaml").is_file():
        origin, training = source, registry.read_results(Path(source)).get("fit")
        if training is None:
            raise ZooError(f"{source} is not trained to its end; go on with: zoo fit {source}")
    elif source in registry.list_models(pretrained=True):
        origin, training = f"the published {source}", registry.card(source).get("training")
    elif len(Path(source).parts) > 1:
        raise ZooError(f"{source} is no run folder: it holds no config.yaml")
    else:
        hint = "" if source in registry.list_recipes() else did_you_mean(source, registry.list_models(pretrained=True))
        raise ZooError(f"nothing published of '{source}' tells how long to train on everything{hint}; {_ADVICE}")
    epochs, max_epochs = (dict(training or {}).get(name) for name in ("best_epoch", "max_epochs"))
    if not isinstance(epochs, int) or not isinstance(max_epochs, int) or epochs < 1:
        raise ZooError(f"{origin} does not tell after which epoch its best checkpoint was written; {_ADVICE}")
    return Duration(epochs, max_epochs, origin)


def plans_to_fit_on_all(args: list[str]) -> bool:
    """Whether a single file says both to train on everything and how long; that of a run does."""
    return any(registry.fits_on_all(file) and "max_epochs" in (file.get("trainer") or {}) for file in files(args))


class StopAfter(Callback):
    """Ends training after some epochs of a learning-rate schedule that is laid out for more.

    Args:
        epochs: How many.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops when they are over."""
        if trainer.current_epoch + 1 >= self.epochs:
            trainer.should_stop = True
