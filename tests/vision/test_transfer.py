"""Transfer learning: the backbone stays what it was, its features are computed once, its last blocks can be tuned."""

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from conftest import Zoo
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping
from safetensors.torch import save_file
from tiny import photos
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import zoo
from datamodules import Shapes
from zoo import registry, weights
from zoo.errors import ZooError
from zoo.registry import read_results
from zoo.training.cli import ZooCLI
from zoo.vision.backbone import Backbone
from zoo.vision.transfer import Transfer

# A tiny backbone that begins with a convolution and batch normalisation.
TINY = {"weights": None, "backbone": "mobilenetv2_035", "num_classes": 6}
IMAGES = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def shapes() -> Shapes:
    return Shapes(image_size=32, train_size=60, val_size=30, test_size=30, batch_size=16)


def fit(model: Transfer, epochs: int = 3, callbacks: list[Callback] | None = None, data: Any = None) -> Trainer:
    trainer = Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=callbacks,
    )  # fmt: skip
    torch.manual_seed(0)
    trainer.fit(model, datamodule=data or shapes())
    return trainer


def build(**arguments: Any) -> Transfer:
    torch.manual_seed(1)
    return Transfer(**{**TINY, "schedule": "constant", "lr": 0.01, **arguments})


def copy_of(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("cached", [True, False])
def test_frozen_backbone_never_changes(cached: bool) -> None:
    model = build(cache_features=cached)
    backbone, head = copy_of(model.network.backbone), copy_of(model.network.head)
    assert any("running_mean" in name for name in backbone)
    fit(model)
    assert all(torch.equal(value, backbone[name]) for name, value in model.network.backbone.state_dict().items())
    assert not any(torch.equal(value, head[name]) for name, value in model.network.head.state_dict().items())
    assert all(parameter.grad is None for parameter in model.network.backbone.parameters())
    model.train()
    assert model.network.head.training
    assert not any(module.training for module in model.network.backbone.modules())


def test_cached_and_uncached_training_give_the_same_head() -> None:
    heads = []
    for cached in (True, False):
        model = build(cache_features=cached, dropout=0.3)
        fit(model)
        heads.append(copy_of(model.network.head))
    for name, value in heads[0].items():
        torch.testing.assert_close(value, heads[1][name], rtol=1e-5, atol=1e-5)


class CountImages(Callback):
    """Counts the images that pass through the backbone, and those that each epoch brings."""

    def __init__(self, model: Transfer) -> None:
        self.seen = 0
        self.inputs: list[Tensor] = []
        model.network.backbone.register_forward_hook(self._count)

    def _count(self, module: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        self.seen += len(inputs[0])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.inputs.append(trainer.train_dataloader.dataset.tensors[0])  # type: ignore[union-attr]


def test_features_are_computed_once() -> None:
    model = build()
    count = CountImages(model)
    trainer = fit(model, 5, [count])
    assert count.seen == 60 + 30
    for loader in (trainer.train_dataloader, trainer.val_dataloaders):
        assert loader.dataset.tensors[0].dtype == torch.uint8, "the data has its images back"  # type: ignore[union-attr]


def test_augmented_copies_take_turns() -> None:
    model = build(flip=True, rotation=30, augmented_copies=2)
    count = CountImages(model)
    fit(model, 5, [count])
    assert count.seen == 2 * 60 + 30
    first, second, third, *_ = count.inputs
    assert torch.equal(first, third)
    assert not torch.allclose(first, second)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"flip": True}, "--model.augmented_copies 8.*--model.cache_features false"),
        ({"augmented_copies": 3}, "no augmentation to make them by"),
        ({"flip": True, "augmented_copies": 3, "cache_features": False}, "no cache to keep them in"),
        ({"unfreeze_blocks": 99}, "expected 0 to 18"),
        ({"unfreeze_blocks": -1}, "unfreeze_blocks is -1, expected 0 or more"),
        ({"flip": True, "augmented_copies": -3}, "augmented_copies is -3, expected 0 or more"),
        ({"backbone": "vit_tiny_patch16_224", "image_size": 192}, "images of 224 pixels, not of 192"),
        ({"backbone": "mobilnetv2_100"}, "timm has no model 'mobilnetv2_100'; did you mean 'mobilenetv2_100'"),
        ({"options": {"nonsense": 1}}, "does not take these options"),
        ({"weights": "nowhere.pth"}, "no weights 'nowhere.pth'; expected published ones .*_imagenet.*'timm'"),
        ({"weights": "cnn_digits", "backbone": None}, "cnn_digits has no backbone"),
        ({"weights": "mobilenetv2_imagenet"}, "those of a mobilenetv2_100, not of a mobilenetv2_035"),
    ],
)
def test_bad_arguments_are_told_in_one_line(arguments: dict[str, Any], expected: str) -> None:
    with pytest.raises(ZooError, match=expected) as caught:
        build(**arguments)
    assert "\n" not in str(caught.value)


def test_foreign_data_sets_cannot_be_cached() -> None:
    model = build()
    loader = DataLoader(Foreign(), batch_size=4)
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    with pytest.raises(ZooError, match=r"--model\.cache_features false"):
        trainer.fit(model, loader)


class Foreign(Dataset[tuple[Tensor, int]]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return IMAGES[index], index


def test_last_blocks_are_tuned_from_their_epoch_on() -> None:
    model = build(unfreeze_blocks=2, unfreeze_epoch=2, backbone_lr=1e-3)
    network = model.network.backbone
    before = copy_of(network)
    fit(model, 2)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    count = CountImages(model)
    fit(model, 4, [count])
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {
        name
        for name, _ in network.named_parameters()
        if name.startswith(("blocks.5.2.", "blocks.6.0.", "conv_head.", "bn2."))
    }
    assert count.inputs[1].ndim == 2
    assert count.inputs[2].dtype == torch.uint8, "images again"


def test_tuned_blocks_have_their_own_learning_rate() -> None:
    model = build(unfreeze_blocks=1, backbone_lr=1e-5, lr=1e-2, weight_decay=0.1)
    trainer = fit(model, 1)
    groups = trainer.optimizers[0].param_groups
    assert {group["lr"] for group in groups} == {1e-2, 1e-5}
    assert sum(parameter.numel() for group in groups if group["lr"] == 1e-5 for parameter in group["params"]) == (
        sum(
            p.numel()
            for name, p in model.network.backbone.named_parameters()
            if name.startswith(("blocks.6.0.", "conv_head", "bn2"))
        )
    )


def stagnant(**arguments: Any) -> Transfer:
    """A model whose validation loss never improves."""
    model = build(**arguments)
    model.log_evaluation = lambda split: model.log(f"{split}_loss", 1.0)  # type: ignore[method-assign]
    return model


class Rates(Callback):
    """Notes the learning rates of head and blocks at the end of every epoch."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        groups = trainer.optimizers[0].param_groups
        self.seen.append((groups[0]["lr"], groups[-1]["lr"]))


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
def test_plateau_leaves_frozen_blocks_the_rate_that_was_asked_for(optimizer: str, weight_decay: float) -> None:
    model = stagnant(
        unfreeze_blocks=1, unfreeze_epoch=15, backbone_lr=1e-4, lr=1e-2, schedule="plateau", optimizer=optimizer,
        weight_decay=weight_decay, hidden_size=4,
    )  # fmt: skip
    rates = Rates()
    fit(model, 24, [rates])
    head, backbone = zip(*rates.seen, strict=True)
    assert head[0] == 1e-2
    assert head[14] < 1e-2
    assert backbone[:15] == (1e-4,) * 15, "frozen, it waits"
    assert backbone[15:20] == (1e-4,) * 5, "its patience begins when it is unfrozen"
    assert backbone[-1] < 1e-4


@pytest.mark.parametrize("patience", [0, 1, 3])
@pytest.mark.parametrize("settings", [{}, {"check_on_train_epoch_end": False}])
def test_early_stopping_waits_until_blocks_are_unfrozen(patience: int, settings: dict[str, Any]) -> None:
    model = stagnant(unfreeze_blocks=1, unfreeze_epoch=5)
    trainer = fit(model, 20, [EarlyStopping("val_loss", patience=patience, **settings)])
    # The first epoch sets what is to be beaten, so that a patience of 0 and of 1 end alike.
    assert trainer.current_epoch == 5 + max(patience, 1)
    assert all(one.requires_grad for one in model._tuned)


def test_early_stopping_does_not_wait_for_what_never_comes() -> None:
    trainer = fit(stagnant(), 20, [EarlyStopping("val_loss", patience=2)])
    assert trainer.current_epoch == 3


def test_training_that_ends_before_anything_is_unfrozen_says_so() -> None:
    with pytest.warns(UserWarning, match=r"ends after 3 epochs, before unfreeze_epoch 5.*--trainer\.max_epochs"):
        fit(build(unfreeze_blocks=1, unfreeze_epoch=5), 3)


def test_published_backbone_gives_the_features_of_the_notes() -> None:
    model = Transfer(num_classes=2, classes=["mask", "no mask"])
    assert model(IMAGES).shape == (5, 1)
    assert model.features(IMAGES).shape == (5, 1280)
    torch.testing.assert_close(model.eval().features(IMAGES), zoo.load("mobilenetv2_imagenet")(IMAGES))
    assert model.features(IMAGES[:, :1]).shape == (5, 1280), "grey images pass, too"
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert trained == 1281


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_from_a_file(suffix: str, tmp_path: Path) -> None:
    original = timm.create_model("mobilenetv2_035", num_classes=10).eval()
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": original.state_dict()}, path)
    else:
        save_file(original.state_dict(), path)
    model = build(weights=str(path))
    assert model.hparams["pixel_mean"] == list(timm.get_pretrained_cfg("mobilenetv2_035").mean)  # type: ignore[union-attr]
    ours, theirs = model.network.backbone.state_dict(), original.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    with pytest.raises(ZooError, match="do not fit timm's mobilenetv2_100"):
        build(weights=str(path), backbone="mobilenetv2_100")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ZooError, match=r"damaged|refused"):
        build(weights=str(path))


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("code ran",))


def test_file_that_would_run_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ZooError, match="refused: it holds more than tensors"):
        build(weights=str(tmp_path / "evil.pth"))
    assert "code ran" not in capsys.readouterr().out


def test_hub_without_a_network_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_network(*_: Any, **__: Any) -> None:
        raise OSError("no network in this test")

    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ZooError, match=r"timm's hub.*--model.weights mobilenetv2_imagenet.*--model.weights FILE"):
        build(weights="timm", backbone="mobilenetv2_100")


def test_model_loads_where_the_weights_it_began_with_are_gone(tmp_path: Path) -> None:
    weights.save(Backbone("mobilenetv2_035", {"pad_type": "same"}), tmp_path / "start", {}, {"input": IMAGES})
    model = build(weights=str(tmp_path / "start"), backbone=None)
    weights.save(model, tmp_path / "end", {}, {"input": IMAGES})
    (tmp_path / "start").rename(tmp_path / "elsewhere")
    loaded = zoo.load(tmp_path / "end")
    assert loaded.hparams["backbone"] == "mobilenetv2_035"
    assert loaded.hparams["options"] == {"pad_type": "same"}
    torch.testing.assert_close(loaded(IMAGES), model.eval()(IMAGES))
    again = build(weights=str(tmp_path / "end"), backbone=None)
    torch.testing.assert_close(again.features(IMAGES), model.features(IMAGES))


def test_half_precision_is_stored_and_computes_in_float32(tmp_path: Path) -> None:
    model = weights.half(build())
    weights.save(model, tmp_path / "half", {}, {"input": IMAGES}, half=True)
    weights.save(model, tmp_path / "whole", {}, {"input": IMAGES})
    sizes = [json.loads((tmp_path / name / "card.json").read_text())["bytes"] for name in ("half", "whole")]
    assert sizes[0] < 0.6 * sizes[1]
    loaded = zoo.load(tmp_path / "half")
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    assert torch.equal(loaded(IMAGES), zoo.load(tmp_path / "whole")(IMAGES))


def test_frozen_backbone_is_borrowed_and_not_stored_again(tmp_path: Path) -> None:
    model = Transfer(num_classes=3)
    weights.save(model, tmp_path / "whole", {}, {"input": IMAGES})
    weights.save(model, tmp_path / "head", {}, {"input": IMAGES}, borrow=True)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "head")]
    assert sizes[1] < 0.01 * sizes[0]
    assert torch.equal(zoo.load(tmp_path / "head")(IMAGES), zoo.load(tmp_path / "whole")(IMAGES))
    card = json.loads((tmp_path / "head" / "card.json").read_text())
    card["borrows"]["network.backbone."]["sha256"] = "0" * 64
    (tmp_path / "head" / "card.json").write_text(json.dumps(card))
    with pytest.raises(ZooError, match=r"needs mobilenetv2_imagenet with sha256 000000000000"):
        zoo.load(tmp_path / "head")


def test_changed_backbone_is_stored(tmp_path: Path) -> None:
    model = Transfer(num_classes=3)
    model.network.backbone.conv_stem.weight.data[0] += 1e-3  # type: ignore[union-attr, operator, index]
    weights.save(model, tmp_path / "tuned", {}, {"input": IMAGES}, borrow=True)
    torch.testing.assert_close(zoo.load(tmp_path / "tuned")(IMAGES), model(IMAGES))
    assert json.loads((tmp_path / "tuned" / "card.json").read_text())["borrows"] == {}


def test_model_that_borrows_can_be_a_start(tmp_path: Path) -> None:
    weights.save(
        Transfer(num_classes=3, weights="mobilenetv2_things"), tmp_path / "new", {}, {"input": IMAGES}, borrow=True
    )
    assert json.loads((tmp_path / "new" / "card.json").read_text())["borrows"] == {}


def test_both_parts_are_compiled() -> None:
    model = build(compile=True)
    model.setup("fit")
    assert all(part._compiled_call_impl is not None for part in (model.network.backbone, model.network.head))


def test_copies_depend_on_the_seed() -> None:
    inputs = []
    for seed in (0, 0, 1):
        model = build(flip=True, rotation=30, augmented_copies=1)
        count = CountImages(model)
        trainer = Trainer(
            max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            callbacks=[count],
        )  # fmt: skip
        torch.manual_seed(seed)
        trainer.fit(model, datamodule=shapes())
        inputs += count.inputs
    assert torch.equal(inputs[0], inputs[1])
    assert not torch.allclose(inputs[0], inputs[2])


@pytest.fixture
def run(zoo_command: Zoo, tmp_path: Path) -> Path:
    """A short run that began with a published backbone, named together with its architecture, in a folder."""
    weights.save(Backbone("mobilenetv2_035", {"pad_type": "same"}), tmp_path / "start", {}, {"input": IMAGES})
    arguments = [
        "--data.root",
        photos(),
        "--data.image_size=48",
        "--model.backbone=mobilenetv2_035",
        "--quiet",
        "--figures=false",
    ]
    arguments += ["--model.weights=start", "--trainer.max_epochs=1", "--tune_precision=false"]
    assert zoo_command("fit", "mobilenetv2_folder", *arguments)[0] == 0
    (run,) = (tmp_path / "runs" / "mobilenetv2_folder").iterdir()
    return run


def test_run_is_measured_where_the_weights_it_began_with_are_gone(run: Path, zoo_command: Zoo, tmp_path: Path) -> None:
    assert zoo_command("validate", run, "--quiet")[0] == 0
    before = read_results(run)["validate"]
    (tmp_path / "start").rename(tmp_path / "gone")
    assert zoo_command("validate", run, "--quiet")[0] == 0
    assert read_results(run)["validate"] == before
    assert zoo_command("fit", run, "--trainer.max_epochs=2", "--quiet")[0] == 0
    assert weights.load(run).hparams["options"] == {"pad_type": "same"}


def test_other_classes_than_trained_are_refused(run: Path, zoo_command: Zoo, tmp_path: Path) -> None:
    renamed = tmp_path / "photos"
    shutil.copytree(photos(), renamed)
    (renamed / "circle").rename(renamed / "zebra")
    code, _, err = zoo_command("test", run, "--data.root", renamed)
    assert code == 2
    assert "was trained to tell circle, cross, ring; the data has cross, ring, zebra" in err


def test_learning_rate_is_sought_on_the_pretrained_backbone(tmp_path: Path) -> None:
    args = ["--config", str(registry.recipe("mobilenetv2_folder").path), "--data.root", str(photos())]
    cli = ZooCLI([*args, "--tune_precision=false"], "lr-find", "mobilenetv2_folder", tmp_path / "run", quiet=True)
    ours, theirs = cli.model.network.backbone.state_dict(), zoo.load("mobilenetv2_imagenet").network.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
