"""What a model was trained on, as its card or its run folder tells."""

from importlib import import_module
from pathlib import Path
from typing import Any

from lightning import LightningDataModule

from datamodules.arguments import parameters
from datamodules.checksums import Checksum
from datamodules.errors import DataError
from zoo import names, registry
from zoo.errors import ZooError
from zoo.training.beside import load_beside
from zoo.training.handed import saved_in


def _find(name: str) -> tuple[Path, Path]:
    """Where a model lies, and its run folder if it has one."""
    path = Path(name)
    if name in registry.list_models(pretrained=True):
        path = registry.entry(name).folder
    return path, path if path.is_dir() else path.resolve().parent.parent


def find_checksums(name: str) -> dict[str, Checksum]:
    """The checksums of what a model learnt from; none where they are not known.

    Args:
        name: A published model, a run folder or a checkpoint file in one.
    """
    path, run = _find(name)
    if (path / "card.json").is_file():
        content = registry.read_card(path)
        return content.get("data", {}).get("checksums", {})
    return registry.read_results(run).get("data", {})


def find_settings(name: str) -> tuple[Path, dict[str, Any] | None]:
    """Where it says what a model was trained on, and what: a class path and its arguments.

    Args:
        name: A published model, a run folder or a checkpoint file in one.

    Returns:
        The file that tells, and the settings; None for a checkpoint outside of a run.

    Raises:
        ZooError: The file tells nothing.
    """
    path, run = _find(name)
    if (path / "card.json").is_file():
        origin, content = path / "card.json", registry.read_card(path)
    elif (run / "config.yaml").is_file():
        origin, content = run / "config.yaml", registry.read_yaml(run / "config.yaml")
    else:
        return path, None
    section = content.get("data")
    settings = {"init_args": {}, **section} if isinstance(section, dict) else {}
    if not isinstance(settings.get("class_path"), str) or not isinstance(settings["init_args"], dict):
        raise ZooError(f"{origin} does not say what the model was trained on; expected 'data' with a 'class_path'")
    if origin.name == "config.yaml":
        settings["init_args"] |= {argument: str(place) for argument, place in saved_in(run).items()}
    return origin, settings


def find_class(origin: Path, class_path: str, trust: bool = False) -> Any:
    """The data module of a class path, which is imported only if it is the zoo's.

    Args:
        origin: The file that names it.
        class_path: Its path.
        trust: Import it from anywhere.

    Raises:
        ZooError: It is not the zoo's, or not there.
    """
    path = names.in_full(class_path, names.DATA)
    if not path.startswith("datamodules.") and not trust:
        raise ZooError(f"{origin} names {class_path!r}, which may run any code; add --trust if the run is yours")
    module, _, name = path.rpartition(".")
    if trust:
        load_beside(path)
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ZooError(f"{origin} names {class_path!r}, which is not there: {error}") from error


def find_data(name: str, trust: bool = False, **overrides: Any) -> LightningDataModule:
    """Builds the data module that a model was trained on.

    Args:
        name: A published model, a run folder or a checkpoint file in one.
        trust: It may come from outside the zoo.
        **overrides: Arguments that differ from those of the training, such as where the data lies.

    Raises:
        ZooError: What it was trained on is not known, or cannot be built.
        DataError: The data cannot be read.
    """
    origin, settings = find_settings(name)
    if settings is None:
        raise ZooError(f"{name} lies in no run folder, so what it was trained on is not known")
    kind = find_class(origin, settings["class_path"], trust)
    if not (isinstance(kind, type) and issubclass(kind, LightningDataModule)):
        raise ZooError(f"{origin} names {settings['class_path']!r}, which is no data module")
    for argument in overrides.keys() - parameters(kind).keys():
        raise ZooError(f"{kind.__name__} takes no '{argument}'; leave out --{argument}")
    try:
        return kind(**{**settings["init_args"], **overrides})
    except DataError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise ZooError(f"{origin} does not say what {name} was trained on ({error})") from error
