"""What contenders must have in common to be ranked, and what costs nothing beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datamodules.series.series import Series
from zoo.base.classification import Classification
from zoo.errors import ZooError
from zoo.series.forecaster import Forecaster
from zoo.vision.inputs import ImageInputs


@dataclass(frozen=True)
class Facts:
    """What must agree between contenders, and what they are measured beside.

    Attributes:
        metric: Figure that the model is judged by.
        data: What the validation and the test split hold, by checksum.
        folds: Whether the data is a series, which is forecast fold by fold.
        parameters: Number of parameters of the model.
        chooses: Whether validation chooses anything of the model, such as when to stop.
        horizon: How many steps of a series are forecast; None of anything else.
        has_peers: Whether models of others are measured beside them, as of tables.
        references: What costs nothing, in validation and on the test split.
        pieces: What is held out of each fold, likewise.
        ensemble: Path of the class that such models answer together by; None if there is none.
    """

    metric: str
    data: Mapping[str, str]
    folds: bool
    parameters: int
    references: Mapping[str, tuple[float, float | None]]
    pieces: Sequence[Mapping[str, str]] = ()
    ensemble: str | None = None
    chooses: bool = True
    horizon: int | None = None
    has_peers: bool = False


def check_alike(facts: Mapping[str, Facts]) -> None:
    """Refuses to rank what was measured by other figures or on other data.

    Args:
        facts: Those of each contender, by name.

    Raises:
        ZooError: Two of them differ.
    """
    (first, one), *others = facts.items()
    for name, other in others:
        if other.metric != one.metric:
            raise ZooError(f"{first} is judged by {one.metric}, {name} by {other.metric}; expected the same figure")
        if other.horizon != one.horizon:
            raise ZooError(
                f"{first} forecasts {one.horizon} steps, {name} {other.horizon}; compare them with the same "
                "--data.horizon"
            )
        splits = [split for split in one.data if split in other.data and one.data[split] != other.data[split]]
        if splits:
            raise ZooError(
                f"{first} and {name} have different data in {' and '.join(splits)}; compare them on the same data and "
                "splits, such as with --data.root or --data.path"
            )


def ensemble_class(model: Any) -> str | None:
    """Path of the class by which models like this answer together; None if there is none."""
    if isinstance(model, Forecaster):
        return "zoo.series.ForecastEnsemble" if model.output == "vector" else None
    if isinstance(model, ImageInputs) and isinstance(model, Classification) and model.image_size:
        return "zoo.vision.ImageEnsemble"
    return None


def held_out(data: Any) -> dict[str, str]:
    """What the validation and the test split hold, by checksum, where data tells that."""
    sums = data.checksums() if hasattr(data, "checksums") else {}
    return {split: sums[split]["sha256"] for split in ("val", "test") if split in sums}


def references_of(model: Any, data: Any, folds: Sequence[Series]) -> dict[str, tuple[float, float | None]]:
    """What costs nothing, in validation, which is fold by fold if there are folds, and on the test split."""
    tests = model.references(data, "test")
    if not folds:
        return {name: (value, tests.get(name)) for name, value in model.references(data, "val").items()}
    found = [model.references(fold, "test") for fold in folds]
    rows = [len(fold.periods["test"]) - fold.horizon + 1 for fold in folds]
    return {
        name: (sum(one[name] * n for one, n in zip(found, rows, strict=True)) / sum(rows), tests.get(name))
        for name in found[0]
        if all(name in one for one in found)
    }
