"""How a model begins: as its recipe says, and with what fits of any other weights.

A tensor fits one of the same name and shape. Rows that stand for tokens, classes or steps ahead, as models declare by
:meth:`ZooModule.rows`, are matched by these names, never by their places. Facts of the data, which no training makes,
stay as they are.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from zoo import registry, weights
from zoo.base.gradient_free import GradientFree
from zoo.base.module import ZooModule
from zoo.base.rows import Rows
from zoo.errors import ZooError, listed

_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}


def create(name: str, *, init_from: str | os.PathLike[str] | None = None, **overrides: Any) -> ZooModule:
    """Builds the untrained model of a recipe.

    Args:
        name: Name of the recipe.
        init_from: Weights to begin with as far as they fit: see :func:`begin`.
        **overrides: Constructor arguments of the model that differ from the recipe's, such as ``num_classes=5``.

    Returns:
        The model with fresh weights, but for a backbone that it begins with and what it takes of others. Facts of the
        recipe's data (class names, mean, tokenizer, ...) are those of what is published, if anything is, else the
        model's defaults.

    Raises:
        ZooError: There is no such recipe or argument, or nothing to begin with.
    """
    recipe = registry.recipe(name)
    described = recipe.card["model"] if recipe.card else recipe.config["model"]
    arguments = {**described.get("init_args", {}), **overrides}
    if "num_classes" in overrides and "classes" not in overrides:
        arguments.pop("classes", None)
    if recipe.card and "vocab_size" in arguments and not {"vocab_size", "tokenizer"} & overrides.keys():
        # A tokenizer is no argument that a card would list, but a part of the weights.
        published: Any = weights.load_published(recipe.folder)
        arguments["tokenizer"] = published.tokenizer.json
    model = weights.build(described["class_path"], arguments)
    if init_from is not None:
        rank_zero_info(str(begin(model, init_from)))
    return model


class Start(NamedTuple):
    """What a model began with.

    Attributes:
        name: Of the weights, as their user calls them.
        holds: The class of the model that they are of; none of bare tensors.
        sha256: Of their file.
        taken: Layers that were taken as they were, and how many rows of which others.
        fresh: Layers of the model that were not in the weights.
        left: Layers of the weights that are not in the model.
    """

    name: str
    holds: str | None
    sha256: str
    taken: list[str]
    fresh: list[str]
    left: list[str]

    def __str__(self) -> str:
        """One line."""
        taken, fresh, left = (listed(layers) or "nothing" for layers in (self.taken, self.fresh, self.left))
        return f"begins with {self.name} ({self.holds or 'tensors'}): took {taken}; fresh {fresh}; left {left}"


class _Origin(NamedTuple):
    """Weights to begin with.

    Attributes:
        name: As their user calls them.
        sha256: Of their file.
        state: The tensors by name, without facts of the data where these are known.
        model: The model that they are of; None of bare tensors, whose rows nobody can name.
    """

    name: str
    sha256: str
    state: Mapping[str, Tensor]
    model: ZooModule | None


class _Match(NamedTuple):
    """Rows of two parameters that stand for the same.

    Attributes:
        rows: Those of the model.
        here: Their places in the model.
        there: Their places in the weights.
        left: How many rows of the weights stand for what the model does not know.
    """

    rows: Rows
    here: list[int]
    there: list[int]
    left: int

    def __str__(self) -> str:
        """How many there are."""
        return f"{len(self.here) - self.rows.after:,} of {len(self.rows.names):,} {self.rows.of}"


def begin(model: ZooModule, name: str | os.PathLike[str]) -> Start:
    """Puts into a model what fits of other weights.

    Args:
        model: The model, built for its own data. It must learn by gradients.
        name: Published weights, or their folder; the folder of a run, whose best checkpoint is taken; or a file:
            ``.ckpt``, or ``.safetensors``. Of bare tensors, which no class describes, nothing is taken whose rows
            stand for something.

    Raises:
        ZooError: There are no such weights, they are damaged or of another wing, or nothing of them fits.
    """
    if isinstance(model, GradientFree) or not any(True for _ in model.parameters()):
        raise ZooError(f"{type(model).__name__} learns without gradients, so it can begin with no weights; train it")
    # Models that are built only to be read draw no random numbers from whoever builds this one.
    with torch.random.fork_rng(devices=[]):
        origin = _find(str(name))
    _check_wing(model, origin)
    own = _learnt(model)
    whole, matched = _fitting(model, own, origin)
    if not {key for key, _ in model.named_parameters()} & (whole | matched.keys()):
        holds, expected = (listed(_shapes(state), 3) or "nothing" for state in (origin.state, own))
        told = f"nothing in {name} fits {type(model).__name__}: it holds {holds}; expected {expected}"
        raise ZooError(told + _difference(model, origin))
    for key in [*whole, *matched]:
        if not origin.state[key].isfinite().all():
            raise ZooError(f"{name} is no start: its {key} holds values that are NaN or infinite; nothing was taken")
    for key in whole:
        own[key].copy_(origin.state[key])
    for key, match in matched.items():
        rows = origin.state[key].index_select(match.rows.axis, torch.tensor(match.there))
        own[key].index_copy_(match.rows.axis, torch.tensor(match.here, device=own[key].device), rows.to(own[key]))
    return Start(
        origin.name,
        None if origin.model is None else type(origin.model).__name__,
        origin.sha256,
        [*_layers(whole, own), *_told(matched, own)],
        _layers(own.keys() - whole - matched.keys(), own),
        [*_layers(origin.state.keys() - whole - matched.keys(), origin.state), *_left(matched)],
    )


def _find(name: str) -> _Origin:
    """Reads weights from wherever they are."""
    path = weights.locate(name)
    if path.name == "model.safetensors" and (path.parent / "card.json").is_file():
        path = path.parent
    if path.is_dir():
        model = weights.load_published(path)
        return _Origin(name, registry.read_card(path)["sha256"], _learnt(model), model)
    if path.suffix == ".safetensors":
        return _Origin(name, _sha256(path), weights.read_safetensors(path), None)
    checkpoint = weights.read_checkpoint(path)
    if "class_path" in checkpoint:
        model = weights.rebuild(checkpoint, path)
        return _Origin(name, _sha256(path), _learnt(model), model)
    tensors = {key: value for key, value in checkpoint["state_dict"].items() if isinstance(value, Tensor)}
    return _Origin(name, _sha256(path), tensors, None)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_wing(model: ZooModule, origin: _Origin) -> None:
    """Refuses weights of a model for another kind of data: that a name and a shape are the same is chance there."""
    if origin.model is not None and _wing(origin.model) != _wing(model):
        raise ZooError(
            f"{origin.name} holds a {type(origin.model).__name__} of {_wing(origin.model)}, which "
            f"{type(model).__name__} of {_wing(model)} cannot begin with; 'zoo list --pretrained' shows what there is"
        )


def _wing(model: ZooModule) -> str:
    """The wing that a model lives in, or that of the base of a user's own model."""
    rooms = (kind.__module__.split(".") for kind in type(model).__mro__)
    return next((room[1] for room in rooms if room[0] == "zoo" and room[1] != "base"), "none")


def _learnt(model: ZooModule) -> dict[str, Tensor]:
    """What training makes of a model: its state without the facts of its data."""
    return {key: value for key, value in model.state_dict().items() if key.startswith(model.learnt)}


def _fitting(model: ZooModule, own: Mapping[str, Tensor], origin: _Origin) -> tuple[set[str], dict[str, _Match]]:
    """The keys of what can be taken as it is, and of what is taken row by row."""
    mine, theirs = model.rows(), {} if origin.model is None else origin.model.rows()
    whole, matched = set(), {}
    for key, tensor in own.items():
        other = origin.state.get(key)
        if other is None or not _same_kind(tensor, other):
            continue
        if key in mine and key in theirs:
            if (match := _match(mine[key], theirs[key], tensor, other)) is not None:
                matched[key] = match
        elif key not in mine and key not in theirs and tensor.shape == other.shape:
            whole.add(key)
    alone = _without_kernel(own, whole | matched.keys())
    return whole - alone, {key: match for key, match in matched.items() if key not in alone}


def _without_kernel(own: Mapping[str, Tensor], fitting: Set[str]) -> set[str]:
    """The keys of layers of whose tensors the largest do not fit.

    A bias means nothing without its kernel, nor does the count of batches without the means over them.
    """
    layers: dict[str, list[str]] = {}
    for key in own:
        layers.setdefault(key.rpartition(".")[0], []).append(key)
    found: set[str] = set()
    for members in layers.values():
        most = max(own[key].ndim for key in members)
        if not any(key in fitting for key in members if own[key].ndim == most):
            found.update(members)
    return found


def _same_kind(tensor: Tensor, other: Tensor) -> bool:
    """Whether one can be copied into the other and mean the same."""
    alike = tensor.dtype == other.dtype or {tensor.dtype, other.dtype} <= _FLOATS
    return alike and other.layout == torch.strided and tensor.ndim == other.ndim


def _match(mine: Rows, theirs: Rows, tensor: Tensor, other: Tensor) -> _Match | None:
    """The rows that stand for the same; None if there are none, or they are of different lengths."""
    axis, after = mine.axis, mine.after
    if (mine.of, axis, after) != (theirs.of, theirs.axis, theirs.after):
        return None
    # Of a model without a tokenizer nobody knows what its rows stand for.
    if any(len(rows.names) + after != one.shape[axis] for rows, one in ((mine, tensor), (theirs, other))):
        return None
    if [*tensor.shape[:axis], *tensor.shape[axis + 1 :]] != [*other.shape[:axis], *other.shape[axis + 1 :]]:
        return None
    places = {name: place for place, name in enumerate(theirs.names, after)}
    pairs = [(place, place) for place in range(after)]
    pairs += [(place, places[name]) for place, name in enumerate(mine.names, after) if name in places]
    if not pairs:
        return None
    here, there = map(list, zip(*pairs, strict=True))
    return _Match(mine, here, there, len(places.keys() - set(mine.names)))


def _told(matched: Mapping[str, _Match], own: Mapping[str, Tensor]) -> list[str]:
    """How many rows were taken, told once for all layers where they are as many."""
    found: dict[str, list[str]] = {}
    for key, match in matched.items():
        found.setdefault(str(match), []).append(key)
    return [f"{count} of {' and '.join(_layers(keys, own))}" for count, keys in found.items()]


def _left(matched: Mapping[str, _Match]) -> list[str]:
    """How many rows were left."""
    return list(dict.fromkeys(f"{match.left:,} {match.rows.of}" for match in matched.values() if match.left))


def _difference(model: ZooModule, origin: _Origin) -> str:
    """In which sizes a model differs from the one that weights are of, if it is of the same class."""
    if type(origin.model) is not type(model):
        return ""
    here, there = model.hparams, origin.model.hparams
    sizes = [name for name, value in here.items() if isinstance(value, int) and not isinstance(value, bool)]
    different = [f"{name} {there[name]} (here {here[name]})" for name in sizes if here[name] != there.get(name)]
    return f"; they differ in {listed(different)}" if different else ""


def _shapes(state: Mapping[str, Tensor]) -> list[str]:
    return [f"{key} {tuple(value.shape)}" for key, value in state.items()]


def _layers(some: Iterable[str], known: Iterable[str]) -> list[str]:
    """Keys, in the order of all that are known; a whole layer, or block of layers, by its own name.

    Args:
        some: Keys.
        known: All there are, these among them.
    """
    some = set(some)
    ordered = list(known)
    counts, chosen = (Counter(start for key in keys for start in _starts(key)) for keys in (ordered, some))
    named = (next(start for start in _starts(key) if counts[start] == chosen[start]) for key in ordered if key in some)
    return list(dict.fromkeys(named))


def _starts(key: str) -> Iterator[str]:
    """A key's beginnings, from the shortest on: the modules that it lies in, and itself."""
    parts = key.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))
