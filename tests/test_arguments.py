"""Arguments are told once in a line of inheritance, and all of them are kept."""

import inspect
from importlib import import_module
from inspect import Parameter
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser
from lightning import LightningDataModule, Trainer

import zoo
from datamodules import Digits
from datamodules.arguments import KeepsArguments, parameters
from zoo import names, registry, weights
from zoo.series import Stateful
from zoo.text import RNNLM
from zoo.vision import CNN, Dense

KINDS = [
    kind
    for package in (*names.MODELS, *names.DATA)
    for name in import_module(package).__all__
    if isinstance(kind := getattr(import_module(package), name), type) and issubclass(kind, KeepsArguments)
]
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_argument_is_declared_again_only_for_another_default(kind: type) -> None:
    own = _declared(kind)
    for base in kind.__mro__[1:]:
        theirs = _declared(base)
        again = [name for name in own.keys() & theirs.keys() if own[name].default == theirs[name].default]
        assert again == [], f"{kind.__name__} declares them as {base.__name__} does"


def _declared(kind: type) -> dict[str, Parameter]:
    """What a class's own constructor declares."""
    init = kind.__dict__.get("__init__")
    own = list(inspect.signature(init).parameters.values())[1:] if init is not None else []
    return {one.name: one for one in own if one.kind not in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)}


@every_kind
def test_command_line_takes_what_the_constructor_takes(kind: type) -> None:
    if "recording" in parameters(kind):
        pytest.skip("for programs: the command line has no recordings")
    found = ArgumentParser(exit_on_error=False).add_class_arguments(kind, fail_untyped=False)
    assert set(found) == set(parameters(kind))


@every_kind
def test_every_argument_is_described(kind: type) -> None:
    documented = " ".join(base.__doc__ or "" for base in kind.__mro__)
    missing = [name for name in parameters(kind) if f" {name}: " not in documented]
    assert missing == []


@pytest.mark.parametrize("name", registry.list_recipes())
def test_hyperparameters_hold_every_value(name: str) -> None:
    kind = names.find(registry.recipe(name).config["model"]["class_path"])
    facts: dict[str, Any] = {"vocab_size": 9, "tokenizer": None} if "tokenizer" in parameters(kind) else {}
    model = zoo.create(name, **facts)
    assert set(model.hparams) == set(parameters(kind)) - set(kind.not_kept)
    rebuilt = weights.build(names.path_of(kind), dict(model.hparams))
    assert dict(rebuilt.hparams) == dict(model.hparams)


def test_mistyped_argument_is_a_type_error_that_knows_better() -> None:
    with pytest.raises(TypeError, match=r"CNN got an unexpected keyword argument 'drop_out'; did you mean 'dropout'\?"):
        CNN(drop_out=0.5)
    with pytest.raises(TypeError, match="'batchsize'; did you mean 'batch_size'"):
        Digits(batchsize=3)


def test_what_a_class_decides_itself_cannot_be_given() -> None:
    assert "output" not in parameters(Stateful)
    with pytest.raises(TypeError, match="output"):
        Stateful(output="vector")


def test_arguments_may_be_given_by_place() -> None:
    model = Dense(12, mean=[1.0])
    assert (model.hparams["in_features"], model.hparams["mean"], model.hparams["dropout"]) == (12, [1.0], 0.0)


class ByPlace(CNN):
    """Hands an argument up by its place."""

    def __init__(self, **options: Any) -> None:
        super().__init__(3, **options)


def test_what_is_handed_up_by_place_is_decided_too() -> None:
    assert "in_channels" not in parameters(ByPlace)
    assert ByPlace(hidden_size=4).in_channels == 3


class Wider(CNN):
    """A user's own model, whose base has another default."""

    def __init__(self, hidden_size: int = 7, extra: int = 1, **options: Any) -> None:
        super().__init__(hidden_size=hidden_size, **options)
        self.extra = extra


def test_lightning_loads_what_a_program_has_trained(tmp_path: Path) -> None:
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", limit_train_batches=1, logger=False, enable_progress_bar=False,
        default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(Wider(image_size=8, channels=[2]), Digits())
    (path,) = tmp_path.rglob("*.ckpt")
    kept = torch.load(path, weights_only=True)["hyper_parameters"]
    assert (kept["hidden_size"], kept["extra"], kept["channels"], kept["lr"]) == (7, 1, [2], 1e-3)
    assert isinstance(Wider.load_from_checkpoint(path, weights_only=True), Wider)
    assert isinstance(zoo.load(path), Wider)


def test_tokenizer_is_kept_in_the_weights_alone() -> None:
    assert "tokenizer" not in RNNLM(vocab_size=5, embedding_size=2, hidden_size=2).hparams


def test_data_modules_keep_their_arguments_too() -> None:
    data: LightningDataModule = Digits(seed=3)
    loading = {"workers": None, "pin_memory": None}
    assert dict(data.hparams) == {"train_size": None, "batch_size": 64, "eval_batch_size": 512, "seed": 3, **loading}
