"""Weights and cards: save, load, verify. The only door through which weights enter or leave.

Nothing loaded here can execute code: published weights are safetensors, Lightning checkpoints are read with
``weights_only=True``, and a class is built only if it is a model of the zoo.
"""

import copy
import hashlib
import io
import json
import os
import pickle
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, TypeVar, overload

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from datamodules.arguments import parameters
from datamodules.errors import UserError
from datamodules.files import naming, write_whole
from zoo import names, registry
from zoo.base.module import ZooModule, unfilled
from zoo.base.processor import find_device
from zoo.errors import ZooError, did_you_mean
from zoo.schemas import fault_of_checkpoint

_SEAL = b"sha256:"

Model = TypeVar("Model", bound=ZooModule)


@overload
def load(name: str | os.PathLike[str], device: str | torch.device = "cpu") -> ZooModule: ...
@overload
def load(name: str | os.PathLike[str], device: str | torch.device = "cpu", *, kind: type[Model]) -> Model: ...
def load(name: str | os.PathLike[str], device: str | torch.device = "cpu", *, kind: type = ZooModule) -> Any:
    """Loads a trained model, ready to use.

    Args:
        name: A published model (``"cnn_fashion_mnist"``), a folder of published weights, the folder of a run (its best
            checkpoint; of one on everything its last), or a Lightning checkpoint file.
        device: Where to put it and let it compute: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto`` for the first
            accelerator, if there is one. What it is given may lie anywhere; what it gives back lies there.
        kind: The class that it must be of, which type checkers then know, too: ``zoo.load(run, kind=CNN)``.

    Returns:
        The model in evaluation mode: a LightningModule that takes raw inputs.

    Raises:
        ZooError: It is not there, is damaged, holds something that is not a model of the zoo, or one of another class;
            or the device is not there.
    """
    device = find_device(device)
    path = locate(name)
    model = load_published(path) if path.is_dir() else load_checkpoint(path)
    if not isinstance(model, kind):
        raise ZooError(f"{name} holds a {type(model).__name__}, expected a {kind.__name__}")
    return model.to(device).eval()


def locate(name: str | os.PathLike[str]) -> Path:
    """Where trained weights lie: a folder with a card, or a file.

    Args:
        name: A published model, a folder of published weights, the folder of a run (its best checkpoint; of one on
            everything its last), or a file.

    Raises:
        ZooError: There is nothing of that name.
    """
    path = Path(name)
    if str(name) in registry.list_models(pretrained=True):
        return registry.entry(str(name)).folder
    if (path / "config.yaml").is_file() and not (path / "card.json").is_file():
        return best_checkpoint(path)
    if (path / "card.json").is_file() or path.is_file():
        return path
    if path.exists() or len(path.parts) > 1 or path.suffix in (".ckpt", ".safetensors"):
        raise ZooError(
            f"no model at {path}; expected a published name, a run folder, a folder with card.json or a .ckpt file"
        )
    raise ZooError(_unknown(str(name)))


def _unknown(name: str) -> str:
    try:
        registry.card(name)
    except ZooError as error:
        return str(error)
    return f"no model '{name}'"


def build(class_path: str, init_args: dict[str, Any]) -> ZooModule:
    """Builds a model from its class path and primitive arguments, importing only modules of the zoo.

    Raises:
        ZooError: The class is not a model of the zoo or does not take these arguments.
    """
    found = names.find(class_path)
    if not (isinstance(found, type) and issubclass(found, ZooModule)):
        raise ZooError(f"refused to build {class_path!r}: it is not a model of the zoo")
    kind: type = found
    taken = parameters(kind)
    unknown = sorted(init_args.keys() - taken.keys())
    if unknown:
        raise ZooError(f"{kind.__name__} takes no argument {unknown[0]!r}{did_you_mean(unknown[0], taken)}")
    try:
        return found(**init_args)
    except UserError:
        raise
    except Exception as error:  # libraries raise anything for an argument that they did not expect
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ZooError(f"{kind.__name__} cannot be built of these arguments ({said})") from error


def describe(model: ZooModule) -> dict[str, Any]:
    """What it takes to rebuild a model: class path and constructor arguments, all primitives."""
    return {
        "class_path": names.path_of(type(model)),
        "init_args": json.loads(json.dumps(dict(model.hparams))),
    }


def half(model: ZooModule) -> Any:
    """A copy whose matrices and kernels are rounded to half precision; what computes stays float32.

    Biases and the statistics of normalisations, which may be large or tiny, are left alone.
    """
    rounded = copy.deepcopy(model)
    for parameter in rounded.parameters():
        if parameter.ndim > 1:
            parameter.data = parameter.data.half().float()
    return rounded


def save(
    model: ZooModule,
    folder: Path,
    card: dict[str, Any],
    golden: dict[str, Tensor],
    half: bool = False,
    borrow: bool = False,
) -> None:
    """Writes published weights: all files or none.

    Args:
        model: The trained model.
        folder: Where to; whatever was there is replaced in one step.
        card: Facts to keep; ``model``, ``parameters``, ``bytes`` and ``sha256`` are added.
        golden: A few inputs; the model's answer is added, so that loading can be checked anywhere.
        half: Store matrices and kernels in half the bytes; the model must be one that :func:`half` returned.
        borrow: Leave out what equals other published weights of the zoo to the last bit; the card says where it is.
    """
    model = model.eval().cpu()
    matrices = {name for name, parameter in model.named_parameters() if parameter.ndim > 1} if half else set()
    state = model.state_dict()
    lenders = {prefix: name for prefix, name in model.borrowed().items() if borrow and _equals(state, prefix, name)}
    kept = {key: value for key, value in state.items() if not key.startswith(tuple(lenders))}
    weights = save_safetensors(
        {key: (value.half() if key in matrices else value).contiguous() for key, value in kept.items()}
    )
    golden_file = save_safetensors({**golden, "answer": model.answer(golden).clone()})
    card = {
        **card,
        "dtype": "float16" if half else "float32",
        "model": describe(model),
        "borrows": {
            prefix: {"from": name, "sha256": registry.card(name)["sha256"]} for prefix, name in lenders.items()
        },
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "bytes": len(weights),
        "sha256": hashlib.sha256(weights).hexdigest(),
        "sha256_golden": hashlib.sha256(golden_file).hexdigest(),
    }
    with naming(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    scratches = tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-")
    with naming(folder), scratches as scratch:
        fresh = Path(scratch) / "new"
        fresh.mkdir()
        (fresh / "model.safetensors").write_bytes(weights)
        (fresh / "golden.safetensors").write_bytes(golden_file)
        (fresh / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        old = Path(scratch) / "old"
        if folder.exists():
            folder.rename(old)
        try:
            fresh.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise


def load_published(folder: Path) -> ZooModule:
    """Loads published weights after checking their sha256 against the card.

    Raises:
        ZooError: A file is missing or damaged.
    """
    card = registry.read_card(folder)
    path = registry.published_file(folder, "model.safetensors")
    content = _read_whole(path, card["sha256"])
    with unfilled():
        model = build(card["model"]["class_path"], card["model"]["init_args"])
    state = _parse_safetensors(content, path)
    for prefix, lender in card.get("borrows", {}).items():
        state |= _lent(folder, prefix, lender["from"], lender["sha256"])
    fill(model, state, folder)
    return model


def _equals(state: dict[str, Tensor], prefix: str, name: str) -> bool:
    """Whether a part of a state is that of published weights, to the last bit."""
    if name not in registry.list_models(pretrained=True) or registry.card(name).get("borrows"):
        return False
    lent = _lent(registry.entry(name).folder, prefix, name, registry.card(name)["sha256"])
    part = {key: value for key, value in state.items() if key.startswith(prefix)}
    return part.keys() == lent.keys() and all(torch.equal(value, lent[key]) for key, value in part.items())


def _lent(folder: Path, prefix: str, name: str, sha256: str) -> dict[str, Tensor]:
    """The weights that a published model shares with another, under the keys that they have in the first."""
    lender = registry.entry(name).folder
    card = registry.read_card(lender)
    if card.get("borrows"):
        raise ZooError(f"{folder} borrows from {name}, which borrows itself; fetch both again")
    if card["sha256"] != sha256:
        raise ZooError(f"{folder} needs {name} with sha256 {sha256[:12]}..., this zoo holds another; fetch both again")
    state = load_published(lender).state_dict()
    return {prefix + key.removeprefix("network."): state[key] for key in state if key.startswith("network.")}


def load_golden(folder: Path) -> dict[str, Tensor]:
    """Reads the golden inputs and the answer that belongs to them.

    Raises:
        ZooError: The file is missing or damaged.
    """
    path = registry.published_file(folder, "golden.safetensors")
    return _parse_safetensors(_read_whole(path, registry.read_card(folder).get("sha256_golden")), path)


def _read_whole(path: Path, sha256: str | None) -> bytes:
    """Reads a published file and compares it with its card; one that a card of former times does not tell, as it is."""
    content = _read_bytes(path)
    found = hashlib.sha256(content).hexdigest()
    if sha256 not in (None, found):
        raise ZooError(
            f"{path} is damaged, or of another version than its card: sha256 {found[:12]}..., the card says "
            f"{str(sha256)[:12]}...; fetch it again"
        )
    return content


def load_checkpoint(path: Path) -> ZooModule:
    """Loads a Lightning checkpoint, no matter whether the command line or a Python program wrote it.

    Raises:
        ZooError: The file is missing, damaged, would execute code, or is no checkpoint of the zoo.
    """
    checkpoint = read_checkpoint(path)
    if "class_path" not in checkpoint:
        raise ZooError(
            f"{path} does not name its model class; only checkpoints of the zoo's models can be loaded alone"
        )
    return rebuild(checkpoint, path)


def rebuild(checkpoint: dict[str, Any], path: Path) -> ZooModule:
    """The model that a checkpoint holds.

    Args:
        checkpoint: What the file holds; it names the model's class.
        path: The file.

    Raises:
        ZooError: It holds no model of the zoo, or weights that do not fit it.
    """
    with unfilled():
        model = build(checkpoint["class_path"], checkpoint.get("hyper_parameters", {}))
    fill(model, checkpoint["state_dict"], path)
    return model


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a Lightning checkpoint without executing anything, after checking that it is whole.

    Checkpoints written by the command line carry a sha256 (see :func:`write_checkpoint`). Those that a Python program's
    own Trainer wrote do not; of these, being zip archives, the checksums of all members are compared.

    Raises:
        ZooError: The file is missing, damaged, would execute code, or is no Lightning checkpoint.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            seal = archive.comment
            broken = None if seal.startswith(_SEAL) else archive.testzip()
    except FileNotFoundError as error:
        raise ZooError(f"no checkpoint at {path}") from error
    except IsADirectoryError as error:
        raise ZooError(f"{path} is a folder, expected a checkpoint file such as checkpoints/last.ckpt") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        raise ZooError(f"{path} is damaged or no checkpoint ({error}); nothing was loaded") from error
    if seal.startswith(_SEAL) and seal != _seal(path.read_bytes()[: -len(seal)]):
        raise ZooError(f"{path} is damaged: its sha256 does not match; nothing was loaded")
    if broken is not None:
        raise ZooError(f"{path} is damaged: the checksum of {broken} does not match; nothing was loaded")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = next(
            (line.strip() for line in str(error).splitlines() if "GLOBAL" in line or "Unsupported" in line), ""
        )
        raise ZooError(f"{path} was refused: loading it would execute code, not only read tensors. {found}") from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ZooError(f"{path} is damaged ({str(error).splitlines()[0]}); nothing was loaded") from error
    if (fault := fault_of_checkpoint(checkpoint)) is not None:
        raise ZooError(f"{path} is no Lightning checkpoint: {fault}")
    return dict(checkpoint)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Reads a file of tensors that no card describes.

    Raises:
        ZooError: The file is missing or damaged.
    """
    return _parse_safetensors(_read_bytes(path), path)


def write_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Writes a checkpoint at once or not at all, with the sha256 of all that precedes it as its last bytes.

    The file stays an ordinary torch archive: the checksum is the comment that a zip archive may end with.
    """
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    content = bytearray(buffer.getvalue())
    content[-2:] = len(_seal(b"")).to_bytes(2, "little")  # a zip archive ends with the length of its comment
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, bytes(content + _seal(content)))


def recalibrate(path: Path, model: ZooModule) -> None:
    """Writes into a checkpoint what an evaluation has left in the model's state; see :attr:`ZooModule.calibrated`."""
    checkpoint, state = read_checkpoint(path), model.state_dict()
    checkpoint["state_dict"] |= {key: state[key].cpu() for key in model.calibrated}
    write_checkpoint(checkpoint, path)


def _seal(content: bytes | bytearray) -> bytes:
    return _SEAL + hashlib.sha256(content).hexdigest().encode()


def best_checkpoint(run: Path) -> Path:
    """The best checkpoint of a run; the last one of a run on everything, where nothing is left to choose by.

    Raises:
        ZooError: The run has none, was never validated, or was to train on everything and did not reach its end.
    """
    best, last = (run / "checkpoints" / f"{name}.ckpt" for name in ("best", "last"))
    if best.is_file():
        return best
    if not last.is_file():
        raise ZooError(f"the run {run} holds no checkpoint; expected checkpoints/best.ckpt")
    if not registry.fits_on_all(registry.read_yaml(run / "config.yaml")):
        raise ZooError(f"the run {run} chose no best.ckpt; if its last checkpoint will do, name it: {last}")
    if "fit" not in registry.read_results(run):
        raise ZooError(f"{run} is not trained to its end; go on with: zoo fit {run}")
    return last


def fill(model: ZooModule, state: dict[str, Tensor], origin: Path) -> None:
    """Puts weights into a model.

    Raises:
        ZooError: They do not fit.
    """
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise ZooError(
            f"the weights in {origin} do not fit {type(model).__name__}: {' '.join(str(error).split())}"
        ) from error


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ZooError(f"cannot read {path}: {error.strerror}") from error


def _parse_safetensors(content: bytes, path: Path) -> dict[str, Tensor]:
    try:
        return load_safetensors(content)
    except SafetensorError as error:
        raise ZooError(f"{path} is damaged ({error}); fetch it again") from error
